"""Genomes and artifacts by digest, in one folder. A file appears in it whole and verified, or not at all."""

import hashlib
import os
import secrets
from pathlib import Path
from typing import IO

__all__ = ["Incoming", "Spool"]


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
        self._file.close()
        self._path.unlink(missing_ok=True)


class Spool:
    """The folder.

    Args:
        folder: made when it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".*.*"):  # of an earlier process, which did not finish it
            left.unlink(missing_ok=True)
        token = folder / "token"
        if not token.exists():
            token.write_text(secrets.token_hex(16), encoding="ascii")
        self.token = token.read_text(encoding="ascii")

    def path(self, digest: bytes) -> Path:
        """Where the blob lies, or would."""
        return self.folder / digest.hex()

    def holds(self, digest: bytes, size: int) -> bool:
        """Whether the blob lies here with that many bytes."""
        try:
            return os.stat(self.path(digest)).st_size == size  # noqa: PTH116 - asked on the loop: no Path is made twice
        except OSError:
            return False
