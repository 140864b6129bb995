"""Evaluations from their submission to their outcome."""

import pytest
from asking import (
    a_fleet,
    asked,
    ended,
    kinds,
    plays,
    prove,
    reported,
    scored,
    steps,
    story,
    submitted,
)

from tzar_actors.core.dispatch_commands import (
    Accept,
    Acknowledge,
    AttemptOver,
    CancelDeadline,
    Deliver,
    Drop,
    Keep,
    Refuse,
    SendCancel,
    SendPlay,
    SetDeadline,
)
from tzar_actors.core.dispatch_events import CancelAsked, DeadlinePassed, VmAway
from tzar_actors.core.evaluation import GameEnded
from tzar_actors.core.records import (
    AttemptEndedRecord,
    AttemptRecord,
    EvaluationEndedRecord,
    EvaluationRecord,
    GameEndedRecord,
)
from tzar_actors.journal.stored import stored_codec

K = asked("k")
GAMES = asked("games", games=2)


def withdrawn(because, *stories):
    return GameEnded("withdrawn", None, 0.0, b"\x80", f"its evaluation is {because}", stories)


# --- the way of one evaluation


def test_an_evaluation_is_kept_accepted_and_played_at_once_when_a_vm_is_idle():
    assert a_fleet("a").step(submitted(K)) == [
        Keep(EvaluationRecord(K, 1000.0)),
        Accept("t", "k"),
        SendPlay("a", 1, "2.1", K, 0),
        Keep(AttemptRecord("2.1", "k", 0, "a", 1)),
    ]


def test_without_an_idle_vm_it_waits():
    machine = a_fleet()
    assert machine.step(submitted(K)) == [Keep(EvaluationRecord(K, 1000.0)), Accept("t", "k")]
    assert machine.leases.games_waiting == 1


def test_a_score_ends_its_evaluation_and_the_vm_takes_the_next_game():
    machine = a_fleet("a")
    steps(machine, submitted(K), submitted(asked("next")))
    won = story("2.1", "a")
    outcome = ended(K, "scored", scored(won), fitness=1.0)
    assert machine.step(reported("a", "2.1", K)) == [
        AttemptOver("k", 0, won, 1.0),
        Keep(EvaluationEndedRecord(outcome)),
        Deliver(("t",), outcome),
        Acknowledge("a", "2.1"),
        SendPlay("a", 1, "2.2", asked("next"), 0),
        Keep(AttemptRecord("2.2", "next", 0, "a", 1)),
    ]


def test_fitness_is_the_mean_over_the_games():
    machine = a_fleet("a", "b")
    assert plays(machine.step(submitted(GAMES))) == [("a", "2.1", "games", 0), ("b", "2.2", "games", 1)]
    first, second = story("2.1", "a"), story("2.2", "b")
    one = machine.step(reported("a", "2.1", GAMES, 0, fitness=1.0))
    assert one == [
        AttemptOver("games", 0, first, 1.0),
        Keep(GameEndedRecord("games", 0, scored(first))),
        Acknowledge("a", "2.1"),
    ]
    (deliver,) = kinds(machine.step(reported("b", "2.2", GAMES, 1, fitness=4.0)), Deliver)
    both = ended(GAMES, "scored", scored(first), scored(second, fitness=4.0), fitness=2.5)
    assert deliver == Deliver(("t",), both)


# --- a key that comes again


def test_the_same_question_again_while_it_is_open_is_accepted_and_both_trainers_are_told():
    machine = a_fleet("a")
    machine.step(submitted(K))
    assert machine.step(submitted(K, trainer="u")) == [Accept("u", "k")]
    (deliver,) = kinds(machine.step(reported("a", "2.1", K)), Deliver)
    assert deliver.trainers == ("t", "u")


def test_a_trainer_that_asks_twice_is_told_once():
    machine = a_fleet("a")
    steps(machine, submitted(K), submitted(K))
    (deliver,) = kinds(machine.step(reported("a", "2.1", K)), Deliver)
    assert deliver.trainers == ("t",)


def test_the_same_question_again_after_its_end_is_answered_from_the_journal():
    outcome = ended(K, "scored", scored(), fitness=1.0)
    machine = a_fleet("a")
    assert machine.step(submitted(K, known=(K, outcome))) == [Accept("t", "k"), Deliver(("t",), outcome)]
    assert not machine.evaluations


OTHERS = [asked("k", genome="other"), asked("k", games=2), asked("k", params=b"\x81\xa1a\x01")]


@pytest.mark.parametrize("other", OTHERS, ids=["genome", "games", "params"])
def test_a_key_for_another_question_is_refused_while_it_is_open_and_afterwards(other):
    machine = a_fleet("a")
    machine.step(submitted(K))
    (while_open,) = machine.step(submitted(other))
    (afterwards,) = a_fleet("a").step(submitted(other, known=(K, ended(K, "scored", scored()))))
    assert isinstance(while_open, Refuse)
    assert (while_open.trainer, while_open.key, while_open.code) == ("t", "k", "key_reused")
    assert afterwards == while_open


# --- failures


def test_a_retry_avoids_the_vm_that_failed():
    machine = a_fleet("a", "b")
    steps(machine, submitted(K), VmAway("b"))
    fault = story("2.1", "a", "fault")
    assert machine.step(reported("a", "2.1", K, status="fault")) == [
        AttemptOver("k", 0, fault, None),
        Keep(AttemptEndedRecord("k", 0, fault)),
        Acknowledge("a", "2.1"),
    ]
    assert plays(machine.step(submitted(asked("next")))) == [("a", "2.2", "next", 0)]


def test_a_retry_goes_back_to_the_vm_that_failed_when_there_is_no_other():
    machine = a_fleet("a")
    machine.step(submitted(K))
    assert plays(machine.step(reported("a", "2.1", K, status="lost"))) == [("a", "2.2", "k", 0)]


def test_a_retry_goes_before_games_that_were_never_tried():
    machine = a_fleet("a", "b")
    steps(machine, submitted(K), submitted(asked("first")), submitted(asked("second")))
    steps(machine, reported("a", "2.1", K, status="fault"))
    assert plays(machine.step(reported("b", "2.2", asked("first"))))[0] == ("b", "2.4", "k", 0)


def test_a_genome_that_failed_on_two_vms_has_failed_and_its_other_games_are_withdrawn():
    machine = a_fleet("a", "b")
    prove(machine, "a", "b")  # by the attempts 2.1 and 2.2
    steps(machine, submitted(GAMES), reported("b", "2.4", GAMES, 1))
    steps(machine, reported("a", "2.3", GAMES, 0, "fault"))  # and b takes it
    one, two = story("2.3", "a", "fault"), story("2.5", "b", "fault")
    seen = "why 2.5 (exit code 9; its last output: last words)"
    reason = f"a and b, which had scored other genomes, saw the evaluator fail: {seen}"
    failed = GameEnded("genome_failed", None, 6.0, b"\x80", reason, (one, two))
    outcome = ended(GAMES, "genome_failed", failed, scored(story("2.4", "b")), reason=reason)
    assert machine.step(reported("b", "2.5", GAMES, 0, "fault")) == [
        AttemptOver("games", 0, two, None),
        Keep(EvaluationEndedRecord(outcome)),
        Deliver(("t",), outcome),
        Acknowledge("b", "2.5"),
    ]


def test_the_games_that_still_run_when_their_evaluation_is_decided_are_called_off():
    machine = a_fleet("a", "b", time_out_votes=1)
    machine.step(submitted(GAMES))
    commands = machine.step(reported("a", "2.1", GAMES, 0, "timed_out"))
    assert kinds(commands, SendCancel) == [SendCancel("b", "2.2")]
    (deliver,) = kinds(commands, Deliver)
    assert (deliver.ended.outcome, deliver.ended.games[1]) == ("timed_out", withdrawn("timed_out"))
    late = machine.step(reported("b", "2.2", GAMES, 1, "cancelled"))
    assert late == [Drop("b", "2.2", "its evaluation is over"), Acknowledge("b", "2.2")]


def test_games_that_waited_when_their_evaluation_was_decided_leave_the_queue():
    machine = a_fleet("a")
    machine.step(submitted(asked("many", games=100)))
    assert machine.leases.games_waiting == 99
    machine.step(CancelAsked(1.0, "many", "t"))
    assert machine.leases.games_waiting == 0


@pytest.mark.promise(2, "a crash is never a low fitness")
def test_after_max_attempts_the_infrastructure_failed_with_the_story():
    machine = a_fleet("a", max_attempts=2)
    steps(machine, submitted(K), reported("a", "2.1", K, status="agent_fault"))
    (deliver,) = kinds(machine.step(reported("a", "2.2", K, status="cancelled")), Deliver)
    assert deliver.ended.outcome == "infra_failed"
    assert deliver.ended.reason == ("2 attempts failed: 2.1 on a: agent_fault, why 2.1; 2.2 on a: cancelled, why 2.2")


def test_it_is_timed_out_when_two_vms_voted_so():
    machine = a_fleet("a", "b")
    steps(machine, submitted(K), reported("a", "2.1", K, status="timed_out"))
    (deliver,) = kinds(machine.step(reported("b", "2.2", K, status="timed_out")), Deliver)
    assert (deliver.ended.outcome, deliver.ended.fitness) == ("timed_out", None)


@pytest.mark.promise(2, "a crash is never a low fitness")
def test_a_score_without_a_fitness_is_its_agents_fault_and_not_the_genomes():
    machine = a_fleet("a", "b")
    machine.step(submitted(K))
    (over,) = kinds(machine.step(reported("a", "2.1", K, fitness=None)), AttemptOver)
    assert (over.story.status, over.story.reason) == ("agent_fault", "its agent sent a score without a fitness")


# --- cancel and deadline


def test_a_cancelled_evaluation_ends_at_once_and_its_game_is_called_off():
    machine = a_fleet("a")
    machine.step(submitted(K))
    gone = GameEnded("cancelled", None, 0.0, b"\x80", "the trainer cancelled it", ())
    outcome = ended(K, "cancelled", gone, reason="the trainer cancelled it", seconds=4.0)
    assert machine.step(CancelAsked(4.0, "k", "t")) == [
        SendCancel("a", "2.1"),
        Keep(EvaluationEndedRecord(outcome)),
        Deliver(("t",), outcome),
    ]
    assert machine.step(CancelAsked(5.0, "k", "t")) == []


def test_a_vm_whose_game_was_called_off_is_busy_until_it_says_so():
    machine = a_fleet("a")
    steps(machine, submitted(K), CancelAsked(4.0, "k", "t"))
    assert plays(machine.step(submitted(asked("next")))) == []
    assert plays(machine.step(reported("a", "2.1", K, status="cancelled"))) == [("a", "2.2", "next", 0)]


@pytest.mark.promise(2, "a crash is never a low fitness")
def test_a_deadline_ends_the_evaluation_as_infra_failed_with_the_story():
    machine = a_fleet("a", "b")
    hurried = asked("k", deadline_s=60.0)
    assert kinds(machine.step(submitted(hurried)), SetDeadline) == [SetDeadline("k", 60.0)]
    machine.step(reported("a", "2.1", hurried, status="fault"))
    commands = machine.step(DeadlinePassed(60.0, "k"))
    (deliver,) = kinds(commands, Deliver)
    assert (deliver.ended.outcome, deliver.ended.seconds) == ("infra_failed", 60.0)
    assert deliver.ended.reason == "its deadline passed; attempts: 2.1 on a: fault, why 2.1"
    assert kinds(commands, SendCancel, CancelDeadline) == [SendCancel("b", "2.2"), CancelDeadline("k")]
    assert machine.step(DeadlinePassed(61.0, "k")) == []


def test_the_outcome_of_a_game_that_nobody_tried_is_encoded_as_the_journal_gives_it_back():
    machine = a_fleet()
    machine.step(submitted(asked("k", deadline_s=60.0)))
    (deliver,) = kinds(machine.step(DeadlinePassed(60.0, "k")), Deliver)
    codec = stored_codec()
    encoded = codec.encode(deliver.ended)
    assert codec.encode(codec.decode(encoded)) == encoded


def test_an_evaluation_that_ends_in_time_cancels_its_deadline():
    machine = a_fleet("a")
    hurried = asked("k", deadline_s=60.0)
    machine.step(submitted(hurried))
    assert kinds(machine.step(reported("a", "2.1", hurried)), CancelDeadline) == [CancelDeadline("k")]
