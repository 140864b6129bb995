"""What each VM has shown of itself: whether it is believed when it blames a genome, and whether it is to blame itself.

Nothing of it is journalled. After a restart of the supervisor nobody is believed until it has scored again, which
costs attempts and blames nobody.
"""

from dataclasses import dataclass, field
from typing import Final

__all__ = ["Witnesses"]

_GENOMES: Final = 3  # that fail on one VM while others score: the VM is to blame


@dataclass(slots=True)
class _Record:
    """One VM. What was scored is of this incarnation; deaths are counted across them."""

    incarnation: int
    first: bytes | None = None  # the first genome that it scored
    is_proven: bool = False  # it scored another one as well, so it is proven for every genome
    failed: dict[bytes, str] = field(default_factory=dict)  # genomes that failed since it last scored, and how
    scores_then: int = 0  # of the fleet, when the first of them failed
    clean: int = 0  # games that it finished since it last died
    clean_before: int = 0  # and before that death
    died_with: bytes = b""


class Witnesses:
    """The records of one fleet's VMs."""

    def __init__(self) -> None:
        self.games = 0  # attempts that ended
        self._scores = 0
        self._of: dict[str, _Record] = {}

    def scored(self, vm: str, incarnation: int, digest: bytes) -> None:
        """This incarnation of `vm` scored a game of the genome `digest`."""
        record = self._of.get(vm)
        if record is None or record.incarnation != incarnation:
            record = self._record(vm, incarnation)
        self.games += 1
        self._scores += 1
        record.clean += 1
        if record.failed:
            record.failed.clear()
        if not record.is_proven:
            if record.first is None:
                record.first = digest
            elif record.first != digest:
                record.is_proven = True

    def failed(self, vm: str, incarnation: int, digest: bytes, reason: str) -> tuple[str, ...]:
        """As `scored`, for a game in which the evaluator failed. Returns evidence when the VM is to blame, else ().

        It is when several genomes failed on it since it last scored, and other VMs have scored meanwhile.
        """
        record = self._record(vm, incarnation)
        if not record.failed:
            record.scores_then = self._scores
        record.failed[digest] = reason
        if len(record.failed) < _GENOMES or self._scores == record.scores_then:
            return ()
        evidence = tuple(f"genome {failed.hex()[:12]}: {why}" for failed, why in record.failed.items())
        record.failed.clear()
        return evidence

    def finished(self, vm: str, incarnation: int) -> None:
        """`vm` came to the end of a game, whatever its result."""
        self.games += 1
        self._record(vm, incarnation).clean += 1

    def died(self, vm: str, incarnation: int, digest: bytes) -> int:
        """`vm` died in a game of the genome `digest`. Returns how many it had finished without a death by others."""
        self.games += 1
        record = self._record(vm, incarnation)
        if record.died_with != digest:
            record.clean_before, record.died_with = 0, digest
        clean = record.clean_before + record.clean
        record.clean_before, record.clean = clean, 0
        return clean

    def is_trusted(self, vm: str, incarnation: int) -> bool:
        """This incarnation has scored, and in no game since has the evaluator failed there."""
        record = self._of.get(vm)
        if record is None or record.incarnation != incarnation:
            return False
        return record.first is not None and not record.failed

    def is_proven(self, vm: str, incarnation: int, digest: bytes) -> bool:
        """This incarnation has scored another genome than `digest`."""
        record = self._of.get(vm)
        if record is None or record.incarnation != incarnation:
            return False
        return record.is_proven or (record.first is not None and record.first != digest)

    def forget(self, vm: str) -> None:
        """`vm` left the fleet."""
        self._of.pop(vm, None)

    def _record(self, vm: str, incarnation: int) -> _Record:
        record = self._of.get(vm)
        if record is None:
            record = self._of[vm] = _Record(incarnation)
        elif record.incarnation != incarnation:
            record.incarnation, record.first, record.is_proven = incarnation, None, False
            record.failed.clear()
        return record
