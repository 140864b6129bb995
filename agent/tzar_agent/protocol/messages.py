"""What supervisor and agent say to each other. The order of the fields is the order on the wire.

`docs/protocol.md` explains each. Two closed unions: `Control` travels on the control
socket and is always small; `Blob` travels on the blob socket.
"""

from typing import Annotated, ClassVar, Literal, TypeAlias

from tzar_agent.protocol.codec import Codec, Items, Range, Size
from tzar_agent.protocol.value import value

__all__ = [
    "BLOB_CHUNK_BYTES",
    "BLOB_WINDOW",
    "CONTROL_LIMIT_BYTES",
    "INLINE_LIMIT_BYTES",
    "ORDERS_LIMIT",
    "PROTOCOL_VERSION",
    "AgentHeartbeat",
    "Blob",
    "Bye",
    "Cancel",
    "Chunk",
    "Control",
    "Evidence",
    "Get",
    "Hello",
    "Missing",
    "Offer",
    "Play",
    "Playing",
    "Progress",
    "Recall",
    "Result",
    "ResultAck",
    "Stored",
    "SupervisorHeartbeat",
    "Unwelcome",
    "Welcome",
    "blob_codec",
    "control_codec",
]

PROTOCOL_VERSION = 1
CONTROL_LIMIT_BYTES = 1024 * 1024
INLINE_LIMIT_BYTES = 64 * 1024
BLOB_CHUNK_BYTES = 512 * 1024
ORDERS_LIMIT = 64  # orders that one agent may have
BLOB_WINDOW = 8  # chunks under way at once for one blob

Name: TypeAlias = Annotated[str, Size(200)]
Text: TypeAlias = Annotated[str, Size(16 * 1024)]
Digest: TypeAlias = Annotated[bytes, Size(32, 32)]  # SHA-256
Count: TypeAlias = Annotated[int, Range(0, 2**63 - 1)]
Packed: TypeAlias = Annotated[bytes, Size(256 * 1024)]  # one msgpack value, packed by itself

ResultStatus: TypeAlias = Literal["scored", "fault", "timed_out", "cancelled", "agent_fault"]
AgentState: TypeAlias = Literal["idle", "fetching", "playing"]


@value
class Playing:
    """The attempt that an agent is at: enough for a supervisor to adopt it even if its journal never heard of it."""

    attempt: Name
    evaluation: Name
    game: Count
    digest: Digest


@value
class Hello:
    """Agent: who I am. The first message of each connection."""

    TAG: ClassVar[str] = "hello"
    version: Count
    vm: Name
    incarnation: Count
    software: Name
    pid: Count
    playing: Playing | None
    kept: Annotated[tuple[Name, ...], Items(10_000)]  # attempts whose results wait for their acknowledgement
    room: Annotated[int, Range(1, ORDERS_LIMIT)]  # orders that it takes at once, the one that it plays among them


@value
class Welcome:
    """Supervisor: you belong here, and this is how we work."""

    TAG: ClassVar[str] = "welcome"
    version: Count
    epoch: Count
    heartbeat_interval_s: float
    misses: Annotated[int, Range(1, 1000)]
    evaluator: Packed  # a map, see "Evaluators" in docs/protocol.md
    blobs: Name  # endpoint of the blob socket
    spool: Annotated[str, Size(4096)] | None  # a folder where blobs lie by digest, for an agent that can read it
    cache_bytes: Count


@value
class Unwelcome:
    """Supervisor: you do not belong here. The agent gives up its identity and parks."""

    TAG: ClassVar[str] = "unwelcome"
    code: Literal["version", "incarnation", "vm"]
    reason: Text


@value
class AgentHeartbeat:
    """Agent: I live. Sent each interval, whatever the game does."""

    TAG: ClassVar[str] = "agent_heartbeat"
    number: Count
    state: AgentState
    attempt: Name | None
    progress: Count  # reports of progress of this attempt so far
    load: float  # processors' load, 0 to 1
    memory_bytes: Count  # of the agent and its evaluator


@value
class SupervisorHeartbeat:
    """Supervisor: I live. The answer to an agent's heartbeat."""

    TAG: ClassVar[str] = "supervisor_heartbeat"
    number: Count


@value
class Play:
    """Supervisor: play this game. An agent plays one at a time; others wait for their turn, if it has room for them."""

    TAG: ClassVar[str] = "play"
    attempt: Name
    evaluation: Name
    game: Count
    digest: Digest
    size: Count
    genome: Annotated[bytes, Size(INLINE_LIMIT_BYTES)] | None  # None: get it by its digest
    params: Packed  # a map
    seed: Annotated[int, Range(0, 2**63 - 1)]
    time_limit_s: float
    stall_s: float | None


@value
class Cancel:
    """Supervisor: end this attempt. It is answered by its result."""

    TAG: ClassVar[str] = "cancel"
    attempt: Name


@value
class Recall:
    """Supervisor: give these orders back, if their turn has not come. Each is answered by its result, `cancelled`."""

    TAG: ClassVar[str] = "recall"
    attempts: Annotated[tuple[Name, ...], Items(ORDERS_LIMIT)]


@value
class Progress:
    """Agent: the game of this attempt has begun (`count` 0) or goes on. At most one for each heartbeat interval."""

    TAG: ClassVar[str] = "progress"
    attempt: Name
    count: Count


@value
class Evidence:
    """What is left of a game that went wrong."""

    exit_code: int | None
    tail: Text  # the last lines the evaluator printed


@value
class Result:
    """Agent: how this attempt ended. Kept on the agent's disk and sent again until it is acknowledged."""

    TAG: ClassVar[str] = "result"
    attempt: Name
    evaluation: Name
    game: Count
    digest: Digest
    status: ResultStatus
    fitness: float | None  # of a scored game
    details: Packed  # a map
    seconds: float
    reason: Text
    evidence: Evidence | None


@value
class ResultAck:
    """Supervisor: these results are committed, or count no longer; either way the agent may forget them.

    It is in no hurry, and comes for many results at once: each message costs an agent a wake-up.
    """

    TAG: ClassVar[str] = "result_ack"
    attempts: Annotated[tuple[Name, ...], Items(4_000)]


@value
class Bye:
    """Either: I end now."""

    TAG: ClassVar[str] = "bye"
    reason: Text


@value
class Get:
    """Give me these bytes of the blob."""

    TAG: ClassVar[str] = "get"
    digest: Digest
    offset: Count
    length: Annotated[int, Range(1, BLOB_CHUNK_BYTES)]


@value
class Chunk:
    """These are bytes of the blob. They follow as a frame of their own."""

    TAG: ClassVar[str] = "chunk"
    digest: Digest
    offset: Count


@value
class Missing:
    """The blob cannot be had here, or is not what it should be."""

    TAG: ClassVar[str] = "missing"
    digest: Digest
    reason: Text


@value
class Offer:
    """I have this blob for you. It is answered by `Get`s for it, or at once by `Stored` or `Missing`."""

    TAG: ClassVar[str] = "offer"
    digest: Digest
    size: Count


@value
class Stored:
    """The blob that was offered lies here, verified."""

    TAG: ClassVar[str] = "stored"
    digest: Digest


Control: TypeAlias = (
    Hello
    | Welcome
    | Unwelcome
    | AgentHeartbeat
    | SupervisorHeartbeat
    | Play
    | Cancel
    | Recall
    | Progress
    | Result
    | ResultAck
    | Bye
)
Blob: TypeAlias = Get | Chunk | Missing | Offer | Stored


def control_codec() -> Codec[Control]:
    """A codec for the control socket, for use by one thread."""
    return Codec(
        (
            Hello,
            Welcome,
            Unwelcome,
            AgentHeartbeat,
            SupervisorHeartbeat,
            Play,
            Cancel,
            Recall,
            Progress,
            Result,
            ResultAck,
            Bye,
        ),
        CONTROL_LIMIT_BYTES,
    )


def blob_codec() -> Codec[Blob]:
    """A codec for the first frame on the blob socket, for use by one thread."""
    return Codec((Get, Chunk, Missing, Offer, Stored), 64 * 1024)
