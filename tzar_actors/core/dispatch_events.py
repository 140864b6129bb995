"""What the dispatcher's machine is told, and what it asks for."""

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from tzar_actors.core.evaluation import AttemptStory, Evaluation, EvaluationEnded
from tzar_actors.core.records import Record
from tzar_agent.protocol.messages import Playing, Result

__all__ = [
    "Accept",
    "Acknowledge",
    "AttemptOver",
    "BlameVm",
    "CancelAsked",
    "CancelDeadline",
    "DeadlinePassed",
    "Deliver",
    "DispatchCommand",
    "DispatchEvent",
    "Drop",
    "FleetChanged",
    "HostBack",
    "HostFell",
    "Keep",
    "LowerAlarm",
    "ProbeDue",
    "RaiseAlarm",
    "Refuse",
    "Reported",
    "ResetVm",
    "SendCancel",
    "SendPlay",
    "SetDeadline",
    "SetProbe",
    "Submitted",
    "VmAway",
    "VmGone",
    "VmReady",
    "VmSilent",
]


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """A trainer does not want this evaluation any more."""

    at: float
    key: str


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The evaluation's own time is over."""

    at: float
    key: str


@dataclass(frozen=True, slots=True)
class FleetChanged:
    """These VMs belong to the fleet and are not in quarantine, whether they run now or not."""

    at: float
    vms: frozenset[str]


@dataclass(frozen=True, slots=True)
class VmReady:
    """The VM's agent is here. `playing` and `kept` are what its hello said."""

    at: float
    vm: str
    incarnation: int
    playing: Playing | None = None
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VmAway:
    """The VM's agent cannot be reached. What it plays may still end well."""

    vm: str


@dataclass(frozen=True, slots=True)
class VmSilent:
    """The VM's game is to be played elsewhere as well; whichever result comes first counts."""

    at: float
    vm: str


@dataclass(frozen=True, slots=True)
class VmGone:
    """The VM failed, was stopped or is to be reset: its attempts are revoked.

    `commanded`: it did not fail, so what it played counts against nobody.
    """

    at: float
    vm: str
    cause: str
    commanded: bool = False


@dataclass(frozen=True, slots=True)
class HostFell:
    """The host of these VMs has a fault. What they lost from `since` on, until it is back, counts against nobody."""

    vms: frozenset[str]
    since: float


@dataclass(frozen=True, slots=True)
class HostBack:
    """The host of these VMs works again."""

    vms: frozenset[str]


@dataclass(frozen=True, slots=True)
class ProbeDue:
    """While the evaluator is broken: it is time to see whether it still is."""

    at: float


@dataclass(frozen=True, slots=True)
class Reported:
    """The agent of this incarnation sent a result."""

    at: float
    vm: str
    incarnation: int
    result: Result


DispatchEvent: TypeAlias = (
    Submitted
    | CancelAsked
    | DeadlinePassed
    | FleetChanged
    | VmReady
    | VmAway
    | VmSilent
    | VmGone
    | HostFell
    | HostBack
    | ProbeDue
    | Reported
)


@dataclass(frozen=True, slots=True)
class Keep:
    """Journal this."""

    HELD: ClassVar[bool] = False
    record: Record


@dataclass(frozen=True, slots=True)
class Accept:
    """Tell the trainer that the evaluation is accepted."""

    HELD: ClassVar[bool] = True
    trainer: str
    key: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Tell the trainer that the evaluation is not accepted, and why."""

    HELD: ClassVar[bool] = False
    trainer: str
    key: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class SendPlay:
    """Order this attempt at the VM. It waits for no commit: its id cannot repeat, since the epoch is committed."""

    HELD: ClassVar[bool] = False
    vm: str
    incarnation: int
    attempt: str
    evaluation: Evaluation
    game: int


@dataclass(frozen=True, slots=True)
class SendCancel:
    """Tell the VM to end this attempt."""

    HELD: ClassVar[bool] = False
    vm: str
    attempt: str


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Tell the VM's agent that it may forget this result."""

    HELD: ClassVar[bool] = True
    vm: str
    attempt: str


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand the outcome to these trainers."""

    HELD: ClassVar[bool] = True
    trainers: tuple[str, ...]
    ended: EvaluationEnded


@dataclass(frozen=True, slots=True)
class SetDeadline:
    """Say `DeadlinePassed` after `after_s` seconds."""

    HELD: ClassVar[bool] = False
    key: str
    after_s: float


@dataclass(frozen=True, slots=True)
class CancelDeadline:
    """The deadline is of no interest any more."""

    HELD: ClassVar[bool] = False
    key: str


@dataclass(frozen=True, slots=True)
class AttemptOver:
    """For the log: how an attempt ended that counted."""

    HELD: ClassVar[bool] = False
    key: str
    game: int
    story: AttemptStory
    fitness: float | None


@dataclass(frozen=True, slots=True)
class Drop:
    """For the log: a result that does not count, and why."""

    HELD: ClassVar[bool] = False
    vm: str
    attempt: str
    reason: str


@dataclass(frozen=True, slots=True)
class ResetVm:
    """Boot this VM anew. It has not failed: the reset counts against nobody."""

    HELD: ClassVar[bool] = False
    vm: str
    reason: str


@dataclass(frozen=True, slots=True)
class BlameVm:
    """This VM is to blame for what failed on it: treat it as failed."""

    HELD: ClassVar[bool] = False
    vm: str
    reason: str


@dataclass(frozen=True, slots=True)
class RaiseAlarm:
    """The evaluator is broken for everybody: nothing is played, until it scores again. `evidence`: what failed."""

    HELD: ClassVar[bool] = False
    genomes: int
    vms: int
    evidence: str


@dataclass(frozen=True, slots=True)
class LowerAlarm:
    """The evaluator works: all goes on."""

    HELD: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
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
    | Acknowledge
    | Deliver
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
