"""The evaluator `inline`: a function called in the agent's own process and thread. For benches: it can be neither
ended nor limited, and heartbeats wait for it.
"""

import importlib
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from tzar_agent.evaluators.base import EvaluatorEvent, score
from tzar_agent.events import Cleared, Ended, Genome, Verdict, clipped
from tzar_agent.game import Game, Result
from tzar_agent.protocol.codec import unpack_value
from tzar_agent.protocol.messages import Evidence, Play

__all__ = ["Inline"]


class Inline:
    """Plays a game by calling a function, which gets a genome in a file as a read-only memoryview.

    Args:
        target: `module:function`.
        path: folders to import from, before all others.
    """

    needs_path = False

    def __init__(self, target: str, path: Sequence[str]) -> None:
        self._target = target
        self._path = list(path)
        self._function: Callable[[Any, Any, Game], object] | None = None

    def prepare(self) -> None:
        """The function is imported with its first game, whose result can tell what is wrong with it."""

    def start(self, play: Play, genome: Genome) -> Sequence[EvaluatorEvent]:
        try:
            if self._function is None:
                self._function = self._load()
            data = genome.data if genome.data is not None else _mapped(genome)
            game = Game(play.attempt, play.game, play.seed, _unheard)
            value = self._function(data, unpack_value(play.params, "params"), game)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # the agent lives and tells
            reason = f"the evaluator raised {type(error).__name__}: {error}"
            evidence = Evidence(None, clipped(traceback.format_exc(), 8 * 1024))
            return [Ended(time.monotonic(), play.attempt, Verdict("fault", reason=reason, evidence=evidence))]
        verdict = score(value.fitness, value.details) if isinstance(value, Result) else score(value, None)
        return [Ended(time.monotonic(), play.attempt, verdict)]

    def end(self, attempt: str) -> Sequence[EvaluatorEvent]:
        return [Cleared(time.monotonic(), attempt, None)]

    def absorb(self, signal: object) -> Sequence[EvaluatorEvent]:
        return []

    def tick(self, at: float) -> Sequence[EvaluatorEvent]:
        return []

    def next_at(self) -> float | None:
        return None

    def pid(self) -> int | None:
        return None

    def close(self) -> None:
        """It has no processes."""

    def _load(self) -> Callable[[Any, Any, Game], object]:
        for folder in reversed(self._path):
            if folder not in sys.path:
                sys.path.insert(0, folder)
        module, _, name = self._target.partition(":")
        function: Callable[[Any, Any, Game], object] = getattr(importlib.import_module(module), name)
        return function


def _unheard(count: int, note: str) -> None:
    """Progress means nothing here: the loop that would report it waits for the game."""


def _mapped(genome: Genome) -> memoryview | bytes:
    import mmap

    if genome.path is None:
        raise FileNotFoundError(f"genome {genome.digest.hex()} is neither in the order nor in a file")
    with genome.path.open("rb") as file:
        try:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except ValueError:  # an empty file cannot be mapped
            return b""
