"""What the dispatcher's machine is told."""

from typing import TypeAlias

from tzar_actors.core.evaluation import Evaluation, EvaluationEnded
from tzar_agent.protocol.messages import Playing, Result
from tzar_agent.protocol.value import value

__all__ = [
    "CancelAsked",
    "DeadlinePassed",
    "DispatchEvent",
    "FleetChanged",
    "HostBack",
    "HostFell",
    "ProbeDue",
    "RecallDue",
    "Reported",
    "Submitted",
    "TrainerGone",
    "VmAway",
    "VmGone",
    "VmLacks",
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
    """`trainer` does not want this evaluation any more."""

    at: float
    key: str
    trainer: str


@value
class TrainerGone:
    """`trainer` left, and has had the time to come back; None: so have all that an earlier supervisor knew."""

    at: float
    trainer: str | None


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
    """The VM failed, was stopped or is to be reset: its attempts are revoked.

    `commanded`: it did not fail, so what it played counts against nobody. `sent`: the orders that its agent was given;
    others had not reached its actor yet. None: it is not known.
    """

    at: float
    vm: str
    cause: str
    commanded: bool = False
    sent: tuple[str, ...] | None = None


@value
class VmLacks:
    """The VM's agent has not got these orders, and will not: they count as no attempts. `cause`: how that came."""

    at: float
    vm: str
    attempts: tuple[str, ...]
    cause: str


@value
class HostFell:
    """The host of these VMs has a fault. What they lost from `since` on, until it is back, counts against nobody."""

    vms: frozenset[str]
    since: float


@value
class HostBack:
    """The host of these VMs works again."""

    vms: frozenset[str]


@value
class ProbeDue:
    """While the evaluator is broken: it is time to see whether it still is."""

    at: float


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
    | TrainerGone
    | DeadlinePassed
    | FleetChanged
    | VmReady
    | VmAway
    | VmSilent
    | VmGone
    | VmLacks
    | Reported
    | RecallDue
    | HostFell
    | HostBack
    | ProbeDue
)
