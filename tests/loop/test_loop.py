"""Timers, commits and what is held for them, on a virtual clock."""

from collections.abc import Callable
from typing import Any

import pytest

from tzar_actors.loop import Loop, LoopActor, VirtualWaiter
from tzar_actors.loop.waiter import VirtualClock


def later(story: list[Any], what: Any) -> Callable[[], None]:
    return lambda: story.append(what)


def test_timers_fire_when_they_are_due_and_in_the_order_of_their_times(loop: Loop, clock: VirtualClock) -> None:
    story: list[Any] = []
    loop.call_later(3.0, lambda: story.append(clock.now))
    loop.call_later(1.0, lambda: story.append(clock.now))
    loop.call_at(102.0, lambda: story.append(clock.now))
    for _ in range(3):
        loop.turn()
    assert story == [101.0, 102.0, 103.0]


def test_timers_of_the_same_time_fire_in_the_order_they_were_set(loop: Loop) -> None:
    story: list[Any] = []
    for number in range(20):
        loop.call_at(101.0, later(story, number))
    loop.turn()
    assert story == list(range(20))


def test_a_cancelled_timer_does_not_fire_and_is_not_waited_for(loop: Loop, clock: VirtualClock) -> None:
    story: list[Any] = []
    loop.call_later(1.0, later(story, "cancelled")).cancel()
    loop.call_later(5.0, later(story, "kept"))
    loop.turn()
    assert (story, clock.now) == (["kept"], 105.0)


def test_a_timer_cancels_another_that_is_due_at_the_same_time(loop: Loop) -> None:
    story: list[Any] = []
    loop.call_at(101.0, lambda: second.cancel())
    second = loop.call_at(101.0, later(story, "second"))
    loop.call_at(101.0, later(story, "third"))
    loop.turn()
    assert story == ["third"]


def test_a_fired_timer_may_be_cancelled_without_effect(loop: Loop) -> None:
    story: list[Any] = []
    timer = loop.call_later(1.0, later(story, "fired"))
    loop.turn()
    timer.cancel()
    assert story == ["fired"]


def test_a_callback_sets_the_next_timer(loop: Loop, clock: VirtualClock) -> None:
    story: list[float] = []

    def tick() -> None:
        story.append(clock.now)
        loop.call_later(0.5, tick)

    tick()
    for _ in range(4):
        loop.turn()
    assert story == [100.0, 100.5, 101.0, 101.5, 102.0]


def test_a_timer_that_sets_itself_for_now_does_not_hold_the_turn(loop: Loop) -> None:
    story: list[str] = []

    def again() -> None:
        assert len(story) < 10, "the turn never ended"
        story.append("fired")
        loop.call_later(0.0, again)

    again()
    loop.turn()
    assert len(story) == 2


def test_a_turn_waits_no_longer_than_it_is_told(loop: Loop, clock: VirtualClock) -> None:
    story: list[Any] = []
    loop.call_later(10.0, later(story, "timer"))
    loop.turn(longest_wait_s=4.0)
    assert (story, clock.now) == ([], 104.0)


def test_cancelled_timers_do_not_pile_up(loop: Loop) -> None:
    story: list[Any] = []
    loop.call_later(3600.0, later(story, "kept"))
    for _ in range(10_000):
        loop.call_later(600.0, later(story, "cancelled")).cancel()
    assert len(loop._timers) < 200
    loop.turn()
    assert story == ["kept"]


def test_a_virtual_loop_with_nothing_to_come_says_so(loop: Loop) -> None:
    with pytest.raises(RuntimeError, match="would wait for ever"):
        loop.turn()


def test_a_virtual_loop_has_no_sockets(clock: VirtualClock) -> None:
    waiter = VirtualWaiter(clock)
    with pytest.raises(TypeError, match="cannot watch"):
        waiter.watch(0, lambda: None)
    with pytest.raises(TypeError, match="cannot unwatch"):
        waiter.unwatch(0)
    waiter.wake()
    waiter.close()


class Journalling(LoopActor):
    """Journals each message and holds a word for its commit."""

    def __init__(self, loop: Loop, story: list[Any]) -> None:
        super().__init__(loop)
        self.story = story

    def on_receive(self, message: Any) -> None:
        self.story.append(f"journalled {message}")
        self.loop.mark_dirty()
        self.loop.hold(later(self.story, f"released {message}"))


def with_commit(clock: VirtualClock, commit: Callable[[], None], finish: Callable[[], None] = lambda: None) -> Loop:
    return Loop(clock, VirtualWaiter(clock), commit=commit, finish_turn=finish)


@pytest.mark.promise(6, "nothing accepted is lost")
def test_what_is_held_is_released_after_the_one_commit_of_its_round_and_in_order(clock: VirtualClock) -> None:
    story: list[Any] = []
    loop = with_commit(clock, later(story, "commit"))
    one, two = Journalling.start(loop, story), Journalling.start(loop, story)
    one.tell(1)
    two.tell(2)
    loop.turn(0.0)
    # Mail from before the actors' start has its turn in the same round as their start.
    assert story == ["journalled 1", "journalled 2", "commit", "released 1", "released 2"]


def test_what_a_timer_holds_is_released_in_its_own_turn(clock: VirtualClock) -> None:
    story: list[Any] = []
    loop = with_commit(clock, later(story, "commit"))

    def journal() -> None:
        loop.mark_dirty()
        loop.hold(later(story, "released"))

    loop.call_later(1.0, journal)
    loop.turn()
    assert story == ["commit", "released"]


def test_a_commit_that_nobody_waits_for_is_made_some_milliseconds_later(clock: VirtualClock) -> None:
    story: list[str] = []
    began = clock.now
    loop = with_commit(clock, later(story, "commit"))
    loop.mark_dirty()
    loop.hold(later(story, "released"), lazily=True)
    loop.turn(0.0)
    assert story == []
    loop.turn(60.0)
    assert story == ["commit", "released"]
    assert clock.now - began == pytest.approx(0.005)


def test_what_can_wait_is_released_with_the_commit_that_somebody_waits_for(clock: VirtualClock) -> None:
    story: list[str] = []
    began = clock.now
    loop = with_commit(clock, later(story, "commit"))
    loop.mark_dirty()
    loop.hold(later(story, "first"), lazily=True)
    loop.turn(0.0)
    loop.hold(later(story, "second"))
    loop.turn(0.0)
    assert story == ["commit", "first", "second"]
    assert clock.now == began


def test_a_commit_that_is_owed_is_made_before_the_loop_ends(clock: VirtualClock) -> None:
    story: list[str] = []
    loop = with_commit(clock, later(story, "commit"))
    loop.mark_dirty()
    loop.hold(later(story, "released"), lazily=True)
    loop.call_later(0.001, loop.stop)
    loop.run()
    assert story == ["commit", "released"]


def test_nothing_is_committed_when_nothing_was_journalled(clock: VirtualClock) -> None:
    story: list[Any] = []
    loop = with_commit(clock, later(story, "commit"))
    loop.hold(later(story, "released"))
    loop.turn(0.0)
    loop.turn(0.0)
    assert story == ["released"]


@pytest.mark.promise(6, "nothing accepted is lost")
def test_a_failed_commit_ends_the_run_and_releases_nothing_ever(clock: VirtualClock) -> None:
    story: list[Any] = []

    def commit() -> None:
        raise OSError("disk full")

    loop = with_commit(clock, commit)
    Journalling.start(loop, story).tell(1)
    with pytest.raises(OSError, match="disk full"):
        loop.run()
    loop.turn(0.0)
    assert story == ["journalled 1"]


def test_what_a_release_holds_and_journals_waits_for_no_mail(clock: VirtualClock) -> None:
    story: list[Any] = []
    loop = with_commit(clock, later(story, "commit"))

    def release() -> None:
        story.append("first")
        loop.mark_dirty()
        loop.hold(later(story, "second"))

    loop.hold(release)
    loop.turn(0.0)
    assert story == ["first", "commit", "second"]


def test_what_the_end_of_a_turn_journals_is_committed_by_the_next_at_once(clock: VirtualClock) -> None:
    story: list[Any] = []

    def finish() -> None:
        if not story:
            story.append("finish")
            loop.mark_dirty()

    loop = with_commit(clock, later(story, "commit"), finish)
    loop.turn(0.0)
    assert story == ["finish"]
    loop.turn()  # would wait for ever, had it nothing to do
    assert story == ["finish", "commit"]


def test_a_turn_ends_with_finish_turn_once(clock: VirtualClock) -> None:
    story: list[Any] = []
    loop = with_commit(clock, later(story, "commit"), later(story, "finish"))
    Journalling.start(loop, story).tell(1)
    loop.turn(0.0)
    assert story == ["journalled 1", "commit", "released 1", "finish"]


def test_a_round_is_finished_before_its_commit_and_again_after_what_that_released(clock: VirtualClock) -> None:
    story: list[Any] = []
    loop = Loop(
        clock,
        VirtualWaiter(clock),
        commit=later(story, "commit"),
        finish_round=later(story, "round"),
        finish_turn=later(story, "turn"),
    )
    Journalling.start(loop, story).tell(1)
    loop.turn(0.0)
    assert story == ["journalled 1", "round", "commit", "released 1", "round", "turn"]


def test_stop_on_the_loop_ends_the_run_after_the_turn(loop: Loop) -> None:
    story: list[Any] = []
    loop.call_later(1.0, loop.stop)
    loop.call_at(101.0, later(story, "same turn"))
    loop.call_later(2.0, later(story, "never"))
    loop.run()
    assert story == ["same turn"]


def test_a_turn_that_lasts_long_is_counted_as_late(loop: Loop, clock: VirtualClock) -> None:
    def block() -> None:
        clock.now += 2.0

    loop.call_later(1.0, block)
    loop.turn()
    assert loop.late_s == pytest.approx(2.0)


def test_a_turn_that_begins_late_is_counted_as_late(clock: VirtualClock) -> None:
    class Oversleeping(VirtualWaiter):
        def wait(self, timeout_s: float | None) -> Any:
            clock.now += 3.0  # the machine was stopped meanwhile
            return super().wait(timeout_s)

    loop = Loop(clock, Oversleeping(clock))
    loop.call_later(1.0, lambda: None)
    loop.turn()
    assert loop.late_s == pytest.approx(3.0)


def test_waiting_as_long_as_was_asked_is_not_late(loop: Loop) -> None:
    loop.call_later(50.0, lambda: None)
    loop.turn()
    assert loop.late_s == 0.0


def test_turn_began_is_known_during_a_turn_alone(loop: Loop) -> None:
    seen: list[float | None] = []
    loop.call_later(1.0, lambda: seen.append(loop.turn_began))
    loop.turn()
    assert seen == [101.0]
    assert loop.turn_began is None
