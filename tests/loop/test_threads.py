"""Actors on a loop that runs on its own thread, and those who talk to them from others."""

import threading
import time
from typing import Any

import pykka
import pytest

from tzar_actors.loop import Loop, LoopActor, PollWaiter

PATIENCE_S = 20.0


class Counter(LoopActor):
    def __init__(self, loop: Loop) -> None:
        super().__init__(loop)
        self.seen: dict[int, list[int]] = {}
        self.all_seen = threading.Event()
        self.expected = 0
        self.count = 0
        self.threads: set[int] = set()

    def on_receive(self, message: tuple[int, int]) -> int:
        self.threads.add(threading.get_ident())
        self.seen.setdefault(message[0], []).append(message[1])
        self.count += 1
        if self.count == self.expected:
            self.all_seen.set()
        return self.count

    def add(self, first: int, second: int) -> int:
        return first + second

    def myself(self) -> "Counter":
        return self

    def fail(self) -> None:
        raise LookupError("nothing there")


def test_an_ask_from_another_thread_wakes_the_loop_and_is_answered(running_loop: Loop) -> None:
    ref = Counter.start(running_loop)
    for number in range(100):  # each of them finds the loop asleep, or about to sleep
        assert ref.ask((0, number), timeout=PATIENCE_S) == number + 1


def test_a_proxy_works_from_another_thread(running_loop: Loop) -> None:
    proxy = Counter.start(running_loop).proxy()
    assert proxy.add(2, second=3).get(timeout=PATIENCE_S) == 5
    proxy.expected = 7
    assert proxy.expected.get(timeout=PATIENCE_S) == 7
    with pytest.raises(LookupError, match="nothing there"):
        proxy.fail().get(timeout=PATIENCE_S)
    assert proxy.add(1, 1).get(timeout=PATIENCE_S) == 2


def test_stop_all_from_another_thread_stops_every_actor(running_loop: Loop) -> None:
    refs = [Counter.start(running_loop) for _ in range(5)]
    assert pykka.ActorRegistry.stop_all(timeout=PATIENCE_S) == [True] * 5
    assert not any(ref.is_alive() for ref in refs)
    assert pykka.ActorRegistry.get_all() == []


def test_no_message_of_many_threads_is_lost_and_each_threads_order_is_kept(running_loop: Loop) -> None:
    threads, messages = 8, 2_000
    ref = Counter.start(running_loop)
    actor: Counter = ref.proxy().myself().get(timeout=PATIENCE_S)
    actor.expected = threads * messages

    def put(name: int) -> None:
        for number in range(messages):
            ref.tell((name, number))

    putters = [threading.Thread(target=put, args=(name,)) for name in range(threads)]
    for putter in putters:
        putter.start()
    for putter in putters:
        putter.join(PATIENCE_S)
    assert actor.all_seen.wait(PATIENCE_S), f"only {actor.count} of {actor.expected} messages arrived"
    assert actor.seen == {name: list(range(messages)) for name in range(threads)}
    assert len(actor.threads) == 1


def test_no_ask_of_many_threads_stays_without_an_answer(running_loop: Loop) -> None:
    """Askers wait for each answer, so the loop falls asleep and is woken all the time: a lost wake-up hangs."""
    ref = Counter.start(running_loop)
    failed: list[Exception] = []

    def ask(name: int) -> None:
        try:
            for number in range(300):
                ref.ask((name, number), timeout=PATIENCE_S)
        except (pykka.Timeout, pykka.ActorDeadError) as error:
            failed.append(error)

    askers = [threading.Thread(target=ask, args=(name,)) for name in range(6)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(2 * PATIENCE_S)
    assert not failed
    assert ref.ask((0, 300), timeout=PATIENCE_S) == 6 * 300 + 1


def test_asks_that_race_with_the_end_of_the_actor_are_all_answered(running_loop: Loop) -> None:
    unanswered = 0
    for _ in range(100):
        ref = Counter.start(running_loop)
        futures: list[pykka.Future[Any]] = []
        begin = threading.Barrier(2)

        def ask(
            ref: "pykka.ActorRef[Counter]" = ref,
            futures: "list[pykka.Future[Any]]" = futures,
            begin: threading.Barrier = begin,
        ) -> None:
            begin.wait(PATIENCE_S)
            for number in range(20):
                futures.append(ref.ask((0, number), block=False))

        asker = threading.Thread(target=ask)
        asker.start()
        begin.wait(PATIENCE_S)
        ref.stop(block=False)
        asker.join(PATIENCE_S)
        for future in futures:
            try:
                future.get(timeout=PATIENCE_S)
            except pykka.ActorDeadError:
                continue
            except pykka.Timeout:
                unanswered += 1
    assert unanswered == 0


def test_an_actor_started_from_another_thread_starts_on_the_loops_thread(running_loop: Loop) -> None:
    where: list[int] = []

    class Placed(LoopActor):
        def on_start(self) -> None:
            where.append(threading.get_ident())

        def on_receive(self, message: Any) -> int:
            return threading.get_ident()

    ref = Placed.start(running_loop)
    assert ref.ask("where?", timeout=PATIENCE_S) == where[0] != threading.get_ident()


def test_a_threading_actor_and_a_loop_actor_tell_each_other(running_loop: Loop) -> None:
    done = threading.Event()

    class Slow(pykka.ThreadingActor):
        use_daemon_thread = True

        def on_receive(self, message: "tuple[pykka.ActorRef[Any], int]") -> None:
            asker, number = message
            asker.tell(number + 1)

    class Decider(LoopActor):
        def __init__(self, loop: Loop, slow: "pykka.ActorRef[Slow]") -> None:
            super().__init__(loop)
            self.slow = slow

        def on_receive(self, number: int) -> None:
            if number < 200:
                self.slow.tell((self.actor_ref, number))
            else:
                done.set()

    slow = Slow.start()
    Decider.start(running_loop, slow).tell(0)
    assert done.wait(PATIENCE_S)
    slow.stop(timeout=PATIENCE_S)


def test_stop_from_another_thread_ends_a_loop_that_sleeps_for_ever() -> None:
    waiter = PollWaiter()
    loop = Loop(time.monotonic, waiter)
    thread = threading.Thread(target=loop.run)
    thread.start()
    ref = Counter.start(loop)
    ref.ask((0, 0), timeout=PATIENCE_S)
    loop.stop()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    waiter.close()
