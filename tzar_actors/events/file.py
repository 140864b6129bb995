"""The log's file: lines are appended, and at a size it is renamed and begun anew.

It is ours because loguru's own loses what it should write as long as the rename fails, and on Windows it fails while
anybody reads the file. This one goes on writing and renames later.
"""

import glob
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["RotatingFile"]

_RETRY_S = 10.0  # until the next try after a rename that failed


class RotatingFile:
    """Appends to a file that it opens at once, with its folder. loguru's lock lets one thread at a time use it.

    Args:
        path: the file.
        limit_bytes: a write that would exceed it goes to a new file.
        keep: how many old files are kept; older ones are removed.
        told_of_loss: makes the line that says how many writes failed; it is written as soon as one succeeds.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path, limit_bytes: int, keep: int, told_of_loss: Callable[[int], str]) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._keep = keep
        self._told_of_loss = told_of_loss
        self._failed_writes = 0
        self._is_torn = False
        self._not_before = 0.0  # monotonic seconds: no rename is tried before
        path.parent.mkdir(parents=True, exist_ok=True)
        self._open()

    def write(self, text: str) -> None:
        """Appends `text`, which is ASCII and ends with a newline, in one system call.

        Raises:
            OSError: it could not be written. Further ones are only counted until a write succeeds.
        """
        if self._failed_writes:
            text = self._told_of_loss(self._failed_writes) + text
        try:
            self._append(text.encode("ascii"))
        except OSError:
            self._failed_writes += 1
            if self._failed_writes == 1:
                raise
        else:
            self._failed_writes = 0

    def stop(self) -> None:
        """Closes the file."""
        self._file.close()

    def _append(self, data: bytes) -> None:
        if self._file.closed:  # it could not be opened after a rename
            self._open()
        if self._size and self._size + len(data) > self._limit_bytes and time.monotonic() >= self._not_before:
            self._rotate()
        if self._is_torn:
            data = b"\n" + data  # what was torn stays a line of its own
        written = self._file.write(data)
        self._size += written
        self._is_torn = written != len(data)
        if self._is_torn:
            raise OSError(f"only {written} of {len(data)} bytes could be written to {self._path}")

    def _open(self) -> None:
        # Unbuffered: what was written survives the end of this process, however it comes.
        self._file = self._path.open("ab", buffering=0)
        self._size = self._file.seek(0, 2)
        self._is_torn = self._size > 0 and not _ends_a_line(self._path)

    def _rotate(self) -> None:
        self._file.close()
        old = self._path.with_name(f"{self._path.stem}.{datetime.now(UTC):%Y-%m-%dT%H-%M-%S.%f}Z{self._path.suffix}")
        try:
            self._path.rename(old)
            for surplus in sorted(self._path.parent.glob(f"{glob.escape(self._path.stem)}.*Z{self._path.suffix}"))[
                : -self._keep
            ]:
                surplus.unlink()
        except OSError:
            self._not_before = time.monotonic() + _RETRY_S  # somebody reads it: the file grows until then
        finally:
            self._open()


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
