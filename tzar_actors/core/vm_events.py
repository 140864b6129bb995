"""What the machine of a VM is told, and what it asks for."""

from typing import Literal, TypeAlias

from tzar_actors.core.supervise import Rung
from tzar_actors.core.vm_table import Desired
from tzar_agent.protocol.value import value

__all__ = [
    "AgentCame",
    "AgentDisconnected",
    "AgentFaulted",
    "AgentSilent",
    "AskStatus",
    "Boot",
    "BootWithdrawn",
    "Call",
    "CallDone",
    "CallFailed",
    "CancelTimer",
    "DesiredSet",
    "Power",
    "RecoverBy",
    "ReportAway",
    "ReportFailed",
    "ReportOff",
    "ReportReady",
    "ReportSettled",
    "ReportSilent",
    "ResetAsked",
    "Seen",
    "SetTimer",
    "TimerFired",
    "TimerName",
    "Verb",
    "VmCommand",
    "VmEvent",
]

Verb: TypeAlias = Literal["create", "start", "restore", "stop", "kill", "remove"]
Power: TypeAlias = Literal["absent", "off", "changing", "running", "unknown"]
TimerName: TypeAlias = Literal["boot", "silence", "grace", "settle", "recheck", "retry"]


@value
class DesiredSet:
    """Somebody wants the VM in this state."""

    desired: Desired


@value
class Seen:
    """A query said this of the VM. `asked_at`: when the query was sent; an older one than our last call is no news."""

    power: Power
    incarnation: int
    asked_at: float


@value
class CallDone:
    """The driver call ended well at `at`."""

    at: float


@value
class CallFailed:
    """The driver call failed. `refused`: the host is busy or out of reach, so nobody is to blame.

    `jitter` is a draw from [0, 1): VMs that were refused together ask again apart.
    """

    at: float
    reason: str
    refused: bool
    jitter: float = 1.0


@value
class BootWithdrawn:
    """The boot that was asked for has not begun, and will not: something else is wanted now."""


@value
class AgentCame:
    """The agent of this incarnation said hello on a new connection."""

    incarnation: int


@value
class AgentDisconnected:
    """Its connection broke."""


@value
class AgentSilent:
    """Its connection stands, and it has said nothing for too long."""


@value
class AgentFaulted:
    """The agent lives and is of no use: it says so, or plays a game without an end."""

    cause: str


@value
class ResetAsked:
    """Somebody wants another incarnation of the VM, which has not failed.

    `by`: a person wants it in this way, and now, wherever the VM stands. None: a game needs another incarnation, which
    there will be anyway of a VM that has failed or boots.
    """

    by: Rung | None = None


@value
class RecoverBy:
    """Its supervisor's word: come back in this way, now."""

    rung: Rung


@value
class TimerFired:
    """A timer that was set has run out."""

    name: TimerName


VmEvent: TypeAlias = (
    DesiredSet
    | Seen
    | CallDone
    | CallFailed
    | BootWithdrawn
    | AgentCame
    | AgentDisconnected
    | AgentSilent
    | AgentFaulted
    | ResetAsked
    | RecoverBy
    | TimerFired
)


@value
class Call:
    """Call this verb of the driver; the answer comes back as `CallDone` or `CallFailed`."""

    verb: Verb


@value
class Boot:
    """As `Call`, for a verb that delivers the identity of a new incarnation.

    It waits until its host admits it, and until the incarnation is committed.
    """

    verb: Literal["start", "restore"]
    incarnation: int


@value
class AskStatus:
    """Ask the host now, not at the next round."""


@value
class SetTimer:
    """Let this timer run out after `after_s` seconds; one of that name that runs is replaced."""

    name: TimerName
    after_s: float


@value
class CancelTimer:
    """This timer is of no interest any more."""

    name: TimerName


@value
class ReportReady:
    """The agent is here and can be given games. `adopted`: it was running before this supervisor."""

    incarnation: int
    adopted: bool


@value
class ReportAway:
    """The agent cannot be reached now; what it plays it may still be playing."""


@value
class ReportSilent:
    """The agent's game is to be played elsewhere; its result still counts if it comes first."""

    cause: str


@value
class ReportFailed:
    """The VM failed, and will be reset: what it played is lost."""

    cause: str


@value
class ReportSettled:
    """The VM has worked for a whole window."""


@value
class ReportOff:
    """The VM is off, or gone, as was wanted."""


VmCommand: TypeAlias = (
    Call
    | Boot
    | AskStatus
    | SetTimer
    | CancelTimer
    | ReportReady
    | ReportAway
    | ReportSilent
    | ReportFailed
    | ReportSettled
    | ReportOff
)
