"""All lanes of one host: hands them their calls, and gives up those that are never answered."""

from collections.abc import Iterable
from itertools import count
from typing import Any, assert_never

import pykka

from tzar_actors.actors.base import MachineActor
from tzar_actors.actors.evidence import EvidenceAnswer, EvidenceCall
from tzar_actors.actors.lane_messages import CallAnswer, DriverCall, HostAnswer, HostQuestion, LaneDone, LaneWork
from tzar_actors.actors.messages import TimerRang
from tzar_actors.actors.wiring import HostWiring, Wiring
from tzar_actors.core.host import CallsStuck
from tzar_actors.core.lanes import (
    CALLS_CAP,
    CALLS_WINDOW_S,
    STATUS_CAP,
    STATUS_WINDOW_S,
    AbandonLane,
    CallAsked,
    CallLost,
    CallRefused,
    CancelLimit,
    CloseLane,
    HandOver,
    LaneAnswered,
    LaneCommand,
    Lanes,
    LimitPassed,
    PassOn,
    ReportStuck,
    SetLimit,
    call_name,
)
from tzar_actors.events import catalogue

__all__ = ["HostLanes"]


class HostLanes(MachineActor[LaneCommand]):
    """The actor around `core.lanes.Lanes`, for a host's calls or for the questions about it.

    A host has two: a call that hangs blinds nobody.

    Args:
        wiring: the supervisor's parts.
        host: the host's part of them.
        lanes: how many calls are done at once; None: these lanes are for status alone.
    """

    def __init__(self, wiring: Wiring, host: HostWiring, lanes: int | None) -> None:
        super().__init__(wiring.loop, wiring.journal)
        self._wiring = wiring
        self._host = host
        self._is_for_calls = lanes is not None
        if lanes is None:
            self._machine = Lanes(1, STATUS_CAP, STATUS_WINDOW_S)
        else:
            self._machine = Lanes(lanes, CALLS_CAP, CALLS_WINDOW_S)
        self._numbers = count(1)
        self._asked: dict[
            int, DriverCall | HostQuestion | EvidenceCall
        ] = {}  # by the call's number, until it is answered
        self._lanes: dict[int, pykka.ActorRef[Any]] = {}
        self._answers: dict[
            int, CallAnswer | HostAnswer | EvidenceAnswer
        ] = {}  # by lane, until the machine has said what they are

    def on_failure(self, *error: Any) -> None:
        """Pykka's hook: nobody would reach the host any more. The process ends, and its restart is the way back."""
        raise SystemExit(f"the lanes of host {self._host.name} failed: {error[1]}")

    def decide(self, message: Any) -> Iterable[LaneCommand]:
        """See `MachineActor`."""
        now = self.loop.now()
        match message:
            case DriverCall():
                return self._machine.step(
                    CallAsked(now, self._keep(message), message.vm, message.verb, message.limit_s)
                )
            case HostQuestion():
                return self._machine.step(CallAsked(now, self._keep(message), None, "status", message.limit_s))
            case EvidenceCall(vm=vm, limit_s=limit_s):
                return self._machine.step(CallAsked(now, self._keep(message), vm, "evidence", limit_s))
            case LaneDone(lane, answer):
                self._answers[lane] = answer
                return self._machine.step(LaneAnswered(now, lane))
            case TimerRang(name):
                return self._machine.step(LimitPassed(now, int(name)))
            case _:
                raise TypeError(f"the lanes of host {self._host.name} cannot handle {message!r}")

    def carry_out(self, command: LaneCommand) -> None:
        """See `MachineActor`."""
        match command:
            case HandOver(lane, number):
                if lane not in self._lanes:
                    self._lanes[lane] = self._host.open_lane()
                self._lanes[lane].tell(LaneWork(self.actor_ref, lane, self._asked[number]))
            case SetLimit(lane, after_s):
                self.set_timer(str(lane), after_s)
            case CancelLimit(lane):
                self.cancel_timer(str(lane))
            case PassOn(lane, number):
                self._answer(number, self._answers.pop(lane))
            case CallLost(number, after_s):
                reason = f"it was not answered within {after_s:.0f} s, so nobody knows what came of it"
                self._answer(number, self._failed(number, after_s, reason, is_unanswered=True))
            case CallRefused(number, reason):
                self._answer(number, self._failed(number, 0.0, reason))
            case AbandonLane(_, vm, verb, after_s, stuck):
                self._show()
                name = call_name(command)
                self._wiring.log.emit(catalogue.LaneAbandoned(vm, self._host.name, verb, name, after_s, stuck))
            case CloseLane(lane, vm, verb, after_s):
                self._show()
                del self._answers[lane]
                self._lanes.pop(lane).stop(block=False)
                name = call_name(command)
                self._wiring.log.emit(catalogue.LaneFreed(vm, self._host.name, verb, name, after_s))
            case ReportStuck(since, reason):
                if self._is_for_calls:  # of a question that was not answered the host hears anyway
                    self._host.actor.tell(CallsStuck(self.loop.now(), since, reason))
            case _:
                assert_never(command)

    def _keep(self, work: DriverCall | HostQuestion | EvidenceCall) -> int:
        number = next(self._numbers)
        self._asked[number] = work
        return number

    def _failed(
        self, number: int, seconds: float, reason: str, *, is_unanswered: bool = False
    ) -> CallAnswer | HostAnswer | EvidenceAnswer:
        match self._asked[number]:
            case DriverCall(generation=generation, verb=verb):
                return CallAnswer(generation, verb, seconds, None, reason, not is_unanswered, is_unanswered)
            case HostQuestion(asked_at=asked_at):
                return HostAnswer(self._host.name, asked_at, None, reason)
            case EvidenceCall():
                return EvidenceAnswer(0, reason)

    def _answer(self, number: int, answer: CallAnswer | HostAnswer | EvidenceAnswer) -> None:
        asker = self._asked.pop(number).reply_to
        if asker.is_alive():  # else its successor asks anew
            asker.tell(answer)

    def _show(self) -> None:
        stuck, name = self._wiring.board.stuck, self._host.name
        of_the_other = [call for call in stuck.get(name, []) if (call == "status") is self._is_for_calls]
        stuck[name] = [*of_the_other, *self._machine.stuck_calls]
