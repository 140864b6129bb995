"""Events of evaluations and their attempts, of trainers and of blobs. The catalogue has them all."""

from typing import ClassVar

from tzar_actors.events.level import Level
from tzar_agent.protocol.value import value

__all__ = [
    "AttemptDropped",
    "AttemptEnded",
    "AttemptLost",
    "AttemptStarted",
    "BlobStored",
    "EvaluationAccepted",
    "EvaluationEnded",
    "EvaluationRejected",
    "EvaluatorBroken",
    "EvaluatorMended",
    "TrainerConnected",
    "TrainerDisconnected",
]


@value
class EvaluationAccepted:
    """An evaluation is in the journal; it will have an outcome."""

    NAME: ClassVar[str] = "evaluation_accepted"
    LEVEL: ClassVar[Level] = Level.DEBUG
    TEXT: ClassVar[str] = "evaluation {key} accepted, {games} games"
    key: str
    genome: str
    generation: int | None
    games: int


@value
class EvaluationRejected:
    """An evaluation was refused; nothing of it was kept. `code` is that of the trainer's error."""

    NAME: ClassVar[str] = "evaluation_rejected"
    LEVEL: ClassVar[Level] = Level.WARNING
    TEXT: ClassVar[str] = "evaluation {key} was rejected ({code}): {reason}"
    key: str
    code: str
    reason: str


@value
class EvaluationEnded:
    """An evaluation has its one outcome, committed. `fitness` is the mean over its games, of a scored one alone."""

    NAME: ClassVar[str] = "evaluation_ended"
    LEVEL: ClassVar[Level] = Level.INFO
    TEXT: ClassVar[str] = "evaluation {key}: {outcome} after {seconds:.1f} s: {reason}"
    key: str
    genome: str
    generation: int | None
    outcome: str
    fitness: float | None
    reason: str
    seconds: float


@value
class EvaluatorBroken:
    """Different genomes failed on all VMs and none scored: dispatch stops, but for a game now and then.

    Nobody is blamed and nothing is lost; `evidence` has what failed, where, and its last output.
    """

    NAME: ClassVar[str] = "evaluator_broken"
    LEVEL: ClassVar[Level] = Level.ERROR
    TEXT: ClassVar[str] = (
        "the evaluator fails for everybody, {genomes} genomes on {vms} VMs; dispatch stops: {evidence}"
    )
    genomes: int
    vms: int
    evidence: str


@value
class EvaluatorMended:
    """A game scored again after `evaluator_broken`: all goes on."""

    NAME: ClassVar[str] = "evaluator_mended"
    LEVEL: ClassVar[Level] = Level.WARNING
    TEXT: ClassVar[str] = "the evaluator scores again, games go on"


@value
class AttemptStarted:
    """A game was sent to a VM."""

    NAME: ClassVar[str] = "attempt_started"
    LEVEL: ClassVar[Level] = Level.DEBUG
    TEXT: ClassVar[str] = "attempt {attempt} of {evaluation}, game {game}, started on VM {vm}"
    attempt: str
    evaluation: str
    game: int
    vm: str
    incarnation: int


@value
class AttemptEnded:
    """An attempt's result counted; `status` is what the agent said of it."""

    NAME: ClassVar[str] = "attempt_ended"
    LEVEL: ClassVar[Level] = Level.INFO
    TEXT: ClassVar[str] = "attempt {attempt} of {evaluation}, game {game}, on VM {vm}: {status} {reason}"
    attempt: str
    evaluation: str
    game: int
    vm: str
    status: str
    fitness: float | None
    seconds: float
    reason: str


@value
class AttemptLost:
    """An attempt will not end any more, or its end does not count; its game goes on elsewhere."""

    NAME: ClassVar[str] = "attempt_lost"
    LEVEL: ClassVar[Level] = Level.WARNING
    TEXT: ClassVar[str] = "attempt {attempt} of {evaluation}, game {game}, was lost with VM {vm}: {cause}"
    attempt: str
    evaluation: str
    game: int
    vm: str
    cause: str


@value
class AttemptDropped:
    """A result that does not count: it is late, doubled, or of nobody's attempt."""

    NAME: ClassVar[str] = "attempt_dropped"
    LEVEL: ClassVar[Level] = Level.WARNING
    TEXT: ClassVar[str] = "a result of attempt {attempt} from VM {vm} does not count: {reason}"
    attempt: str
    vm: str
    reason: str


@value
class TrainerConnected:
    """A trainer connected; `trainer` is its name on this supervisor."""

    NAME: ClassVar[str] = "trainer_connected"
    LEVEL: ClassVar[Level] = Level.INFO
    TEXT: ClassVar[str] = "trainer {trainer} connected"
    trainer: str


@value
class TrainerDisconnected:
    """A trainer said goodbye, or its connection broke."""

    NAME: ClassVar[str] = "trainer_disconnected"
    LEVEL: ClassVar[Level] = Level.INFO
    TEXT: ClassVar[str] = "trainer {trainer} disconnected"
    trainer: str


@value
class BlobStored:
    """A genome or artifact lies in the spool, its digest verified."""

    NAME: ClassVar[str] = "blob_stored"
    LEVEL: ClassVar[Level] = Level.DEBUG
    TEXT: ClassVar[str] = "blob {digest} stored, {size} bytes"
    digest: str
    size: int
