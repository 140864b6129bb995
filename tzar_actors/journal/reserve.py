"""A file that holds room on the disk, so that what runs can still be committed when everything else is full."""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["RESERVE_BYTES", "Reserve"]

RESERVE_BYTES: Final = 32 * 1024 * 1024  # some ten thousand outcomes

_LITTLE_BYTES: Final = 1024 * 1024  # for a commit
_LOOK_EACH_S: Final = 0.1


class Reserve:
    """The file. `fill` may be called from another thread than the rest.

    Args:
        path: where it lies, on the disk of the journal.
        size: its bytes.
        patience_s: how long a commit waits for room, in seconds, when none is held any more.
    """

    def __init__(self, path: Path, size: int = RESERVE_BYTES, patience_s: float = 20.0) -> None:
        self._path = path
        self._size = size
        self._patience_s = patience_s
        self.is_spent = False

    def fill(self) -> None:
        """Takes the room, if it is not held already.

        Raises:
            OSError: there is not so much.
        """
        if not self._path.exists() or self._path.stat().st_size != self._size:
            temporary = self._path.with_name(f".{self._path.name}")
            try:
                with temporary.open("wb") as file:
                    _take(file.fileno(), self._size)
                temporary.replace(self._path)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
        self.is_spent = False

    def spend(self) -> bool:
        """Gives the room free. Returns whether any was held."""
        try:
            self._path.unlink()
        except OSError:
            return False
        self.is_spent = True
        return True

    def make_room(self) -> bool:
        """A commit found the disk full. Gives the room free, or waits for some while: the process ends otherwise.

        Returns:
            Whether there is any room now.
        """
        if self.spend():
            return True
        deadline = time.monotonic() + self._patience_s
        while shutil.disk_usage(self._path.parent).free < _LITTLE_BYTES:
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_EACH_S)
        return True

    def close(self) -> None:
        """Leaves nothing behind: no supervisor runs, and none needs it."""
        with suppress(OSError):
            self._path.unlink()


def _take(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    block = bytes(1024 * 1024)  # written out: on other systems a file may be long and hold no room
    for start in range(0, size, len(block)):
        os.write(descriptor, block[: size - start])
