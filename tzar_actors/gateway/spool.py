"""Genomes and artifacts by digest, in one folder. A file appears in it whole and verified, or not at all."""

import hashlib
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

__all__ = ["FULL_NOTE", "Incoming", "Spool", "Survey"]

FULL_NOTE: Final = "full"  # a file of this name: the spool takes nothing now
_TRASH: Final = ".discarded."
_UNFINISHED_S: Final = 3600.0  # what nobody has written to for so long was left by a process that died


class Incoming:
    """A blob that is arriving, in order."""

    def __init__(self, spool: "Spool", digest: bytes, size: int) -> None:
        self._spool = spool
        self._digest = digest
        self._size = size
        self._hash = hashlib.sha256()
        self._path = spool.folder / f".{digest.hex()}.{secrets.token_hex(4)}"
        self._file: IO[bytes] = self._path.open("wb")
        self.received = 0

    def write(self, data: bytes | memoryview) -> None:
        """The next bytes."""
        self._hash.update(data)
        self._file.write(data)
        self.received += len(data)

    def finish(self) -> str | None:
        """Puts the blob in its place. Returns what is wrong with it, if anything; then it is thrown away."""
        self._file.close()
        if self.received != self._size or self._hash.digest() != self._digest:
            self._path.unlink(missing_ok=True)
            return f"what arrived ({self.received} bytes) does not have the digest that was offered"
        self._path.replace(self._spool.path(self._digest))
        return None

    def abandon(self) -> None:
        """It will not arrive."""
        with suppress(OSError):  # a full disk does not take what is still buffered, which goes with the file anyway
            self._file.close()
        self._path.unlink(missing_ok=True)


class Spool:
    """The folder.

    Args:
        folder: made when it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._refusal: str | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.take_more()  # until somebody finds that there is no room
        token = folder / "token"
        if not token.exists():
            token.write_text(secrets.token_hex(16), encoding="ascii")
        self.token = token.read_text(encoding="ascii")

    def path(self, digest: bytes) -> Path:
        """Where the blob lies, or would."""
        return self.folder / digest.hex()

    def holds(self, digest: bytes, size: int) -> bool:
        """Whether the blob lies here with that many bytes. If it does, it counts as having just come."""
        path = f"{self.folder}{os.sep}{digest.hex()}"  # asked on the loop: no Path is made twice
        try:
            os.utime(path)
            return os.stat(path).st_size == size  # noqa: PTH116 - as above
        except OSError:
            return False

    def discard(self, digest: bytes, before: float) -> bool:
        """Takes a blob out of the spool, unless it came, or was asked about, at `before` (seconds since 1970) or later.

        Called by the thread that asks `holds` before it accepts, so nothing is accepted in between. Whoever brings a
        blob that is here marks it first and looks after that, so either its mark is seen here, or it misses the blob.
        The room is free after the next `survey`.
        """
        path = self.path(digest)
        trash = self.folder / f"{_TRASH}{digest.hex()}"
        try:
            if path.stat().st_mtime >= before:
                return False
            path.replace(trash)
            if trash.stat().st_mtime < before:
                return True
            trash.replace(path)
        except OSError:
            return False  # gone, or open where open files cannot be moved: at another time
        return False

    def survey(self, wall: float) -> "Survey":
        """All that lies here; what was discarded, or left unfinished long ago, is removed. For a thread: it takes long.

        Args:
            wall: seconds since 1970.

        Raises:
            OSError: the folder cannot be read.
        """
        blobs: list[tuple[float, int, bytes]] = []
        held = 0
        with os.scandir(self.folder) as entries:
            for entry in entries:
                with suppress(OSError):  # somebody else was faster
                    stat = entry.stat()
                    if entry.name.startswith("."):
                        if entry.name.startswith(_TRASH) or stat.st_mtime < wall - _UNFINISHED_S:
                            Path(entry.path).unlink()
                        else:
                            held += stat.st_size
                    elif len(entry.name) == 64:
                        held += stat.st_size
                        blobs.append((stat.st_mtime, stat.st_size, bytes.fromhex(entry.name)))
        blobs.sort()
        return Survey(held, tuple(blobs))

    def refusal(self) -> str | None:
        """Why nothing is taken now, if that is so. May be called from any thread."""
        return self._refusal

    def take_no_more(self, code: str, reason: str) -> None:
        """Trainers that write into the spool themselves are to write nothing, and tell their callers this."""
        self._refusal = reason
        with suppress(OSError):  # on a disk that full they cannot write anyway
            (self.folder / FULL_NOTE).write_text(f"{code}\n{reason}", encoding="utf-8")

    def take_more(self) -> None:
        """There is room again."""
        self._refusal = None
        with suppress(OSError):
            (self.folder / FULL_NOTE).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Survey:
    """What lies in a spool.

    Args:
        held_bytes: all of it.
        blobs: when each whole blob came or was asked about, its bytes and its digest; oldest first.
    """

    held_bytes: int
    blobs: tuple[tuple[float, int, bytes], ...]
