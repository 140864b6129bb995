"""A channel to a PowerShell on this machine, for a supervisor that runs on the Hyper-V host itself."""

import contextlib
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import IO

from hyperv.channel import ChannelError, ended
from hyperv.lane_rules import Trouble
from hyperv.messages import DamagedError, Line, Lines
from hyperv.program import Program
from tzar_actors.drivers.environment import without_credentials

__all__ = ["LocalChannel", "find_powershell"]

_STORY_CHUNKS = 16


def find_powershell() -> Path | None:
    """Windows PowerShell of this machine, or None."""
    if sys.platform == "win32":  # where Windows has it: PATH and the current folder are other people's to fill
        path = Path(os.environ["SYSTEMROOT"], "System32", "WindowsPowerShell", "v1.0", "powershell.exe")
        return path if path.exists() else None
    found = shutil.which("powershell")
    return Path(found) if found else None


def _environment() -> dict[str, str]:
    # PowerShell 7 hands on where its own modules lie, and Windows PowerShell would load these in place of its own.
    return {name: value for name, value in without_credentials(os.environ).items() if name.upper() != "PSMODULEPATH"}


class LocalChannel:
    """A child process. Threads read and write its pipes, so that no call waits longer than it may.

    Raises:
        ChannelError: it could not be started.
    """

    operations = 0  # nothing counts them here

    def __init__(self, program: Program) -> None:
        powershell = find_powershell()
        if powershell is None:
            raise ChannelError(Trouble.UNUSABLE, "there is no Windows PowerShell on this machine")
        flags = 0
        if sys.platform == "win32":
            flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
        try:
            self._process = subprocess.Popen(
                [str(powershell), *program.arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=_environment(),
                creationflags=flags,
                start_new_session=sys.platform != "win32",  # a Ctrl+C in the terminal is not for it
            )
        except OSError as error:
            raise ChannelError(Trouble.UNUSABLE, f"PowerShell could not be started: {error.strerror}") from None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._received: queue.SimpleQueue[Line | ChannelError] = queue.SimpleQueue()
        self._to_send: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._story: deque[bytes] = deque(maxlen=_STORY_CHUNKS)
        self._ended = threading.Event()
        for target, pipe in (
            (self._write, self._process.stdin),
            (self._read, self._process.stdout),
            (self._read_errors, self._process.stderr),
        ):
            threading.Thread(target=target, args=(pipe,), daemon=True, name="powershell-pipe").start()

    def send(self, line: Line, timeout_s: float) -> None:
        if self._ended.is_set():
            raise self._gone()
        self._story.clear()  # what is told of an end concerns the call that it befell
        self._to_send.put(line + b"\n")

    def receive(self, timeout_s: float) -> Line | None:
        try:
            received = self._received.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            return None
        if isinstance(received, ChannelError):
            raise received
        return received

    def resume(self) -> None:
        raise self._gone()  # a pipe does not come back

    def close(self, timeout_s: float) -> None:
        # Not its children: on Linux, guests of a test's host may be among them, and on Windows none matters.
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._to_send.put(None)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)

    def _gone(self) -> ChannelError:
        return ended(self._process.poll(), b"".join(self._story))

    def _write(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError), pipe:  # its end shows where its output ends
            while (data := self._to_send.get()) is not None:
                pipe.write(data)

    def _read(self, pipe: IO[bytes]) -> None:
        lines = Lines()
        with pipe:
            while data := pipe.read(1 << 16):
                try:
                    for line in lines.feed(data):
                        self._received.put(line)
                except DamagedError as damage:
                    self._received.put(ChannelError(Trouble.FAULT, str(damage)))
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5.0)
        self._ended.set()
        self._to_send.put(None)
        self._received.put(self._gone())

    def _read_errors(self, pipe: IO[bytes]) -> None:
        with pipe:
            while data := pipe.read(4096):
                self._story.append(data)
