"""What the dispatcher's machine is told, and what it asks for."""

from typing import ClassVar, TypeAlias

from tzar_actors.core.evaluation import AttemptStory, Evaluation, EvaluationEnded
from tzar_actors.core.records import Record
from tzar_agent.protocol.messages import Playing, Result
from tzar_agent.value import value

__all__ = [
    "Accept",
    "Acknowledge",
    "AttemptOver",
    "CancelAsked",
    "CancelDeadline",
    "DeadlinePassed",
    "Deliver",
    "DispatchCommand",
    "DispatchEvent",
    "Drop",
    "FleetChanged",
    "Keep",
    "RecallDue",
    "Refuse",
    "Reported",
    "SendCancel",
    "SendPlay",
    "SendRecall",
    "SetDeadline",
    "SetRecall",
    "Submitted",
    "VmAway",
    "VmGone",
    "VmReady",
    "VmSilent",
]


@value
class Submitted:
    """A trainer asks for an evaluation.

    Args:
        at: monotonic seconds.
        wall: seconds since 1970.
        trainer: who asks.
        evaluation: what for; it has at least one game.
        known: what the journal says of this key, when the evaluation is over: its question and its answer.
    """

    at: float
    wall: float
    trainer: str
    evaluation: Evaluation
    known: tuple[Evaluation, EvaluationEnded] | None = None


@value
class CancelAsked:
    """A trainer does not want this evaluation any more."""

    at: float
    key: str


@value
class DeadlinePassed:
    """The evaluation's own time is over."""

    at: float
    key: str


@value
class FleetChanged:
    """These VMs belong to the fleet and are not in quarantine, whether they run now or not."""

    at: float
    vms: frozenset[str]


@value
class VmReady:
    """The VM's agent is here. `playing`, `kept` and `room` are what its hello said."""

    at: float
    vm: str
    incarnation: int
    playing: Playing | None = None
    kept: tuple[str, ...] = ()
    room: int = 1


@value
class VmAway:
    """The VM's agent cannot be reached. What it plays may still end well."""

    vm: str


@value
class VmSilent:
    """The VM's game is to be played elsewhere as well; whichever result comes first counts."""

    at: float
    vm: str


@value
class VmGone:
    """The VM failed, was stopped or is to be reset: its attempts are revoked."""

    at: float
    vm: str
    cause: str


@value
class Reported:
    """The agent of this incarnation sent a result."""

    at: float
    vm: str
    incarnation: int
    result: Result


@value
class RecallDue:
    """It is time to see whether orders wait at a VM whose game takes long."""

    at: float


DispatchEvent: TypeAlias = (
    Submitted
    | CancelAsked
    | DeadlinePassed
    | FleetChanged
    | VmReady
    | VmAway
    | VmSilent
    | VmGone
    | Reported
    | RecallDue
)


@value
class Keep:
    """Journal this."""

    HELD: ClassVar[bool] = False
    record: Record


@value
class Accept:
    """Tell the trainer that the evaluation is accepted."""

    HELD: ClassVar[bool] = True
    LAZY: ClassVar[bool] = True  # nobody waits for it: it may be told with what others wait for
    trainer: str
    key: str


@value
class Refuse:
    """Tell the trainer that the evaluation is not accepted, and why."""

    HELD: ClassVar[bool] = False
    trainer: str
    key: str
    code: str
    reason: str


@value
class SendPlay:
    """Order this attempt at the VM. It waits for no commit: its id cannot repeat, since the epoch is committed."""

    HELD: ClassVar[bool] = False
    vm: str
    incarnation: int
    attempt: str
    evaluation: Evaluation
    game: int


@value
class SendCancel:
    """Tell the VM to end this attempt."""

    HELD: ClassVar[bool] = False
    vm: str
    attempt: str


@value
class SendRecall:
    """Ask the VM for these orders back: the game before them takes longer than was thought."""

    HELD: ClassVar[bool] = False
    vm: str
    attempts: tuple[str, ...]


@value
class SetRecall:
    """Say `RecallDue` after `after_s` seconds."""

    HELD: ClassVar[bool] = False
    after_s: float


@value
class Acknowledge:
    """Tell the VM's agent that it may forget this result."""

    HELD: ClassVar[bool] = True
    LAZY: ClassVar[bool] = True  # nobody waits for it: it may be told with what others wait for
    vm: str
    attempt: str


@value
class Deliver:
    """Hand the outcome to these trainers."""

    HELD: ClassVar[bool] = True
    trainers: tuple[str, ...]
    ended: EvaluationEnded


@value
class SetDeadline:
    """Say `DeadlinePassed` after `after_s` seconds."""

    HELD: ClassVar[bool] = False
    key: str
    after_s: float


@value
class CancelDeadline:
    """The deadline is of no interest any more."""

    HELD: ClassVar[bool] = False
    key: str


@value
class AttemptOver:
    """For the log: how an attempt ended that counted."""

    HELD: ClassVar[bool] = False
    key: str
    game: int
    story: AttemptStory
    fitness: float | None


@value
class Drop:
    """For the log: a result that does not count, and why."""

    HELD: ClassVar[bool] = False
    vm: str
    attempt: str
    reason: str


DispatchCommand: TypeAlias = (
    Keep
    | Accept
    | Refuse
    | SendPlay
    | SendCancel
    | SendRecall
    | SetRecall
    | Acknowledge
    | Deliver
    | SetDeadline
    | CancelDeadline
    | AttemptOver
    | Drop
)
