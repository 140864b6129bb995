"""What trainer and supervisor say to each other, on the same socket as the agents and under a key of the trainers' own.

Outcomes travel as the bytes that the journal keeps, so that they are encoded once.
"""

from typing import Annotated, ClassVar, Literal, TypeAlias

from tzar_actors.core.evaluation import Evaluation, Name, Text
from tzar_agent.protocol.codec import Codec, Items, Range, Size
from tzar_agent.protocol.messages import INLINE_LIMIT_BYTES
from tzar_agent.protocol.value import value

__all__ = [
    "SUBMIT_LIMIT_BYTES",
    "TRAINER_PROTOCOL_VERSION",
    "Accepted",
    "AskOutcomes",
    "AskPower",
    "AskStatus",
    "CancelEvaluations",
    "FromSupervisor",
    "FromTrainer",
    "Outcomes",
    "OutcomesAnswer",
    "PowerAnswer",
    "PowerVerb",
    "Pulse",
    "PulseAnswer",
    "Rejected",
    "Shutdown",
    "StatusAnswer",
    "Submission",
    "Submit",
    "TrainerHello",
    "TrainerWelcome",
    "from_supervisor_codec",
    "from_trainer_codec",
]

TRAINER_PROTOCOL_VERSION = 1
SUBMIT_LIMIT_BYTES = 8 * 1024 * 1024

Count: TypeAlias = Annotated[int, Range(0, 2**63 - 1)]
Keys: TypeAlias = Annotated[tuple[Name, ...], Items(100_000)]
PowerVerb: TypeAlias = Literal["start", "stop", "restart", "reset"]
Encoded: TypeAlias = Annotated[bytes, Size(128 * 1024 * 1024)]


@value
class TrainerHello:
    """The first message of each connection. `trainer` is the same after a reconnect."""

    TAG: ClassVar[str] = "trainer_hello"
    version: Count
    trainer: Name
    software: Name


@value
class TrainerWelcome:
    """What a trainer needs to know.

    Args:
        version: of this protocol.
        epoch: of this start of the supervisor.
        fleet: the fleet's name.
        settings: the supervisor's settings as JSON, for a trainer that wants others.
        blobs: endpoint of the blob socket.
        spool: folder where genomes lie by digest.
        spool_token: what the file `token` in it holds: who reads the same there shares the file system.
        genome_limit_bytes: the largest genome.
    """

    TAG: ClassVar[str] = "trainer_welcome"
    version: Count
    epoch: Count
    fleet: Name
    settings: Annotated[str, Size(256 * 1024)]
    blobs: Name
    spool: Annotated[str, Size(4096)]
    spool_token: Name
    genome_limit_bytes: Count


@value
class Submission:
    """One evaluation that is asked for.

    Args:
        evaluation: what is asked.
        genome: its bytes, when they are few; else they lie in the spool already, or the supervisor knows them.
        is_fresh: the key was made for this submission, so no journal can know it.
    """

    evaluation: Evaluation
    genome: Annotated[bytes, Size(INLINE_LIMIT_BYTES)] | None
    is_fresh: bool


@value
class Submit:
    """Please evaluate these. Each is answered by `Accepted` or `Rejected`, and in time by its outcome."""

    TAG: ClassVar[str] = "submit"
    submissions: Annotated[tuple[Submission, ...], Items(10_000)]


@value
class Accepted:
    """These are committed: nothing but a cancel keeps them from an outcome."""

    TAG: ClassVar[str] = "accepted"
    keys: Keys


@value
class Rejected:
    """This one is not accepted."""

    TAG: ClassVar[str] = "rejected"
    key: Name
    code: Name
    reason: Text


@value
class CancelEvaluations:
    """End these. Their outcome says whether that came in time."""

    TAG: ClassVar[str] = "cancel_evaluations"
    keys: Keys


@value
class Outcomes:
    """`EvaluationEnded`s, encoded."""

    TAG: ClassVar[str] = "outcomes"
    ended: Annotated[tuple[Encoded, ...], Items(100_000)]


@value
class AskOutcomes:
    """What became of these keys, or of this generation?"""

    TAG: ClassVar[str] = "ask_outcomes"
    request: Count
    keys: Keys | None
    generation: int | None


@value
class OutcomesAnswer:
    """The outcomes there are, and the keys that are still open; keys that are in neither are unknown."""

    TAG: ClassVar[str] = "outcomes_answer"
    request: Count
    ended: Annotated[tuple[Encoded, ...], Items(100_000)]
    open_keys: Keys


@value
class AskStatus:
    """How is the fleet?"""

    TAG: ClassVar[str] = "ask_status"
    request: Count


@value
class StatusAnswer:
    """The snapshot, a packed map."""

    TAG: ClassVar[str] = "status_answer"
    request: Count
    status: Encoded


@value
class AskPower:
    """A person wants this of a VM. What it takes goes on after the answer: `AskStatus` shows how far it is.

    start: it is to run, also when it was stopped by a person or is in quarantine. stop: it is to be off until it is
    started again. restart: it is turned off and booted anew. reset: so too, from its checkpoint, or where there is
    none with a new disk; both are starts as well.
    """

    TAG: ClassVar[str] = "ask_power"
    request: Count
    vm: Name
    verb: PowerVerb


@value
class PowerAnswer:
    """It is committed, and on its way; or it is refused, and `refusal` says why."""

    TAG: ClassVar[str] = "power_answer"
    request: Count
    refusal: Text


@value
class Shutdown:
    """End: after what is open (`drain`), or now (`stop`); what is open then stays in the journal."""

    TAG: ClassVar[str] = "shutdown"
    mode: Literal["drain", "stop"]


@value
class Pulse:
    """Are you there?"""

    TAG: ClassVar[str] = "pulse"
    number: Count


@value
class PulseAnswer:
    """I am."""

    TAG: ClassVar[str] = "pulse_answer"
    number: Count


FromTrainer: TypeAlias = (
    TrainerHello | Submit | CancelEvaluations | AskOutcomes | AskStatus | AskPower | Shutdown | Pulse
)
FromSupervisor: TypeAlias = (
    TrainerWelcome | Accepted | Rejected | Outcomes | OutcomesAnswer | StatusAnswer | PowerAnswer | PulseAnswer
)


def from_trainer_codec() -> Codec[FromTrainer]:
    """For what trainers say; belongs to one thread."""
    said = (TrainerHello, Submit, CancelEvaluations, AskOutcomes, AskStatus, AskPower, Shutdown, Pulse)
    return Codec(said, SUBMIT_LIMIT_BYTES)


def from_supervisor_codec() -> Codec[FromSupervisor]:
    """For what the supervisor says to trainers; belongs to one thread."""
    said = (TrainerWelcome, Accepted, Rejected, Outcomes, OutcomesAnswer, StatusAnswer, PowerAnswer, PulseAnswer)
    return Codec(said, 2**30)
