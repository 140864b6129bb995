"""How the loop waits: on real sockets, or on a clock that a simulation owns.

A wake-up from another thread must not be lost: the waiter reads its descriptor, then clears its flag, and only then
does the loop look for what was put.
"""

import socket
from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

import zmq

__all__ = ["PollWaiter", "VirtualClock", "VirtualWaiter", "Waiter"]

Watched: TypeAlias = "zmq.Socket[bytes] | int"


class Waiter(Protocol):
    """Waits for the first of: something readable, a wake-up, a time-out."""

    def watch(self, source: Watched, callback: Callable[[], None]) -> None:
        """From now on `callback` is returned by `wait` whenever `source` is readable."""
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
    """Waits on ZeroMQ sockets and file descriptors; woken by a socket pair, which Windows' poll takes as well."""

    def __init__(self) -> None:
        self._poller = zmq.Poller()
        self._callbacks: dict[object, Callable[[], None]] = {}
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._woken = False
        self.watch(self._reader.fileno(), self._read_wakeups)

    def watch(self, source: Watched, callback: Callable[[], None]) -> None:
        """See `Waiter`."""
        self._poller.register(source, zmq.POLLIN)
        self._callbacks[source] = callback

    def unwatch(self, source: Watched) -> None:
        """See `Waiter`."""
        self._poller.unregister(source)
        del self._callbacks[source]

    def wait(self, timeout_s: float | None) -> Iterable[Callable[[], None]]:
        """See `Waiter`."""
        # Rounded up: a poll that ends a little before a timer is due would spin until it is.
        timeout_ms = None if timeout_s is None else int(timeout_s * 1000 + 0.999)
        readable = self._poller.poll(timeout_ms)
        # Looked up one by one, as they are called: a callback may unwatch and close what was readable as well.
        return (self._callbacks[source] for source, _ in readable if source in self._callbacks)

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
        self.unwatch(self._reader.fileno())
        self._reader.close()
        self._writer.close()

    def _read_wakeups(self) -> None:
        self._reader.recv(4096)
        self._woken = False


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

    def watch(self, source: Watched, callback: Callable[[], None]) -> None:
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
