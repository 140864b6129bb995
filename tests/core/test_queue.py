"""Which game a VM takes next: order, avoidance, and where big genomes already lie."""

from asking import asked, digest

from tzar_actors.core.queue import Game, GameQueue, OpenEvaluation
from tzar_agent.protocol.messages import INLINE_LIMIT_BYTES

BIG = INLINE_LIMIT_BYTES + 1
FLEET = frozenset("abc")


def waiting(queue, key, games=1, size=256):
    """The games of a new evaluation, all in the queue."""
    open_ = OpenEvaluation(asked(key, genome=key, games=games, size=size), 0.0)
    open_.games = [Game(open_, i) for i in range(games)]
    for game in open_.games:
        queue.add(game)
    return open_.games


def take(queue, vm="a", last=""):
    """Key and number of the game that `vm` gets; it plays it from now on."""
    game = queue.take(vm, 1, True, FLEET, digest(last))
    if game is None:
        return None
    game.state = "leased"
    return game.evaluation.asked.key, game.index


def test_games_are_taken_in_the_order_in_which_they_came():
    queue = GameQueue()
    waiting(queue, "one", games=2)
    waiting(queue, "two")
    assert [take(queue) for _ in range(4)] == [("one", 0), ("one", 1), ("two", 0), None]


def test_big_genomes_that_no_vm_has_are_taken_in_the_order_in_which_they_came():
    queue = GameQueue()
    for key in ("one", "two", "three"):
        waiting(queue, key, size=BIG)
    assert [take(queue) for _ in range(3)] == [("one", 0), ("two", 0), ("three", 0)]


def test_a_big_genome_goes_on_at_the_vm_that_has_it():
    queue = GameQueue()
    waiting(queue, "one", games=2, size=BIG)
    waiting(queue, "two", games=2, size=BIG)
    assert take(queue, "a") == ("one", 0)
    assert take(queue, "b") == ("two", 0), "and not the other game of the genome that a is at"
    assert take(queue, "b", last="two") == ("two", 1)
    assert take(queue, "a", last="one") == ("one", 1)


def test_when_vms_are_at_all_genomes_the_oldest_game_is_taken():
    queue = GameQueue()
    waiting(queue, "one", games=2, size=BIG)
    assert [take(queue, "a"), take(queue, "b")] == [("one", 0), ("one", 1)]


def test_the_rest_of_an_evaluation_that_no_vm_is_at_any_more_is_not_passed_over():
    queue = GameQueue()
    first, *_ = waiting(queue, "one", games=2, size=BIG)
    assert take(queue, "a") == ("one", 0)
    first.state = "ended"  # and its VM died
    for i in range(3):
        waiting(queue, f"new{i}", size=BIG)
    assert take(queue, "b") == ("one", 1)


def test_small_genomes_are_not_sorted():
    queue = GameQueue()
    waiting(queue, "one")
    waiting(queue, "two")
    assert take(queue, last="two") == ("one", 0)


def test_a_vms_own_genome_is_looked_for_near_the_head_alone():
    queue = GameQueue()
    for i in range(64):
        waiting(queue, f"k{i}", size=BIG)
    waiting(queue, "far", size=BIG)
    assert take(queue, last="far") == ("k0", 0)
    assert take(queue, last="far") == ("far", 0)


def test_a_retry_goes_first_and_not_to_a_vm_it_avoids():
    queue = GameQueue()
    again, other = waiting(queue, "one", games=2)
    again.avoid = frozenset("a")
    queue.add_again(again)
    assert len(queue) == 2
    assert take(queue, "a") == ("one", 1)
    assert take(queue, "a") is None
    assert take(queue, "b") == ("one", 0)
    assert other not in queue


def test_a_retry_that_avoids_the_whole_fleet_goes_to_any_vm():
    queue = GameQueue()
    (again,) = waiting(queue, "one")
    again.avoid = FLEET
    queue.add_again(again)
    assert take(queue, "a") == ("one", 0)


def test_a_retry_that_nobody_may_take_now_does_not_hold_up_those_behind_it():
    queue = GameQueue()
    one, two = waiting(queue, "one", games=2)
    one.avoid = frozenset("a")
    queue.add_again(one)
    queue.add_again(two)
    assert take(queue, "a") == ("one", 1)


def test_a_game_that_was_removed_is_not_taken():
    queue = GameQueue()
    (game,) = waiting(queue, "one")
    queue.remove(game)
    queue.remove(game)
    assert (len(queue), take(queue)) == (0, None)
