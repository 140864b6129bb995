"""One host: whether it works, and which of its VMs may boot now.

Its breaker opens when the host cannot be asked, when too many of its driver's calls are never answered, or when many of
its VMs fail at once: three at least, and half of them, within `burst_s`. Until it is closed again no failure of a VM
there counts, neither against the VM nor against what it played. When the host answers, one VM is booted as a trial
(half open); the first VM whose agent comes, the trial or one that was only out of reach, closes the breaker, and a
trial that fails opens it again, for twice as long. From the fourth trial in a row that fails
though the host answers, restarts do not help: each such VM is brought back by the next rung of its ladder, since what
the host's fault has left broken may take a new disk. It is excused all the same.

Boots: so many at a time, in the order in which they were asked for, each from its call to its agent's hello. A refusal
for load holds back all further boots for a while. It is back-pressure, and no failure.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, assert_never

__all__ = [
    "Admit",
    "AskHost",
    "BootAsked",
    "BootRefused",
    "CallsStuck",
    "CloseBreaker",
    "CountFailure",
    "ExcuseFailure",
    "Host",
    "HostAnswered",
    "HostCommand",
    "HostEvent",
    "HostTimerFired",
    "OpenBreaker",
    "SetHostTimer",
    "VmCame",
    "VmFell",
    "VmLeft",
]

_FEWEST: Final = 3  # VMs that fail at once; two may be a coincidence
_LOOK_BACK_S: Final = 10.0  # a host that cannot be asked has not worked for some time: it is asked every few seconds
_FIRST_DELAY_S: Final = 1.0
_LONGEST_DELAY_S: Final = 60.0
_TRIALS_BY_RESTART: Final = 3

HostTimer: TypeAlias = Literal["trial", "load"]


@dataclass(frozen=True, slots=True)
class HostAnswered:
    """The host was asked for its VMs. `error` is empty when it answered."""

    at: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class BootAsked:
    """The VM is to be booted, and waits for `Admit`."""

    at: float
    vm: str


@dataclass(frozen=True, slots=True)
class BootRefused:
    """The host refused the boot for load, or could not be asked for it. The VM will ask again."""

    at: float
    vm: str


@dataclass(frozen=True, slots=True)
class CallsStuck:
    """More calls of the host's driver were never answered than its lanes can bear; the last began `since`."""

    at: float
    since: float
    reason: str


@dataclass(frozen=True, slots=True)
class VmCame:
    """The VM's agent is here."""

    at: float
    vm: str


@dataclass(frozen=True, slots=True)
class VmFell:
    """The VM failed, for `cause`."""

    at: float
    vm: str
    cause: str


@dataclass(frozen=True, slots=True)
class VmLeft:
    """The VM is off as was wanted, or does not want to boot any more."""

    at: float
    vm: str


@dataclass(frozen=True, slots=True)
class HostTimerFired:
    """A timer that was set has run out."""

    at: float
    name: HostTimer


HostEvent: TypeAlias = HostAnswered | CallsStuck | BootAsked | BootRefused | VmCame | VmFell | VmLeft | HostTimerFired


@dataclass(frozen=True, slots=True)
class Admit:
    """The VM may boot now."""

    vm: str


@dataclass(frozen=True, slots=True)
class CountFailure:
    """The VM failed by itself: its ladder is to say what is done."""

    vm: str
    cause: str


@dataclass(frozen=True, slots=True)
class ExcuseFailure:
    """The VM failed with its host: it is to be restarted, and nothing is counted.

    `needs_more`: trials before it failed as well, so something stronger than a restart is to be tried.
    """

    vm: str
    cause: str
    needs_more: bool = False


@dataclass(frozen=True, slots=True)
class OpenBreaker:
    """The host has a fault. What its VMs lost and failed `since` then, monotonic seconds, counts against nobody."""

    reason: str
    since: float


@dataclass(frozen=True, slots=True)
class CloseBreaker:
    """The host works again, after `down_s` seconds."""

    down_s: float


@dataclass(frozen=True, slots=True)
class AskHost:
    """Ask the host now, not at the next round."""


@dataclass(frozen=True, slots=True)
class SetHostTimer:
    """Say `HostTimerFired` after `after_s` seconds."""

    name: HostTimer
    after_s: float


HostCommand: TypeAlias = Admit | CountFailure | ExcuseFailure | OpenBreaker | CloseBreaker | AskHost | SetHostTimer


class Host:
    """The machine of one host.

    Args:
        vms: how many VMs it carries.
        boots_at_a_time: how many of them may boot at the same time.
        burst_s: VMs that fail within so many seconds fail at once.
    """

    def __init__(self, vms: int, boots_at_a_time: int, burst_s: float) -> None:
        self.state: Literal["closed", "open", "half open"] = "closed"
        self.booting: set[str] = set()
        self.waiting: dict[str, None] = {}
        self._many = max(_FEWEST, (vms + 1) // 2)
        self._boots_at_a_time = boots_at_a_time
        self._burst_s = burst_s
        self._failures: list[tuple[float, str]] = []
        self._fallen: set[str] = set()  # with the host, and not back yet
        self._trial: str | None = None
        self._trials_failed = 0
        self._opened_at = 0.0
        self._not_before = 0.0
        self._trial_delay_s = _FIRST_DELAY_S
        self._load_delay_s = _FIRST_DELAY_S
        self._holds_back = False

    def step(self, event: HostEvent) -> list[HostCommand]:
        """What to do about `event`."""
        match event:
            case HostAnswered(at, error):
                return self._answered(at, error)
            case CallsStuck(at, since, reason):
                return self._open(at, reason, since) if self.state == "closed" else []
            case BootAsked(_, vm):
                self.waiting[vm] = None
                return self._admit()
            case BootRefused(at, vm):
                return self._refused(at, vm)
            case VmCame(at, vm):
                self._load_delay_s = _FIRST_DELAY_S
                self._release(vm)
                self._fallen.discard(vm)
                return self._close(at) if self.state != "closed" else self._admit()
            case VmFell():
                return self._fell(event)
            case VmLeft(at, vm):
                self._release(vm)
                self._fallen.discard(vm)
                return self._close_if_idle(at) or self._admit()
            case HostTimerFired(_, name):
                if name == "trial":
                    return [AskHost()] if self.state == "open" else []
                self._holds_back = False
                return self._admit()
            case _:
                assert_never(event)

    def _answered(self, at: float, error: str) -> list[HostCommand]:
        if error:
            if self.state == "closed":
                return self._open(at, f"it cannot be asked: {error}", at - _LOOK_BACK_S)
            self.state, self._trial = "open", None
            return []
        if self.state == "half open":
            return self._close_if_idle(at)
        if self.state != "open" or at < self._not_before:
            return []
        self.state = "half open"
        if self._is_idle:
            # What this answer says of the VMs is only now told to them: those that fell with the host are to say so
            # before it counts as one that works.
            return [AskHost()]
        return self._admit()

    def _fell(self, event: VmFell) -> list[HostCommand]:
        at, vm, cause = event.at, event.vm, event.cause
        was_trial = vm == self._trial
        self._release(vm)
        if self.state == "closed":
            self._failures = [each for each in self._failures if at - each[0] <= self._burst_s]
            self._failures.append((at, vm))
            together = {name for _, name in self._failures}
            if len(together) < self._many:
                return [CountFailure(vm, cause), *self._admit()]
            since, self._failures = self._failures[0][0], []
            self._fallen = together
            reason = f"{len(together)} of its VMs failed within {at - since:.1f} s, the last one: {cause}"
            return [*self._open(at, reason, since), ExcuseFailure(vm, cause)]
        self._fallen.add(vm)
        if not was_trial:
            return [ExcuseFailure(vm, cause)]
        self._trials_failed += 1
        return [ExcuseFailure(vm, cause, self._trials_failed > _TRIALS_BY_RESTART), *self._open_again(at)]

    def _refused(self, at: float, vm: str) -> list[HostCommand]:
        was_trial = vm == self._trial
        self._release(vm)
        if was_trial:
            return self._open_again(at)
        if self._holds_back:
            return []
        self._holds_back = True
        delay_s, self._load_delay_s = self._load_delay_s, min(_LONGEST_DELAY_S, self._load_delay_s * 2)
        return [SetHostTimer("load", delay_s)]

    # --- the breaker

    def _open(self, at: float, reason: str, since: float) -> list[HostCommand]:
        self.state, self._opened_at, self._not_before = "open", at, at
        self._trial_delay_s = _FIRST_DELAY_S
        self._trial, self._trials_failed = None, 0
        return [OpenBreaker(reason, since), AskHost()]

    def _open_again(self, at: float) -> list[HostCommand]:
        delay_s, self._trial_delay_s = self._trial_delay_s, min(_LONGEST_DELAY_S, self._trial_delay_s * 2)
        self.state, self._not_before = "open", at + delay_s
        return [SetHostTimer("trial", delay_s)]

    def _close(self, at: float) -> list[HostCommand]:
        self.state, self._trial = "closed", None
        self._fallen.clear()
        self._failures.clear()
        return [CloseBreaker(at - self._opened_at), *self._admit()]

    @property
    def _is_idle(self) -> bool:
        """Whether the host answers, and there is nothing that a trial could show."""
        return self.state == "half open" and not self._fallen and not self.waiting and self._trial is None

    def _close_if_idle(self, at: float) -> list[HostCommand]:
        return self._close(at) if self._is_idle else []

    # --- boots

    def _admit(self) -> list[HostCommand]:
        commands: list[HostCommand] = []
        for vm in list(self.waiting):
            if not self._may_boot(vm):
                break
            del self.waiting[vm]
            self.booting.add(vm)
            if self.state == "half open":
                self._trial = vm
            commands.append(Admit(vm))
        return commands

    def _may_boot(self, vm: str) -> bool:
        if self.state == "open" or (self.state == "half open" and self._trial not in (None, vm)):
            return False
        return vm in self.booting or (not self._holds_back and len(self.booting) < self._boots_at_a_time)

    def _release(self, vm: str) -> None:
        self.waiting.pop(vm, None)
        self.booting.discard(vm)
        if self._trial == vm:
            self._trial = None
