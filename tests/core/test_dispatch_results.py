"""Which results count, and what becomes of those that do not."""

import dataclasses

import pytest
from asking import a_fleet, asked, digest, kinds, plays, reported, scored, steps, story, submitted

from tzar_actors.core.dispatch_commands import Acknowledge, AttemptOver, Deliver, Drop
from tzar_actors.core.dispatch_events import Reported, VmGone, VmReady
from tzar_actors.core.evaluation import AttemptStory

K = asked("k")
GAMES = asked("games", games=2)


def dropped(vm, attempt, reason):
    return [Drop(vm, attempt, reason), Acknowledge(vm, attempt)]


@pytest.mark.promise(1, "exactly one outcome")
def test_a_result_that_comes_twice_counts_once():
    machine = a_fleet("a", "b")
    steps(machine, submitted(GAMES), reported("a", "2.1", GAMES))
    assert machine.step(reported("a", "2.1", GAMES)) == dropped("a", "2.1", "its game is over")
    steps(machine, reported("b", "2.2", GAMES, 1))
    assert machine.step(reported("a", "2.1", GAMES)) == dropped("a", "2.1", "its evaluation is over")


def test_a_failure_that_comes_twice_counts_once():
    machine = a_fleet("a", "b")
    steps(machine, submitted(K), reported("a", "2.1", K, status="fault"))
    again = machine.step(reported("a", "2.1", K, status="fault"))
    assert again == dropped("a", "2.1", "its attempt was revoked, or has reported before")
    assert len(machine.evaluations["k"].games[0].stories) == 1


@pytest.mark.promise(1, "exactly one outcome")
def test_a_result_of_a_revoked_attempt_is_dropped_even_if_it_is_a_score():
    machine = a_fleet("a", "b")
    steps(machine, submitted(K), VmGone(1.0, "a", "it crashed"))
    assert machine.step(reported("a", "2.1", K)) == dropped(
        "a", "2.1", "its attempt was revoked, or has reported before"
    )


def test_a_result_from_another_vm_than_the_attempt_was_given_to_is_dropped():
    machine = a_fleet("a", "b")
    machine.step(submitted(K))
    assert machine.step(reported("b", "2.1", K)) == dropped("b", "2.1", "its attempt was given to incarnation 1 of a")
    assert "2.1" in machine.attempts, "the one it was given to still plays it"


@pytest.mark.promise(1, "exactly one outcome")
def test_a_result_of_another_incarnation_than_the_attempt_was_given_to_is_dropped():
    machine = a_fleet("a", "b")
    machine.step(submitted(K))
    commands = machine.step(reported("a", "2.1", K, incarnation=2))
    assert commands[:2] == dropped("a", "2.1", "its attempt was given to incarnation 1 of a")


WRONG = {
    "another genome": {"digest": digest("other")},
    "a game that was never asked for": {"game": 9},
}


@pytest.mark.promise(1, "exactly one outcome")
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_result_for_something_else_is_dropped_and_its_attempt_is_tried_elsewhere(wrong):
    machine = a_fleet("a", "b")
    machine.step(submitted(K))
    why = "it is for another genome or game than was asked for"
    commands = machine.step(reported("a", "2.1", K, **{"game": 0} | wrong))
    blamed = AttemptStory("2.1", "a", 1, "agent_fault", 10.0, why, None, "")
    assert kinds(commands, Drop, AttemptOver, Acknowledge) == [
        Drop("a", "2.1", why),
        AttemptOver("k", 0, blamed, None),
        Acknowledge("a", "2.1"),
    ]
    assert plays(commands) == [("b", "2.2", "k", 0)]


def test_a_result_for_another_game_of_the_evaluation_counts_for_neither():
    machine = a_fleet("a", "b", "c")
    machine.step(submitted(GAMES))
    commands = machine.step(reported("a", "2.1", GAMES, game=1))
    assert commands[0] == Drop("a", "2.1", "its attempt was made for another game")
    assert plays(commands) == [("c", "2.3", "games", 0)]
    assert machine.evaluations["games"].games[1].state == "leased"


@pytest.mark.promise(1, "exactly one outcome")
def test_a_result_of_an_earlier_epoch_that_the_journal_never_heard_of_counts():
    machine = a_fleet()
    machine.step(submitted(K))
    (deliver,) = kinds(machine.step(reported("a", "1.7", K)), Deliver)
    assert deliver.ended.games == (scored(story("1.7", "a")),)
    assert machine.leases.games_waiting == 0


def test_a_failure_of_an_earlier_epoch_counts_and_the_game_that_waited_avoids_its_vm():
    machine = a_fleet("a", "b")
    steps(machine, submitted(asked("x")), submitted(asked("y")), submitted(K))
    machine.step(reported("a", "1.7", K, status="fault"))
    machine.step(VmReady(11.0, "a", 1))
    assert [play[:1] + play[2:] for play in plays(machine.step(reported("b", "2.2", asked("y"))))] == [("b", "k", 0)]


@pytest.mark.promise(1, "exactly one outcome")
@pytest.mark.parametrize("attempt", ["2.7", "3.1", "0.1", "-1.1", "", ".", "x.1", "1" * 200])
def test_a_result_of_an_attempt_that_was_never_made_is_dropped(attempt):
    machine = a_fleet()
    machine.step(submitted(K))
    assert machine.step(reported("a", attempt, K)) == dropped("a", attempt, "its attempt was never made")


def test_a_result_for_an_evaluation_that_nobody_knows_is_acknowledged_so_that_its_agent_forgets_it():
    assert a_fleet().step(reported("a", "1.1", K)) == dropped("a", "1.1", "its evaluation is over")


@pytest.mark.promise(2, "a crash is never a low fitness")
@pytest.mark.parametrize("status", ["fault", "timed_out", "agent_fault"])
def test_a_fitness_beside_any_other_status_than_scored_never_becomes_a_number(status):
    machine = a_fleet("a", "b", max_attempts=2)
    ended = []
    (order,) = plays(machine.step(submitted(K)))
    while not ended:
        vm, attempt, _, game = order
        claim = dataclasses.replace(reported(vm, attempt, K, game, status=status).result, fitness=0.0)
        commands = machine.step(Reported(10.0, vm, 1, claim))
        ended = kinds(commands, Deliver)
        order = next(iter(plays(commands)), None)
    assert ended[0].ended.outcome in ("genome_failed", "timed_out", "infra_failed")
    assert ended[0].ended.fitness is None
    assert [game.fitness for game in ended[0].ended.games] == [None]
