"""How long a driver's call may take, for every verb: the one place where these limits stand.

A call that has not answered by then is given up (see `core.lanes`): what came of it is unknown.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, assert_never

__all__ = ["CallLimits", "LaneVerb"]

LaneVerb: TypeAlias = Literal["create", "start", "restore", "stop", "kill", "remove", "status", "evidence"]

_COPIES: Final = 5  # a new disk may be a copy of the template
_CLEARS: Final = 2  # a disk and its checkpoints go
_LOOKS: Final = 0.5  # what changes nothing


@dataclass(frozen=True, slots=True)
class CallLimits:
    """The limits that follow from the settings, in seconds.

    Args:
        call_timeout_s: for a verb that should be done at once; the others are given their part or multiple of it.
        boot_timeout_s: for a guest's boot, which may be over only when a driver can deliver the identity; no less than
            any driver itself waits for that.
        stop_timeout_s: what a VM that is asked to stop is given at most, on the host that gives most.
    """

    call_timeout_s: float = 60.0
    boot_timeout_s: float = 60.0
    stop_timeout_s: float = 10.0

    def limit_s(self, verb: LaneVerb) -> float:
        """How long a call of `verb` may take, in seconds."""
        match verb:
            case "create":
                return self.call_timeout_s * _COPIES
            case "start" | "restore":
                return self.call_timeout_s + self.boot_timeout_s
            case "stop":
                return self.call_timeout_s + self.stop_timeout_s
            case "kill":
                return self.call_timeout_s
            case "remove":
                return self.call_timeout_s * _CLEARS
            case "status" | "evidence":
                return self.call_timeout_s * _LOOKS
            case _:
                assert_never(verb)
