"""How a failed VM comes back: the ladder. Each rung is tried as often as the restart intensity allows.

Behind the last rung lies quarantine. It ends after a while with one trial of the strongest rung: a VM that works then
for a whole window is like any other again, one that fails goes back for twice as long. A failure that was its host's
fault is taken off its record.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeAlias, assert_never

from tzar_actors.core.restart import Failed, GiveUp, Restart, RestartIntensity, Settled

__all__ = [
    "HostFailed",
    "Quarantine",
    "Recover",
    "Rung",
    "SuperviseCommand",
    "SuperviseEvent",
    "Supervision",
    "VmCame",
    "VmExcused",
    "VmFailed",
    "VmReleased",
    "VmSettled",
]

_CAUSES: Final = 10  # that are remembered: the evidence of a quarantine


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
class VmExcused:
    """The VM failed with its host: it is restarted, and nothing is counted. `jitter` as in `VmFailed`.

    `needs_more`: restarts were tried in vain, so its next rung is tried, the last one again and again.
    """

    jitter: float
    needs_more: bool = False


@dataclass(frozen=True, slots=True)
class VmCame:
    """The VM's agent is here, which proves little yet."""


@dataclass(frozen=True, slots=True)
class VmSettled:
    """The VM has worked for a whole window."""


@dataclass(frozen=True, slots=True)
class VmReleased:
    """A person, or the end of its probation, lets the VM out of quarantine."""


@dataclass(frozen=True, slots=True)
class HostFailed:
    """Whatever failed `since`, monotonic seconds, was its host's fault."""

    since: float


@dataclass(frozen=True, slots=True)
class Recover:
    """Bring the VM back in this way, in `after_s` seconds."""

    rung: Rung
    after_s: float


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Nothing helped: the VM stays off for `for_s` seconds. `reason` tells what was tried.

    `evidence`: the last causes of its failures, oldest first.
    """

    reason: str
    for_s: float
    evidence: tuple[str, ...]


SuperviseEvent: TypeAlias = VmFailed | VmExcused | VmCame | VmSettled | VmReleased | HostFailed
SuperviseCommand: TypeAlias = Recover | Quarantine


@dataclass(frozen=True, slots=True)
class Supervision:
    """Where one VM stands on the ladder.

    Args:
        intensity: how often one rung may be tried.
        rungs: those that this VM's driver offers, mildest first.
        probation_s: how long the first quarantine lasts, in seconds; each further one in a row twice as long.
        longest_probation_s: none lasts longer than this.
        place: index of the rung in use; behind the last one the VM is in quarantine.
        quarantines: how often it was in quarantine since it last worked for a whole window.
        causes: of its last failures, oldest first.
        excuses: failures since its agent was here last that were its host's fault.
    """

    intensity: RestartIntensity
    rungs: tuple[Rung, ...] = (Rung.RESTART, Rung.RECREATE)
    probation_s: float = 600.0
    longest_probation_s: float = 86_400.0
    place: int = 0
    quarantines: int = 0
    causes: tuple[str, ...] = ()
    excuses: int = 0

    @property
    def in_quarantine(self) -> bool:
        """No rung is left."""
        return self.place >= len(self.rungs)

    def step(self, event: SuperviseEvent) -> "tuple[Supervision, tuple[SuperviseCommand, ...]]":
        """The state after `event`, and what to do about it."""
        match event:
            case VmSettled():
                if self.in_quarantine:
                    return self, ()
                intensity, _ = self.intensity.step(Settled())
                return replace(self, intensity=intensity, place=0, quarantines=0, causes=(), excuses=0), ()
            case VmExcused(jitter, needs_more):
                if self.in_quarantine:
                    return self, ()
                place = min(self.place + 1, len(self.rungs) - 1) if needs_more else self.place
                after = replace(self, excuses=self.excuses + 1, place=place)
                rung = self.rungs[place if needs_more else 0]
                return after, (Recover(rung, self.intensity.delay_s(after.excuses, jitter)),)
            case VmCame():
                return replace(self, excuses=0), ()
            case HostFailed(since):
                return replace(self, intensity=self.intensity.without(since)), ()
            case VmReleased():
                if not self.in_quarantine:
                    return self, ()
                last = len(self.rungs) - 1
                return replace(self, place=last), (Recover(self.rungs[last], 0.0),)
            case VmFailed():
                if self.in_quarantine:
                    return self, ()
                known = replace(self, causes=(*self.causes, event.cause)[-_CAUSES:], excuses=0)
                return known._isolate("again after its trial", event) if self.quarantines else known._climb(event)
            case _:
                assert_never(event)

    def _climb(self, event: VmFailed) -> "tuple[Supervision, tuple[SuperviseCommand, ...]]":
        intensity, (decision,) = self.intensity.step(Failed(event.at, event.jitter))
        after = replace(self, intensity=intensity)
        match decision:
            case Restart(after_s):
                return after, (Recover(self.rungs[self.place], after_s),)
            case GiveUp(failures):
                place = self.place + 1
                if place < len(self.rungs):
                    after_s = self.intensity.longest_delay_s * (0.5 + event.jitter / 2)
                    return replace(after, place=place), (Recover(self.rungs[place], after_s),)
                tried = ", ".join(self.rungs)
                what = f"{len(failures)} failures within {self.intensity.window_s:g} s after {tried}"
                return after._isolate(what, event)
            case _:
                assert_never(decision)

    def _isolate(self, what: str, event: VmFailed) -> "tuple[Supervision, tuple[SuperviseCommand, ...]]":
        for_s = min(self.longest_probation_s, self.probation_s * 2.0 ** min(self.quarantines, 60))
        isolated = replace(self, place=len(self.rungs), quarantines=self.quarantines + 1)
        return isolated, (Quarantine(f"{what}: {event.cause}", for_s, self.causes),)
