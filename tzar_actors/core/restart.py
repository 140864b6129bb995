"""How often a VM may fail before something stronger than a restart is tried.

The rule is the restart intensity of Erlang/OTP supervisors: at most `limit` failures within `window_s` seconds.
Between restarts the delay doubles, with jitter.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias, assert_never

__all__ = ["Failed", "GiveUp", "Restart", "RestartIntensity", "Settled"]


@dataclass(frozen=True, slots=True)
class Failed:
    """It failed at `at` (monotonic seconds); `jitter` is a draw from [0, 1)."""

    at: float
    jitter: float


@dataclass(frozen=True, slots=True)
class Settled:
    """It has worked for a whole window; a boot alone proves nothing."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Restart it in `after_s` seconds."""

    after_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """A restart does not help. `failures`: the times that exceeded the limit, oldest first."""

    failures: tuple[float, ...]


Decision: TypeAlias = Restart | GiveUp


@dataclass(frozen=True, slots=True)
class RestartIntensity:
    """The policy and what it has seen, as one value.

    Args:
        limit: failures within the window that are answered by a restart.
        window_s: seconds that a failure counts.
        first_delay_s: the delay before the first restart, in seconds; it doubles with each failure in the window.
        longest_delay_s: the delay never grows beyond this.
        failures: times of the failures that count, oldest first.
    """

    limit: int = 5
    window_s: float = 600.0
    first_delay_s: float = 0.2
    longest_delay_s: float = 60.0
    failures: tuple[float, ...] = ()

    def without(self, since: float) -> "RestartIntensity":
        """As if nothing had failed `since`, monotonic seconds: it was somebody else's fault."""
        return replace(self, failures=tuple(t for t in self.failures if t < since))

    def step(self, event: Failed | Settled) -> "tuple[RestartIntensity, tuple[Decision, ...]]":
        """The state after `event`, and what to do about it."""
        match event:
            case Settled():
                return replace(self, failures=()), ()
            case Failed(at, jitter):
                recent = (*(t for t in self.failures if at - t < self.window_s), at)
                if len(recent) > self.limit:
                    return replace(self, failures=()), (GiveUp(recent),)
                return replace(self, failures=recent), (Restart(self.delay_s(len(recent), jitter)),)
            case _:
                assert_never(event)

    def delay_s(self, nth: int, jitter: float) -> float:
        """The delay before the `nth` restart in a row, in seconds; `jitter` as in `Failed`."""
        # Full jitter below half the delay keeps VMs that failed together from coming back together.
        ceiling = min(self.longest_delay_s, self.first_delay_s * 2.0 ** min(nth - 1, 60))
        return ceiling * (0.5 + jitter / 2)
