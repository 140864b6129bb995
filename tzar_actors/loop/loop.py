"""The loop: reads sockets, fires timers, gives actors their turns, commits, releases, waits.

    for each readable socket: read, decode, tell the actor it is for
    fire the timers that are due
    until nothing is pending, but for a bounded number of rounds:
        give actors with mail their turns, one message each
        when no actor has mail, finish the round: what they said and need not hold goes out
        if somebody waits for a commit, or one was owed for some milliseconds:
            read on while there is something to read, for a moment: a commit costs the same for one record and for ten
            commit what was journalled; release what was held for it
    finish the turn
    wait, if nothing is pending

It runs on one thread. Only `wake`, `stop` and an inbox's `put` may be used from others.
"""

import heapq
import threading
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Final

from tzar_actors.loop.waiter import Waiter

if TYPE_CHECKING:
    from tzar_actors.loop.actor import LoopActor

__all__ = ["Loop", "Timer"]

_ROUNDS: Final = 16  # of turns between two looks at the sockets: chatter among actors starves no socket
_GATHER_S: Final = 0.002  # that a commit may wait for more to commit, while there is more to read
_LAZY_S: Final = 0.005  # that a commit may be owed while nobody is in a hurry for it
_LATE_S: Final = 0.05  # a turn that begins later or lasts longer than this is counted as late
_FEW_TIMERS: Final = 64  # fewer than this are not worth a search for cancelled ones
_NEVER: Final = float("inf")


class Timer:
    """A call that the loop owes. `cancel()` takes it back."""

    __slots__ = ("callback", "due")

    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """The call will not be made. Made already: nothing changes."""
        self.callback = None


class Loop:
    """Runs actors, timers and sockets on the calling thread.

    Args:
        clock: gives monotonic seconds.
        waiter: how to wait.
        commit: called some milliseconds after `mark_dirty`, or at the end of the round when something is held; what was
            held is released when it returns. What it raises ends the loop, and what was held is never released.
        finish_round: called whenever no actor has mail, before a commit.
        finish_turn: called once at the end of each turn.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        waiter: Waiter,
        *,
        commit: Callable[[], None] = lambda: None,
        finish_round: Callable[[], None] = lambda: None,
        finish_turn: Callable[[], None] = lambda: None,
    ) -> None:
        self.clock = clock
        self.waiter = waiter
        self.late_s = 0.0
        self.turn_began: float | None = None
        self._commit = commit
        self._finish_round = finish_round
        self._finish_turn = finish_turn
        self._ready: deque[LoopActor] = deque()
        self._held: list[Callable[[], None]] = []
        self._dirty = False
        self._owed_since: float | None = None
        self._is_hurried = False
        self._timers: list[tuple[float, int, Timer]] = []
        self._sweep_at = _FEW_TIMERS
        self._numbers = count()
        self._thread: int | None = None
        self._stopping = False

    def now(self) -> float:
        """Monotonic seconds."""
        return self.clock()

    def call_at(self, due: float, callback: Callable[[], None]) -> Timer:
        """Calls `callback` on the loop when the clock shows `due`; due at the same time, in the order of the calls."""
        timer = Timer(due, callback)
        heapq.heappush(self._timers, (due, next(self._numbers), timer))
        if len(self._timers) > self._sweep_at:
            self._sweep_timers()
        return timer

    def call_later(self, after_s: float, callback: Callable[[], None]) -> Timer:
        """Calls `callback` on the loop after `after_s` seconds."""
        return self.call_at(self.clock() + after_s, callback)

    def mark_dirty(self) -> None:
        """Something was journalled: a commit is owed, in some milliseconds unless something is held for it."""
        self._dirty = True
        self._owe()

    def hold(self, release: Callable[[], None], *, lazily: bool = False) -> None:
        """Calls `release` when everything journalled so far is committed, and never if that fails.

        Args:
            release: what to call.
            lazily: nobody is in a hurry for it; the commit may wait for others.
        """
        self._held.append(release)
        self._owe()
        if not lazily:
            self._is_hurried = True

    def hurry(self) -> None:
        """Somebody waits for what is held: this round ends with a commit."""
        self._is_hurried = True

    def schedule(self, actor: "LoopActor") -> None:
        """Gives `actor` one turn. May be called from any thread."""
        self._ready.append(actor)
        if threading.get_ident() != self._thread:
            self.waiter.wake()

    def stop(self) -> None:
        """Ends `run` after the current turn. May be called from any thread."""
        self._stopping = True
        if threading.get_ident() != self._thread:
            self.waiter.wake()

    def run(self) -> None:
        """Turns until `stop` is called, or until something raises what no actor may swallow."""
        try:
            while not self._stopping:
                self.turn()
        finally:
            self.turn_began = None  # a turn that raised is over: nothing is stalled while the process ends

    def turn(self, longest_wait_s: float | None = None) -> None:
        """One turn: waits, then does what is due.

        Args:
            longest_wait_s: waits no longer than this, in seconds.
        """
        self._thread = threading.get_ident()
        wait_s = self._wait_s(longest_wait_s)
        asked = self.clock()
        readable = self.waiter.wait(wait_s)
        began = self.turn_began = self.clock()
        if wait_s is not None and began - asked - wait_s > _LATE_S:
            self.late_s += began - asked - wait_s
        for callback in readable:
            callback()
        self._fire_timers(began)
        for _ in range(_ROUNDS):
            self._give_turns()
            if self._ready:
                continue
            self._finish_round()
            if self._owed_since is None:
                if self._ready:
                    continue
                break
            if self._gather(began):
                continue
            self._settle()
            if not self._is_pending():
                break
        if self._owed_since is not None:
            self._settle()
        self._finish_round()  # what was released may have said something as well
        self._finish_turn()
        self.turn_began = None
        lasted_s = self.clock() - began
        if lasted_s > _LATE_S:
            self.late_s += lasted_s

    def _gather(self, began: float) -> bool:
        """Reads what has come in meanwhile, for a moment: one commit then does for all of it. False: nothing has."""
        if not self._is_due() or self.clock() - began > _GATHER_S:
            return False
        has_read = False
        for callback in self.waiter.wait(0):
            callback()
            has_read = True
        return has_read

    def _is_pending(self) -> bool:
        # A release may hold as well, and so may `finish_turn`: neither may wait for the next mail.
        return bool(self._ready) or self._is_due()

    def _owe(self) -> None:
        if self._owed_since is None:
            self._owed_since = self.clock()

    def _is_due(self) -> bool:
        """Whether a commit is owed that may wait no longer."""
        if self._owed_since is None:
            return False
        return self._is_hurried or self._stopping or self.clock() >= self._owed_since + _LAZY_S

    def _wait_s(self, longest: float | None) -> float | None:
        if self._stopping or self._ready or (self._owed_since is not None and self._is_due()):
            return 0.0
        timers = self._timers
        while timers and timers[0][2].callback is None:
            heapq.heappop(timers)
        due = timers[0][0] if timers else _NEVER
        if self._owed_since is not None:
            due = min(due, self._owed_since + _LAZY_S)
        if due == _NEVER:
            return longest
        until = max(0.0, due - self.clock())
        return until if longest is None else min(longest, until)

    def _fire_timers(self, now: float) -> None:
        # Taken out first: a callback that sets a timer for now, where a virtual clock stands still, gets it next turn.
        due, timers = [], self._timers
        while timers and timers[0][0] <= now:
            due.append(heapq.heappop(timers)[2])
        for timer in due:
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()

    def _sweep_timers(self) -> None:
        """Forgets cancelled timers. Most are cancelled long before they are due, and would pile up until then."""
        self._timers = [entry for entry in self._timers if entry[2].callback is not None]
        heapq.heapify(self._timers)
        self._sweep_at = max(_FEW_TIMERS, 2 * len(self._timers))

    def _give_turns(self) -> None:
        ready = self._ready
        for _ in range(len(ready)):
            ready.popleft().take_turn()

    def _settle(self) -> None:
        if not self._is_due():
            return
        held, self._held = self._held, []
        self._owed_since, self._is_hurried = None, False
        if self._dirty:
            self._dirty = False
            self._commit()
        for release in held:
            release()
