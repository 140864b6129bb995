"""The lanes of one host: which one does which call, and what is done about a call that is never answered.

A lane is a thread inside a driver, which nobody can interrupt. So every call has a limit. When it passes, whoever asked
is told that nobody knows what came of it, the lane is abandoned, and a fresh one takes its place when one is needed.
Within a window so many lanes are replaced and no more; beyond that the host is reported, and has that many lanes less.
An abandoned lane that answers after all is closed: what it says is dropped, since a status shows what it did.

Of one VM there is one call at a time, in the order in which they were asked for, but for one that was given up.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from tzar_agent.protocol.value import value

__all__ = [
    "CALLS_CAP",
    "CALLS_WINDOW_S",
    "STATUS_CAP",
    "STATUS_WINDOW_S",
    "AbandonLane",
    "CallAsked",
    "CallLost",
    "CallRefused",
    "CancelLimit",
    "CloseLane",
    "HandOver",
    "LaneAnswered",
    "LaneCommand",
    "LaneEvent",
    "Lanes",
    "LimitPassed",
    "PassOn",
    "ReportStuck",
    "SetLimit",
    "call_name",
]

CALLS_CAP: Final = 16  # each costs a thread that nobody can end, and whatever its driver has begun
CALLS_WINDOW_S: Final = 3600.0
STATUS_CAP: Final = 4  # a host that cannot be asked is asked every few seconds
STATUS_WINDOW_S: Final = 600.0

_LATE_S: Final = 1.0  # a timer that rings so late was kept back by our own loop, which may have stood still
_AFTER_LATE_S: Final = 5.0


@value
class CallAsked:
    """Do this call. `number` is its own; `vm` is None when it concerns the whole host."""

    at: float
    number: int
    vm: str | None
    verb: str
    limit_s: float


@value
class LaneAnswered:
    """The lane is done with the call that it was handed last, and says how it went."""

    at: float
    lane: int


@value
class LimitPassed:
    """The timer of the lane's limit has run out."""

    at: float
    lane: int


LaneEvent: TypeAlias = CallAsked | LaneAnswered | LimitPassed


@value
class HandOver:
    """Have the lane do this call; a lane that is not there yet is opened for it."""

    lane: int
    number: int


@value
class SetLimit:
    """Say `LimitPassed` after `after_s` seconds."""

    lane: int
    after_s: float


@value
class CancelLimit:
    """The lane's limit is of no interest any more."""

    lane: int


@value
class PassOn:
    """What the lane said is the answer to this call."""

    lane: int
    number: int


@value
class CallLost:
    """Tell whoever asked for this call that it was not answered within `after_s` seconds."""

    number: int
    after_s: float


@value
class CallRefused:
    """Tell whoever asked for this call that no lane is left for it."""

    number: int
    reason: str


@value
class AbandonLane:
    """The lane is stuck in this call. `stuck`: how many lanes of the host are now."""

    lane: int
    vm: str | None
    verb: str
    after_s: float
    stuck: int


@value
class CloseLane:
    """The abandoned lane has come back, `after_s` seconds after it was handed its call; what it says is dropped."""

    lane: int
    vm: str | None
    verb: str
    after_s: float


@value
class ReportStuck:
    """More lanes are stuck than are replaced. `since`: when the call that was one too many began."""

    since: float
    reason: str


LaneCommand: TypeAlias = (
    HandOver | SetLimit | CancelLimit | PassOn | CallLost | CallRefused | AbandonLane | CloseLane | ReportStuck
)


@dataclass(slots=True)
class _Held:
    """A lane in the middle of a call."""

    call: CallAsked
    began: float
    due: float
    has_grace: bool = False
    abandoned_at: float = 0.0


class Lanes:
    """The machine of a host's lanes.

    Args:
        lanes: how many calls may be done at once.
        cap: how many abandoned lanes are replaced within the window.
        window_s: seconds for which an abandoned lane counts.
    """

    def __init__(self, lanes: int, cap: int, window_s: float) -> None:
        self.free: list[int] = []
        self.busy: dict[int, _Held] = {}
        self.stuck: dict[int, _Held] = {}
        self.waiting: dict[int, CallAsked] = {}
        self._lanes = lanes
        self._cap = cap
        self._window_s = window_s
        self._opened = 0

    def step(self, event: LaneEvent) -> list[LaneCommand]:
        """What to do about `event`."""
        match event:
            case CallAsked(at, number):
                self.waiting[number] = event
                return self._hand_over(at)
            case LaneAnswered(at, lane):
                return [*self._answered(at, lane), *self._hand_over(at)]
            case LimitPassed(at, lane):
                return [*self._passed(at, lane), *self._hand_over(at)]
            case _:
                assert_never(event)

    @property
    def stuck_calls(self) -> tuple[str, ...]:
        """The calls that were given up and have not come back, for people, oldest first."""
        return tuple(call_name(held.call) for held in self.stuck.values())

    def _answered(self, at: float, lane: int) -> list[LaneCommand]:
        late = self.stuck.pop(lane, None)
        if late is not None:
            return [CloseLane(lane, late.call.vm, late.call.verb, at - late.began)]
        number = self.busy.pop(lane).call.number
        self.free.append(lane)
        return [CancelLimit(lane), PassOn(lane, number)]

    def _passed(self, at: float, lane: int) -> list[LaneCommand]:
        held = self.busy.get(lane)
        if held is None:
            return []
        if at - held.due > _LATE_S and not held.has_grace:
            held.has_grace, held.due = True, at + _AFTER_LATE_S
            return [SetLimit(lane, _AFTER_LATE_S)]
        del self.busy[lane]
        self.stuck[lane] = held
        held.abandoned_at = at
        call, after_s = held.call, at - held.began
        commands: list[LaneCommand] = [
            AbandonLane(lane, call.vm, call.verb, after_s, len(self.stuck)),
            CallLost(call.number, after_s),
        ]
        if self._too_many(at) > 0:
            commands.append(ReportStuck(held.began, f"{self._complaint(at)}, the last one: {call_name(call)}"))
        return commands

    def _too_many(self, at: float) -> int:
        """How many lanes are stuck beyond those that are replaced."""
        return self._recent(at) - self._cap

    def _recent(self, at: float) -> int:
        return sum(at - held.abandoned_at < self._window_s for held in self.stuck.values())

    def _complaint(self, at: float) -> str:
        return f"{self._recent(at)} of its driver's calls were never answered within {self._window_s:g} s"

    def _hand_over(self, at: float) -> list[LaneCommand]:
        if not self.waiting:
            return []
        commands: list[LaneCommand] = []
        allowed = self._lanes - max(0, self._too_many(at))
        while len(self.busy) < allowed and (call := self._next_call()) is not None:
            del self.waiting[call.number]
            lane = self.free.pop(0) if self.free else self._open()
            self.busy[lane] = _Held(call, at, at + call.limit_s)
            commands += [SetLimit(lane, call.limit_s), HandOver(lane, call.number)]
        if allowed <= 0 and not self.busy:
            reason = f"no lane is left: {self._complaint(at)}"
            commands += [CallRefused(number, reason) for number in self.waiting]
            self.waiting.clear()
        return commands

    def _open(self) -> int:
        self._opened += 1
        return self._opened

    def _next_call(self) -> CallAsked | None:
        if not self.waiting:
            return None
        under_way = {held.call.vm for held in self.busy.values()}
        return next((call for call in self.waiting.values() if call.vm not in under_way), None)


def call_name(call: CallAsked | AbandonLane | CloseLane) -> str:
    """The call for people, as "start of tzar-01"."""
    return call.verb if call.vm is None else f"{call.verb} of {call.vm}"
