"""A file that holds room on the disk, so that what runs can still be committed when everything else is full."""

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["RESERVE_BYTES", "Reserve"]

RESERVE_BYTES = 32 * 1024 * 1024  # some ten thousand outcomes


class Reserve:
    """The file. `fill` may be called from another thread than the rest.

    Args:
        path: where it lies, on the disk of the journal.
        size: its bytes.
    """

    def __init__(self, path: Path, size: int = RESERVE_BYTES) -> None:
        self._path = path
        self._size = size
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
