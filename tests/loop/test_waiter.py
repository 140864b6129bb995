"""The waiter on real ZeroMQ sockets and descriptors."""

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import zmq

from tzar_actors.loop import Loop, LoopActor, PollWaiter

PATIENCE_S = 20.0

Pair = tuple["zmq.Socket[bytes]", "zmq.Socket[bytes]"]


@pytest.fixture
def waiter() -> Iterator[PollWaiter]:
    waiter = PollWaiter()
    yield waiter
    waiter.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    context = zmq.Context()
    here, there = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    port = here.bind_to_random_port("tcp://127.0.0.1")
    there.connect(f"tcp://127.0.0.1:{port}")
    yield here, there
    context.destroy(linger=0)


def test_a_readable_zmq_socket_is_read_on_the_loop(waiter: PollWaiter, pair: Pair) -> None:
    here, there = pair
    loop = Loop(time.monotonic, waiter)
    got: list[bytes] = []

    def read() -> None:
        got.append(here.recv())
        if len(got) == 3:
            loop.stop()

    waiter.watch(here, read)
    for number in range(3):
        there.send(b"%d" % number)
    loop.call_later(PATIENCE_S, loop.stop)
    loop.run()
    assert got == [b"0", b"1", b"2"]


def test_a_plain_descriptor_is_watched_as_well(waiter: PollWaiter) -> None:
    here, there = socket.socketpair()
    with here, there:
        got: list[bytes] = []
        waiter.watch(here.fileno(), lambda: got.append(here.recv(10)))
        there.send(b"hello")
        for callback in waiter.wait(PATIENCE_S):
            callback()
        assert got == [b"hello"]
        waiter.unwatch(here.fileno())


def test_an_unwatched_socket_is_forgotten(waiter: PollWaiter, pair: Pair) -> None:
    here, there = pair
    waiter.watch(here, lambda: pytest.fail("it was unwatched"))
    waiter.unwatch(here)
    there.send(b"hello")
    assert here.poll(int(PATIENCE_S * 1000))
    assert list(waiter.wait(0.0)) == []


def test_a_callback_may_unwatch_and_close_another_that_is_readable_too(waiter: PollWaiter) -> None:
    called: list[str] = []
    ends = [socket.socketpair() for _ in range(2)]
    sources = [here.fileno() for here, _ in ends]

    def close_the_other(name: str, mine: int) -> None:
        called.append(name)
        for number, source in enumerate(sources):
            if number != mine:
                waiter.unwatch(source)
                ends[number][0].close()

    waiter.watch(sources[0], lambda: close_the_other("first", 0))
    waiter.watch(sources[1], lambda: close_the_other("second", 1))
    for _, there in ends:
        there.send(b"x")
    for callback in waiter.wait(PATIENCE_S):
        callback()
    assert len(called) == 1
    for here, there in ends:
        here.close()
        there.close()


def test_a_wake_before_the_wait_ends_the_wait(waiter: PollWaiter) -> None:
    waiter.wake()
    began = time.monotonic()
    for callback in waiter.wait(PATIENCE_S):
        callback()
    assert time.monotonic() - began < PATIENCE_S / 2
    assert list(waiter.wait(0.0)) == []  # it was one wake-up, and it is used up


def test_a_thousand_wakes_fill_no_buffer(waiter: PollWaiter) -> None:
    for _ in range(200_000):
        waiter.wake()
    for callback in waiter.wait(PATIENCE_S):
        callback()
    assert list(waiter.wait(0.0)) == []


def test_a_wake_after_the_close_is_harmless() -> None:
    waiter = PollWaiter()
    waiter.close()
    waiter.wake()


def test_a_wait_lasts_at_least_as_long_as_its_timer_needs(waiter: PollWaiter) -> None:
    loop = Loop(time.monotonic, waiter)
    fired: list[float] = []
    due = time.monotonic() + 0.0105
    loop.call_at(due, lambda: fired.append(time.monotonic()))
    turns = 0
    while not fired:
        loop.turn()
        turns += 1
    assert fired[0] >= due
    assert turns <= 2  # it does not spin until the timer is due


def test_chatter_between_actors_starves_no_socket(waiter: PollWaiter, pair: Pair) -> None:
    here, there = pair
    loop = Loop(time.monotonic, waiter)
    got: list[bytes] = []

    class Chatterer(LoopActor):
        def on_receive(self, message: Any) -> None:
            self.actor_ref.tell(message)

    def read() -> None:
        got.append(here.recv())
        loop.stop()

    waiter.watch(here, read)
    Chatterer.start(loop).tell("for ever")
    sender = threading.Thread(target=there.send, args=(b"heard",))
    sender.start()
    loop.call_later(PATIENCE_S, loop.stop)
    loop.run()
    sender.join(PATIENCE_S)
    assert got == [b"heard"]


def test_chatter_between_actors_starves_no_timer(waiter: PollWaiter) -> None:
    loop = Loop(time.monotonic, waiter)

    class Chatterer(LoopActor):
        def on_receive(self, message: Any) -> None:
            self.actor_ref.tell(message)

    Chatterer.start(loop).tell("for ever")
    began = time.monotonic()
    loop.call_later(0.05, loop.stop)
    loop.run()
    assert time.monotonic() - began < PATIENCE_S


class CountingWaiter(PollWaiter):
    """Counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def wait(self, timeout_s: float | None) -> Iterable[Callable[[], None]]:
        self.asked += 1
        return super().wait(timeout_s)


def test_a_commit_does_for_what_came_in_meanwhile_and_waits_no_longer_when_nothing_did(pair: Pair) -> None:
    here, there = pair
    story: list[str] = []
    waiter = CountingWaiter()
    # The clock stands still: however slow the machine, no time passes that a commit may wait.
    loop = Loop(lambda: 0.0, waiter, commit=lambda: story.append("commit"))

    def read() -> None:
        story.append(here.recv().decode())
        loop.mark_dirty()
        loop.hurry()
        if story == ["first"]:
            there.send(b"second")
            assert here.poll(int(PATIENCE_S * 1000))

    waiter.watch(here, read)
    there.send(b"first")
    loop.turn(PATIENCE_S)
    assert story == ["first", "second", "commit"]

    story.clear()
    waiter.asked = 0
    loop.mark_dirty()
    loop.hurry()
    loop.turn(0.0)
    assert story == ["commit"]
    assert waiter.asked == 2  # once for the turn, and once for what may have come since
    waiter.close()


def test_what_came_while_its_socket_was_used_elsewhere_is_found_by_the_next_wait(
    waiter: PollWaiter, pair: Pair
) -> None:
    here, there = pair
    got: list[bytes] = []
    waiter.watch(here, lambda: got.append(here.recv()))
    assert list(waiter.wait(0.0)) == []
    there.send(b"hello")
    assert here.poll(int(PATIENCE_S * 1000))  # it took the descriptor's news
    for callback in waiter.wait(PATIENCE_S):
        callback()
    assert got == [b"hello"]


def test_a_socket_that_its_callback_leaves_unread_is_found_again(waiter: PollWaiter, pair: Pair) -> None:
    here, there = pair
    for number in range(3):
        there.send(b"%d" % number)
    got: list[bytes] = []
    waiter.watch(here, lambda: got.append(here.recv()))
    begin = time.monotonic()
    while len(got) < 3:
        assert time.monotonic() - begin < PATIENCE_S
        for callback in waiter.wait(PATIENCE_S):
            callback()
    assert got == [b"0", b"1", b"2"]
    assert list(waiter.wait(0.0)) == []


def test_one_that_reads_all_is_asked_once_and_then_found_by_its_descriptor(waiter: PollWaiter, pair: Pair) -> None:
    here, there = pair
    there.send(b"before")
    assert here.poll(int(PATIENCE_S * 1000))
    got: list[bytes] = []

    def read() -> None:
        while here.poll(0):
            got.append(here.recv())

    waiter.watch(here, read, reads_all=True)
    for word in (b"before", b"after"):
        begin = time.monotonic()
        while word not in got:
            assert time.monotonic() - begin < PATIENCE_S
            for callback in waiter.wait(PATIENCE_S):
                callback()
        if word == b"before":
            there.send(b"after")
    assert got == [b"before", b"after"]
