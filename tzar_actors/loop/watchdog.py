"""A thread that ends the process when the loop no longer turns. The way back is the restart, as after any other end.

It does not judge by the clock alone: a process that was stopped as a whole (a suspended machine, a debugger) comes back
late and is well. It counts its own waits, each of which found the loop in the same turn.
"""

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Final, TextIO

from tzar_actors.loop.loop import Loop

__all__ = ["EXIT_STALLED", "Watchdog"]

EXIT_STALLED: Final = 75

_LOOKS: Final = 4  # at the loop in each time limit
_LAST_WORDS_S: Final = 2.0  # for the stacks and `on_stall`: what the loop hangs in, a log or a disk, may hold them too


class Watchdog:
    """Watches a loop whose clock is `time.monotonic`.

    Args:
        loop: the loop; it runs on another thread.
        limit_s: seconds that one turn may last.
        on_stall: called with the seconds that the turn has lasted before the process ends, on a thread of its own that
            is waited for no longer than 2 seconds.
        stacks: where the stacks of all threads are written, a real file; None: standard error.
        end: ends the process.
    """

    def __init__(
        self,
        loop: Loop,
        limit_s: float,
        on_stall: Callable[[float], None],
        stacks: TextIO | None = None,
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
        seen: float | None = None
        looks = 0
        while not self._stopped.wait(self._limit_s / _LOOKS):
            began = self._loop.turn_began
            looks = looks + 1 if began is not None and began == seen else 0
            seen = began
            if began is not None and looks >= _LOOKS:
                lasted_s = time.monotonic() - began
                last_words = threading.Thread(target=self._report, args=(lasted_s,), name="stall", daemon=True)
                try:
                    last_words.start()
                    last_words.join(_LAST_WORDS_S)
                finally:  # a process out of threads ends as well
                    self._end(EXIT_STALLED)
                return

    def _report(self, lasted_s: float) -> None:
        try:
            faulthandler.dump_traceback(file=self._stacks or sys.stderr, all_threads=True)
        finally:
            self._on_stall(lasted_s)
