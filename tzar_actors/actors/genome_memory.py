"""The small genomes of open evaluations, so that an order need not ask the journal for its genome."""

from collections import OrderedDict
from typing import Final

__all__ = ["GenomeMemory"]

_ENTRY_BYTES: Final = 400  # what keeping one costs beside its bytes


class GenomeMemory:
    """Genomes by digest, within a bound: the one that was kept first goes first.

    Args:
        limit_bytes: of all genomes together, with what keeping them costs.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._genomes: OrderedDict[bytes, bytes] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._genomes)

    def get(self, digest: bytes) -> bytes | None:
        """The genome, or None: it was never kept, or is not any more."""
        return self._genomes.get(digest)

    def keep(self, digest: bytes, genome: bytes) -> None:
        """Keeps it until it is forgotten, or until there is no room."""
        if digest in self._genomes:
            return
        self._genomes[digest] = genome
        self._bytes += len(genome) + _ENTRY_BYTES
        while self._bytes > self._limit_bytes:
            self._bytes -= len(self._genomes.popitem(last=False)[1]) + _ENTRY_BYTES

    def forget(self, digest: bytes) -> None:
        """An evaluation of it has ended, mostly the only one; another open one is given it by the journal again."""
        genome = self._genomes.pop(digest, None)
        if genome is not None:
            self._bytes -= len(genome) + _ENTRY_BYTES
