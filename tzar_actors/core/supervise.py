"""How a failed VM comes back: the ladder. Each rung is tried as often as the restart intensity allows."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias, assert_never

from tzar_actors.core.restart import Failed, GiveUp, Restart, RestartIntensity, Settled

__all__ = ["Quarantine", "Recover", "Rung", "SuperviseEvent", "Supervision", "VmFailed", "VmReleased", "VmSettled"]


class Rung(StrEnum):
    """What is done to bring a VM back, from the mildest to the last."""

    RESTART = "restart"
    RESTORE = "restore"
    RECREATE = "recreate"


@dataclass(frozen=True, slots=True)
class VmFailed:
    """The VM failed at `at` (monotonic seconds) for `cause`; `jitter` is a draw from [0, 1)."""

    at: float
    jitter: float
    cause: str


@dataclass(frozen=True, slots=True)
class VmSettled:
    """The VM has worked for a whole window."""


@dataclass(frozen=True, slots=True)
class VmReleased:
    """A person, or the end of its probation, lets the VM out of quarantine."""


@dataclass(frozen=True, slots=True)
class Recover:
    """Bring the VM back in this way, in `after_s` seconds."""

    rung: Rung
    after_s: float


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Nothing helped: the VM stays off until it is released. `reason` tells what was tried."""

    reason: str


SuperviseEvent: TypeAlias = VmFailed | VmSettled | VmReleased
SuperviseCommand: TypeAlias = Recover | Quarantine


@dataclass(frozen=True, slots=True)
class Supervision:
    """Where one VM stands on the ladder.

    Args:
        intensity: how often one rung may be tried.
        rungs: those that this VM's driver offers, mildest first.
        place: index of the rung in use; behind the last one the VM is in quarantine.
    """

    intensity: RestartIntensity
    rungs: tuple[Rung, ...] = (Rung.RESTART, Rung.RECREATE)
    place: int = 0

    @property
    def in_quarantine(self) -> bool:
        """No rung is left."""
        return self.place >= len(self.rungs)

    def step(self, event: SuperviseEvent) -> "tuple[Supervision, tuple[SuperviseCommand, ...]]":
        """The state after `event`, and what to do about it."""
        match event:
            case VmSettled():
                intensity, _ = self.intensity.step(Settled())
                return (self, ()) if self.in_quarantine else (replace(self, intensity=intensity, place=0), ())
            case VmReleased():
                if not self.in_quarantine:
                    return self, ()
                return replace(self, place=0), (Recover(self.rungs[0], 0.0),)
            case VmFailed():
                return (self, ()) if self.in_quarantine else self._climb(event)
            case _:
                assert_never(event)

    def _climb(self, event: VmFailed) -> "tuple[Supervision, tuple[SuperviseCommand, ...]]":
        intensity, decisions = self.intensity.step(Failed(event.at, event.jitter))
        (decision,) = decisions
        match decision:
            case Restart(after_s):
                return replace(self, intensity=intensity), (Recover(self.rungs[self.place], after_s),)
            case GiveUp(failures):
                place = self.place + 1
                if place < len(self.rungs):
                    after_s = self.intensity.longest_delay_s * (0.5 + event.jitter / 2)
                    return replace(self, intensity=intensity, place=place), (Recover(self.rungs[place], after_s),)
                tried = ", ".join(self.rungs)
                reason = f"{len(failures)} failures within {self.intensity.window_s:g} s after {tried}: {event.cause}"
                return replace(self, intensity=intensity, place=place), (Quarantine(reason),)
            case _:
                assert_never(decision)
