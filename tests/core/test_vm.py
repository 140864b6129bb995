"""The stories of one VM, each as the exact commands."""

import pytest
from a_vm import AWAY, ENDED, LIMITS, QUIET, failed_vm, ready_vm, seen, steps

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
    RecoverBy,
    ReportFailed,
    ReportReady,
    ReportSettled,
    ReportSilent,
    SetTimer,
    TimerFired,
)
from tzar_actors.core.vm_table import AgentPhase, Observed

# --- how it comes up


def test_a_vm_that_is_not_there_is_created_booted_and_ready_once_its_agent_says_hello():
    vm = Vm(LIMITS)
    assert vm.step(seen("absent", 0, 0.0)) == [Call("create")]
    assert vm.step(CallDone(1.0)) == [Boot("start", 1)]
    assert vm.step(CallDone(2.0)) == [SetTimer("boot", 60.0)]
    assert vm.step(AgentCame(1)) == [CancelTimer("boot"), *QUIET, SetTimer("settle", 600.0), ReportReady(1, False)]
    assert vm.step(seen("running")) == []
    assert vm.step(TimerFired("settle")) == [ReportSettled()]


def test_a_hello_that_overtakes_the_driver_is_believed_when_the_driver_has_said_its_part():
    vm = Vm(LIMITS)
    vm.step(seen("off", 0, 0.0))
    assert vm.step(AgentCame(1)) == []
    assert vm.step(CallDone(1.0))[-1] == ReportReady(1, False)


def test_a_hello_whose_connection_broke_before_the_driver_answered_is_awaited_again():
    vm = Vm(LIMITS)
    assert steps(vm, seen("off", 0, 0.0), AgentCame(1), AgentDisconnected(), CallDone(1.0)) == [SetTimer("boot", 60.0)]


def test_an_agent_that_does_not_say_hello_in_time_fails_its_vm():
    vm = Vm(LIMITS)
    steps(vm, seen("off", 0, 0.0), CallDone(1.0))
    assert vm.step(TimerFired("boot")) == [*ENDED, ReportFailed("its agent did not say hello")]
    assert vm.step(seen("running")) == [], "what comes next is its supervisor's word"


def test_a_hello_of_another_incarnation_is_none():
    vm = Vm(LIMITS, incarnation=4)
    steps(vm, seen("off", 4, 0.0), CallDone(1.0))
    assert vm.step(AgentCame(4)) == []
    assert vm.step(AgentCame(5))[-1] == ReportReady(5, False)


def test_a_vm_that_goes_off_while_it_boots_has_failed():
    vm = Vm(LIMITS)
    steps(vm, seen("off", 0, 0.0), CallDone(1.0))
    assert vm.step(seen("off")) == [*ENDED, ReportFailed("its driver says off")]


# --- a supervisor begins while the VM runs


def test_a_running_vm_is_adopted_when_its_hello_comes_after_the_status():
    vm = Vm(LIMITS, incarnation=3)
    assert vm.step(seen("running", 3)) == [SetTimer("boot", 20.0)]
    assert vm.step(AgentCame(3))[-1] == ReportReady(3, adopted=True)


def test_a_running_vm_is_adopted_when_its_hello_came_before_the_status():
    vm = Vm(LIMITS, incarnation=3)
    assert vm.step(AgentCame(3)) == []
    assert vm.step(seen("running", 3))[-1] == ReportReady(3, adopted=True)


def test_a_hello_whose_agent_fell_silent_before_the_status_is_awaited_again():
    vm = Vm(LIMITS, incarnation=3)
    assert steps(vm, AgentCame(3), AgentSilent()) == []
    assert vm.step(seen("running", 3)) == [SetTimer("boot", 20.0)]
    assert vm.step(AgentCame(3))[-1] == ReportReady(3, adopted=True)


@pytest.mark.parametrize("journalled", ["", "made-before"])
def test_a_vm_that_is_another_machine_than_the_journal_knows_is_reset_and_not_adopted(journalled):
    vm = Vm(LIMITS, incarnation=3, machine_id=journalled)
    assert vm.step(AgentCame(3)) == []
    assert vm.step(seen("running", 3, machine_id="made-anew")) == [Call("kill")]
    assert vm.step(CallDone(2000.0)) == [Boot("start", 4, "made-anew")]
    vm.step(CallDone(2001.0))
    assert vm.step(AgentCame(4))[-1] == ReportReady(4, adopted=False)
    assert vm.step(seen("running", 4, 2002.0, "made-anew")) == [], "now it is the one that is known"


def test_a_machine_that_could_not_be_turned_off_at_once_is_not_adopted_the_next_time_either():
    vm = Vm(LIMITS, incarnation=3, machine_id="made-before")
    steps(vm, seen("running", 3, 0.0, "made-anew"), CallFailed(1.0, "busy", refused=True), TimerFired("retry"))
    assert vm.step(seen("running", 3, 5.0, "made-anew")) == [Call("kill")]


def test_the_machine_of_a_vm_that_was_made_is_the_one_that_boots():
    vm = Vm(LIMITS, incarnation=3, machine_id="made-before")
    vm.step(seen("absent", 0, 0.0))
    assert vm.step(CallDone(1.0, "made-anew")) == [Boot("start", 4, "made-anew")]


def test_the_machine_of_a_vm_that_is_found_off_is_the_one_that_boots():
    vm = Vm(LIMITS, incarnation=3, machine_id="made-before")
    assert vm.step(seen("off", 3, 0.0, "found")) == [Boot("start", 4, "found")]


def test_a_vm_that_is_another_machine_all_at_once_has_failed():
    vm = Vm(LIMITS, machine_id="m")
    steps(vm, seen("off", 0, 0.0, "m"), CallDone(1.0), AgentCame(1))
    assert vm.step(seen("running", 1, 2.0, "another")) == [*ENDED, ReportFailed("its driver says stale")]


def test_a_vm_to_be_adopted_whose_agent_does_not_come_back_has_failed():
    vm = Vm(LIMITS, incarnation=3)
    assert steps(vm, seen("running", 3), TimerFired("boot")) == [*ENDED, ReportFailed("its agent did not come back")]


def test_the_next_boot_of_an_adopted_vm_is_no_adoption():
    vm = Vm(LIMITS, incarnation=3)
    steps(vm, seen("running", 3), TimerFired("boot"), RecoverBy(Rung.RESTART), CallDone(1.0), CallDone(2.0))
    assert vm.step(AgentCame(4))[-1] == ReportReady(4, adopted=False)


def test_a_vm_of_a_stale_incarnation_is_killed_and_booted_anew():
    vm = Vm(LIMITS, incarnation=3)
    assert vm.step(seen("running", 2)) == [Call("kill")]
    assert vm.step(CallDone(2000.0)) == [Boot("start", 4)]


def test_a_vm_that_runs_without_an_identity_is_killed():
    assert Vm(LIMITS, incarnation=0).step(seen("running", 0)) == [Call("kill")]


@pytest.mark.promise(5, "host faults burn nothing")
def test_a_host_that_cannot_be_asked_changes_nothing():
    vm = Vm(LIMITS, incarnation=3)
    assert vm.step(seen("unknown", 0)) == []
    vm = ready_vm()
    assert vm.step(seen("unknown", 0)) == []
    assert vm.phase is AgentPhase.READY


def test_a_vm_on_its_way_is_left_alone():
    assert Vm(LIMITS).step(seen("changing", 0)) == []


# --- what its driver says, and when


def test_a_status_asked_for_before_the_last_call_ended_is_no_news():
    vm = ready_vm()
    assert vm.step(seen("off", asked_at=0.5)) == []
    assert vm.observed is Observed.RUNNING


def test_a_status_that_comes_while_a_call_is_under_way_is_no_news():
    vm = Vm(LIMITS)
    vm.step(seen("absent", 0, 0.0))
    assert vm.step(seen("off", 0, 0.5)) == []
    assert vm.observed is Observed.ABSENT


@pytest.mark.promise(5, "host faults burn nothing")
def test_a_refused_call_backs_off_longer_each_time_and_blames_nobody():
    vm = Vm(LIMITS)
    vm.step(seen("absent", 0, 0.0))
    delays = []
    for at in range(1, 9):
        (timer,) = vm.step(CallFailed(float(at), "the host is busy", refused=True))
        delays.append(timer.after_s)
        assert vm.step(seen("absent", 0, at + 0.1)) == [], "not before the delay is over"
        assert vm.step(TimerFired("retry")) == [AskStatus()]
        assert vm.step(seen("absent", 0, at + 0.2)) == [Call("create")]
    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


def test_a_call_that_goes_well_shortens_the_delay_again():
    vm = Vm(LIMITS)
    steps(vm, seen("absent", 0, 0.0), CallFailed(1.0, "busy", refused=True), TimerFired("retry"))
    steps(vm, seen("absent", 0, 2.0), CallDone(3.0))
    assert vm.step(CallFailed(4.0, "busy", refused=True)) == [SetTimer("retry", 1.0)]


def test_a_refused_boot_takes_a_new_incarnation_the_next_time():
    vm = Vm(LIMITS)
    assert vm.step(seen("off", 0, 0.0)) == [Boot("start", 1)]
    steps(vm, CallFailed(1.0, "busy", refused=True), TimerFired("retry"))
    assert vm.step(seen("off", 0, 2.0)) == [Boot("start", 2)]


def test_a_boot_that_fails_is_a_failure_of_the_vm():
    vm = Vm(LIMITS)
    vm.step(seen("off", 0, 0.0))
    failed = [*ENDED, ReportFailed("start: no such disk"), AskStatus()]
    assert vm.step(CallFailed(1.0, "no such disk", refused=False)) == failed


def test_a_vm_that_cannot_be_created_is_a_failure_of_the_vm():
    vm = Vm(LIMITS)
    vm.step(seen("absent", 0, 0.0))
    failed = [*ENDED, ReportFailed("create: no template"), AskStatus()]
    assert vm.step(CallFailed(1.0, "no template", refused=False)) == failed


# --- its agent goes


def test_an_agent_that_was_killed_fails_its_vm_as_soon_as_the_driver_confirms_it():
    vm = ready_vm()
    assert vm.step(AgentDisconnected()) == AWAY
    assert vm.step(seen("off")) == [*ENDED, ReportFailed("its driver says off")]


def test_while_an_agent_is_away_the_host_is_asked_again_and_again():
    vm = ready_vm()
    vm.step(AgentDisconnected())
    delays = []
    for _ in range(10):
        ask, timer = vm.step(TimerFired("recheck"))
        assert ask == AskStatus()
        delays.append(timer.after_s)
    assert delays == [0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.0, 2.0, 2.0]


def test_an_agent_that_reconnects_in_time_is_ready_again_and_settles_as_if_nothing_had_been():
    vm = ready_vm()
    steps(vm, AgentDisconnected(), seen("running"))
    assert vm.step(AgentCame(1)) == [CancelTimer("boot"), *QUIET, ReportReady(1, False)]
    for late in ("silence", "grace", "recheck"):
        assert vm.step(TimerFired(late)) == []


def test_a_broken_connection_frees_the_game_after_the_silence_and_fails_the_vm_after_the_grace_time():
    vm = ready_vm()
    vm.step(AgentDisconnected())
    assert vm.step(TimerFired("silence")) == [ReportSilent("its connection broke")]
    assert vm.step(TimerFired("grace")) == [*ENDED, ReportFailed("its agent did not come back in time")]


def test_a_silent_agent_frees_its_game_and_fails_after_the_grace_time():
    vm = ready_vm()
    assert vm.step(AgentSilent()) == [ReportSilent("no word from its agent"), SetTimer("grace", 20.0), AskStatus()]
    assert vm.step(TimerFired("grace")) == [*ENDED, ReportFailed("its agent did not come back in time")]


def test_a_silent_agent_that_speaks_again_is_ready_again():
    vm = ready_vm()
    vm.step(AgentSilent())
    assert vm.step(AgentCame(1))[-1] == ReportReady(1, False)
    assert vm.step(TimerFired("grace")) == []


def test_a_silent_agent_whose_connection_breaks_as_well_is_looked_for_at_its_host():
    vm = ready_vm()
    vm.step(AgentSilent())
    assert vm.step(AgentDisconnected()) == [AskStatus()]


def test_an_agent_that_is_of_no_use_fails_its_vm():
    vm = ready_vm()
    assert vm.step(AgentFaulted("attempt 1.7 should have ended 30 s ago")) == [
        *ENDED,
        ReportFailed("attempt 1.7 should have ended 30 s ago"),
    ]


def test_a_vm_fails_once_however_many_say_so():
    vm = failed_vm()
    for event in (AgentFaulted("x"), AgentSilent(), AgentDisconnected(), TimerFired("grace"), seen("off")):
        assert vm.step(event) == []


def test_a_vm_that_runs_as_another_incarnation_than_ours_has_failed():
    assert ready_vm().step(seen("running", 7)) == [*ENDED, ReportFailed("its driver says stale")]


# --- how it comes back


def test_a_failed_vm_that_still_runs_is_killed_before_it_is_started_again():
    vm = failed_vm()
    assert vm.step(RecoverBy(Rung.RESTART)) == [Call("kill")]
    assert vm.step(CallDone(2000.0)) == [Boot("start", 2)]


def test_a_failed_vm_that_is_off_is_started_again():
    vm = ready_vm()
    steps(vm, AgentDisconnected(), seen("off"))
    assert vm.step(RecoverBy(Rung.RESTART)) == [Boot("start", 2)]


@pytest.mark.promise(4, "ladder")
def test_the_rung_recreate_removes_creates_and_starts():
    vm = failed_vm()
    assert vm.step(RecoverBy(Rung.RECREATE)) == [Call("kill")]
    assert vm.step(CallDone(2000.0)) == [Call("remove")]
    assert vm.step(CallDone(2001.0)) == [Call("create")]
    assert vm.step(CallDone(2002.0)) == [Boot("start", 2)]
    assert vm.step(CallDone(2003.0)) == [SetTimer("boot", 60.0)]


@pytest.mark.promise(4, "ladder")
def test_the_rung_restore_puts_the_checkpoint_back():
    vm = failed_vm()
    assert steps(vm, RecoverBy(Rung.RESTORE), CallDone(2000.0)) == [Boot("restore", 2)]
    vm.step(CallDone(2001.0))
    vm.step(AgentFaulted("again")), vm.step(AgentCame(2)), vm.step(AgentFaulted("again"))
    assert steps(vm, RecoverBy(Rung.RESTART), CallDone(2002.0)) == [Boot("start", 3)], "a rung is for one time"


def test_a_refused_restore_is_tried_again_as_a_restore():
    vm = failed_vm()
    steps(vm, RecoverBy(Rung.RESTORE), CallDone(2000.0), CallFailed(2001.0, "busy", refused=True), TimerFired("retry"))
    assert vm.step(seen("off", asked_at=2002.0)) == [Boot("restore", 3)]


def test_a_refused_removal_is_tried_again_before_the_vm_is_made_anew():
    vm = failed_vm()
    steps(vm, RecoverBy(Rung.RECREATE), CallDone(2000.0), CallFailed(2001.0, "busy", refused=True), TimerFired("retry"))
    assert vm.step(seen("off", asked_at=2002.0)) == [Call("remove")]


def test_a_word_for_a_vm_that_has_not_failed_is_ignored():
    assert ready_vm().step(RecoverBy(Rung.RECREATE)) == []


# --- a driver that never answers


@pytest.mark.promise(4, "ladder")
@pytest.mark.parametrize("is_done", [True, False])
def test_a_creation_that_is_not_answered_fails_the_vm_and_a_look_shows_what_came_of_it(is_done):
    vm = Vm(LIMITS)
    vm.step(seen("absent", 0, 0.0))
    assert vm.step(CallUnanswered(300.0, "no answer")) == [*ENDED, ReportFailed("create: no answer"), AskStatus()]
    assert vm.observed is Observed.UNKNOWN
    assert vm.step(RecoverBy(Rung.RESTART)) == [], "nothing is done before somebody knows"
    assert vm.step(seen("absent", 0, 299.0)) == [], "that was asked before the call was given up"
    if is_done:
        assert vm.step(seen("off", 0, 301.0)) == [Boot("start", 1)]
    else:
        assert vm.step(seen("absent", 0, 301.0)) == [Call("create")]


@pytest.mark.promise(4, "ladder")
def test_a_vm_that_was_started_after_all_is_turned_off_and_started_as_a_new_incarnation():
    vm = Vm(LIMITS)
    steps(vm, seen("off", 0, 0.0), CallUnanswered(120.0, "no answer"), RecoverBy(Rung.RESTART))
    assert vm.step(AgentCame(1)) == [], "its agent came, and nobody waits for it any more"
    assert vm.step(seen("running", 1, 121.0)) == [Call("kill")]
    assert vm.step(CallDone(122.0)) == [Boot("start", 2)]


def test_a_vm_that_is_told_late_to_go_off_is_seen_to_have_failed():
    vm = ready_vm()
    assert vm.step(CallUnanswered(5.0, "no answer")) == [], "it is of an earlier actor"
    assert vm.step(seen("off")) == [*ENDED, ReportFailed("its driver says off")]
