"""What the journal keeps, as values: a machine returns them as commands, and is rebuilt from them."""

from typing import TypeAlias

from tzar_actors.core.evaluation import AttemptStory, Evaluation, EvaluationEnded, GameEnded
from tzar_agent.protocol.value import value

__all__ = [
    "AttemptEndedRecord",
    "AttemptRecord",
    "EvaluationEndedRecord",
    "EvaluationRecord",
    "GameEndedRecord",
    "IncarnationRecord",
    "Record",
    "VmHeldRecord",
    "VmRecord",
    "VmRemovedRecord",
]


@value
class EvaluationRecord:
    """An evaluation was accepted at `at`, seconds since 1970."""

    evaluation: Evaluation
    at: float


@value
class AttemptRecord:
    """An attempt was made of a game on this incarnation of a VM."""

    attempt: str
    key: str
    game: int
    vm: str
    incarnation: int


@value
class AttemptEndedRecord:
    """An attempt ended without ending its game."""

    key: str
    game: int
    story: AttemptStory


@value
class GameEndedRecord:
    """A game ended without ending its evaluation."""

    key: str
    game: int
    ended: GameEnded


@value
class EvaluationEndedRecord:
    """An evaluation has its outcome."""

    ended: EvaluationEnded


@value
class VmRecord:
    """A VM was made on a host; `machine_id` is the hypervisor's."""

    vm: str
    host: str
    machine_id: str


@value
class IncarnationRecord:
    """A VM is about to boot as this incarnation, with this public key. Attempts of older ones are revoked by it."""

    vm: str
    host: str
    incarnation: int
    public_key: str


@value
class VmRemovedRecord:
    """A VM is gone from its host. Its last incarnation stays known, so that no number is given twice."""

    vm: str


@value
class VmHeldRecord:
    """A person stopped a VM (`is_held`), which stays off until a person starts it again; or has started it again."""

    vm: str
    host: str
    is_held: bool


Record: TypeAlias = (
    EvaluationRecord
    | AttemptRecord
    | AttemptEndedRecord
    | GameEndedRecord
    | EvaluationEndedRecord
    | VmRecord
    | IncarnationRecord
    | VmRemovedRecord
    | VmHeldRecord
)
