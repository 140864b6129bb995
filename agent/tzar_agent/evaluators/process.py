"""One evaluator process with its threads: two read what it prints, one waits for its end. They post to the loop."""

import contextlib
import os
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tzar_agent.evaluators.base import Place
from tzar_agent.events import clipped
from tzar_agent.lines import LINE_LIMIT_BYTES, from_line
from tzar_agent.protocol.messages import Evidence
from tzar_agent.tree import SurvivorsError, Tree

__all__ = ["EvaluatorProcess", "Exited", "Printed", "Said"]

_TAIL_BYTES = 8 * 1024
_LINE_BYTES = 2 * 1024  # of a line in the tail
_PRINTED_EVERY_S = 0.1
_PIPE_BYTES = 4096  # what fits into an empty pipe on every system
_GONE_WITHIN_S = 12.0


class EvaluatorProcess:
    """A process that an evaluator started, in a folder of its own.

    Args:
        place: where evaluators work.
        argv: the program and its arguments, made from the folder of its own.
        cwd: its working folder; None: the folder of its own.
        env: what is added to the agent's environment.
        speaks: whether it answers by the line protocol; else every line it prints is just output.
        harvest: what to take home when it has ended, with its exit code, before its folder is removed; it is called
            by a thread of this process.

    Raises:
        OSError: the program cannot be started.
    """

    def __init__(
        self,
        place: Place,
        argv: Callable[[Path], Sequence[str]],
        cwd: str | None,
        env: Mapping[str, str],
        *,
        speaks: bool,
        harvest: Callable[[Path, int], object] | None = None,
    ) -> None:
        self.number = place.next_number()
        self.gone = threading.Event()
        self._post = place.post
        self._speaks = speaks
        self._harvest = harvest
        self._is_killed = False
        self._tail = _Tail()
        self._folder = place.work / self.number
        self._folder.mkdir(parents=True)
        try:
            self.tree = Tree(
                argv(self._folder),
                Path(cwd) if cwd is not None else self._folder,
                {**os.environ, **env},
                fleet=place.fleet,
                vm=place.vm,
                number=self.number,
                with_stdin=speaks,
            )
        except OSError:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        process = self.tree.process
        if process.stdout is None or process.stderr is None:
            raise RuntimeError("the evaluator's process was started without its pipes")
        self._readers = [
            threading.Thread(target=self._read, args=(process.stdout, speaks), daemon=True),
            threading.Thread(target=self._read, args=(process.stderr, False), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        threading.Thread(target=self._wait, daemon=True).start()

    def order(self, line: bytes) -> None:
        """Writes a line to its stdin, without waiting for it to be read."""
        if len(line) <= _PIPE_BYTES:
            self._write(line)
        else:
            threading.Thread(target=self._write, args=(line,), daemon=True).start()

    def kill(self) -> None:
        """Ends it with its tree; `Exited` is posted when all of it is gone."""
        self._is_killed = True
        self.tree.kill()

    def evidence(self, exit_code: int | None) -> Evidence:
        """What it printed last."""
        return Evidence(exit_code, self._tail.text())

    def _write(self, line: bytes) -> None:
        stdin = self.tree.process.stdin
        if stdin is not None:
            with contextlib.suppress(OSError, ValueError):  # it is ending, and `Exited` will say so
                stdin.write(line)
                stdin.flush()

    def _read(self, stream: IO[bytes], speaks: bool) -> None:
        printed_at = 0.0
        with contextlib.suppress(OSError, ValueError), stream:
            while line := stream.readline(LINE_LIMIT_BYTES):
                message = from_line(line) if speaks else None
                if message is None:
                    self._tail.add(line)
                if self._is_killed:
                    continue  # nobody asks any more, and the loop may be about to end
                if message is not None:
                    self._post(Said(self, message))
                elif not self._speaks and (now := time.monotonic()) - printed_at > _PRINTED_EVERY_S:
                    printed_at = now
                    self._post(Printed(self))

    def _wait(self) -> None:
        code, trouble, harvest = -1, "", None
        try:
            code = self.tree.wait()
        except SurvivorsError as error:
            trouble = str(error)
        if self._harvest is not None and not self._is_killed:
            harvest = self._harvest(self._folder, code)
        shutil.rmtree(self._folder, ignore_errors=True)
        for reader in self._readers:
            reader.join(2.0)  # they end with the last process that held the pipes
        with contextlib.suppress(OSError):
            if self.tree.process.stdin is not None:
                self.tree.process.stdin.close()
        self.gone.set()
        self._post(Exited(self, None if self._is_killed else code, trouble, harvest))

    def close(self) -> None:
        """Ends it with its tree, and waits until all of it is gone, within bounds."""
        self.kill()
        self.gone.wait(_GONE_WITHIN_S)


@dataclass(frozen=True, slots=True)
class Said:
    """The process wrote a line of the protocol."""

    process: EvaluatorProcess
    message: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Printed:
    """The process printed something."""

    process: EvaluatorProcess


@dataclass(frozen=True, slots=True)
class Exited:
    """The process and all that it started are gone, or `trouble` names what is not. No `exit_code`: it was killed."""

    process: EvaluatorProcess
    exit_code: int | None
    trouble: str
    harvest: object

    def how(self) -> str:
        """How it ended, for people."""
        code = self.exit_code
        if code is None:
            return "was killed by the agent"
        if code >= 0:
            return f"ended with exit code {code}"
        try:
            return f"was ended by signal {signal.Signals(-code).name}"
        except ValueError:
            return f"was ended by signal {-code}"


class _Tail:
    """The last lines of what two threads read, within a bound."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._lock = threading.Lock()

    def add(self, line: bytes) -> None:
        line = line if len(line) <= _LINE_BYTES else line[:_LINE_BYTES] + b"...\n"
        with self._lock:
            self._lines.append(line)
            self._size += len(line)
            while self._size > _TAIL_BYTES:
                self._size -= len(self._lines.popleft())

    def text(self) -> str:
        with self._lock:
            return clipped(b"".join(self._lines).decode(errors="replace"))
