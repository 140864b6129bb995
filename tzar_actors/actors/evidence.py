"""The evidence of a quarantine: a folder of the state folder with what is known of the VM, for a person to look at.

    <time>-<vm>-<incarnation>/ with reason.txt, messages.txt, events.jsonl, screenshot.png and logs/, those that exist

A host's lane fills it, so nothing of it keeps the loop waiting. It is bounded: in the size of each part, and in the
number of folders, of which the oldest go.
"""

import re
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import gmtime, strftime
from typing import Any, Final

import pykka

from tzar_actors.drivers.base import Driver, KeepsLogs
from tzar_actors.errors import DriverError
from tzar_agent.protocol.value import value

__all__ = ["EvidenceAnswer", "EvidenceCall", "EvidenceStore", "Heard"]

_FOLDERS: Final = 20
_LOGS: Final = 8
_LOG_BYTES: Final = 64 * 1024
_SCREENSHOT_BYTES: Final = 4 * 1024 * 1024
_EVENTS_BYTES: Final = 1024 * 1024  # of the supervisor's log, that are looked through for the VM
_EVENTS: Final = 200
_MESSAGES: Final = 32
_MESSAGE_CHARS: Final = 500
_OURS: Final = re.compile(r"\d{8}T\d{6}Z-.+-\d+")


class Heard:
    """The last messages that a VM's actor was told, none of them large."""

    def __init__(self) -> None:
        self._messages: deque[tuple[float, object]] = deque(maxlen=_MESSAGES)

    def note(self, at: float, message: object) -> None:
        """It was told this `at`, monotonic seconds."""
        self._messages.append((at, message))

    def lines(self, now: float, wall: float) -> Iterator[str]:
        """The messages for people, oldest first; it is `now` by their clock, and `wall` seconds since 1970."""
        for at, message in self._messages:
            yield f"{strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(wall - now + at))} {str(message)[:_MESSAGE_CHARS]}"


@dataclass(frozen=True, slots=True)
class EvidenceStore:
    """Where the evidence lies.

    Args:
        folder: of all of it; made when it is needed.
        log_file: the supervisor's log of events.
    """

    folder: Path
    log_file: Path

    def place(self, vm: str, incarnation: int, wall: float) -> Path:
        """The folder for a VM that goes into quarantine at `wall`, seconds since 1970."""
        return self.folder / f"{strftime('%Y%m%dT%H%M%SZ', gmtime(wall))}-{vm}-{incarnation}"

    def fill(self, place: Path, vm: str, texts: Mapping[str, str], driver: Driver) -> tuple[int, str]:
        """Writes what there is, what is surest first, and removes the oldest folders. May take as long as a driver.

        Args:
            place: the folder, which is made.
            vm: the VM.
            texts: what is known already, by the names of the files.
            driver: is asked for logs and a screenshot.

        Returns:
            The number of files, and what there is not and why.
        """
        lacks: list[str] = []
        files = 0

        def keep(name: str, make: Callable[[], bytes | None]) -> None:
            nonlocal files
            try:
                body = make()
                if body is not None:
                    file = place / name
                    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    file.write_bytes(body)
                    files += 1
            except (DriverError, OSError) as error:
                lacks.append(f"{name}: {error}")

        for name, text in texts.items():
            keep(name, text.encode)
        keep("events.jsonl", lambda: self._events_of(vm))
        for name, body in self._logs_of(vm, driver, lacks):
            keep(f"logs/{name}", lambda body=body: body)  # type: ignore[misc]  # mypy does not infer a lambda's default
        keep("screenshot.png", lambda: _screenshot(vm, driver))
        self._remove_oldest(lacks)
        return files, "; ".join(lacks)

    def _events_of(self, vm: str) -> bytes:
        with self.log_file.open("rb") as file:
            file.seek(max(0, self.log_file.stat().st_size - _EVENTS_BYTES))
            mark = f'"vm":"{vm}"'.encode()
            return b"".join(deque((line for line in file if mark in line), maxlen=_EVENTS))

    def _logs_of(self, vm: str, driver: Driver, lacks: list[str]) -> list[tuple[str, bytes]]:
        if not isinstance(driver, KeepsLogs):
            return []
        try:
            found = driver.logs(vm, _LOG_BYTES)
        except (DriverError, OSError) as error:
            lacks.append(f"logs: {error}")
            return []
        return [(Path(name).name, body[-_LOG_BYTES:]) for name, body in list(found.items())[:_LOGS]]

    def _remove_oldest(self, lacks: list[str]) -> None:
        try:
            ours = sorted(entry for entry in self.folder.iterdir() if _OURS.fullmatch(entry.name))
        except OSError as error:
            lacks.append(f"{self.folder} cannot be listed: {error}")
            return
        for old in ours[:-_FOLDERS]:
            shutil.rmtree(old, ignore_errors=True)  # another lane may be at it; what stays goes the next time


@value
class EvidenceCall:
    """To a host's lanes: fill this folder, and tell `reply_to`.

    Args:
        reply_to: who is told.
        vm: the VM.
        limit_s: how long it may take, in seconds.
        store: where the folder lies.
        place: the folder.
        texts: what is known already, by the names of the files.
    """

    reply_to: "pykka.ActorRef[Any]"
    vm: str
    limit_s: float
    store: EvidenceStore
    place: Path
    texts: Mapping[str, str]


@value
class EvidenceAnswer:
    """How much evidence there is, in files, and what is lacking and why."""

    files: int
    lacks: str


def _screenshot(vm: str, driver: Driver) -> bytes:
    picture = driver.screenshot(vm)
    if len(picture) > _SCREENSHOT_BYTES:
        raise OSError(f"it has {len(picture)} bytes, kept are {_SCREENSHOT_BYTES} at most")
    return picture
