"""What the actors are told by the edges and by each other. What one machine alone understands stands in core."""

from dataclasses import replace
from typing import Literal

from tzar_actors.client.protocol import FromTrainer, PowerVerb
from tzar_actors.core.supervise import Rung
from tzar_actors.core.vm_table import Desired
from tzar_actors.drivers.base import VmStatus
from tzar_agent.protocol.messages import Hello, Play, Playing, Result
from tzar_agent.protocol.value import value

__all__ = [
    "AgentHello",
    "AgentLeft",
    "AgentOverdue",
    "AgentQuiet",
    "AgentResult",
    "AskHost",
    "BootAdmitted",
    "FailureJudged",
    "HostTrouble",
    "Order",
    "Restore",
    "SetDesired",
    "Shut",
    "TimerRang",
    "TrainerCame",
    "TrainerLeft",
    "TrainerSaid",
    "VmActorDied",
    "VmBlamed",
    "VmCalled",
    "VmHasCome",
    "VmHasFailed",
    "VmHasSettled",
    "VmIsAskedTo",
    "VmIsBack",
    "VmIsOff",
    "VmIsQuarantined",
    "VmObserved",
    "VmRecover",
    "VmReset",
]


@value
class TimerRang:
    """Loop to actor: a timer of yours ran out. `token` tells it from an earlier one of that name."""

    name: str
    token: object


# --- gateway to VmActor


@value
class AgentHello:
    """Your agent is here. `behind`: what waits there behind what it plays, if it was here before you were."""

    hello: Hello
    behind: tuple[Playing, ...] = ()

    def after(self, attempt: str) -> "AgentHello":
        """What would be said now that the agent has reported `attempt`."""
        row = [order for order in (self.hello.playing, *self.behind) if order is not None and order.attempt != attempt]
        return AgentHello(replace(self.hello, playing=row[0] if row else None), tuple(row[1:]))


@value
class AgentResult:
    """Your agent sent a result."""

    incarnation: int
    result: Result


@value
class AgentLeft:
    """Your agent's connection is gone."""


@value
class AgentQuiet:
    """Your agent has said nothing for `seconds`."""

    seconds: float


@value
class AgentOverdue:
    """Your agent lives, and a game of it should have ended long ago."""

    attempt: str
    seconds: float


# --- gateway to Dispatcher and FleetActor


@value
class TrainerCame:
    """A trainer is here."""

    trainer: str


@value
class TrainerLeft:
    """A trainer's connection is gone; it may come back."""

    trainer: str


@value
class TrainerSaid:
    """A trainer said this."""

    trainer: str
    message: FromTrainer


# --- drivers


@value
class VmObserved:
    """To a VmActor: its part of a host's answer. `status` is None when the VM is absent."""

    asked_at: float
    status: VmStatus | None
    is_known: bool


# --- among the actors that decide


@value
class Order:
    """Dispatcher to VmActor: have your agent play this."""

    play: Play


@value
class AskHost:
    """To FleetActor: something happened on this host; ask it now, not at the next round. `vm`: who waits for it."""

    host: str
    vm: str | None = None


@value
class VmCalled:
    """To FleetActor: a driver call of this VM ended `at`; what was asked of its host before shows the VM as it was."""

    at: float
    vm: str


@value
class SetDesired:
    """Be in this state."""

    desired: Desired


@value
class VmHasFailed:
    """VmActor to VmSupervisor: the VM failed; say how it comes back."""

    vm: str
    incarnation: int
    cause: str


@value
class VmHasCome:
    """VmActor to VmSupervisor: the VM's agent is here."""

    vm: str


@value
class VmHasSettled:
    """VmActor to VmSupervisor: the VM has worked for a whole window."""

    vm: str


@value
class VmRecover:
    """VmSupervisor to VmActor: come back in this way, now."""

    rung: Rung


@value
class VmBlamed:
    """Dispatcher to VmActor, by way of its supervisors: what failed on the VM is the VM's fault."""

    vm: str
    cause: str


@value
class VmReset:
    """Dispatcher to VmActor, by way of its supervisors: boot the VM anew; it has not failed.

    `by`: its supervisor says in which way, since a person wants it.
    """

    vm: str
    reason: str
    by: Rung | None = None


@value
class VmIsAskedTo:
    """FleetActor to VmSupervisor: a person wants this of the VM."""

    verb: PowerVerb


@value
class VmActorDied:
    """A VmActor died of an exception."""

    generation: int
    error: str


@value
class VmIsOff:
    """VmActor to FleetActor: the VM is off, or gone, as was wanted."""

    vm: str


@value
class VmIsBack:
    """VmSupervisor to FleetActor: the VM has come back from quarantine, and games may wait for it again."""

    vm: str


@value
class BootAdmitted:
    """HostActor to VmActor: boot now."""


@value
class FailureJudged:
    """HostActor to VmSupervisor: whether the failure of your VM counts against it."""

    cause: str
    is_excused: bool
    needs_more: bool = False  # restarts were tried in vain


@value
class HostTrouble:
    """HostActor to VmSupervisor: what failed `since`, monotonic seconds, was the host's fault."""

    since: float


@value
class VmIsQuarantined:
    """VmSupervisor to FleetActor: nothing brought the VM back, so no game may wait for it."""

    vm: str


@value
class Restore:
    """To the Dispatcher, before all else: take up what the journal has open. `wall`: seconds since 1970."""

    wall: float


@value
class Shut:
    """To the FleetActor: end the fleet."""

    mode: Literal["drain", "stop"]
    reason: str
