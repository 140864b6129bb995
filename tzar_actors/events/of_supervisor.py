"""Events of the supervisor's own life. The catalogue has them all."""

from typing import ClassVar

from tzar_actors.events.level import Level
from tzar_agent.protocol.value import value

__all__ = [
    "ActorFailed",
    "BlobsDiscarded",
    "EvaluationsForgotten",
    "LoopLate",
    "Message",
    "RoomEnough",
    "RoomShort",
    "SupervisorReady",
    "SupervisorStarted",
    "SupervisorStopped",
    "SupervisorStopping",
    "Watchdog",
]


@value
class SupervisorStarted:
    """A supervisor took the state folder; its epoch is in the journal."""

    NAME: ClassVar[str] = "supervisor_started"
    LEVEL: ClassVar[Level] = Level.INFO
    TEXT: ClassVar[str] = "supervisor {version} started, epoch {epoch}, pid {pid}, {endpoint}, state in {state_dir}"
    epoch: int
    pid: int
    endpoint: str
    version: str
    state_dir: str


@value
class SupervisorReady:
    """Trainers can connect; `seconds` since the process began."""

    NAME: ClassVar[str] = "supervisor_ready"
    LEVEL: ClassVar[Level] = Level.INFO
    TEXT: ClassVar[str] = "supervisor ready after {seconds:.1f} s"
    seconds: float


@value
class SupervisorStopping:
    """The supervisor was told to end, or decided to."""

    NAME: ClassVar[str] = "supervisor_stopping"
    LEVEL: ClassVar[Level] = Level.INFO
    TEXT: ClassVar[str] = "supervisor stopping: {reason}"
    reason: str


@value
class SupervisorStopped:
    """The last event of a supervisor that ended as it should."""

    NAME: ClassVar[str] = "supervisor_stopped"
    LEVEL: ClassVar[Level] = Level.INFO
    TEXT: ClassVar[str] = "supervisor stopped"


@value
class LoopLate:
    """A turn of the loop came so much later than it was due; silence of agents is not judged for that time."""

    NAME: ClassVar[str] = "loop_late"
    LEVEL: ClassVar[Level] = Level.WARNING
    TEXT: ClassVar[str] = "the loop was {seconds:.2f} s late"
    seconds: float


@value
class Watchdog:
    """The loop has not turned for so long that the process ends; all stacks are in the log."""

    NAME: ClassVar[str] = "watchdog"
    LEVEL: ClassVar[Level] = Level.ERROR
    TEXT: ClassVar[str] = "the loop has not turned for {stalled_s:.0f} s: the supervisor ends and is started again"
    stalled_s: float


@value
class RoomShort:
    """There is no room for new work, which is refused; what was accepted goes on."""

    NAME: ClassVar[str] = "room_short"
    LEVEL: ClassVar[Level] = Level.ERROR
    TEXT: ClassVar[str] = "{code}: {reason}"
    code: str
    reason: str
    free_bytes: int | None


@value
class RoomEnough:
    """There is room again, and new work is taken."""

    NAME: ClassVar[str] = "room_enough"
    LEVEL: ClassVar[Level] = Level.INFO
    TEXT: ClassVar[str] = "there is room again: new evaluations are taken"
    free_bytes: int | None


@value
class EvaluationsForgotten:
    """So many evaluations that had ended long ago were removed from the journal (`[retention]`)."""

    NAME: ClassVar[str] = "evaluations_forgotten"
    LEVEL: ClassVar[Level] = Level.INFO
    TEXT: ClassVar[str] = "{evaluations} evaluations that had ended long ago were forgotten"
    evaluations: int


@value
class BlobsDiscarded:
    """So many genomes that nothing needs, or that `limits.spool_gib` has no room for, were taken out of the spool."""

    NAME: ClassVar[str] = "blobs_discarded"
    LEVEL: ClassVar[Level] = Level.INFO
    TEXT: ClassVar[str] = "{blobs} genomes ({size} bytes) were taken out of the spool"
    blobs: int
    size: int


@value
class ActorFailed:
    """An actor died of an exception that it did not handle."""

    NAME: ClassVar[str] = "actor_failed"
    LEVEL: ClassVar[Level] = Level.ERROR
    TEXT: ClassVar[str] = "actor {actor} failed: {error}"
    actor: str
    error: str


@value
class Message:
    """An ordinary line of a library or of ours that is no event of its own. Its level is the line's own."""

    NAME: ClassVar[str] = "log"
    LEVEL: ClassVar[Level] = Level.INFO
    TEXT: ClassVar[str] = "{source}: {text}"
    source: str
    text: str
    traceback: str | None
