"""A machine that takes up what an earlier one had open."""

import pytest
from asking import a_fleet, asked, kinds, playing, plays, reported, scored, steps, story

from tzar_actors.core.blame import BlamePolicy
from tzar_actors.core.dispatch import Dispatch
from tzar_actors.core.dispatch_commands import Deliver, SetDeadline
from tzar_actors.core.dispatch_events import FleetChanged, VmGone, VmReady
from tzar_actors.core.queue import Game, OpenEvaluation, RunningAttempt

GAMES = asked("games", games=3)


def an_open(evaluation=GAMES, accepted_at=-100.0):
    open_ = OpenEvaluation(evaluation, accepted_at)
    open_.games = [Game(open_, i) for i in range(len(evaluation.seeds))]
    return open_


def test_games_that_had_ended_are_not_played_again_and_count_in_the_outcome():
    machine = Dispatch(2, BlamePolicy())
    open_ = an_open()
    before = scored(story("1.1", "a"), fitness=5.0)
    open_.games[0].state, open_.games[0].ended = "ended", before
    assert machine.restore(0.0, open_, ()) == []
    assert plays(steps(machine, VmReady(0.0, "a", 1), VmReady(0.0, "b", 1))) == [
        ("a", "2.1", "games", 1),
        ("b", "2.2", "games", 2),
    ]
    machine.step(reported("a", "2.1", GAMES, 1, fitness=1.0))
    (deliver,) = kinds(machine.step(reported("b", "2.2", GAMES, 2, fitness=0.0)), Deliver)
    assert (deliver.trainers, deliver.ended.fitness, deliver.ended.seconds) == ((), 2.0, 110.0)
    assert deliver.ended.games[0] == before


@pytest.mark.promise(6, "nothing accepted is lost")
def test_a_game_in_flight_is_adopted_and_played_by_nobody_else():
    machine = Dispatch(2, BlamePolicy())
    open_ = an_open(asked("k"))
    machine.restore(0.0, open_, [RunningAttempt("1.1", open_.games[0], "a", 4, 0.0)])
    machine.step(FleetChanged(0.0, frozenset("ab")))
    assert machine.step(VmReady(0.0, "b", 1)) == []
    assert machine.step(VmReady(0.0, "a", 4, playing("1.1", asked("k")))) == []
    assert len(kinds(machine.step(reported("a", "1.1", asked("k"), incarnation=4)), Deliver)) == 1


def test_a_game_in_flight_on_a_vm_that_did_not_survive_is_played_again():
    machine = Dispatch(2, BlamePolicy())
    open_ = an_open(asked("k"))
    machine.restore(0.0, open_, [RunningAttempt("1.1", open_.games[0], "a", 4, 0.0)])
    steps(machine, FleetChanged(0.0, frozenset("ab")), VmReady(0.0, "b", 1))
    assert plays(machine.step(VmGone(1.0, "a", "its driver says off"))) == [("b", "2.1", "k", 0)]


def orders_of_an_earlier_supervisor(machine):
    """Three orders of one VM, of which the first was played; returns the games."""
    open_ = an_open()
    machine.restore(0.0, open_, [RunningAttempt(f"1.{9 + i}", open_.games[i], "a", 4, 0.0) for i in range(3)])
    machine.step(FleetChanged(0.0, frozenset("ab")))
    return open_.games


@pytest.mark.parametrize(
    ("event", "ends"),
    [
        (VmReady(0.0, "a", 4, playing("1.9", GAMES)), [[], ["excused"], ["excused"]]),
        (VmReady(0.0, "a", 4, kept=("1.9",)), [[], ["excused"], ["excused"]]),
        (VmReady(0.0, "a", 4), [["lost"], ["excused"], ["excused"]]),
        (VmGone(0.0, "a", "it crashed"), [["lost"], ["excused"], ["excused"]]),
    ],
)
def test_of_what_an_earlier_supervisor_ordered_ahead_only_the_first_can_have_been_played(event, ends):
    machine = Dispatch(2, BlamePolicy())
    games = orders_of_an_earlier_supervisor(machine)
    machine.step(event)
    assert [[story.status for story in game.stories] for game in games] == ends


def test_a_game_in_flight_on_a_vm_that_is_no_longer_in_the_fleet_is_played_again():
    machine = Dispatch(2, BlamePolicy())
    open_ = an_open(asked("k"))
    machine.restore(0.0, open_, [RunningAttempt("1.1", open_.games[0], "gone", 4, 0.0)])
    assert plays(steps(machine, VmReady(0.0, "b", 1), FleetChanged(1.0, frozenset("b")))) == [("b", "2.1", "k", 0)]


def test_a_game_that_had_failed_still_avoids_its_vm_and_goes_before_the_others():
    machine = Dispatch(2, BlamePolicy())
    open_ = an_open()
    open_.games[2].stories.append(story("1.1", "a", "fault"))
    machine.restore(0.0, open_, ())
    machine.step(FleetChanged(0.0, frozenset("ab")))
    assert plays(machine.step(VmReady(0.0, "a", 1))) == [("a", "2.1", "games", 0)]
    assert plays(machine.step(VmReady(0.0, "b", 1))) == [("b", "2.2", "games", 2)]


def test_what_is_left_of_a_deadline_is_counted_from_the_acceptance():
    hurried = asked("k", deadline_s=160.0)
    assert Dispatch(2, BlamePolicy()).restore(0.0, an_open(hurried), ()) == [SetDeadline("k", 60.0)]
    assert Dispatch(2, BlamePolicy()).restore(0.0, an_open(hurried, -500.0), ()) == [SetDeadline("k", 0.0)]


@pytest.mark.promise(1, "exactly one outcome")
def test_attempts_of_a_new_epoch_have_new_names():
    old, new = a_fleet("a", epoch=2), a_fleet("a", epoch=3)
    names = [attempt for machine in (old, new) for _, attempt, _, _ in plays(machine.restore(0.0, an_open(), ()))]
    names += [p[1] for machine in (old, new) for p in plays(machine.step(VmReady(0.0, "a", 1)))]
    assert names == ["2.1", "3.1"]
