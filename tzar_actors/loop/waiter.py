"""How the loop waits: on real sockets, or on a clock that a simulation owns.

A wake-up from another thread must not be lost: the waiter reads its descriptor, then clears its flag, and only then
does the loop look for what was put.
"""

import selectors
import socket
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Protocol, TypeAlias

import zmq

__all__ = ["PollWaiter", "VirtualClock", "VirtualWaiter", "Waiter", "is_readable"]

Watched: TypeAlias = "zmq.Socket[bytes] | int"

_POLLIN: Final = int(zmq.POLLIN)


class Waiter(Protocol):
    """Waits for the first of: something readable, a wake-up, a time-out."""

    def watch(self, source: Watched, callback: Callable[[], None], *, reads_all: bool = False) -> None:
        """From now on `callback` is returned by `wait` whenever `source` is readable.

        Args:
            source: a ZeroMQ socket or a file descriptor.
            callback: what reads it.
            reads_all: of a socket: nothing but `callback` uses it, and leaves nothing unread. Else it is asked before
                each wait, since a socket's descriptor tells only of what came after its last use.
        """
        ...

    def unwatch(self, source: Watched) -> None:
        """Forgets `source`."""
        ...

    def wait(self, timeout_s: float | None) -> Iterable[Callable[[], None]]:
        """The callbacks of what is readable, after at most `timeout_s` seconds (None: no limit)."""
        ...

    def wake(self) -> None:
        """Ends a `wait`, the one under way or else the next. May be called from any thread."""
        ...

    def close(self) -> None:
        """Lets go of the descriptors."""
        ...


class PollWaiter:
    """Waits on ZeroMQ sockets and file descriptors; woken by a socket pair, which Windows' poll takes as well.

    It waits on the sockets' own descriptors: ZeroMQ's poll asks every socket twice, which costs more than a small game.

    Args:
        lock: held while a socket is asked, where other threads use the sockets as well. Whoever uses one then has to
            `wake` the waiter when the socket is readable afterwards, since its descriptor tells nobody else.
    """

    def __init__(self, lock: "AbstractContextManager[Any] | None" = None) -> None:
        self._lock = nullcontext() if lock is None else lock
        self._selector = selectors.DefaultSelector()
        self._callbacks: dict[int, Callable[[], None]] = {}  # by descriptor
        self._sockets: dict[int, zmq.Socket[bytes]] = {}  # by descriptor
        self._asked: dict[int, zmq.Socket[bytes]] = {}  # those that are asked before the next wait
        self._reading_all: set[int] = set()
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._woken = False
        self.watch(self._reader.fileno(), self._read_wakeups)

    def watch(self, source: Watched, callback: Callable[[], None], *, reads_all: bool = False) -> None:
        """See `Waiter`."""
        if isinstance(source, int):
            descriptor = source
        else:
            descriptor = _descriptor(source)
            self._sockets[descriptor] = self._asked[descriptor] = source
            if reads_all:
                self._reading_all.add(descriptor)
        self._selector.register(descriptor, selectors.EVENT_READ)
        self._callbacks[descriptor] = callback

    def unwatch(self, source: Watched) -> None:
        """See `Waiter`."""
        descriptor = source if isinstance(source, int) else _descriptor(source)
        self._selector.unregister(descriptor)
        self._sockets.pop(descriptor, None)
        self._asked.pop(descriptor, None)
        self._reading_all.discard(descriptor)
        del self._callbacks[descriptor]

    def wait(self, timeout_s: float | None) -> Iterable[Callable[[], None]]:
        """See `Waiter`."""
        asked, sockets = self._asked, self._sockets
        with self._lock:
            readable = [descriptor for descriptor, source in asked.items() if is_readable(source)]
        if len(asked) > len(sockets) - len(self._reading_all):  # some were new
            self._asked = {of: source for of, source in sockets.items() if of not in self._reading_all}
        for key, _ in self._selector.select(0 if readable else timeout_s):
            source = sockets.get(key.fd)
            if source is not None:
                with self._lock:
                    if key.fd in readable or not is_readable(source):
                        continue
            readable.append(key.fd)
        # Looked up one by one, as they are called: a callback may unwatch and close what was readable as well.
        return (self._callbacks[descriptor] for descriptor in readable if descriptor in self._callbacks)

    def wake(self) -> None:
        """See `Waiter`."""
        if not self._woken:
            self._woken = True
            try:
                self._writer.send(b"\0")
            except BlockingIOError:
                pass  # the pair is full of wake-ups already
            except OSError:
                pass  # closed: the loop has ended, and nobody is left to wake

    def close(self) -> None:
        """See `Waiter`."""
        self._selector.close()
        self._reader.close()
        self._writer.close()

    def _read_wakeups(self) -> None:
        self._reader.recv(4096)
        self._woken = False


def _descriptor(source: "zmq.Socket[bytes]") -> int:
    descriptor = source.get(zmq.FD)
    assert isinstance(descriptor, int)
    return descriptor


def is_readable(source: "zmq.Socket[bytes]") -> bool:
    """Whether something can be read from the socket now."""
    events = source.get(zmq.EVENTS)
    assert isinstance(events, int)
    return bool(events & _POLLIN)


class VirtualClock:
    """A clock that stands still until somebody moves it."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Monotonic seconds."""
        return self.now


class VirtualWaiter:
    """Never waits: it moves a virtual clock to the time-out's end. What happens meanwhile must stand in timers."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    def watch(self, source: Watched, callback: Callable[[], None], *, reads_all: bool = False) -> None:
        """There are no sockets in a simulation."""
        raise TypeError(f"a virtual loop cannot watch {source!r}")

    def unwatch(self, source: Watched) -> None:
        """As impossible as watching."""
        raise TypeError(f"a virtual loop cannot unwatch {source!r}")

    def wait(self, timeout_s: float | None) -> Iterable[Callable[[], None]]:
        """See `Waiter`. Without a time-out nothing would ever happen again, which is an error."""
        if timeout_s is None:
            raise RuntimeError("a virtual loop with no timer and no mail would wait for ever")
        self._clock.now += timeout_s
        return ()

    def wake(self) -> None:
        """See `Waiter`. There is one thread only."""

    def close(self) -> None:
        """See `Waiter`."""
