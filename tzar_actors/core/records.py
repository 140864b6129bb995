"""What the journal keeps, as values: a machine returns them as commands, and is rebuilt from them."""

from dataclasses import dataclass
from typing import TypeAlias

from tzar_actors.core.evaluation import AttemptStory, Evaluation, EvaluationEnded, GameEnded

__all__ = [
    "AttemptEndedRecord",
    "AttemptRecord",
    "EvaluationEndedRecord",
    "EvaluationRecord",
    "GameEndedRecord",
    "IncarnationRecord",
    "Record",
    "VmRecord",
    "VmRemovedRecord",
]


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """An evaluation was accepted at `at`, seconds since 1970."""

    evaluation: Evaluation
    at: float


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """An attempt was made of a game on this incarnation of a VM."""

    attempt: str
    key: str
    game: int
    vm: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class AttemptEndedRecord:
    """An attempt ended without ending its game."""

    key: str
    game: int
    story: AttemptStory


@dataclass(frozen=True, slots=True)
class GameEndedRecord:
    """A game ended without ending its evaluation."""

    key: str
    game: int
    ended: GameEnded


@dataclass(frozen=True, slots=True)
class EvaluationEndedRecord:
    """An evaluation has its outcome."""

    ended: EvaluationEnded


@dataclass(frozen=True, slots=True)
class VmRecord:
    """A VM was made on a host; `machine_id` is the hypervisor's."""

    vm: str
    host: str
    machine_id: str


@dataclass(frozen=True, slots=True)
class IncarnationRecord:
    """A VM is about to boot as this incarnation, with this public key. Attempts of older ones are revoked by it."""

    vm: str
    host: str
    incarnation: int
    public_key: str


@dataclass(frozen=True, slots=True)
class VmRemovedRecord:
    """A VM is gone from its host. Its last incarnation stays known, so that no number is given twice."""

    vm: str


Record: TypeAlias = (
    EvaluationRecord
    | AttemptRecord
    | AttemptEndedRecord
    | GameEndedRecord
    | EvaluationEndedRecord
    | VmRecord
    | IncarnationRecord
    | VmRemovedRecord
)
