"""What all evaluators have in common: the verbs, and the place they work in."""

import itertools
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

from tzar_agent.events import Began, Cleared, Ended, Genome, Progressed, Verdict
from tzar_agent.protocol.codec import EncodeError, pack_value
from tzar_agent.protocol.messages import Play

__all__ = ["DETAILS_LIMIT_BYTES", "Evaluator", "EvaluatorEvent", "Place", "score"]

DETAILS_LIMIT_BYTES = 256 * 1024

EvaluatorEvent: TypeAlias = Began | Progressed | Ended | Cleared


class Evaluator(Protocol):
    """Plays one game at a time. All verbs are called by the loop's thread, and none waits for a game.

    Each returns what it led to at once; what takes longer is posted to the loop, which hands it back to `absorb`.
    """

    needs_path: bool  # whether a genome must lie in a file

    def prepare(self) -> None:
        """Starts early what a first game would have to wait for."""
        ...

    def start(self, play: Play, genome: Genome) -> Sequence[EvaluatorEvent]:
        """Begins a game; leads to `Began` when the game itself runs and, once, to `Ended`."""
        ...

    def end(self, attempt: str) -> Sequence[EvaluatorEvent]:
        """Ends the game with all processes of the evaluator; leads to `Cleared`."""
        ...

    def absorb(self, signal: object) -> Sequence[EvaluatorEvent]:
        """Takes back what was posted."""
        ...

    def tick(self, at: float) -> Sequence[EvaluatorEvent]:
        """Time has passed: `at`, in monotonic seconds."""
        ...

    def next_at(self) -> float | None:
        """When `tick` is wanted, in monotonic seconds; None: not at all."""
        ...

    def pid(self) -> int | None:
        """Of its process now, if it has one."""
        ...

    def close(self) -> None:
        """Ends its processes, and waits until they are gone, within bounds."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where evaluators work.

    Args:
        fleet: the fleet's id, for the marks.
        vm: the VM's name, for the marks.
        home: the agent's folder, where relative paths of evaluators begin.
        work: the folder in which each evaluator process gets a folder of its own.
        post: takes a signal from any thread to the loop.
    """

    fleet: str
    vm: str
    home: Path
    work: Path
    post: Callable[[object], None]
    _counter: "itertools.count[int]" = field(default_factory=itertools.count)
    _epoch: str = field(default_factory=lambda: f"{os.getpid()}-{time.time_ns()}")

    def next_number(self) -> str:
        """The number of the next evaluator process: no other ever has it."""
        return f"{self._epoch}-{next(self._counter)}"


def score(fitness: object, details: Mapping[str, object] | None) -> Verdict:
    """The verdict on what an evaluator gave as score: `scored`, or a fault that says what is wrong with it."""
    if isinstance(fitness, bool) or not isinstance(fitness, int | float):
        kind = "nothing (None)" if fitness is None else f"a {type(fitness).__name__}"
        return Verdict("fault", reason=f"the evaluator gave {kind} as fitness; a finite number is needed")
    try:
        number = float(fitness)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        return Verdict("fault", reason=f"the evaluator gave {number} as fitness; a finite number is needed")
    if not details:
        return Verdict("scored", number)
    try:
        return Verdict("scored", number, pack_value(dict(details), DETAILS_LIMIT_BYTES, "details"))
    except EncodeError as error:
        return Verdict("fault", reason=f"the evaluator's details cannot travel: {error}")
