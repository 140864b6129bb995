"""The slow looks at the disk of the state folder, on a thread of their own."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pykka

from tzar_actors.gateway.spool import Spool, Survey
from tzar_actors.journal.reserve import Reserve

__all__ = ["AskDisk", "DiskAnswer", "DiskLane", "free_on_disk"]


@dataclass(frozen=True, slots=True)
class AskDisk:
    """How is the disk?

    Args:
        reply_to: who is told.
        surveys: the spool is to be looked through as well.
        fills: the reserve is to be filled, where it is not.
    """

    reply_to: "pykka.ActorRef[Any]"
    surveys: bool
    fills: bool


@dataclass(frozen=True, slots=True)
class DiskAnswer:
    """How it is. None: it could not be asked, or nobody wanted to know. `problems`: what went wrong."""

    free_bytes: int | None
    survey: Survey | None
    problems: tuple[str, ...] = ()


def free_on_disk(folder: Path) -> int:
    """The bytes that this process may still write to the disk of `folder`."""
    return int(psutil.disk_usage(str(folder)).free)


class DiskLane(pykka.ThreadingActor):
    """Answers `AskDisk`.

    Args:
        spool: the spool, on the disk that is watched.
        reserve: the reserve on the same disk.
        free_bytes: asks how much is free on the disk of a folder; raises `OSError` when it cannot.
    """

    use_daemon_thread = True

    def __init__(self, spool: Spool, reserve: Reserve, free_bytes: Callable[[Path], int] = free_on_disk) -> None:
        super().__init__()
        self._spool = spool
        self._reserve = reserve
        self._free_bytes = free_bytes

    def on_receive(self, message: Any) -> None:
        """Pykka's hook: one question."""
        if not isinstance(message, AskDisk):
            raise TypeError(f"the disk's lane cannot do {message!r}")
        try:
            message.reply_to.tell(self._look(message))
        except pykka.ActorDeadError:
            return  # the supervisor ends

    def _look(self, ask: AskDisk) -> DiskAnswer:
        problems: list[str] = []
        if ask.fills:
            try:
                self._reserve.fill()
            except OSError as error:
                problems.append(f"the reserve could not be filled: {error}")
        survey = free = None
        if ask.surveys:
            try:
                survey = self._spool.survey(time.time())
            except OSError as error:
                problems.append(f"the spool could not be looked through: {error}")
        try:
            free = self._free_bytes(self._spool.folder)
        except OSError as error:
            problems.append(f"the disk of {self._spool.folder} could not be asked: {error}")
        return DiskAnswer(free, survey, tuple(problems))
