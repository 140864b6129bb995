"""Games ordered ahead of short ones: how many, when, and what becomes of them when the VM fails or the game is long."""

import pytest
from asking import asked, kinds, lost, playing, reported, steps, submitted

from tzar_actors.core.blame import BlamePolicy
from tzar_actors.core.dispatch import Dispatch
from tzar_actors.core.dispatch_commands import AttemptOver, Keep, SendPlay, SendRecall, SetRecall
from tzar_actors.core.dispatch_events import FleetChanged, RecallDue, VmAway, VmGone, VmLacks, VmReady
from tzar_actors.core.evaluation import AttemptStory
from tzar_actors.core.queue import Game, OpenEvaluation, RunningAttempt
from tzar_actors.core.records import AttemptEndedRecord
from tzar_agent.protocol.messages import INLINE_LIMIT_BYTES


def questions(count, **more):
    return [asked(f"k{i:02d}", genome=f"g{i:02d}", **more) for i in range(count)]


def a_fast_fleet(*vms, games=40, seconds=0.001, room=8, **more):
    """A machine whose VMs have each played one game of `seconds`; `games` more are open. And its last commands."""
    machine = Dispatch(2, BlamePolicy(5, 2))
    steps(machine, FleetChanged(0.0, frozenset(vms)), *(VmReady(0.0, vm, 1, room=room) for vm in vms))
    first = questions(len(vms))
    plays = kinds(steps(machine, *map(submitted, first)), SendPlay)
    rest = [asked(f"r{i:02d}", genome=f"r{i:02d}", **more) for i in range(games)]
    steps(machine, *map(submitted, rest))
    commands = steps(
        machine,
        *(reported(p.vm, p.attempt, p.evaluation, at=1.0, seconds=seconds) for p in plays),
    )
    return machine, commands


def plays_of(commands, vm):
    return [each.attempt for each in kinds(commands, SendPlay) if each.vm == vm]


@pytest.mark.parametrize(
    ("seconds", "room", "orders"),
    [(0.001, 8, 8), (0.001, 64, 10), (0.004, 8, 2), (0.006, 8, 1), (60.0, 8, 1), (0, 1, 1)],
)
def test_a_vm_has_as_many_orders_as_it_plays_in_a_hundredth_of_a_second(seconds, room, orders):
    _, commands = a_fast_fleet("a", seconds=seconds, room=room)
    assert len(plays_of(commands, "a")) == orders


def test_a_vm_that_has_played_nothing_yet_gets_one_order():
    machine = Dispatch(2, BlamePolicy(5, 2))
    steps(machine, FleetChanged(0.0, frozenset("a")), VmReady(0.0, "a", 1, room=8))
    assert len(kinds(steps(machine, *map(submitted, questions(20))), SendPlay)) == 1


def test_nothing_is_ordered_ahead_while_there_are_no_more_games_than_vms():
    _, commands = a_fast_fleet("a", "b", games=3)
    assert [len(plays_of(commands, vm)) for vm in "ab"] == [1, 1]


def test_a_large_genome_is_never_ordered_ahead():
    _, commands = a_fast_fleet("a", size=INLINE_LIMIT_BYTES + 1)
    assert len(plays_of(commands, "a")) == 1


def test_more_is_ordered_when_half_of_the_orders_are_played():
    machine, commands = a_fast_fleet("a")
    waiting = kinds(commands, SendPlay)
    ordered = []
    for play in waiting[:5]:
        ordered.append(len(kinds(machine.step(reported("a", play.attempt, play.evaluation, seconds=0.001)), SendPlay)))
    assert ordered == [0, 0, 0, 4, 0]


def test_one_slow_game_is_believed_at_once():
    machine, commands = a_fast_fleet("a")
    plays = kinds(commands, SendPlay)
    later = steps(machine, *(reported("a", p.attempt, p.evaluation, seconds=0.2) for p in plays))
    assert len(plays_of(later, "a")) == 1


def test_of_the_orders_of_a_vm_that_fails_only_the_first_was_played():
    machine, commands = a_fast_fleet("a", "b")
    first, *rest = plays_of(commands, "a")
    gone = machine.step(VmGone(3.0, "a", "it crashed"))
    stories = [each.story for each in kinds(gone, AttemptOver)]
    assert stories[0] == lost(first, "a", "it crashed", seconds=2.0)
    assert stories[1:] == [
        AttemptStory(each, "a", 1, "excused", 2.0, "it crashed, before its turn came", None, "") for each in rest
    ]
    assert [each.record.story.attempt for each in kinds(gone, Keep) if isinstance(each.record, AttemptEndedRecord)] == [
        first,
        *rest,
    ]


def test_a_vm_that_fails_died_with_none_of_the_orders_that_were_not_sent():
    machine, commands = a_fast_fleet("a", "b")
    first, second, *rest = plays_of(commands, "a")
    gone = machine.step(VmGone(3.0, "a", "it crashed", sent=(second,)))
    stories = {each.story.attempt: each.story.status for each in kinds(gone, AttemptOver)}
    assert stories == {first: "excused", second: "lost"} | dict.fromkeys(rest, "excused")


def test_an_order_that_was_not_sent_is_given_to_another_vm_and_counts_for_nothing():
    machine, commands = a_fast_fleet("a", "b", games=0, room=1)
    machine.step(submitted(asked("k")))
    (attempt,) = machine.attempts.values()
    vm, other = ("a", "b") if attempt.vm == "a" else ("b", "a")
    steps(machine, VmAway(vm))
    commands = machine.step(VmLacks(3.0, vm, (attempt.attempt, "2.99"), "it was not sent"))
    (over,) = kinds(commands, AttemptOver)
    assert (over.story.status, over.story.reason) == ("excused", "it was not sent")
    assert [play.vm for play in kinds(commands, SendPlay)] == [other]
    assert machine.leases.orders_of(vm) == []


def test_what_an_agent_that_cannot_play_was_ordered_is_not_to_blame():
    machine, commands = a_fast_fleet("a", "b")
    first, *rest = kinds(commands, SendPlay)
    machine.step(reported("a", first.attempt, first.evaluation, status="agent_fault", at=1.5))
    games = [machine.attempts[play.attempt].game for play in rest if play.vm == "a"]
    machine.step(VmGone(1.5, "a", "its agent could not play"))
    assert [[story.status for story in game.stories] for game in games] == [["excused"]] * 7


def test_what_was_not_played_counts_for_nothing_and_may_go_to_the_same_vm():
    machine, commands = a_fast_fleet("a", games=3, room=2)
    for boot in range(2, 12):  # far more often than an attempt may fail
        steps(machine, VmGone(3.0, "a", "it crashed"))
        commands = machine.step(VmReady(4.0, "a", boot, room=2))
        (play,) = kinds(commands, SendPlay)
        assert play.attempt in machine.attempts
        if machine.attempts[play.attempt].game.stories[-1].status == "excused":
            break
    assert all(
        story.status != "excused" or not game.avoid - {"a"}
        for open_ in machine.evaluations.values()
        for game in open_.games
        for story in game.stories
    )


def test_a_game_that_is_tried_again_has_its_vm_alone():
    machine, _ = a_fast_fleet("a", "b")
    machine.step(VmGone(3.0, "a", "it crashed"))
    while True:  # the orders that b has are played first
        attempt = next(iter(machine.attempts.values()))
        later = machine.step(reported("b", attempt.attempt, attempt.game.evaluation.asked, seconds=0.001))
        if plays := kinds(later, SendPlay):
            break
    (retried,) = plays
    assert machine.attempts[retried.attempt].game.stories
    assert machine.leases.orders_of("b") == [retried.attempt]


def test_what_waits_behind_a_long_game_is_called_back_and_played_elsewhere():
    machine, commands = a_fast_fleet("a", "b", games=30)
    assert kinds(commands, SetRecall) == [SetRecall(0.05)]
    first, *rest = plays_of(commands, "a")
    for play in [p for p in kinds(commands, SendPlay) if p.vm == "b"]:
        machine.step(reported("b", play.attempt, play.evaluation, at=1.04, seconds=0.001))
    asked_back, again = machine.step(RecallDue(1.051))
    assert (asked_back, again) == (SendRecall("a", tuple(rest)), SetRecall(0.05))
    machine.step(RecallDue(1.06))
    open_ = {name: machine.attempts[name].game for name in rest}
    for name, game in open_.items():
        machine.step(reported("a", name, game.evaluation.asked, status="cancelled", at=1.1, seconds=0.0))
    assert machine.leases.orders_of("a") == [first]
    assert [game.stories[-1].status for game in open_.values()] == ["excused"] * len(rest)
    assert {game.avoid for game in open_.values()} == {frozenset("a")}  # where the long game is, not where it failed


def test_what_waits_at_an_agent_whose_connection_stood_is_called_back_when_its_actor_was_replaced():
    machine, commands = a_fast_fleet("a", "b")
    first, *rest = kinds(commands, SendPlay)[:8]
    machine.step(VmAway("a"))
    machine.step(reported("a", first.attempt, first.evaluation, seconds=0.001))
    second, *waiting = rest
    now_playing = playing(second.attempt, second.evaluation)
    called_back, *others = machine.step(VmReady(2.0, "a", 1, now_playing, room=8))
    assert called_back == SendRecall("a", tuple(play.attempt for play in waiting))
    assert {each.story.status for each in kinds(others, AttemptOver)} == {"excused"}
    assert machine.leases.orders_of("a") == [second.attempt]


def test_an_agent_that_had_one_order_is_called_nothing_back():
    machine, commands = a_fast_fleet("a", games=3, seconds=60.0)
    (play,) = kinds(commands, SendPlay)
    machine.step(VmAway("a"))
    assert machine.step(VmReady(2.0, "a", 1, playing(play.attempt, play.evaluation), room=8)) == []


def test_nothing_is_ordered_behind_a_game_that_has_lasted_long_already():
    machine, _ = a_fast_fleet("a", "b", games=2)
    assert [len(machine.leases.orders_of(vm)) for vm in "ab"] == [1, 1]
    late = [submitted(asked(f"l{i:02d}", genome=f"l{i:02d}"), at=1.2) for i in range(20)]
    assert kinds(steps(machine, *late), SendPlay) == []
    (first,) = machine.leases.orders_of("a")
    result = reported("a", first, machine.attempts[first].game.evaluation.asked, at=1.2, seconds=0.001)
    assert len(plays_of(machine.step(result), "a")) == 8


def test_an_order_that_an_agent_gives_back_over_a_new_connection_counts_for_nothing():
    machine, commands = a_fast_fleet("a", "b", games=30)
    first, second, *rest = kinds(commands, SendPlay)[:8]
    machine.step(RecallDue(1.051))
    kept = tuple(play.attempt for play in rest)  # given back, and the news lost with the connection
    machine.step(VmAway("a"))
    machine.step(VmReady(1.1, "a", 1, playing(first.attempt, first.evaluation), kept, room=8))
    assert machine.evaluations[second.evaluation.key].games[0].stories[-1].status == "excused"
    for play in rest:
        machine.step(reported("a", play.attempt, play.evaluation, status="cancelled", at=1.2, seconds=0.0))
        assert machine.evaluations[play.evaluation.key].games[0].stories[-1].status == "excused"


def test_what_an_earlier_supervisor_called_back_counts_for_nothing():
    machine = Dispatch(3, BlamePolicy(1, 2))
    evaluation = asked("k")
    open_ = OpenEvaluation(evaluation, 0.0)
    open_.games = [Game(open_, 0)]
    machine.restore(0.0, open_, [RunningAttempt("2.7", open_.games[0], "a", 1, 0.0)])
    machine.step(VmReady(0.1, "a", 1, kept=("2.7",), room=8))
    machine.step(reported("a", "2.7", evaluation, status="cancelled", at=0.2, seconds=0.0))
    assert [story.status for story in open_.games[0].stories] == ["excused"]


def test_the_look_for_long_games_ends_when_nothing_waits():
    machine, commands = a_fast_fleet("a", games=8)
    for play in kinds(commands, SendPlay):
        machine.step(reported("a", play.attempt, play.evaluation, at=1.01, seconds=0.001))
    while machine.attempts:
        for attempt in list(machine.attempts.values()):
            machine.step(reported("a", attempt.attempt, attempt.game.evaluation.asked, at=1.02, seconds=0.001))
    assert machine.step(RecallDue(1.06)) == []


def test_games_running_are_those_whose_turn_came():
    machine, _ = a_fast_fleet("a", "b")
    assert machine.leases.games_running == 2
    assert machine.leases.games_waiting == 38
