"""The lanes of one host: who does which call, and what becomes of a call that is never answered."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tzar_actors.core.lanes import (
    AbandonLane,
    CallAsked,
    CallLost,
    CallRefused,
    CancelLimit,
    CloseLane,
    HandOver,
    LaneAnswered,
    Lanes,
    LimitPassed,
    PassOn,
    ReportStuck,
    SetLimit,
)

LIMIT_S = 30.0


def ask(number, vm="a", at=0.0, verb="start"):
    return CallAsked(at, number, vm, verb, LIMIT_S)


def steps(lanes, *events):
    return [command for event in events for command in lanes.step(event)]


def stuck_lanes(lanes, cap, at=0.0):
    """Lanes of which `cap` are stuck: those of as many calls, each `LIMIT_S` after the one before."""
    machine = Lanes(lanes, cap, window_s=1000.0)
    for number in range(1, cap + 1):
        machine.step(ask(number, f"vm-{number}", at))
        at += LIMIT_S
        machine.step(LimitPassed(at, number))
    assert len(machine.stuck) == cap
    return machine, at


# --- calls that are answered


def test_a_call_goes_to_a_lane_with_its_limit_and_its_answer_to_who_asked():
    lanes = Lanes(2, 4, 1000.0)
    assert lanes.step(ask(1)) == [SetLimit(1, LIMIT_S), HandOver(1, 1)]
    assert lanes.step(LaneAnswered(2.0, 1)) == [CancelLimit(1), PassOn(1, 1)]


def test_a_lane_that_is_free_is_used_again():
    lanes = Lanes(2, 4, 1000.0)
    steps(lanes, ask(1), LaneAnswered(2.0, 1))
    assert lanes.step(ask(2)) == [SetLimit(1, LIMIT_S), HandOver(1, 2)]


def test_so_many_calls_are_done_at_once_and_the_others_in_their_order():
    lanes = Lanes(2, 4, 1000.0)
    commands = steps(lanes, *(ask(number, vm) for number, vm in enumerate("abcd", 1)))
    assert [command for command in commands if isinstance(command, HandOver)] == [HandOver(1, 1), HandOver(2, 2)]
    assert lanes.step(LaneAnswered(2.0, 2)) == [CancelLimit(2), PassOn(2, 2), SetLimit(2, LIMIT_S), HandOver(2, 3)]


def test_of_one_vm_there_is_one_call_at_a_time():
    lanes = Lanes(3, 4, 1000.0)
    assert steps(lanes, ask(1, "a"), ask(2, "a"), ask(3, "b"))[2:] == [SetLimit(2, LIMIT_S), HandOver(2, 3)]
    assert lanes.step(LaneAnswered(2.0, 1)) == [CancelLimit(1), PassOn(1, 1), SetLimit(1, LIMIT_S), HandOver(1, 2)]


# --- calls that are not


@pytest.mark.promise(8, "bounded")
def test_a_call_that_is_not_answered_in_its_time_is_given_up_with_its_lane():
    lanes = Lanes(1, 4, 1000.0)
    assert steps(lanes, ask(1), LimitPassed(30.0, 1))[2:] == [AbandonLane(1, "a", "start", 30.0, 1), CallLost(1, 30.0)]
    assert lanes.stuck_calls == ("start of a",)


def test_a_fresh_lane_does_what_waited_behind_it():
    lanes = Lanes(1, 4, 1000.0)
    commands = steps(lanes, ask(1, "a"), ask(2, "b"), ask(3, "a"), LimitPassed(30.0, 1))
    assert commands[4:] == [SetLimit(2, LIMIT_S), HandOver(2, 2)]
    assert lanes.step(LaneAnswered(31.0, 2))[2:] == [SetLimit(2, LIMIT_S), HandOver(2, 3)]


def test_a_late_answer_is_dropped_and_its_lane_closed():
    lanes = Lanes(1, 4, 1000.0)
    steps(lanes, ask(1), LimitPassed(30.0, 1), ask(2, at=31.0))
    assert lanes.step(LaneAnswered(40.0, 1)) == [CloseLane(1, "a", "start", 40.0)]
    assert lanes.stuck_calls == ()
    assert lanes.step(LaneAnswered(41.0, 2)) == [CancelLimit(2), PassOn(2, 2)]


def test_a_limit_that_rings_after_the_answer_is_no_news():
    assert steps(Lanes(1, 4, 1000.0), ask(1), LaneAnswered(30.0, 1), LimitPassed(30.0, 1))[4:] == []


def test_a_limit_that_passed_while_our_own_loop_stood_still_gives_a_moment_more_and_only_once():
    lanes = Lanes(1, 4, 1000.0)
    assert steps(lanes, ask(1), LimitPassed(95.0, 1))[2:] == [SetLimit(1, 5.0)]
    assert lanes.step(LimitPassed(190.0, 1))[0] == AbandonLane(1, "a", "start", 190.0, 1)


# --- the cap


@pytest.mark.promise(8, "bounded")
def test_beyond_the_cap_the_host_is_reported_and_has_a_lane_less():
    lanes, at = stuck_lanes(lanes=2, cap=3)
    steps(lanes, ask(8, "x", at), ask(9, "y", at), ask(10, "z", at))
    commands = lanes.step(LimitPassed(at + LIMIT_S, 4))
    reason = "4 of its driver's calls were never answered within 1000 s, the last one: start of x"
    assert commands == [AbandonLane(4, "x", "start", LIMIT_S, 4), CallLost(8, LIMIT_S), ReportStuck(at, reason)]
    assert lanes.step(LaneAnswered(at + 31.0, 5))[2:] == [SetLimit(5, LIMIT_S), HandOver(5, 10)], "one is left"


def a_host_without_lanes():
    lanes, at = stuck_lanes(lanes=1, cap=2)
    steps(lanes, ask(8, "x", at), ask(9, "y", at))
    commands = lanes.step(LimitPassed(at + LIMIT_S, 3))
    return lanes, at + LIMIT_S, commands


@pytest.mark.promise(8, "bounded")
def test_where_no_lane_is_left_calls_are_refused_at_once():
    lanes, at, commands = a_host_without_lanes()
    refused = "no lane is left: 3 of its driver's calls were never answered within 1000 s"
    assert commands[-1] == CallRefused(9, refused)
    assert lanes.step(ask(10, "z", at)) == [CallRefused(10, refused)]


def test_a_stuck_lane_that_comes_back_makes_room_for_another():
    lanes, at, _ = a_host_without_lanes()
    assert lanes.step(LaneAnswered(at, 1)) == [CloseLane(1, "vm-1", "start", at)]
    assert lanes.step(ask(10, "z", at)) == [SetLimit(4, LIMIT_S), HandOver(4, 10)]


def test_after_the_window_a_stuck_lane_counts_no_more_so_that_the_host_is_tried_again():
    lanes, _, _ = a_host_without_lanes()
    assert isinstance(lanes.step(ask(10, "z", 30.0 + 999.0))[0], CallRefused)
    assert lanes.step(ask(11, "z", 30.0 + 1000.0)) == [SetLimit(4, LIMIT_S), HandOver(4, 11)]
    assert len(lanes.stuck_calls) == 3, "they are shown all the same"


class LaneLaws(RuleBasedStateMachine):
    """Calls that are answered in time, late, or never."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.lanes = Lanes(2, 3, 500.0)
        self.numbers = 0
        self.asked = {}  # by number: its VM
        self.doing = {}  # by lane: the number
        self.stuck = {}  # by lane: when it was abandoned
        self.limits = set()
        self.ended = set()

    def step(self, event):
        for command in self.lanes.step(event):
            match command:
                case HandOver(lane, number):
                    assert lane not in self.doing, "a lane does one call at a time"
                    assert lane not in self.stuck, "an abandoned lane is given nothing more"
                    assert lane in self.limits, "no call without a limit"
                    doing = {self.asked[other] for other in self.doing.values()}
                    assert self.asked[number] not in doing, "one call at a time for a VM"
                    self.doing[lane] = number
                case SetLimit(lane):
                    self.limits.add(lane)
                case CancelLimit(lane):
                    self.limits.discard(lane)
                case PassOn(lane, number):
                    assert self.doing.pop(lane) == number, "an answer goes to who asked"
                    self.end(number)
                case CallLost(number) | CallRefused(number):
                    self.end(number)
                case AbandonLane(lane):
                    del self.doing[lane]
                    self.stuck[lane] = self.now
                case CloseLane(lane):
                    del self.stuck[lane]
                case ReportStuck():
                    assert sum(self.now - at < 500.0 for at in self.stuck.values()) > 3

    def end(self, number):
        assert number not in self.ended, "a call ends once"
        self.ended.add(number)

    @rule(vm=st.sampled_from("abcd"))
    def ask(self, vm):
        self.numbers += 1
        self.asked[self.numbers] = vm
        self.step(CallAsked(self.now, self.numbers, vm, "kill", LIMIT_S))

    @rule(seconds=st.floats(0.0, 100.0))
    def time_passes(self, seconds):
        self.now += seconds

    @precondition(lambda self: self.doing or self.stuck)
    @rule(data=st.data())
    def answer(self, data):
        self.step(LaneAnswered(self.now, data.draw(st.sampled_from(sorted({**self.doing, **self.stuck})))))

    @precondition(lambda self: self.limits)
    @rule(data=st.data())
    def a_limit_passes(self, data):
        lane = data.draw(st.sampled_from(sorted(self.limits)))
        self.limits.remove(lane)
        self.now += LIMIT_S
        self.step(LimitPassed(self.now, lane))

    @invariant()
    def threads_are_bounded(self):
        assert len(self.doing) <= 2
        recent = sum(self.now - at < 500.0 for at in self.stuck.values())
        assert len(self.doing) + recent <= 2 + 3

    @invariant()
    def nobody_waits_while_a_lane_could_do_it(self):
        waiting = set(self.asked) - self.ended - set(self.doing.values())
        if waiting:
            assert self.doing, "somebody waits, and nothing is being done"

    def teardown(self):
        """Every call ends, when each is answered or its limit passes."""
        for _ in range(len(self.asked) + 1):
            for lane in sorted(self.doing):
                if lane in self.doing:
                    self.now += 1.0
                    self.step(LaneAnswered(self.now, lane))
        assert self.ended == set(self.asked)


LaneLaws.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestLaneLaws = LaneLaws.TestCase
pytest.mark.promise(8, "bounded")(TestLaneLaws)
