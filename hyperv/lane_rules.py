"""What a lane does about trouble: ask again, open a new PowerShell, or give up; when to recycle, when to sign in again.

Pure: the time comes with each question, and nothing here knows of sockets or processes. One thing is never done: to
carry a call out twice. A PowerShell remembers what it answered, so that asking the same one again is always safe; once
it is gone, only a call that changes nothing is asked of the next.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

__all__ = [
    "AskAgain",
    "Asked",
    "GiveUp",
    "Recycling",
    "Reopen",
    "SignIn",
    "Trouble",
    "Verdict",
    "changes_nothing",
    "decide",
]

_READERS = frozenset({"get", "test"})  # PowerShell's own verbs for what only looks


class Trouble(StrEnum):
    """What a channel met."""

    CUT = "cut"  # the connection broke, or its answer made no sense: the PowerShell behind it may well be alive
    NO_ROUTE = "no_route"  # nobody listens there
    GONE = "gone"  # the shell or its PowerShell is no more
    BUSY = "busy"  # a quota is used up
    DENIED = "denied"  # the credentials were refused
    UNTRUSTED = "untrusted"  # the certificate is not one to trust
    UNUSABLE = "unusable"  # the transport cannot be used as it is set up: a program or a library is missing
    SILENT = "silent"  # everything works, but the reply is not there at the deadline
    GARBLED = "garbled"  # a request or a reply arrived damaged
    FAULT = "fault"  # the other end refused what it was asked


class Verdict(StrEnum):
    """Why a call failed."""

    UNREACHABLE = "unreachable"
    BUSY = "busy"
    DENIED = "denied"
    UNTRUSTED = "untrusted"
    UNUSABLE = "unusable"
    LOST = "lost"  # the PowerShell ended while it had the call: nobody knows whether it was done
    HUNG = "hung"  # the call did not end in time
    FAULT = "fault"
    TOO_LARGE = "too_large"  # the request does not fit


@dataclass(frozen=True, slots=True)
class Asked:
    """A call on its way.

    Args:
        repeatable: it changes nothing, so that it may be carried out any number of times.
        deadline: monotonic seconds.
        sent: a PowerShell may have it.
        tries: how often it was asked again.
        reopened: how often a new PowerShell was opened for it.
    """

    repeatable: bool
    deadline: float
    sent: bool = False
    tries: int = 0
    reopened: int = 0


@dataclass(frozen=True, slots=True)
class AskAgain:
    """The same PowerShell, by a new connection, `after` seconds."""

    after: float


@dataclass(frozen=True, slots=True)
class Reopen:
    """A new PowerShell, at once; the old one is gone."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The call has failed. `retire`: its PowerShell may still be at it, and must be ended."""

    verdict: Verdict
    retire: bool


_DELAYS_S = (0.0, 0.2, 0.5, 1.0, 2.0)  # a connection is made anew so often, after so many seconds
_REOPENED_AT_MOST = 2
_VERDICTS = {
    Trouble.CUT: Verdict.UNREACHABLE,
    Trouble.NO_ROUTE: Verdict.UNREACHABLE,
    Trouble.GONE: Verdict.UNREACHABLE,
    Trouble.BUSY: Verdict.BUSY,
    Trouble.DENIED: Verdict.DENIED,
    Trouble.UNTRUSTED: Verdict.UNTRUSTED,
    Trouble.UNUSABLE: Verdict.UNUSABLE,
    Trouble.SILENT: Verdict.UNREACHABLE,
    Trouble.GARBLED: Verdict.FAULT,
    Trouble.FAULT: Verdict.FAULT,
}


def decide(asked: Asked, trouble: Trouble, at: float) -> tuple[Asked, AskAgain | Reopen | GiveUp]:
    """What to do about `trouble` at the time `at`, and the call as it stands afterwards."""
    match trouble:
        case Trouble.CUT | Trouble.GARBLED:
            return _again(asked, trouble, at)
        case Trouble.NO_ROUTE | Trouble.BUSY if asked.sent:
            return _again(asked, trouble, at)  # it may be a moment's, and what was sent may be answered yet
        case Trouble.GONE if asked.sent and not asked.repeatable:
            return asked, GiveUp(Verdict.LOST, retire=True)
        case Trouble.GONE if asked.reopened < _REOPENED_AT_MOST and at < asked.deadline:
            return replace(asked, sent=False, reopened=asked.reopened + 1), Reopen()
        case Trouble.SILENT if asked.sent:
            return asked, GiveUp(Verdict.HUNG, retire=True)
        case _:
            return asked, _give_up(asked, trouble)


def changes_nothing(function: str) -> bool:
    """Whether a function only looks, by its verb."""
    return function.partition("-")[0].lower() in _READERS


def _again(asked: Asked, trouble: Trouble, at: float) -> tuple[Asked, AskAgain | GiveUp]:
    if asked.tries == len(_DELAYS_S) or at + _DELAYS_S[asked.tries] >= asked.deadline:
        return asked, _give_up(asked, trouble)
    return replace(asked, tries=asked.tries + 1), AskAgain(_DELAYS_S[asked.tries])


def _give_up(asked: Asked, trouble: Trouble) -> GiveUp:
    # A fault may be that of the PowerShell's own state: the next call gets a fresh one.
    return GiveUp(_VERDICTS[trouble], retire=asked.sent or trouble in {Trouble.GONE, Trouble.SILENT, Trouble.FAULT})


@dataclass(frozen=True, slots=True)
class Recycling:
    """When a PowerShell is replaced by a fresh one, between two calls.

    Windows ends a shell after some hours, and counts what a shell has open for each user, not each shell (1,500).

    Args:
        max_age_s: after so many seconds.
        max_calls: after so many calls.
        max_operations: once so many of its operations count as open on the host.
    """

    max_age_s: float = 4 * 3600.0
    max_calls: int = 5000
    max_operations: int = 100

    def is_due(self, age_s: float, calls: int, operations: int) -> bool:
        """Whether one of the limits is reached."""
        return age_s >= self.max_age_s or calls >= self.max_calls or operations >= self.max_operations


@dataclass(frozen=True, slots=True)
class SignIn:
    """How soon credentials that were refused are shown again: Windows locks an account that fails too often.

    Args:
        denials: refusals since they were last accepted.
        not_before: monotonic seconds; earlier than this nobody asks.
    """

    denials: int = 0
    not_before: float = 0.0

    def denied(self, at: float) -> "SignIn":
        """After a refusal: half a minute, then twice as long each time, up to ten minutes."""
        return SignIn(self.denials + 1, at + min(600.0, 30.0 * 2.0**self.denials))

    def wait_s(self, at: float) -> float:
        """Seconds until it is time; 0: now."""
        return max(0.0, self.not_before - at)
