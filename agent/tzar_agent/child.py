"""The evaluator's child for functions in Python: `python -m tzar_agent.child module:function [IMPORT_FOLDER...]`.

It speaks the line protocol of `tzar_agent.evaluators.worker`. What the function prints goes to stderr, so that it
cannot break the protocol; what it raises is a fault of that game, with the traceback as evidence.
"""

import faulthandler
import importlib
import io
import numbers
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from tzar_agent.game import Game, Result
from tzar_agent.lines import LINE_LIMIT_BYTES, from_line, to_line

__all__ = ["main"]

_REPORT_EVERY_S = 0.1


def main() -> int:
    """Takes orders until stdin ends. Returns the exit code: 0, or 3 when the function cannot be imported."""
    orders, answers = _take_pipes()
    faulthandler.enable()
    _end_with_agent()
    target, folders = sys.argv[1], sys.argv[2:]
    sys.path[:0] = folders
    module, _, name = target.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except Exception:  # noqa: BLE001  # whatever importing it raises is printed, and becomes the evidence
        traceback.print_exc()
        print(f"the evaluator {target} cannot be imported", file=sys.stderr)  # noqa: T201  # stderr is the evidence
        return 3
    say = _Speaker(answers)
    say({"tzar": "ready"})
    for line in orders:
        order = from_line(line)
        if order is not None and order["tzar"] == "play":
            say(_play(function, order, say))
    return 0


class _Speaker:
    """Writes lines; progress may be reported by several threads of a game."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def __call__(self, message: Mapping[str, object]) -> None:
        line = to_line(message)
        with self._lock:
            self._stream.write(line)
            self._stream.flush()


def _play(function: Callable[..., object], order: Mapping[str, Any], say: _Speaker) -> Mapping[str, object]:
    attempt = order["attempt"]
    reported_at = float("-inf")

    def report(count: int, note: str) -> None:
        nonlocal reported_at
        now = time.monotonic()
        if now - reported_at >= _REPORT_EVERY_S:
            reported_at = now
            told = note[:500].encode(errors="replace").decode()  # a file's name may hold what is no text
            say({"tzar": "progress", "attempt": attempt, "count": count, "note": told})

    try:
        genome = Path(order["genome"]).read_bytes()
        value: Any = function(genome, order["params"], Game(attempt, order["game"], order["seed"], report))
        details: dict[str, object] = {}
        if isinstance(value, Result):
            value, details = value.fitness, value.details
        if value is None or isinstance(value, bool) or not isinstance(value, numbers.Real):
            kind = "None" if value is None else f"a {type(value).__name__}"
            raise TypeError(f"it returned {kind} as fitness; a finite number or a Result is needed")
        answer = {"tzar": "result", "attempt": attempt, "fitness": float(value), "details": details}
        if (size := len(to_line(answer))) > LINE_LIMIT_BYTES:
            raise ValueError(f"its details are too large: {size} bytes as text, {LINE_LIMIT_BYTES} at most")
    except Exception as error:  # noqa: BLE001  # whatever a game raises is a fault of that game
        traceback.print_exc()
        return {"tzar": "error", "attempt": attempt, "reason": f"the evaluator raised {_line_of(error)}"}
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return answer


def _line_of(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}".encode(errors="replace").decode()
    return text[:2000]


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Takes stdin and stdout away from everybody else: descriptors 0 and 1 become nothing and stderr."""
    orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    return orders, answers


def _end_with_agent() -> None:
    """Linux: has the kernel end this process when the agent dies in mid-game; between games stdin's end does."""
    if sys.platform == "linux":
        import ctypes

        parent_death_signal = 1
        ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
