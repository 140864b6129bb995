"""A thread that ends the process when the loop no longer turns. The way back is the restart, as after any other end."""

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import TextIO

from tzar_actors.loop.loop import Loop

__all__ = ["EXIT_STALLED", "Watchdog"]

EXIT_STALLED = 75


class Watchdog:
    """Watches a loop.

    Args:
        loop: the loop; it runs on another thread.
        limit_s: seconds that one turn may last.
        on_stall: called on the watchdog's thread with the seconds the turn has lasted, before the end.
        stacks: where the stacks of all threads are written.
        end: ends the process.
    """

    def __init__(
        self,
        loop: Loop,
        limit_s: float,
        on_stall: Callable[[float], None],
        stacks: TextIO = sys.stderr,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._loop = loop
        self._limit_s = limit_s
        self._on_stall = on_stall
        self._stacks = stacks
        self._end = end
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begins to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Ends watching."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(self._limit_s / 4):
            began = self._loop.turn_began
            # The machine's own monotonic clock, which is the loop's as well where there is something to watch.
            if began is not None and (lasted := time.monotonic() - began) > self._limit_s:
                faulthandler.dump_traceback(file=self._stacks, all_threads=True)
                self._on_stall(lasted)
                self._end(EXIT_STALLED)
                return
