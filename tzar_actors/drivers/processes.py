"""Processes of this machine, told apart from later ones that were given the same number.

It starts, watches and ends single processes; whole trees are found by their marks (`tzar_agent.tree`).
"""

import functools
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from tzar_actors.drivers.base import Execution
from tzar_agent.tree import EVALUATOR_MARK, end_marked

__all__ = [
    "OUTPUT_LIMIT_BYTES",
    "Process",
    "age_s",
    "ask_to_end",
    "end",
    "identify",
    "is_alive",
    "let_go",
    "run_marked",
    "spawn",
    "wait_for_end",
]

OUTPUT_LIMIT_BYTES = 1024 * 1024  # of each stream of an execution: its tail is kept
_POLL_S = 0.005
_LAST_OUTPUT_S = 0.5  # for what is still in the pipes of a command that has ended

if sys.platform == "win32":
    _NEW_GROUP = subprocess.CREATE_NEW_PROCESS_GROUP  # else a break event would reach the supervisor as well
    _ASK, _END = signal.CTRL_BREAK_EVENT, signal.SIGTERM  # which is TerminateProcess there
else:
    _NEW_GROUP = 0
    _ASK, _END = signal.SIGTERM, signal.SIGKILL


@dataclass(frozen=True, slots=True)
class Process:
    """A process that runs or ran.

    Args:
        pid: its number, which another process may have by now.
        born: when it was started, in the system's own terms: two processes never share both.
    """

    pid: int
    born: str


def identify(pid: int) -> Process | None:
    """The process that has this number now; None when there is none, or when it is dead and only not reaped yet."""
    if sys.platform == "linux":
        return _identify_by_proc(pid)
    else:  # noqa: RET505 - mypy takes what follows a platform's return for unreachable
        return _identify_by_psutil(pid)


def age_s(pid: int) -> float:
    """How long ago a process of this machine was started, in seconds; on Linux to a hundredth.

    Raises:
        OSError: there is no such process (on Linux).
        psutil.NoSuchProcess: there is none (elsewhere).
    """
    if sys.platform == "linux":
        # psutil counts from the time of the boot, which the system tells in whole seconds.
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        born_s = int(stat[stat.rindex(b")") + 2 :].split()[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - born_s
    else:  # noqa: RET505 - mypy takes what follows a platform's return for unreachable
        return time.time() - psutil.Process(pid).create_time()


def is_alive(process: Process) -> bool:
    """Whether this very process still runs."""
    return identify(process.pid) == process


def wait_for_end(process: Process, timeout_s: float) -> bool:
    """Whether the process, which may be nobody's child here, has ended within `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while is_alive(process):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True


def spawn(argv: Sequence[str], folder: Path, env: Mapping[str, str], console: Path) -> "subprocess.Popen[bytes]":
    """Starts a process that outlives this one, in `folder`, in a group of its own, its output appended to `console`.

    Raises:
        OSError: it cannot be started.
    """
    with console.open("ab") as output:
        return subprocess.Popen(
            argv,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            creationflags=_NEW_GROUP,
        )


def let_go(child: "subprocess.Popen[bytes]") -> None:
    """Leaves a child that still runs to whoever adopts it."""
    if child.poll() is None:
        child.returncode = 0  # its finaliser would warn of a process that nobody waits for


def ask_to_end(process: Process) -> None:
    """Asks the process to end, if it still runs: SIGTERM, or a break event on Windows."""
    _send(process, _ASK)


def end(process: Process) -> None:
    """Ends the process at once, if it still runs."""
    _send(process, _END)


def run_marked(
    argv: Sequence[str], folder: Path, env: Mapping[str, str], fleet: str, vm: str, timeout_s: float
) -> Execution:
    """Runs a command to its end in `folder`, marked as a part of the VM; after `timeout_s` seconds its tree is ended.

    What it leaves running when it ends by itself runs on, as it would in any machine.

    Raises:
        OSError: it cannot be started.
    """
    run = f"execute-{uuid.uuid4().hex}"
    child = subprocess.Popen(
        argv,
        cwd=folder,
        env={**env, EVALUATOR_MARK: run},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        creationflags=_NEW_GROUP,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    stdout, stderr = _Tail(child.stdout), _Tail(child.stderr)
    try:
        exit_code, timed_out = child.wait(timeout_s), False
    except subprocess.TimeoutExpired:
        _end_group(child)
        end_marked(fleet, vm, run)
        exit_code, timed_out = child.wait(), True
    return Execution(exit_code, stdout.end(), stderr.end(), timed_out)


class _Tail(threading.Thread):
    """Keeps the end of a stream. It reads on behind a command that left a child: a full pipe would block that."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(name="tzar-output", daemon=True)
        self._stream = stream
        self._kept = bytearray()
        self.start()

    def run(self) -> None:
        with self._stream as stream:
            while chunk := os.read(stream.fileno(), 64 * 1024):
                self._kept += chunk
                if len(self._kept) > 2 * OUTPUT_LIMIT_BYTES:
                    del self._kept[:-OUTPUT_LIMIT_BYTES]

    def end(self) -> bytes:
        self.join(_LAST_OUTPUT_S)
        return bytes(self._kept[-OUTPUT_LIMIT_BYTES:])


def _end_group(child: "subprocess.Popen[bytes]") -> None:
    # Also those whose environment was emptied. The group's number is the child's until the child is waited for.
    if sys.platform == "win32":
        child.kill()
    else:
        os.killpg(child.pid, signal.SIGKILL)


def _send(process: Process, number: int) -> None:
    if not is_alive(process):
        return
    try:
        psutil.Process(process.pid).send_signal(number)
    except psutil.NoSuchProcess:
        return  # it ended by itself meanwhile


def _identify_by_psutil(pid: int) -> Process | None:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            return None if process.status() == psutil.STATUS_ZOMBIE else Process(pid, repr(process.create_time()))
    except psutil.NoSuchProcess:
        return None


def _identify_by_proc(pid: int) -> Process | None:
    # psutil's create_time moves with the wall clock, and that may be set while no supervisor runs; ticks do not.
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()  # behind the name, which may hold spaces and brackets
    return None if fields[0] in b"ZX" else Process(pid, f"{_boot_id()}:{int(fields[19])}")


@functools.cache
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except FileNotFoundError:  # some sandboxes have none; their processes do not outlive them either
        return ""
