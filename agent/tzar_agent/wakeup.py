"""How other threads and signals reach the loop: a bounded queue, and a pair of sockets that end its wait."""

import queue
import select
import socket
from typing import Any

__all__ = ["Mailbox"]

_BOUND = 1_000


class Mailbox:
    """Signals for the loop from any thread. Who posts too much waits, so that memory stays bounded."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Any] = queue.Queue(_BOUND)
        self.reader, self.writer = socket.socketpair()  # a pair of sockets, as Windows' poll takes no pipes
        self.reader.setblocking(False)
        self.writer.setblocking(False)

    def post(self, signal: object) -> None:
        """Puts `signal` into the queue and wakes the loop."""
        self._queue.put(signal)
        self.wake()

    def wake(self) -> None:
        """Ends the loop's wait."""
        try:
            self.writer.send(b"\0")
        except OSError:
            return  # full of wake-ups that were not read yet, or the loop has ended

    def drain(self) -> list[Any]:
        """What was posted. The wake-ups are read before the queue: the other way round one could be lost."""
        try:
            while len(self.reader.recv(4096)) == 4096:
                continue
        except OSError:
            pass  # nothing to read: woken by something else
        posted: list[Any] = []
        try:
            while len(posted) < _BOUND:
                posted.append(self._queue.get_nowait())
        except queue.Empty:
            return posted
        self.wake()  # there may be more
        return posted

    def wait(self, timeout_s: float) -> None:
        """Waits for a wake-up, at most `timeout_s` seconds."""
        select.select([self.reader], [], [], timeout_s)

    def close(self) -> None:
        """Closes the sockets."""
        self.reader.close()
        self.writer.close()
