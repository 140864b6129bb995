"""Where events go: all that the supervisor's parts know of the log, and the fake for tests and simulations."""

from typing import Protocol

from tzar_actors.events.catalogue import Event, Level

__all__ = ["EventSink", "RecordedEvents"]


class EventSink(Protocol):
    """Takes the events of a turn of the loop."""

    def emit(self, event: Event) -> None:
        """Keeps `event` until the turn ends."""
        ...

    def hears(self, level: Level) -> bool:
        """Whether events of this level are kept. Who has many of a low one asks before it makes them."""
        ...

    def flush(self) -> None:
        """Writes what was kept: the end of a turn."""
        ...


class RecordedEvents:
    """An `EventSink` that keeps every event in `events`, whatever its level."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        """Keeps `event`."""
        self.events.append(event)

    def hears(self, level: Level) -> bool:
        """Every level is."""
        return True

    def flush(self) -> None:
        """Nothing is left to do: there is no file."""
