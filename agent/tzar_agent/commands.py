"""What a `Session` wants done. Whoever runs it carries the commands out in their order."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from tzar_agent.events import Genome
from tzar_agent.protocol.messages import AgentState, Control, Play, Result, Welcome

__all__ = [
    "Abandon",
    "Adopt",
    "Beat",
    "Command",
    "Dial",
    "EndTree",
    "Equip",
    "Exit",
    "Forget",
    "Hangup",
    "Keep",
    "Note",
    "Obtain",
    "Park",
    "Resend",
    "Send",
    "Start",
]


@dataclass(frozen=True, slots=True)
class Dial:
    """Make a new connection with a fresh socket."""


@dataclass(frozen=True, slots=True)
class Hangup:
    """Throw the connection away."""


@dataclass(frozen=True, slots=True)
class Send:
    """Say this to the supervisor."""

    message: Control


@dataclass(frozen=True, slots=True)
class Beat:
    """Send a heartbeat; the load and the memory are measured by whoever sends it."""

    number: int
    state: AgentState
    attempt: str | None
    progress: int


@dataclass(frozen=True, slots=True)
class Adopt:
    """Work as this welcome says: where blobs are, how large the cache may be."""

    welcome: Welcome


@dataclass(frozen=True, slots=True)
class Equip:
    """Replace the evaluator by the one this packed map describes. No game runs."""

    evaluator: bytes


@dataclass(frozen=True, slots=True)
class Obtain:
    """Get the genome: answered by `GenomeReady` or `GenomeFailed`. What is under way for it already starts anew."""

    play: Play


@dataclass(frozen=True, slots=True)
class Abandon:
    """Stop getting the genome or playing the game of this attempt; nobody waits for an answer."""

    attempt: str


@dataclass(frozen=True, slots=True)
class Start:
    """Have the evaluator play: answered by `Began`, `Progressed` and, once, `Ended`."""

    play: Play
    genome: Genome


@dataclass(frozen=True, slots=True)
class EndTree:
    """End the evaluator with all its processes: answered by `Cleared` when they are gone."""

    attempt: str


@dataclass(frozen=True, slots=True)
class Keep:
    """Keep the result on the disk; then send it, if `send`."""

    result: Result
    send: bool


@dataclass(frozen=True, slots=True)
class Resend:
    """Send a kept result again."""

    attempt: str


@dataclass(frozen=True, slots=True)
class Forget:
    """The result of this attempt is acknowledged: it needs no keeping."""

    attempt: str


@dataclass(frozen=True, slots=True)
class Note:
    """Log this."""

    level: Literal["debug", "info", "warning"]
    text: str


@dataclass(frozen=True, slots=True)
class Park:
    """Give the identity up and wait for another."""

    reason: str


@dataclass(frozen=True, slots=True)
class Exit:
    """End the agent, with exit code 0."""

    reason: str


Command: TypeAlias = (
    Dial
    | Hangup
    | Send
    | Beat
    | Adopt
    | Equip
    | Obtain
    | Abandon
    | Start
    | EndTree
    | Keep
    | Resend
    | Forget
    | Note
    | Park
    | Exit
)
