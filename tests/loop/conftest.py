"""Loops for the tests: one on a virtual clock that a test turns itself, one on a thread as in the supervisor."""

import threading
import time
from collections.abc import Iterator

import pykka
import pytest

from tzar_actors.loop import Loop, PollWaiter, VirtualWaiter
from tzar_actors.loop.waiter import VirtualClock

PATIENCE_S = 20.0


@pytest.fixture(autouse=True)
def _no_actor_is_left_registered() -> Iterator[None]:
    yield
    for ref in pykka.ActorRegistry.get_all():
        pykka.ActorRegistry.unregister(ref)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(100.0)


@pytest.fixture
def loop(clock: VirtualClock) -> Loop:
    return Loop(clock, VirtualWaiter(clock))


@pytest.fixture
def running_loop() -> Iterator[Loop]:
    waiter = PollWaiter()
    loop = Loop(time.monotonic, waiter)
    thread = threading.Thread(target=loop.run, name="loop")
    thread.start()
    yield loop
    loop.stop()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    waiter.close()
