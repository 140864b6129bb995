"""Commanded stops of a VM: none of them is a failure. Each story as the exact commands."""

import pytest
from a_vm import ENDED, LIMITS, QUIET, failed_vm, ready_vm, seen, steps

from tzar_actors.core.supervise import Rung
from tzar_actors.core.vm import Vm
from tzar_actors.core.vm_events import (
    AgentCame,
    AgentDisconnected,
    AgentFaulted,
    AgentSilent,
    AskStatus,
    Boot,
    Call,
    CallDone,
    CallFailed,
    CallUnanswered,
    CancelTimer,
    DesiredSet,
    RecoverBy,
    ReportAway,
    ReportOff,
    ReportSilent,
    SetTimer,
    TimerFired,
)
from tzar_actors.core.vm_table import Desired, Observed

LEFT = [*ENDED, ReportAway(), SetTimer("silence", 6.0), Call("stop")]


def test_a_commanded_stop_ends_with_a_vm_that_is_off():
    vm = ready_vm()
    assert vm.step(DesiredSet(Desired.OFF)) == LEFT
    assert vm.step(CallDone(2.0)) == [CancelTimer("silence"), ReportOff()]


def test_that_a_vm_is_off_is_told_once():
    vm = ready_vm()
    steps(vm, DesiredSet(Desired.OFF), CallDone(2.0))
    assert vm.step(seen("off")) == []
    assert vm.step(DesiredSet(Desired.OFF)) == [ReportOff()], "unless it is asked for again"


NEWS = [AgentDisconnected(), AgentSilent(), AgentFaulted("x"), AgentCame(1), TimerFired("grace"), TimerFired("boot")]


@pytest.mark.promise(4, "ladder")
@pytest.mark.parametrize("news", NEWS, ids=repr)
def test_nothing_that_happens_during_a_commanded_stop_is_a_failure(news):
    vm = ready_vm()
    assert steps(vm, DesiredSet(Desired.OFF), news) == []
    assert vm.step(CallDone(2.0)) == [CancelTimer("silence"), ReportOff()]


def test_a_stop_while_it_boots_is_no_failure_when_the_boot_time_runs_out_meanwhile():
    vm = Vm(LIMITS)
    steps(vm, seen("off", 0, 0.0), CallDone(1.0))
    assert vm.step(DesiredSet(Desired.OFF)) == [*ENDED, Call("stop")]
    assert vm.step(TimerFired("boot")) == []


def test_a_stop_while_its_agent_is_away_reports_no_failure_when_the_grace_time_runs_out():
    vm = ready_vm()
    vm.step(AgentDisconnected())
    assert vm.step(DesiredSet(Desired.OFF)) == [*ENDED, SetTimer("silence", 6.0), Call("stop")]
    assert vm.step(TimerFired("grace")) == []


def test_a_vm_that_is_to_go_off_and_whose_host_cannot_be_asked_reports_no_failure():
    vm = ready_vm()
    assert steps(vm, seen("unknown"), DesiredSet(Desired.OFF)) == [*ENDED, ReportAway(), SetTimer("silence", 6.0)]
    assert steps(vm, AgentDisconnected(), TimerFired("grace")) == []
    assert vm.step(seen("running")) == [Call("stop")]


def test_a_vm_wanted_again_before_its_host_could_be_asked_to_stop_it_is_booted_anew():
    vm = ready_vm()
    assert steps(vm, seen("unknown"), DesiredSet(Desired.OFF), DesiredSet(Desired.RUNNING)) == []
    assert vm.step(seen("running")) == [Call("kill")], "its games were taken away: nobody would give it another"
    assert vm.step(CallDone(9.0)) == [CancelTimer("silence"), Boot("start", 2)]


def test_a_stop_that_takes_long_frees_the_game():
    vm = ready_vm()
    vm.step(DesiredSet(Desired.OFF))
    assert vm.step(TimerFired("silence")) == [ReportSilent("it is to go off")]


def test_a_vm_wanted_again_while_it_was_being_stopped_is_booted_without_a_failure():
    vm = ready_vm()
    steps(vm, DesiredSet(Desired.OFF), DesiredSet(Desired.RUNNING))
    assert vm.step(CallDone(2.0)) == [CancelTimer("silence"), Boot("start", 2)]


def test_a_stop_that_fails_is_followed_by_a_kill():
    vm = ready_vm()
    vm.step(DesiredSet(Desired.OFF))
    assert vm.step(CallFailed(2.0, "it did not shut down", refused=False)) == [*QUIET, Call("kill")]
    assert vm.step(CallDone(3.0)) == [ReportOff()]


def test_a_refused_stop_is_asked_again():
    vm = ready_vm()
    steps(vm, DesiredSet(Desired.OFF), CallFailed(2.0, "busy", refused=True), TimerFired("retry"))
    assert vm.step(seen("running")) == [Call("stop")]


def test_a_kill_that_fails_is_tried_again():
    vm = failed_vm()
    steps(vm, RecoverBy(Rung.RESTART))
    assert vm.step(CallFailed(2.0, "access denied", refused=False)) == [SetTimer("retry", 1.0)]
    assert steps(vm, TimerFired("retry"), seen("running")) == [Call("kill")]


def test_a_stop_that_was_asked_for_during_the_boot_follows_it_and_no_game_is_given_in_between():
    vm = Vm(LIMITS)
    steps(vm, seen("off", 0, 0.0), AgentCame(1), DesiredSet(Desired.OFF))
    assert vm.step(CallDone(1.0)) == [SetTimer("boot", 60.0), *ENDED, Call("stop")]


def test_a_boot_that_fails_when_the_vm_is_not_wanted_any_more_is_no_failure():
    vm = Vm(LIMITS)
    steps(vm, seen("off", 0, 0.0), DesiredSet(Desired.OFF))
    assert vm.step(CallFailed(1.0, "no such disk", refused=False)) == [AskStatus()]
    assert vm.step(seen("off", 0, 2.0)) == [ReportOff()]


def test_a_failed_vm_that_is_not_wanted_is_turned_off_at_once():
    assert failed_vm().step(DesiredSet(Desired.OFF)) == [Call("kill")]


def test_a_vm_that_went_off_as_was_wanted_is_forgotten_without_a_failure():
    vm = ready_vm()
    steps(vm, seen("unknown"), DesiredSet(Desired.OFF))
    assert vm.step(seen("off")) == [*QUIET, ReportOff()]


def test_a_vm_to_be_removed_is_killed_and_removed():
    vm = ready_vm()
    assert vm.step(DesiredSet(Desired.GONE)) == [*LEFT[:-1], Call("kill")]
    assert vm.step(CallDone(2.0)) == [CancelTimer("silence"), Call("remove")]
    assert vm.step(CallDone(3.0)) == [ReportOff()]


def test_an_answer_to_no_call_changes_nothing():
    vm = ready_vm()
    assert vm.step(CallDone(5.0)) == []
    assert ready_vm().step(CallFailed(5.0, "late", refused=False)) == []


# --- a driver that never answers


def test_a_stop_that_is_not_answered_says_nothing_of_the_vm_until_its_host_is_asked():
    vm = ready_vm()
    steps(vm, DesiredSet(Desired.OFF))
    assert vm.step(CallUnanswered(80.0, "no answer")) == [*QUIET, SetTimer("retry", 1.0)]
    assert vm.observed is Observed.UNKNOWN
    assert steps(vm, TimerFired("retry"), seen("off", asked_at=90.0)) == [ReportOff()]


def test_a_vm_that_still_runs_after_a_stop_that_was_not_answered_is_turned_off():
    vm = ready_vm()
    steps(vm, DesiredSet(Desired.OFF), CallUnanswered(80.0, "no answer"), TimerFired("retry"))
    assert vm.step(seen("running", asked_at=90.0)) == [Call("kill")]


@pytest.mark.parametrize("power", ["off", "running"])
def test_a_kill_that_is_not_answered_is_tried_again_after_a_look_and_later_each_time(power):
    vm = failed_vm()
    vm.step(DesiredSet(Desired.OFF))
    assert vm.call == "kill"
    assert vm.step(CallUnanswered(80.0, "no answer")) == [SetTimer("retry", 1.0)]
    assert vm.step(seen("running", asked_at=80.5)) == [], "not before the delay"
    steps(vm, TimerFired("retry"))
    if power == "off":
        assert vm.step(seen("off", asked_at=90.0)) == [ReportOff()]
    else:
        assert vm.step(seen("running", asked_at=90.0)) == [Call("kill")]
        assert vm.step(CallUnanswered(150.0, "no answer")) == [SetTimer("retry", 2.0)]
