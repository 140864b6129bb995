"""What will happen in the world, in order of time. The supervisor's loop waits on it as if on sockets."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from itertools import count

from tzar_actors.loop.waiter import VirtualClock, VirtualWaiter

__all__ = ["Agenda", "Appointment"]


class Appointment:
    """Something that will happen, unless it is called off."""

    __slots__ = ("callback", "due")

    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self.callback: Callable[[], None] | None = callback

    def call_off(self) -> None:
        """It will not happen. Happened already: nothing changes."""
        self.callback = None


class Agenda(VirtualWaiter):
    """The world's appointments; a `Waiter` whose readable sockets are those that are due.

    What concerns the world alone happens while the supervisor waits, and does not wake it. Whoever gives the supervisor
    something to do says so by `wake`.

    Args:
        clock: shared with every life of the supervisor; only the agenda moves it.
    """

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock)
        self.clock = clock
        self.happened = 0
        self._entries: list[tuple[float, int, Appointment]] = []
        self._numbers = count()
        self._is_woken = False

    def at(self, due: float, callback: Callable[[], None]) -> Appointment:
        """`callback` happens when the clock shows `due`."""
        appointment = Appointment(due, callback)
        heapq.heappush(self._entries, (due, next(self._numbers), appointment))
        return appointment

    def after(self, seconds: float, callback: Callable[[], None]) -> Appointment:
        """`callback` happens in `seconds`."""
        return self.at(self.clock.now + seconds, callback)

    def wake(self) -> None:
        """The supervisor has something to do."""
        self._is_woken = True

    def wait(self, timeout_s: float | None) -> Iterable[Callable[[], None]]:
        """Lets happen what happens within `timeout_s` seconds, until the supervisor is woken; moves the clock.

        With a time-out of 0 it returns what is due now, as a look at sockets does.

        Raises:
            RuntimeError: nothing would ever happen again.
        """
        if timeout_s == 0.0:
            return self._due()
        if timeout_s is None:
            if not self._entries:
                raise RuntimeError("nothing would ever happen again in this world")
            timeout_s = float("inf")
        self._is_woken = False
        self._pass(self.clock.now + timeout_s)
        return ()

    def pass_time(self, until: float) -> None:
        """Time passes to `until`, or to the moment when the supervisor is woken."""
        self._is_woken = False
        self._pass(until)

    def _pass(self, until: float) -> None:
        entries, clock = self._entries, self.clock
        while entries and entries[0][0] <= until:
            due, _, appointment = heapq.heappop(entries)
            callback, appointment.callback = appointment.callback, None
            if callback is None:
                continue
            if due > clock.now:
                clock.now = due
            self.happened += 1
            callback()
            if self._is_woken:
                return
        if clock.now < until < float("inf"):
            clock.now = until

    def _due(self) -> Iterator[Callable[[], None]]:
        # One by one, as they are called: the first may call the second off.
        entries, now = self._entries, self.clock.now
        while entries and entries[0][0] <= now:
            appointment = heapq.heappop(entries)[2]
            callback, appointment.callback = appointment.callback, None
            if callback is not None:
                self.happened += 1
                yield callback
