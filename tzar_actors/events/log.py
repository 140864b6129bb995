"""The log of events: JSON lines through loguru, a whole turn of the loop in one of its records.

A record costs loguru some 30 µs whatever it holds, so a turn's events share one. Ordinary lines, of loguru and of
the standard library's logging, land in the same file as events named `log`.
"""

import logging
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from loguru import logger

from tzar_actors.events.catalogue import Event, Level, Message
from tzar_actors.events.file import RotatingFile
from tzar_actors.events.rendering import console_line, json_line
from tzar_actors.settings import Settings

if TYPE_CHECKING:
    from loguru import Record

__all__ = ["EventLog"]

_UNITS = {"KB": 1000, "MB": 1000**2, "GB": 1000**3}


class EventLog:
    """Writes events to the file that the settings name, and the important ones to stderr for people.

    While it is open, loguru's own handler on stderr is gone and the root of the standard library's logging leads here.

    Args:
        settings: `log` says the level, the rotation and how much is kept; `log_file` is the file.
        console: whether people see the important events on stderr.
        clock: gives seconds since 1970.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, settings: Settings, *, console: bool = False, clock: Callable[[], float] = time.time) -> None:
        level = settings.log.level
        self._floor = Level[level]
        self._clock = clock
        self._console = console
        self._pending: deque[tuple[float, Event]] = deque()  # a deque, so that a watchdog's thread may emit as well
        size, unit = settings.log.rotation.split()
        file = RotatingFile(settings.log_file, int(size) * _UNITS[unit], settings.log.retention, self._loss)
        with suppress(ValueError):  # it may be gone already
            logger.remove(0)
        # Two of these may be open in one process, and each must write its own events alone.
        self._to_file = logger.bind(tzar_file=id(self)).opt(raw=True)
        self._to_people = logger.bind(tzar_people=id(self))
        self._handlers = [
            logger.add(file, level=level, format=_format, filter=self._belongs_to_file, diagnose=False, backtrace=False)
        ]
        if console:
            self._handlers.append(
                logger.add(
                    sys.stderr,
                    level=max(self._floor, Level.INFO),
                    format="{time:HH:mm:ss} <level>{message}</level>",
                    filter=self._belongs_to_people,
                    diagnose=False,
                    backtrace=False,
                )
            )
        self._from_logging = _FromLogging()
        logging.getLogger().addHandler(self._from_logging)
        # Of other libraries only warnings are wanted; Pykka's lines are about our own actors.
        self._level_of_pykka = logging.getLogger("pykka").level
        logging.getLogger("pykka").setLevel(level)

    def emit(self, event: Event) -> None:
        """Keeps `event` for `flush`, with the time, unless it is below the level. Any thread may call it."""
        if self._floor <= event.LEVEL:
            self._pending.append((self._clock(), event))

    def hears(self, level: Level) -> bool:
        """Whether events of this level are kept."""
        return self._floor <= level

    @property
    def is_waiting(self) -> bool:
        """Whether something waits for `flush`."""
        return bool(self._pending)

    def flush(self) -> None:
        """Writes what was emitted, in order, and tells stderr, rather than raises, when that fails.

        Any thread may call it; between the writes of two threads there is no order.
        """
        pending, lines = self._pending, []
        while pending:
            try:
                at, event = pending.popleft()
            except IndexError:  # another thread took the last one
                break
            lines.append(json_line(event, at))
            if self._console and event.LEVEL >= Level.INFO and (text := console_line(event)):
                self._to_people.log(event.LEVEL.name, "{}", text)
        if lines:
            self._to_file.log(self._floor.name, "".join(lines))

    def close(self) -> None:
        """Writes what is left and closes the file; what is emitted later goes nowhere."""
        self.flush()
        logging.getLogger().removeHandler(self._from_logging)
        logging.getLogger("pykka").setLevel(self._level_of_pykka)
        for handler in self._handlers:
            logger.remove(handler)

    def _belongs_to_file(self, record: "Record") -> bool:
        extra = record["extra"]
        return "tzar_people" not in extra and extra.get("tzar_file", id(self)) == id(self)

    def _belongs_to_people(self, record: "Record") -> bool:
        extra = record["extra"]
        return "tzar_file" not in extra and extra.get("tzar_people", id(self)) == id(self)

    def _loss(self, writes: int) -> str:
        text = f"{writes} writes to this log failed before this line, with all their events"
        return json_line(Message(__name__, text, None), self._clock(), "ERROR")


class _FromLogging(logging.Handler):
    """Leads records of the standard library's logging, Pykka's among them, to loguru."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level = logger.level(record.levelname).name
        except ValueError:
            level = logging.getLevelName(logging.ERROR)  # a level of somebody's own: better seen than lost
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):  # its arguments do not fit: logging itself would tell stderr
            text = f"{record.msg} {record.args}"
        logger.bind(source=record.name).opt(exception=record.exc_info).log(level, "{}", text)


def _format(record: "Record") -> str:
    """loguru's format for a record of the file: a turn's batch is raw and needs none; other lines become events."""
    if "tzar_file" not in record["extra"]:
        error = record["exception"]
        trace = "".join(traceback.format_exception(error.type, error.value, error.traceback)) if error else None
        message = Message(str(record["extra"].get("source") or record["name"]), record["message"], trace)
        record["extra"]["tzar_line"] = json_line(message, record["time"].timestamp(), record["level"].name)
    return "{extra[tzar_line]}"
