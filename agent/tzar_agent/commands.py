"""What a `Session` wants done. Whoever runs it carries the commands out in their order."""

from typing import Literal, TypeAlias

from tzar_agent.events import Genome
from tzar_agent.protocol.messages import AgentState, Control, Play, Result, Welcome
from tzar_agent.protocol.value import value

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


@value
class Dial:
    """Make a new connection with a fresh socket."""


@value
class Hangup:
    """Throw the connection away."""


@value
class Send:
    """Say this to the supervisor."""

    message: Control


@value
class Beat:
    """Send a heartbeat; the load and the memory are measured by whoever sends it."""

    number: int
    state: AgentState
    attempt: str | None
    progress: int


@value
class Adopt:
    """Work as this welcome says: where blobs are, how large the cache may be."""

    welcome: Welcome


@value
class Equip:
    """Replace the evaluator by the one this packed map describes. No game runs."""

    evaluator: bytes


@value
class Obtain:
    """Get the genome: answered by `GenomeReady` or `GenomeFailed`. What is under way for it already starts anew."""

    play: Play


@value
class Abandon:
    """Stop getting the genome or playing the game of this attempt; nobody waits for an answer."""

    attempt: str


@value
class Start:
    """Have the evaluator play: answered by `Began`, `Progressed` and, once, `Ended`."""

    play: Play
    genome: Genome


@value
class EndTree:
    """End the evaluator with all its processes: answered by `Cleared` when they are gone."""

    attempt: str


@value
class Keep:
    """Keep the result on the disk; then send it, if `send`."""

    result: Result
    send: bool


@value
class Resend:
    """Send a kept result again."""

    attempt: str


@value
class Forget:
    """The result of this attempt is acknowledged: it needs no keeping."""

    attempt: str


@value
class Note:
    """Log this."""

    level: Literal["debug", "info", "warning"]
    text: str


@value
class Park:
    """Give the identity up and wait for another."""

    reason: str


@value
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
