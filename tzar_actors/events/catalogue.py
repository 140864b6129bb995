"""Every event that the supervisor writes, with its fields. `docs/events.md` is made from it.

Monitors read nothing but these, so a name, once published, keeps its meaning; what is added is a field or an event.
`TEXT` is the event as a line for people; durations are in seconds, and `None` says that there is no such thing.
"""

from typing import TypeAlias, get_args

from tzar_actors.events.level import Level
from tzar_actors.events.of_games import (
    AttemptDropped,
    AttemptEnded,
    AttemptLost,
    AttemptStarted,
    BlobStored,
    EvaluationAccepted,
    EvaluationEnded,
    EvaluationRejected,
    EvaluatorBroken,
    EvaluatorMended,
    TrainerConnected,
    TrainerDisconnected,
)
from tzar_actors.events.of_supervisor import (
    ActorFailed,
    BlobsDiscarded,
    EvaluationsForgotten,
    LoopLate,
    Message,
    RoomEnough,
    RoomShort,
    SupervisorReady,
    SupervisorStarted,
    SupervisorStopped,
    SupervisorStopping,
    Watchdog,
)
from tzar_actors.events.of_vms import (
    AgentDisconnected,
    AgentRefused,
    AgentSilent,
    DriverFailed,
    FrameDropped,
    HostDown,
    HostUp,
    PeerRejected,
    VmAsked,
    VmCreated,
    VmFailed,
    VmHeld,
    VmQuarantined,
    VmReady,
    VmRecovering,
    VmReleased,
    VmRemoved,
    VmReset,
    VmStarted,
    VmStopped,
    VmStray,
)

__all__ = [
    "EVENTS",
    "ActorFailed",
    "AgentDisconnected",
    "AgentRefused",
    "AgentSilent",
    "AttemptDropped",
    "AttemptEnded",
    "AttemptLost",
    "AttemptStarted",
    "BlobStored",
    "BlobsDiscarded",
    "DriverFailed",
    "EvaluationAccepted",
    "EvaluationEnded",
    "EvaluationRejected",
    "EvaluationsForgotten",
    "EvaluatorBroken",
    "EvaluatorMended",
    "Event",
    "FrameDropped",
    "HostDown",
    "HostUp",
    "Level",
    "LoopLate",
    "Message",
    "PeerRejected",
    "RoomEnough",
    "RoomShort",
    "SupervisorReady",
    "SupervisorStarted",
    "SupervisorStopped",
    "SupervisorStopping",
    "TrainerConnected",
    "TrainerDisconnected",
    "VmAsked",
    "VmCreated",
    "VmFailed",
    "VmHeld",
    "VmQuarantined",
    "VmReady",
    "VmRecovering",
    "VmReleased",
    "VmRemoved",
    "VmReset",
    "VmStarted",
    "VmStopped",
    "VmStray",
    "Watchdog",
]

Event: TypeAlias = (
    SupervisorStarted
    | SupervisorReady
    | SupervisorStopping
    | SupervisorStopped
    | LoopLate
    | Watchdog
    | RoomShort
    | RoomEnough
    | EvaluationsForgotten
    | BlobsDiscarded
    | ActorFailed
    | VmCreated
    | VmStarted
    | VmReady
    | VmFailed
    | VmRecovering
    | VmQuarantined
    | VmReleased
    | VmReset
    | VmAsked
    | VmHeld
    | VmStray
    | VmStopped
    | VmRemoved
    | HostDown
    | HostUp
    | DriverFailed
    | AgentSilent
    | AgentDisconnected
    | AgentRefused
    | PeerRejected
    | FrameDropped
    | EvaluationAccepted
    | EvaluationRejected
    | EvaluationEnded
    | EvaluatorBroken
    | EvaluatorMended
    | AttemptStarted
    | AttemptEnded
    | AttemptLost
    | AttemptDropped
    | TrainerConnected
    | TrainerDisconnected
    | BlobStored
    | Message
)

EVENTS: tuple[type[Event], ...] = get_args(Event)
