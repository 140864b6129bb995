"""What was asked and what came back: which evaluations were lost, which came twice, and which came back wrong."""

import glob
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tzar_actors import EvaluationResult
from tzar_actors.events.reading import read

__all__ = ["Doubles", "Ledger", "doubles_in_log", "events_of"]

_STORIES = 20  # of what went wrong, kept for people


@dataclass(frozen=True, slots=True)
class _Expected:
    fitness: float
    ideal_s: float


class Ledger:
    """The books of one run. What has come back is kept as numbers alone, so it does not grow with the run.

    Attributes:
        asked: evaluations so far.
        ended: those of them that came back, right or wrong.
        doubled: outcomes that came although theirs had come, or that nobody had asked for.
        wrong: outcomes that are not this genome's: another fitness, or none. No genome of these benches is to blame
            for anything, and none should run out of attempts.
        outcomes: how often each outcome came.
        asked_s: what all games asked for take, in seconds.
        ended_s: what the games of `ended` take.
        stories: of the first outcomes that were wrong or doubled.
    """

    def __init__(self) -> None:
        self.asked = self.ended = self.doubled = self.wrong = 0
        self.asked_s = self.ended_s = 0.0
        self.outcomes: Counter[str] = Counter()
        self.stories: list[str] = []
        self._open: dict[str, _Expected] = {}

    @property
    def open(self) -> int:
        """Evaluations that have not come back."""
        return len(self._open)

    @property
    def open_s(self) -> float:
        """What the games of the evaluations take that have not come back, in seconds."""
        return self.asked_s - self.ended_s

    def ask(self, key: str, fitness: float, ideal_s: float) -> None:
        """An evaluation was asked for.

        Args:
            key: its key, never given twice.
            fitness: the one that it must come back with.
            ideal_s: what its games take together, in seconds.
        """
        self._open[key] = _Expected(fitness, ideal_s)
        self.asked += 1
        self.asked_s += ideal_s

    def end(self, key: str, result: EvaluationResult) -> None:
        """An outcome came back."""
        expected = self._open.pop(key, None)
        if expected is None:
            self.doubled += 1
            self._tell(f"{key} came back again, as {result.outcome} with fitness {result.fitness}")
            return
        self.ended += 1
        self.ended_s += expected.ideal_s
        self.outcomes[str(result.outcome)] += 1
        if result.outcome != "scored" or result.fitness != expected.fitness:
            self.wrong += 1
            got = f"{result.outcome} with fitness {result.fitness}"
            tries = "; ".join(
                f"{a.id} on {a.vm}/{a.incarnation}: {a.status}, {a.reason}" for g in result.games for a in g.attempts
            )
            self._tell(f"{key} came back as {got}, right is {expected.fitness}: {result.reason} [attempts: {tries}]")

    def fail(self, key: str, error: BaseException) -> None:
        """An evaluation will not come back: it stays open, and is counted as lost."""
        self._tell(f"{key} has no outcome: {error}")

    def _tell(self, story: str) -> None:
        if len(self.stories) < _STORIES:
            self.stories.append(story)


@dataclass(frozen=True, slots=True)
class Doubles:
    """What a log shows twice that must be there once."""

    outcomes: tuple[str, ...]
    attempts: tuple[str, ...]


def events_of(log: Path) -> Iterator[dict[str, Any]]:
    """All events of a log in their order, those of its renamed older files first."""
    older = sorted(log.parent.glob(f"{glob.escape(log.stem)}.*Z{log.suffix}"))
    for file in (*older, log):
        yield from read(file)


def doubles_in_log(events: Iterable[dict[str, Any]]) -> Doubles:
    """The keys of evaluations that ended more than once, and the attempts whose ids were issued more than once."""
    ended: Counter[str] = Counter()
    started: Counter[str] = Counter()
    for event in events:
        match event:
            case {"event": "evaluation_ended", "key": str(key)}:
                ended[key] += 1
            case {"event": "attempt_started", "attempt": str(attempt)}:
                started[attempt] += 1
    return Doubles(_repeated(ended), _repeated(started))


def _repeated(counted: "Counter[str]") -> tuple[str, ...]:
    return tuple(name for name, times in counted.items() if times > 1)
