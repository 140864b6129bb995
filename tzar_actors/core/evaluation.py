"""What is asked and what comes back, as values. The trainer's protocol and the journal carry these very classes."""

from collections.abc import Sequence
from enum import StrEnum
from math import isfinite
from typing import Annotated, ClassVar, Literal, TypeAlias

from tzar_agent.protocol.codec import Items, Range, Size
from tzar_agent.protocol.value import value

__all__ = [
    "AttemptStatus",
    "AttemptStory",
    "Evaluation",
    "EvaluationEnded",
    "GameEnded",
    "Outcome",
    "OutcomeName",
    "outcome_of",
]

Name: TypeAlias = Annotated[str, Size(200)]
Text: TypeAlias = Annotated[str, Size(16 * 1024)]
Packed: TypeAlias = Annotated[bytes, Size(256 * 1024)]
Seed: TypeAlias = Annotated[int, Range(0, 2**63 - 1)]
OutcomeName: TypeAlias = Literal["scored", "genome_failed", "timed_out", "cancelled", "infra_failed", "withdrawn"]
AttemptStatus: TypeAlias = Literal["scored", "fault", "timed_out", "cancelled", "agent_fault", "lost", "excused"]


class Outcome(StrEnum):
    """How an evaluation ended."""

    SCORED = "scored"
    GENOME_FAILED = "genome_failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    INFRA_FAILED = "infra_failed"


@value
class Evaluation:
    """One genome to be played in some games.

    Args:
        key: its name: the trainer's, or one that is new each time.
        generation: the trainer's own number for later questions, or None.
        digest: the genome's SHA-256.
        size: the genome's bytes.
        params: one packed map, the same for all its games.
        seeds: one for each game.
        deadline_s: seconds after its acceptance when it ends as `infra_failed`, or None.
    """

    TAG: ClassVar[str] = "evaluation"
    key: Name
    generation: int | None
    digest: Annotated[bytes, Size(32)]
    size: Annotated[int, Range(0, 2**40)]
    params: Packed
    seeds: Annotated[tuple[Seed, ...], Items(1000)]
    deadline_s: float | None


@value
class AttemptStory:
    """One try of one game on one VM, when it is over: the evidence.

    `excused`: it ended by a commanded stop, a fault of its host or an evaluator that fails for everybody, or its VM
    failed before its turn came; it counts against nobody.
    """

    TAG: ClassVar[str] = "attempt_story"
    attempt: Name
    vm: Name
    incarnation: int
    status: AttemptStatus
    seconds: float
    reason: Text
    exit_code: int | None
    tail: Text


@value
class GameEnded:
    """How one game of an evaluation ended. `withdrawn`: its evaluation was already decided."""

    TAG: ClassVar[str] = "game_ended"
    outcome: OutcomeName
    fitness: float | None
    seconds: float
    details: Packed
    reason: Text
    attempts: Annotated[tuple[AttemptStory, ...], Items(1000)]


@value
class EvaluationEnded:
    """The one outcome of one evaluation. `fitness`: the mean over its games, None unless every game scored."""

    TAG: ClassVar[str] = "evaluation_ended"
    key: Name
    generation: int | None
    digest: Annotated[bytes, Size(32)]
    outcome: OutcomeName
    fitness: float | None
    reason: Text
    seconds: float  # from acceptance to the end
    games: Annotated[tuple[GameEnded, ...], Items(1000)]


def outcome_of(asked: Evaluation, games: tuple[GameEnded, ...], deciding: GameEnded, seconds: float) -> EvaluationEnded:
    """The outcome of an evaluation whose games have all ended.

    Args:
        asked: the evaluation.
        games: how each of them ended.
        deciding: the one whose end ended it.
        seconds: since its acceptance.
    """
    scores = [game.fitness for game in games if game.fitness is not None]
    fitness = _mean(scores) if deciding.outcome == "scored" else None
    outcome, reason = deciding.outcome, deciding.reason
    return EvaluationEnded(asked.key, asked.generation, asked.digest, outcome, fitness, reason, seconds, games)


def _mean(scores: Sequence[float]) -> float:
    """The mean, which is finite where all scores are: their sum need not be."""
    total = sum(scores)
    mean = total / len(scores) if isfinite(total) else sum(score / len(scores) for score in scores)
    return min(max(mean, min(scores)), max(scores))  # rounding may lead a little beyond
