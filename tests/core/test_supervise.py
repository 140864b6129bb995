import pytest

from tzar_actors.core.restart import RestartIntensity
from tzar_actors.core.supervise import (
    HostFailed,
    Quarantine,
    Recover,
    Rung,
    Supervision,
    VmCame,
    VmExcused,
    VmFailed,
    VmReleased,
    VmSettled,
)


def a_supervision(limit=1, rungs=(Rung.RESTART, Rung.RESTORE, Rung.RECREATE)):
    intensity = RestartIntensity(limit=limit, window_s=600.0, first_delay_s=1.0, longest_delay_s=60.0)
    return Supervision(intensity, rungs)


def fail(supervision, times, cause="its agent did not say hello"):
    commands = ()
    for at in times:
        supervision, commands = supervision.step(VmFailed(at, 0.0, cause))
    return supervision, commands


def test_a_first_failure_is_answered_by_a_restart_after_a_delay():
    _, commands = fail(a_supervision(), [0.0])
    assert commands == (Recover(Rung.RESTART, 0.5),)


@pytest.mark.promise(4, "ladder")
def test_a_rung_that_does_not_help_is_followed_by_the_next_stronger_one():
    rungs = []
    supervision = a_supervision(limit=1)
    for at in range(6):
        supervision, (command,) = supervision.step(VmFailed(float(at), 0.0, "again"))
        rungs.append(command.rung if isinstance(command, Recover) else "quarantine")
    assert rungs == ["restart", "restore", "restore", "recreate", "recreate", "quarantine"]


def test_a_stronger_rung_waits_the_longest_delay():
    _, commands = fail(a_supervision(limit=1), [0.0, 1.0])
    assert commands == (Recover(Rung.RESTORE, 30.0),)


@pytest.mark.promise(4, "ladder")
def test_when_no_rung_is_left_the_vm_goes_into_quarantine_with_what_was_tried():
    supervision, commands = fail(a_supervision(limit=0, rungs=(Rung.RESTART, Rung.RECREATE)), [0.0, 1.0], "no hello")
    reason = "1 failures within 600 s after restart, recreate: no hello"
    assert commands == (Quarantine(reason, 600.0, ("no hello", "no hello")),)
    assert supervision.in_quarantine


def test_nothing_is_done_about_a_vm_in_quarantine():
    quarantined, _ = fail(a_supervision(limit=0, rungs=(Rung.RESTART,)), [0.0])
    assert quarantined.step(VmFailed(1.0, 0.0, "late")) == (quarantined, ())
    assert quarantined.step(VmSettled()) == (quarantined, ())


@pytest.mark.promise(4, "ladder")
def test_a_released_vm_has_one_trial_of_the_strongest_rung():
    quarantined, _ = fail(a_supervision(limit=0, rungs=(Rung.RESTART, Rung.RECREATE)), [0.0, 1.0])
    released, commands = quarantined.step(VmReleased())
    assert commands == (Recover(Rung.RECREATE, 0.0),)
    assert not released.in_quarantine


def test_each_quarantine_in_a_row_is_twice_as_long_as_the_one_before_up_to_a_day():
    supervision, (command,) = fail(a_supervision(limit=0, rungs=(Rung.RESTART,)), [0.0])
    lengths = [command.for_s]
    for at in range(1, 12):
        supervision, _ = supervision.step(VmReleased())
        supervision, (command,) = supervision.step(VmFailed(at * 1e6, 0.0, "no hello"))
        lengths.append(command.for_s)
    assert lengths[:4] == [600.0, 1200.0, 2400.0, 4800.0]
    assert lengths[-1] == 86_400.0
    assert command.reason == "again after its trial: no hello"
    assert command.evidence == ("no hello",) * 10


def test_a_vm_that_works_after_its_trial_for_a_whole_window_is_like_any_other():
    supervision, _ = fail(a_supervision(limit=1, rungs=(Rung.RESTART,)), [0.0, 1.0])
    supervision, _ = supervision.step(VmReleased())
    supervision, _ = supervision.step(VmSettled())
    supervision, commands = supervision.step(VmFailed(5000.0, 0.0, "off"))
    assert commands == (Recover(Rung.RESTART, 0.5),)
    assert supervision.causes == ("off",)


def test_a_vm_that_fails_with_its_host_is_restarted_less_and_less_often_and_climbs_nothing():
    supervision, delays = a_supervision(limit=1), []
    for _ in range(9):
        supervision, (command,) = supervision.step(VmExcused(jitter=1.0))
        assert command.rung is Rung.RESTART
        delays.append(command.after_s)
    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    assert (supervision.place, supervision.intensity.failures) == (0, ())
    for event in (VmFailed(0.0, 0.0, "off"), VmCame()):
        supervision, (command,) = supervision.step(event)[0].step(VmExcused(jitter=1.0))
        assert command.after_s == 1.0, "a new row of them begins"


def test_a_vm_whose_host_came_back_and_that_restarts_do_not_bring_back_climbs_and_is_never_isolated():
    supervision, rungs = a_supervision(limit=1), []
    for _ in range(4):
        supervision, (command,) = supervision.step(VmExcused(jitter=1.0, needs_more=True))
        rungs.append(command.rung)
    assert rungs == [Rung.RESTORE, Rung.RECREATE, Rung.RECREATE, Rung.RECREATE]
    assert supervision.intensity.failures == ()
    assert supervision.step(VmExcused(jitter=1.0))[1][0].rung is Rung.RESTART


@pytest.mark.promise(5, "host faults burn nothing")
def test_what_was_its_hosts_fault_is_taken_off_its_record():
    supervision, _ = fail(a_supervision(limit=3), [0.0, 100.0, 101.0])
    supervision, commands = supervision.step(HostFailed(100.0))
    assert (supervision.intensity.failures, commands) == ((0.0,), ())


def test_releasing_a_vm_that_is_not_in_quarantine_changes_nothing():
    supervision = a_supervision()
    assert supervision.step(VmReleased()) == (supervision, ())


def test_a_settled_vm_is_back_at_the_first_rung_without_a_failure_on_record():
    supervision, _ = fail(a_supervision(limit=1), [0.0, 1.0, 2.0])
    assert (supervision.place, supervision.intensity.failures) == (1, (2.0,))
    supervision, commands = supervision.step(VmSettled())
    assert (supervision.place, supervision.intensity.failures, commands) == (0, (), ())


def test_seldom_failures_never_climb():
    supervision, commands = fail(a_supervision(limit=1), [0.0, 700.0, 1400.0, 2100.0])
    assert commands == (Recover(Rung.RESTART, 0.5),)
    assert supervision.place == 0
