"""What stands in for an evaluator that cannot be had: each game ends at once, and the fault is not the genome's."""

import time
from collections.abc import Sequence

from tzar_agent.evaluators.base import EvaluatorEvent
from tzar_agent.events import Cleared, Ended, Genome, Verdict
from tzar_agent.protocol.messages import Play

__all__ = ["Broken"]


class Broken:
    """Answers each game with `agent_fault`.

    Args:
        reason: what is wrong, and with what.
    """

    needs_path = False

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def prepare(self) -> None:
        """There is nothing to start."""

    def start(self, play: Play, genome: Genome) -> Sequence[EvaluatorEvent]:
        return [Ended(time.monotonic(), play.attempt, Verdict("agent_fault", reason=self._reason))]

    def end(self, attempt: str) -> Sequence[EvaluatorEvent]:
        return [Cleared(time.monotonic(), attempt, None)]

    def absorb(self, signal: object) -> Sequence[EvaluatorEvent]:
        return []

    def tick(self, at: float) -> Sequence[EvaluatorEvent]:
        return []

    def next_at(self) -> float | None:
        return None

    def pid(self) -> int | None:
        return None

    def close(self) -> None:
        """It has no processes."""
