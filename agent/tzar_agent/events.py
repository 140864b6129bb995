"""What may happen to a `Session`. Each event carries the time, in monotonic seconds, and any random draw."""

from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from tzar_agent.protocol.codec import pack_value
from tzar_agent.protocol.messages import Control, Evidence, ResultStatus
from tzar_agent.protocol.value import value

__all__ = [
    "Began",
    "Cleared",
    "Ended",
    "Event",
    "Genome",
    "GenomeFailed",
    "GenomeReady",
    "HandshakeSucceeded",
    "LinkLost",
    "Progressed",
    "Received",
    "Tick",
    "Verdict",
    "clipped",
]

TEXT_LIMIT_BYTES = 16 * 1024  # of the protocol's texts
_NO_DETAILS = pack_value({}, 16)


def clipped(text: str, limit_bytes: int = TEXT_LIMIT_BYTES) -> str:
    """The end of `text` that fits into `limit_bytes` of UTF-8, as valid Unicode whatever it held."""
    data = text.encode(errors="replace")
    return data.decode() if len(data) <= limit_bytes else "..." + data[3 - limit_bytes :].decode(errors="ignore")


@value
class Genome:
    """A verified genome: its bytes, or the file that holds them."""

    digest: bytes
    data: bytes | None
    path: Path | None


@value
class Verdict:
    """How a game ended: the part of a `Result` that the evaluator knows. `details` is a packed map."""

    status: ResultStatus
    fitness: float | None = None
    details: bytes = _NO_DETAILS
    reason: str = ""
    evidence: Evidence | None = None

    def __post_init__(self) -> None:
        if self.reason:
            object.__setattr__(self, "reason", clipped(self.reason))

    def with_evidence(self, evidence: Evidence | None) -> "Verdict":
        """The same verdict with `evidence`, unless it has its own."""
        return self if evidence is None or self.evidence is not None else replace(self, evidence=evidence)


@value
class HandshakeSucceeded:
    """The connection stands."""

    at: float


@value
class LinkLost:
    """The connection broke, or could not be made. `jitter` is a draw from [0, 1)."""

    at: float
    jitter: float
    reason: str


@value
class Received:
    """The supervisor said something."""

    at: float
    message: Control


@value
class GenomeReady:
    """The attempt's genome is here and verified."""

    at: float
    attempt: str
    genome: Genome


@value
class GenomeFailed:
    """The attempt's genome cannot be had."""

    at: float
    attempt: str
    reason: str


@value
class Began:
    """The game itself runs now."""

    at: float
    attempt: str


@value
class Progressed:
    """The game reported progress, `count` times by now."""

    at: float
    attempt: str
    count: int
    note: str = ""


@value
class Ended:
    """The evaluator is done with the attempt."""

    at: float
    attempt: str
    verdict: Verdict


@value
class Cleared:
    """After `EndTree`: nothing of the evaluator is alive, or `trouble` says what is."""

    at: float
    attempt: str
    evidence: Evidence | None
    trouble: str = ""


@value
class Tick:
    """Time has passed. `jitter` is a draw from [0, 1)."""

    at: float
    jitter: float


Event: TypeAlias = (
    HandshakeSucceeded | LinkLost | Received | GenomeReady | GenomeFailed | Began | Progressed | Ended | Cleared | Tick
)
