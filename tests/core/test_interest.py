"""A cancel by one of several trainers that wait for the same key."""

import pytest
from asking import a_fleet, asked, ended, reported, submitted

from tzar_actors.core.blame import BlamePolicy
from tzar_actors.core.dispatch import Dispatch
from tzar_actors.core.dispatch_commands import Accept, Deliver, Keep, SendCancel, TellWithdrawn
from tzar_actors.core.dispatch_events import CancelAsked, FleetChanged, TrainerGone, VmReady
from tzar_actors.core.evaluation import GameEnded
from tzar_actors.core.queue import Game, OpenEvaluation
from tzar_actors.core.records import EvaluationEndedRecord

K = asked("k")
CANCELLED = GameEnded("cancelled", None, 0.0, b"\x80", "the trainer cancelled it", ())


def shared(*trainers):
    """A machine with one evaluation that these trainers wait for."""
    machine = a_fleet("a")
    for trainer in trainers:
        machine.step(submitted(K, trainer=trainer))
    return machine


def cancelled(*trainers, at=4.0):
    outcome = ended(K, "cancelled", CANCELLED, reason="the trainer cancelled it", seconds=at)
    return [SendCancel("a", "2.1"), Keep(EvaluationEndedRecord(outcome)), Deliver(trainers, outcome)]


@pytest.mark.promise(6, "nothing accepted is lost")
def test_a_cancel_by_one_of_two_trainers_withdraws_that_one_alone():
    machine = shared("t", "u")
    assert machine.step(CancelAsked(4.0, "k", "t")) == [TellWithdrawn("t", "k")]
    delivered = [c for c in machine.step(reported("a", "2.1", K)) if isinstance(c, Deliver)]
    assert [(c.trainers, c.ended.outcome) for c in delivered] == [(("u",), "scored")]


def test_the_evaluation_ends_when_the_last_trainer_cancels():
    machine = shared("t", "u")
    machine.step(CancelAsked(3.0, "k", "t"))
    assert machine.step(CancelAsked(4.0, "k", "u")) == cancelled("u")
    assert machine.step(CancelAsked(5.0, "k", "t")) == []


def test_a_trainer_that_withdrew_and_asks_again_waits_again():
    machine = shared("t", "u")
    machine.step(CancelAsked(3.0, "k", "t"))
    assert machine.step(submitted(K, trainer="t")) == [Accept("t", "k")]
    assert machine.step(CancelAsked(4.0, "k", "u")) == [TellWithdrawn("u", "k")]


def test_a_trainer_that_asked_twice_waits_once():
    assert shared("t", "t").step(CancelAsked(4.0, "k", "t")) == cancelled("t")


def test_a_trainer_that_is_gone_for_good_keeps_no_other_from_cancelling_and_its_evaluation_is_played_on():
    machine = shared("t", "u")
    assert machine.step(TrainerGone(3.0, "u")) == []
    assert "k" in machine.evaluations
    assert machine.step(CancelAsked(4.0, "k", "t")) == cancelled("t")


# --- after a start of the supervisor


def restored():
    """A machine that took up an evaluation of an earlier supervisor; nobody has come back yet."""
    machine = Dispatch(2, BlamePolicy())
    open_ = OpenEvaluation(K, 0.0)
    open_.games = [Game(open_, 0)]
    machine.restore(0.0, open_, ())
    machine.step(FleetChanged(0.0, frozenset("a")))
    machine.step(VmReady(0.0, "a", 1))
    return machine


def test_a_cancel_is_put_off_until_others_have_had_the_time_to_come_back():
    machine = restored()
    machine.step(submitted(K, trainer="t"))
    assert machine.step(CancelAsked(2.0, "k", "t")) == []
    assert machine.step(TrainerGone(10.0, None)) == cancelled("t", at=10.0)


@pytest.mark.promise(6, "nothing accepted is lost")
def test_one_that_comes_back_in_time_still_waits_after_the_other_has_cancelled():
    machine = restored()
    machine.step(submitted(K, trainer="t"))
    machine.step(CancelAsked(2.0, "k", "t"))
    assert machine.step(submitted(K, trainer="u")) == [TellWithdrawn("t", "k"), Accept("u", "k")]
    assert machine.step(TrainerGone(10.0, None)) == []
    assert list(machine.evaluations["k"].trainers) == ["u"]


def test_a_trainer_that_asks_again_after_its_cancel_was_put_off_waits():
    machine = restored()
    machine.step(submitted(K, trainer="t"))
    machine.step(CancelAsked(2.0, "k", "t"))
    assert machine.step(submitted(K, trainer="t")) == [Accept("t", "k")]
    assert machine.step(TrainerGone(10.0, None)) == []


def test_what_scored_before_it_was_cancelled_has_scored():
    machine = restored()
    machine.step(submitted(K, trainer="t"))
    machine.step(CancelAsked(2.0, "k", "t"))
    assert [c.trainers for c in machine.step(reported("a", "2.1", K)) if isinstance(c, Deliver)] == [("t",)]
    assert machine.step(TrainerGone(10.0, None)) == []


def test_later_a_cancel_counts_at_once():
    machine = restored()
    machine.step(TrainerGone(10.0, None))
    machine.step(submitted(K, trainer="t"))
    assert machine.step(CancelAsked(12.0, "k", "t")) == cancelled("t", at=12.0)
