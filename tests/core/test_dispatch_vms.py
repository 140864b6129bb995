"""VMs that come, go silent, fail and come back."""

import pytest
from asking import a_fleet, asked, kinds, lost, playing, plays, reported, steps, story, submitted

from tzar_actors.core.dispatch_commands import Acknowledge, AttemptOver, Deliver, Drop, Keep, SendCancel, SendPlay
from tzar_actors.core.dispatch_events import FleetChanged, VmAway, VmGone, VmReady, VmSilent
from tzar_actors.core.records import AttemptEndedRecord, AttemptRecord

K = asked("k")
GAMES = asked("games", games=2)


# --- they fail


@pytest.mark.promise(2, "a crash is never a low fitness")
def test_a_vm_that_is_gone_loses_its_attempt_and_another_plays_the_game():
    machine = a_fleet("a", "b")
    machine.step(submitted(K))
    gone = lost("2.1", "a", "its process ended", 5.0)
    assert machine.step(VmGone(5.0, "a", "its process ended")) == [
        AttemptOver("k", 0, gone, None),
        Keep(AttemptEndedRecord("k", 0, gone)),
        SendPlay("b", 1, "2.2", K, 0),
        Keep(AttemptRecord("2.2", "k", 0, "b", 1)),
    ]


def test_a_vm_that_is_gone_is_given_nothing_until_it_is_ready_again():
    machine = a_fleet("a")
    machine.step(VmGone(1.0, "a", "its process ended"))
    assert plays(machine.step(submitted(K))) == []
    assert plays(machine.step(VmReady(9.0, "a", 2))) == [("a", "2.1", "k", 0)]


def test_a_vm_that_leaves_the_fleet_loses_its_attempt_and_a_retry_no_longer_waits_for_it():
    machine = a_fleet("a", "b")
    steps(machine, submitted(K), reported("a", "2.1", K, status="agent_fault"))
    commands = machine.step(FleetChanged(20.0, frozenset("a")))
    excused = lost("2.2", "b", "its VM left the fleet", 10.0, status="excused")
    assert kinds(commands, AttemptOver) == [AttemptOver("k", 0, excused, None)]
    assert plays(commands) == [("a", "2.3", "k", 0)]


def test_a_vm_away_is_given_nothing_and_keeps_its_attempt():
    machine = a_fleet("a", "b")
    machine.step(submitted(K))
    assert machine.step(VmAway("a")) == []
    assert plays(machine.step(submitted(asked("next")))) == [("b", "2.2", "next", 0)]
    assert "2.1" in machine.attempts


def test_a_result_that_comes_while_its_vm_is_away_counts_and_the_vm_is_given_nothing_yet():
    machine = a_fleet("a")
    steps(machine, submitted(K), VmAway("a"), submitted(asked("next")))
    commands = machine.step(reported("a", "2.1", K))
    assert len(kinds(commands, Deliver)) == 1
    assert plays(commands) == []
    assert plays(machine.step(VmReady(11.0, "a", 1))) == [("a", "2.2", "next", 0)]


def test_a_vm_lost_with_two_attempts_of_one_evaluation_ends_it_once():
    machine = a_fleet("a", max_attempts=1)
    machine.step(submitted(GAMES))
    machine.step(VmReady(1.0, "a", 1, playing=None, kept=("2.1",)))  # and is given the second game
    assert sorted(machine.attempts) == ["2.1", "2.2"]
    assert len(kinds(machine.step(VmGone(2.0, "a", "it crashed")), Deliver)) == 1
    assert not machine.attempts


# --- they are silent


@pytest.mark.promise(1, "exactly one outcome")
def test_silence_frees_the_game_for_another_vm():
    machine = a_fleet("a", "b")
    machine.step(submitted(K))
    assert machine.step(VmSilent(5.0, "a")) == [
        SendPlay("b", 1, "2.2", K, 0),
        Keep(AttemptRecord("2.2", "k", 0, "b", 1)),
    ]


@pytest.mark.promise(1, "exactly one outcome")
def test_a_late_result_of_a_silent_vm_counts_and_the_other_attempt_is_called_off():
    machine = a_fleet("a", "b")
    steps(machine, submitted(K), VmSilent(5.0, "a"))
    commands = machine.step(reported("a", "2.1", K))
    assert kinds(commands, SendCancel, Acknowledge) == [SendCancel("b", "2.2"), Acknowledge("a", "2.1")]
    assert len(kinds(commands, Deliver)) == 1
    late = machine.step(reported("b", "2.2", K))
    assert late == [Drop("b", "2.2", "its evaluation is over"), Acknowledge("b", "2.2")]


def test_when_the_other_vm_is_first_the_silent_one_is_called_off():
    machine = a_fleet("a", "b")
    steps(machine, submitted(K), VmSilent(5.0, "a"))
    assert kinds(machine.step(reported("b", "2.2", K)), SendCancel) == [SendCancel("a", "2.1")]


def test_a_silent_vm_that_comes_back_goes_on_and_its_game_waits_for_nobody():
    machine = a_fleet("a", "b")
    steps(machine, submitted(K), submitted(asked("other")), VmSilent(5.0, "a"))
    assert machine.leases.games_waiting == 1
    assert machine.step(VmReady(6.0, "a", 1, playing("2.1", K))) == []
    assert machine.leases.games_waiting == 0


def test_a_vm_that_flaps_leaves_its_game_in_the_queue_once():
    machine = a_fleet("a", "b")
    steps(machine, submitted(K), submitted(asked("other")))
    for _ in range(50):
        steps(machine, VmSilent(5.0, "a"), VmReady(6.0, "a", 1, playing("2.1", K)))
    machine.step(VmSilent(7.0, "a"))
    assert machine.leases.games_waiting == 1


def test_an_attempt_more_than_was_wanted_may_still_save_its_game():
    machine = a_fleet("a", "b", max_attempts=1)
    steps(machine, submitted(K), VmSilent(5.0, "a"))
    assert kinds(machine.step(VmGone(9.0, "a", "it crashed")), Deliver) == [], "b plays it still"
    (deliver,) = kinds(machine.step(reported("b", "2.2", K)), Deliver)
    assert deliver.ended.outcome == "scored"


def test_a_game_is_not_given_to_the_silent_vm_that_has_it_when_there_is_another():
    machine = a_fleet("a", "b")
    steps(machine, submitted(K), VmAway("b"), VmSilent(1.0, "a"))
    commands = machine.step(VmReady(3.0, "a", 1, None, kept=("2.1",)))
    assert plays(commands) == [], "its own kept result is on its way"


# --- they come back


def test_an_agent_that_does_not_know_of_its_attempt_has_lost_it():
    machine = a_fleet("a", "b")
    machine.step(submitted(K))
    commands = machine.step(VmReady(5.0, "a", 1))
    assert commands[0] == AttemptOver("k", 0, lost("2.1", "a", "its agent does not know of it", 5.0), None)
    assert plays(commands) == [("b", "2.2", "k", 0)]


def test_a_kept_result_is_awaited_while_its_vm_plays_on():
    machine = a_fleet("a")
    steps(machine, submitted(K), submitted(asked("next")))
    assert plays(machine.step(VmReady(5.0, "a", 1, None, kept=("2.1",)))) == [("a", "2.2", "next", 0)]
    commands = machine.step(reported("a", "2.1", K))
    assert len(kinds(commands, Deliver)) == 1
    assert "2.2" in machine.attempts


@pytest.mark.promise(1, "exactly one outcome")
def test_what_an_older_incarnation_kept_is_revoked():
    machine = a_fleet("a")
    machine.step(submitted(K))
    commands = machine.step(VmReady(5.0, "a", 2, None, kept=("2.1",)))
    assert plays(commands) == [("a", "2.2", "k", 0)]
    late = machine.step(reported("a", "2.1", K, incarnation=2))
    assert late[0] == Drop("a", "2.1", "its attempt was revoked, or has reported before")


def test_an_attempt_of_an_earlier_epoch_that_the_journal_never_heard_of_is_adopted():
    machine = a_fleet()
    machine.step(submitted(K))
    commands = machine.step(VmReady(5.0, "a", 3, playing("1.9", K)))
    assert commands == [Keep(AttemptRecord("1.9", "k", 0, "a", 3))]
    assert machine.leases.games_waiting == 0
    (over,) = kinds(machine.step(reported("a", "1.9", K, incarnation=3)), AttemptOver)
    assert over.story == story("1.9", "a", incarnation=3)


def test_an_adopted_game_whose_vm_goes_silent_is_not_given_back_to_it():
    machine = a_fleet()
    steps(
        machine,
        submitted(K),
        FleetChanged(0.0, frozenset("ab")),
        VmReady(5.0, "a", 3, playing("1.9", K)),
        VmSilent(6.0, "a"),
    )
    assert plays(machine.step(VmReady(7.0, "a", 3))) == []
    assert plays(machine.step(VmReady(8.0, "b", 1))) == [("b", "2.1", "k", 0)]


def test_an_agent_that_plays_what_does_not_count_is_told_to_end_it_and_is_busy_until_then():
    machine = a_fleet()
    machine.step(submitted(K))
    commands = machine.step(VmReady(5.0, "a", 3, playing("2.9", K)))
    assert commands == [Drop("a", "2.9", "its attempt was never made"), SendCancel("a", "2.9")]
    assert plays(machine.step(reported("a", "2.9", K, status="cancelled"))) == [("a", "2.1", "k", 0)]
