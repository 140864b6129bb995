"""Commanded boots of a VM: another incarnation of one that has not failed, and what a person wants of any."""

import pytest
from a_vm import ENDED, LIMITS, failed_vm, ready_vm, seen, steps

from tzar_actors.core.supervise import Rung
from tzar_actors.core.vm import Vm
from tzar_actors.core.vm_events import (
    AgentCame,
    Boot,
    Call,
    CallDone,
    CallFailed,
    CancelTimer,
    DesiredSet,
    RecoverBy,
    ReportAway,
    ResetAsked,
    SetTimer,
)
from tzar_actors.core.vm_table import AgentPhase, Desired

LEFT = [*ENDED, ReportAway(), SetTimer("silence", 6.0), Call("kill")]
QUIET = CancelTimer("silence")


@pytest.mark.promise(4, "ladder")
@pytest.mark.parametrize("by", [None, Rung.RESTART])
def test_a_restart_turns_the_vm_off_and_boots_it_without_a_failure(by):
    vm = ready_vm()
    assert vm.step(ResetAsked(by)) == LEFT
    assert vm.step(CallDone(2.0)) == [QUIET, Boot("start", 2)]


def test_a_reset_to_the_checkpoint_restores_it():
    vm = ready_vm()
    assert steps(vm, ResetAsked(Rung.RESTORE), CallDone(2.0)) == [QUIET, Boot("restore", 2)]
    steps(vm, CallDone(3.0), AgentCame(2))
    assert steps(vm, ResetAsked(Rung.RESTART), CallDone(4.0)) == [QUIET, Boot("start", 3)], "once, and not for ever"


def test_a_reset_without_a_checkpoint_makes_the_vm_anew():
    vm = ready_vm()
    assert steps(vm, ResetAsked(Rung.RECREATE), CallDone(2.0)) == [QUIET, Call("remove")]
    assert vm.step(CallDone(3.0)) == [Call("create")]
    assert vm.step(CallDone(4.0)) == [Boot("start", 2)]
    assert vm.step(CallDone(5.0)) == [SetTimer("boot", 60.0)]


@pytest.mark.parametrize("by", [Rung.RESTART, Rung.RECREATE])
def test_a_person_need_not_wait_until_a_failed_vm_comes_back(by):
    vm = failed_vm()
    assert vm.step(ResetAsked()) == [], "while a game does: there will be another incarnation anyway"
    assert vm.step(ResetAsked(by)) == [Call("kill")]
    following = Call("remove") if by is Rung.RECREATE else Boot("start", 2)
    assert vm.step(CallDone(2.0)) == [following]
    assert vm.step(RecoverBy(Rung.RESTART)) == [], "what its supervisor says of the failure comes too late"


def test_a_reset_of_a_vm_that_is_off_waits_until_it_is_wanted():
    vm = ready_vm()
    steps(vm, DesiredSet(Desired.OFF), CallDone(2.0))
    assert vm.step(ResetAsked(Rung.RECREATE)) == []
    assert vm.step(DesiredSet(Desired.RUNNING)) == [Call("remove")]


def test_a_reset_that_is_asked_for_during_the_boot_follows_it():
    vm = Vm(LIMITS)
    steps(vm, seen("off", 0, 0.0))
    assert vm.step(ResetAsked(Rung.RECREATE)) == []
    assert vm.step(CallDone(1.0)) == [*ENDED, Call("kill")]
    assert vm.step(CallDone(2.0)) == [QUIET, Call("remove")]


def test_a_restart_that_is_asked_for_during_the_boot_is_that_boot():
    vm = Vm(LIMITS)
    steps(vm, seen("off", 0, 0.0))
    assert vm.step(ResetAsked(Rung.RESTART)) == []
    assert vm.step(CallDone(1.0)) == [SetTimer("boot", 60.0)]


def test_a_vm_that_was_not_seen_yet_is_reset_and_not_adopted():
    vm = Vm(LIMITS, incarnation=3)
    assert vm.step(ResetAsked(Rung.RESTART)) == []
    assert vm.step(seen("running", 3)) == [Call("kill")]
    assert vm.step(CallDone(1001.0)) == [Boot("start", 4)]


def test_a_checkpoint_that_cannot_be_restored_is_left_to_the_ladder():
    vm = ready_vm()
    steps(vm, ResetAsked(Rung.RESTORE), CallDone(2.0), CallFailed(3.0, "no such checkpoint", refused=False))
    assert vm.phase is AgentPhase.FAILED
    steps(vm, seen("off"), RecoverBy(Rung.RECREATE))
    assert vm.call == "remove"
