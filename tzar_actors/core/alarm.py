"""Whether the evaluator itself is broken: different genomes fail on all VMs, and none scores.

While it is, dispatch stops and nobody is blamed. One game at a time is tried, after a delay that doubles; the first
score, of such a try or of a game that was under way, ends the alarm.

Raised when, since the last score of anybody, so many genomes failed in the evaluator, and either every VM has seen that
or each of the genomes failed on two: three genomes where nothing has scored yet, and where something has, twice as many
as there are VMs and five at least. Bad genomes do come in rows, and few VMs see many of them.
"""

from collections.abc import Iterable
from typing import Final

__all__ = ["EvaluatorAlarm"]

_GENOMES: Final = 3
_GENOMES_AFTER_A_SCORE: Final = 5
_FIRST_DELAY_S: Final = 1.0
_LONGEST_DELAY_S: Final = 60.0
_TOLD: Final = 5  # failures that stand in the evidence
_REASON_LIMIT: Final = 600


class EvaluatorAlarm:
    """The evaluator of one fleet, as seen by all its VMs together."""

    def __init__(self) -> None:
        self.is_raised = False
        self.suspects: dict[bytes, set[str]] = {}  # genomes that failed since the last score, and where
        self._told: dict[bytes, str] = {}
        self._has_scored = False
        self._delay_s = _FIRST_DELAY_S

    @property
    def is_in_doubt(self) -> bool:
        """So many genomes failed in a row that no failure proves anything against one of them."""
        return len(self.suspects) >= _GENOMES

    @property
    def evidence(self) -> str:
        """What failed, where, and what was left of it."""
        return "; ".join(self._told.values())

    def scored(self) -> bool:
        """A game scored. Whether that ended the alarm."""
        if self._has_scored and not self.suspects:  # as nearly always; an alarm has suspects
            return False
        ended, self.is_raised = self.is_raised, False
        self._has_scored = True
        self.suspects.clear()
        self._told.clear()
        self._delay_s = _FIRST_DELAY_S
        return ended

    def failed(self, vm: str, digest: bytes, reason: str, vms: Iterable[str]) -> bool:
        """A game failed in the evaluator. Whether that raised the alarm.

        Args:
            vm: where.
            digest: of its genome.
            reason: how, with what the evaluator left.
            vms: those that games may be given to.
        """
        if self.is_raised:
            return False
        self.suspects.setdefault(digest, set()).add(vm)
        if digest in self._told or len(self._told) < _TOLD:
            self._told[digest] = f"genome {digest.hex()[:12]} on {vm}: {reason[:_REASON_LIMIT]}"
        fleet = set(vms)
        enough = max(_GENOMES_AFTER_A_SCORE, 2 * len(fleet)) if self._has_scored else _GENOMES
        if len(self.suspects) < enough:
            return False
        everywhere = fleet <= set().union(*self.suspects.values())
        self.is_raised = everywhere or all(len(where) >= 2 for where in self.suspects.values())
        return self.is_raised

    def next_delay_s(self, *, grows: bool) -> float:
        """How long until the next game is tried, in seconds. `grows`: the one after it waits twice that."""
        delay_s = self._delay_s
        if grows:
            self._delay_s = min(_LONGEST_DELAY_S, delay_s * 2)
        return delay_s
