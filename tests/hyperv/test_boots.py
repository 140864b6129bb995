"""Waiting for guests: one question for all who wait, and an end to each wait."""

import itertools
import threading
import time

import pytest

from hyperv.boots import Heartbeats
from tzar_actors.errors import DriverError

PATIENCE_S = 20.0


def row(state="Running", heartbeat="OkApplicationsHealthy"):
    return {"State": state, "Heartbeat": heartbeat}


def waiting(answers, pause_s=0.01, remembered_s=0.0):
    """A host that gives these answers in turn, the last one for ever; and a list of the times it was asked."""
    asked, left = [], list(answers)

    def ask():
        asked.append(time.monotonic())
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Heartbeats("hv01", ask, pause_s, remembered_s), asked


def soon():
    return time.monotonic() + PATIENCE_S


def test_a_guest_is_waited_for_until_it_answers():
    booting = {"tzar-01": row(heartbeat="NoContact")}
    heartbeats, asked = waiting([booting, booting, {"tzar-01": row()}])
    assert heartbeats.wait("tzar-01", soon()) == row()
    assert len(asked) == 3


def test_what_was_asked_before_the_wait_began_does_not_count():
    heartbeats, asked = waiting([{"tzar-01": row()}])
    for _ in range(2):
        heartbeats.wait("tzar-01", soon())
    assert len(asked) == 2


def test_the_host_is_asked_no_more_often_than_each_pause():
    booting = {"tzar-01": row(heartbeat="")}
    heartbeats, asked = waiting([booting] * 3 + [{"tzar-01": row()}], pause_s=0.05)
    heartbeats.wait("tzar-01", soon())
    assert all(later - earlier >= 0.05 for earlier, later in itertools.pairwise(asked))


def test_all_who_wait_share_the_questions():
    vms = [f"tzar-{number:02d}" for number in range(1, 17)]
    booting = {vm: row(heartbeat="") for vm in vms}
    heartbeats, asked = waiting([booting] * 5 + [{vm: row() for vm in vms}], pause_s=0.1)
    here = []
    threads = [threading.Thread(target=lambda vm=vm: here.append(heartbeats.wait(vm, soon()))) for vm in vms]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(here) == 16
    assert len(asked) <= 8, "five that say no, one that says yes, and those that began too early for the last ones"


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ({"tzar-01": row(state="Off")}, "it went Off while it booted"),
        ({"tzar-02": row()}, "it was removed while it booted"),
        (DriverError("no route", host="hv01", unreachable=True), "no route"),
    ],
)
def test_a_wait_ends_when_there_is_nothing_to_wait_for(answer, what):
    heartbeats, _ = waiting([answer])
    with pytest.raises(DriverError, match=what):
        heartbeats.wait("tzar-01", soon())


@pytest.mark.parametrize("before", [{"tzar-01": row(state="Off")}, {}], ids=["off", "not there"])
def test_what_the_module_may_remember_from_before_the_start_is_not_believed(before):
    heartbeats, asked = waiting([before, before, {"tzar-01": row()}], remembered_s=PATIENCE_S)
    assert heartbeats.wait("tzar-01", soon()) == row()
    assert len(asked) == 3


def test_what_was_asked_too_early_is_not_believed_however_late_the_answer_comes():
    off, asked = {"tzar-01": row(state="Off")}, []

    def ask():
        asked.append(1)
        threading.Event().wait(0.3)  # a busy host
        return off if len(asked) == 1 else {"tzar-01": row()}

    heartbeats = Heartbeats("hv01", ask, pause_s=0.01, remembered_s=0.2)
    assert heartbeats.wait("tzar-01", soon()) == row()


def test_a_vm_that_stays_off_is_believed_at_last_and_at_the_deadline_at_the_latest():
    off = {"tzar-01": row(state="Off")}
    for remembered_s, limit_s in ((0.1, PATIENCE_S), (PATIENCE_S, 0.1)):
        heartbeats, asked = waiting([off], remembered_s=remembered_s)
        began = time.monotonic()
        with pytest.raises(DriverError, match="it went Off while it booted"):
            heartbeats.wait("tzar-01", began + limit_s)
        assert len(asked) > 1
        assert 0.1 <= time.monotonic() - began < PATIENCE_S


def test_a_wait_ends_at_its_deadline_though_another_question_is_not_due_or_not_answered_yet():
    answered = threading.Event()
    asked = []

    def ask():
        asked.append(1)
        answered.wait(PATIENCE_S)
        return {"tzar-01": row(heartbeat="NoContact")}

    heartbeats = Heartbeats("hv01", ask, pause_s=PATIENCE_S, remembered_s=0.0)

    def given_up(heartbeat):
        with pytest.raises(DriverError, match=rf"its guest does not answer \(heartbeat: {heartbeat}\)"):
            heartbeats.wait("tzar-01", time.monotonic() + 0.05)

    first = threading.Thread(target=given_up, args=("NoContact",))
    first.start()
    while not asked:
        threading.Event().wait(0.001)
    given_up("not asked for")
    answered.set()
    first.join(PATIENCE_S)
    given_up("not asked for")  # the next question is due much later
    assert len(asked) == 1


def test_a_guest_that_never_answers_is_given_up_at_the_deadline():
    heartbeats, _ = waiting([{"tzar-01": row(heartbeat="NoContact")}])
    with pytest.raises(DriverError, match=r"VM tzar-01 on hv01: its guest does not answer \(heartbeat: NoContact\)"):
        heartbeats.wait("tzar-01", time.monotonic() + 0.05)


def test_a_question_that_ends_in_a_fault_is_asked_anew_by_the_next_who_waits():
    heartbeats, asked = waiting([RuntimeError("a fault"), {"tzar-01": row()}])
    with pytest.raises(RuntimeError):
        heartbeats.wait("tzar-01", soon())
    assert heartbeats.wait("tzar-01", soon()) == row()
    assert len(asked) == 2
