"""What the dispatcher's machine asks for."""

from typing import ClassVar, TypeAlias

from tzar_actors.core.evaluation import AttemptStory, Evaluation, EvaluationEnded
from tzar_actors.core.records import Record
from tzar_agent.protocol.value import value

__all__ = [
    "Accept",
    "Acknowledge",
    "AttemptOver",
    "BlameVm",
    "CancelDeadline",
    "Deliver",
    "DispatchCommand",
    "Drop",
    "Keep",
    "LowerAlarm",
    "RaiseAlarm",
    "Refuse",
    "ResetVm",
    "SendCancel",
    "SendPlay",
    "SendRecall",
    "SetDeadline",
    "SetProbe",
    "SetRecall",
    "TellWithdrawn",
]


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
class TellWithdrawn:
    """Tell the trainer that it waits for the evaluation no longer, while others do."""

    HELD: ClassVar[bool] = False
    trainer: str
    key: str


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


@value
class ResetVm:
    """Boot this VM anew. It has not failed: the reset counts against nobody."""

    HELD: ClassVar[bool] = False
    vm: str
    reason: str


@value
class BlameVm:
    """This VM is to blame for what failed on it: treat it as failed."""

    HELD: ClassVar[bool] = False
    vm: str
    reason: str


@value
class RaiseAlarm:
    """The evaluator is broken for everybody: nothing is played, until it scores again. `evidence`: what failed."""

    HELD: ClassVar[bool] = False
    genomes: int
    vms: int
    evidence: str


@value
class LowerAlarm:
    """The evaluator works: all goes on."""

    HELD: ClassVar[bool] = False


@value
class SetProbe:
    """Say `ProbeDue` after `after_s` seconds."""

    HELD: ClassVar[bool] = False
    after_s: float


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
    | TellWithdrawn
    | SetDeadline
    | CancelDeadline
    | AttemptOver
    | Drop
    | ResetVm
    | BlameVm
    | RaiseAlarm
    | LowerAlarm
    | SetProbe
)
