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

    Args:
        clock: shared with every life of the supervisor; only the agenda moves it.
    """

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock)
        self.clock = clock
        self.happened = 0
        self._entries: list[tuple[float, int, Appointment]] = []
        self._numbers = count()

    def at(self, due: float, callback: Callable[[], None]) -> Appointment:
        """`callback` happens when the clock shows `due`."""
        appointment = Appointment(due, callback)
        heapq.heappush(self._entries, (due, next(self._numbers), appointment))
        return appointment

    def after(self, seconds: float, callback: Callable[[], None]) -> Appointment:
        """`callback` happens in `seconds`."""
        return self.at(self.clock.now + seconds, callback)

    def wait(self, timeout_s: float | None) -> Iterable[Callable[[], None]]:
        """What happens first, within `timeout_s` seconds; moves the clock to it, or to the end of the time.

        Raises:
            RuntimeError: nothing would ever happen again.
        """
        entries = self._entries
        while entries and entries[0][2].callback is None:
            heapq.heappop(entries)
        now = self.clock.now
        if timeout_s is None:
            if not entries:
                raise RuntimeError("nothing would ever happen again in this world")
            until = entries[0][0]
        else:
            until = now + timeout_s
        if not entries or entries[0][0] > until:
            self.clock.now = max(now, until)
            return ()
        self.clock.now = max(now, entries[0][0])
        return self._due()

    def pass_time(self, until: float) -> None:
        """The next thing happens with nobody waiting on it, or time passes to `until`."""
        for callback in self.wait(max(0.0, until - self.clock.now)):
            callback()

    def _due(self) -> Iterator[Callable[[], None]]:
        # One by one, as they are called: the first may call the second off.
        entries, now = self._entries, self.clock.now
        while entries and entries[0][0] <= now:
            appointment = heapq.heappop(entries)[2]
            callback, appointment.callback = appointment.callback, None
            if callback is not None:
                self.happened += 1
                yield callback
