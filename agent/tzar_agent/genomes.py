"""Where genomes come from without asking anybody: the order itself, the cache by digest, the shared spool."""

import hashlib
import mmap
import os
from collections import OrderedDict
from pathlib import Path

from loguru import logger

from tzar_agent.events import Genome
from tzar_agent.protocol.messages import Play

__all__ = ["GenomeError", "Genomes"]

_MOST_FILES = 2000  # small genomes come with each order again: to keep more costs memory, and of the disk a block each


class GenomeError(ValueError):
    """A genome that is not what its digest says, or that cannot be stored. The text says which and why."""


class Genomes:
    """The verified genomes at hand: a cache on the disk, bounded in bytes and files, least recently used first out.

    A file's digest is computed once for each state that it is in (path, size, time of change).

    Args:
        folder: the cache's folder. What lies there from before is used, oldest first out.
    """

    def __init__(self, folder: Path) -> None:
        self.limit_bytes = 256 * 1024 * 1024
        self.spool: Path | None = None
        self.pinned: bytes | None = None  # digest of the genome in play: it stays, whatever the bound
        self._folder = folder
        self._sizes: OrderedDict[bytes, int] = OrderedDict()
        self._bytes = 0  # their sum: many small genomes are not added up at each game
        self._verified: OrderedDict[bytes, tuple[str, int, int]] = OrderedDict()
        folder.mkdir(parents=True, exist_ok=True)
        self._take_stock()

    @property
    def size_bytes(self) -> int:
        """Of all genomes in the cache."""
        return self._bytes

    def adopt(self, spool: str | None, limit_bytes: int) -> None:
        """Uses this spool, or none, and this bound for the cache."""
        self.spool = Path(spool) if spool is not None else None
        self.limit_bytes = limit_bytes
        self._evict()

    def find(self, play: Play, needs_path: bool) -> Genome | None:
        """The genome of `play`, verified, if it is at hand; None: it must be fetched.

        Args:
            play: the order.
            needs_path: whether it must lie in a file.

        Raises:
            GenomeError: the order holds another genome than it says, or it cannot be stored.
        """
        digest = play.digest
        self.pinned = digest
        if play.genome is not None:
            if hashlib.sha256(play.genome).digest() != digest:
                raise GenomeError(f"the order's genome is not {digest.hex()}: its SHA-256 is another")
            if not needs_path:
                return Genome(digest, play.genome, None)
        if digest in self._sizes:
            path = self.path_of(digest)
            if self._is_verified(path, digest, play.size):
                self._sizes.move_to_end(digest)
                return Genome(digest, None, path)
            logger.warning("genome {} in the cache is damaged; it is got anew", digest.hex())
            self._drop(digest)
        if play.genome is not None:
            return Genome(digest, None, self._store(digest, play.genome))
        if self.spool is not None:
            path = self.spool / digest.hex()
            if self._is_verified(path, digest, play.size):
                return Genome(digest, None, path)
        return None

    def path_of(self, digest: bytes) -> Path:
        """Where the cache has, or would have, the genome."""
        return self._folder / digest.hex()

    def part_of(self, digest: bytes) -> Path:
        """Where a genome is collected until it is whole."""
        return self._folder / f"{digest.hex()}.part"

    def take(self, digest: bytes, size: int) -> Genome:
        """Takes the whole, verified genome from `part_of` into the cache.

        Raises:
            GenomeError: the file cannot be moved.
        """
        path = self.path_of(digest)
        try:
            self.part_of(digest).replace(path)
            self._remember(path, digest)
        except OSError as error:
            raise GenomeError(f"genome {digest.hex()} cannot be stored in the cache: {error}") from error
        self._count(digest, size)
        self._evict()
        return Genome(digest, None, path)

    def _store(self, digest: bytes, data: bytes) -> Path:
        try:
            self.part_of(digest).write_bytes(data)
        except OSError as error:
            raise GenomeError(f"genome {digest.hex()} cannot be stored in the cache: {error}") from error
        self.take(digest, len(data))
        return self.path_of(digest)

    def _is_verified(self, path: Path, digest: bytes, size: int) -> bool:
        try:
            stat = path.stat()
            if stat.st_size != size:
                return False
            if self._verified.get(digest) == (str(path), stat.st_size, stat.st_mtime_ns):
                return True
            if _sha256(path, stat.st_size) != digest:
                return False
        except (OSError, ValueError):
            return False  # not there, changed meanwhile, or not for this agent to read
        self._verified[digest] = (str(path), stat.st_size, stat.st_mtime_ns)
        if len(self._verified) > _MOST_FILES:
            self._verified.popitem(last=False)
        return True

    def _remember(self, path: Path, digest: bytes) -> None:
        stat = path.stat()
        self._verified[digest] = (str(path), stat.st_size, stat.st_mtime_ns)

    def _count(self, digest: bytes, size: int) -> None:
        self._bytes += size - self._sizes.get(digest, 0)
        self._sizes[digest] = size

    def _evict(self) -> None:
        while self._bytes > self.limit_bytes or len(self._sizes) > _MOST_FILES:
            oldest = next((digest for digest in self._sizes if digest != self.pinned), None)
            if oldest is None:
                return
            self._drop(oldest)

    def _drop(self, digest: bytes) -> None:
        self._bytes -= self._sizes.pop(digest, 0)
        self._verified.pop(digest, None)
        try:
            self.path_of(digest).unlink(missing_ok=True)
        except OSError as error:  # on Windows a file that is still open stays; it is found again at the next start
            logger.warning("genome {} cannot be removed from the cache: {}", digest.hex(), error)

    def _take_stock(self) -> None:
        found = []
        for entry in os.scandir(self._folder):
            try:
                digest = bytes.fromhex(entry.name)
            except ValueError:
                Path(entry.path).unlink(missing_ok=True)  # a part of a genome that was never whole
                continue
            if len(digest) == 32:
                stat = entry.stat()
                found.append((stat.st_mtime_ns, digest, stat.st_size))
        for _, digest, size in sorted(found):
            self._count(digest, size)


def _sha256(path: Path, size: int) -> bytes:
    if size == 0:  # an empty file cannot be mapped
        return hashlib.sha256().digest()
    # Mapped, since copying the file into a buffer would cost a sixth of the time that hashing it takes.
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        return hashlib.sha256(mapped).digest()
