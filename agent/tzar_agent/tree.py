"""Process trees: how an evaluator's process is started so that all it starts can be found, and how all of it is ended.

Every process that an agent starts carries marks in its environment, which its descendants inherit: they are found by
them even when they left their process group and survived their parent, as ViZDoom's engine does. On Windows a job
object holds the tree together as well.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

if sys.platform == "win32":
    from tzar_agent.tree_windows import Job

__all__ = ["EVALUATOR_MARK", "FLEET_MARK", "VM_MARK", "SurvivorsError", "Tree", "end_marked", "marked"]

FLEET_MARK, VM_MARK, EVALUATOR_MARK = "TZAR_FLEET", "TZAR_VM", "TZAR_EVALUATOR"


_BIRTH_S = 1.0  # a fork and its exec take milliseconds; on a starved machine, longer


class SurvivorsError(RuntimeError):
    """Processes that could not be ended.

    Args:
        pids: theirs.
        what: which tree they belong to.
        waited_s: how long it was tried.
    """

    def __init__(self, pids: Iterable[int], what: str, waited_s: float) -> None:
        self.pids = tuple(sorted(pids))
        named = ", ".join(f"{pid} ({_name(pid)})" for pid in self.pids)
        super().__init__(f"{what}: still alive after {waited_s:g} s of killing: {named}. Restart the VM they run in")


def marked(fleet: str, vm: str | None = None, evaluator: str | None = None) -> list[int]:
    """The pids of all living processes that carry the marks. Zombies are not alive.

    Args:
        fleet: the fleet's id.
        vm: the VM's name; None: any.
        evaluator: the number of the evaluator process; None: any, and the agent itself.
    """
    return _look(_wanted(fleet, vm, evaluator))[0]


def end_marked(
    fleet: str,
    vm: str | None = None,
    evaluator: str | None = None,
    spare: Iterable[int] = (),
    timeout_s: float = 10.0,
) -> int:
    """Kills every process that carries the marks, and waits until none is left. The caller itself is always spared.

    Args:
        fleet: the fleet's id.
        vm: the VM's name; None: any.
        evaluator: the number of the evaluator process; None: any, and the agent itself.
        spare: pids that are left alone.
        timeout_s: how long it is tried, in seconds.

    Returns:
        How many processes were ended.

    Raises:
        SurvivorsError: some could not be ended.
    """
    wanted = _wanted(fleet, vm, evaluator)
    spared = {os.getpid(), *spare}
    give_up_at = time.monotonic() + timeout_s
    killed: set[int] = set()
    killed_at = time.monotonic()  # when the last of them may have started another one
    pause = threading.Event()  # never set: a wait that also works on Windows' coarse clock
    while True:
        found, unborn = _look(wanted)
        alive = [pid for pid in found if pid not in spared]
        dying = [pid for pid in killed if pid not in alive and _is_dying(pid)]
        now = time.monotonic()
        if alive or dying:
            killed_at = now
        # Strangers start processes without an environment as well, one after the other.
        elif not unborn or now >= min(killed_at + _BIRTH_S, give_up_at):
            return len(killed)
        if now > give_up_at:
            raise SurvivorsError([*alive, *dying], f"processes of fleet {fleet}, VM {vm or 'any'}", timeout_s)
        for pid in alive:
            _kill(pid)
        killed.update(alive)
        pause.wait(0.004)


class Tree:
    """One process that an agent started, with all that it starts in its turn.

    Args:
        argv: the program and its arguments.
        cwd: its working folder.
        env: its environment without the marks.
        fleet: the mark's fleet.
        vm: the mark's VM.
        number: the mark's evaluator process, unique for all time.
        with_stdin: whether its stdin is a pipe; else it is empty.

    Raises:
        OSError: the program cannot be started.
    """

    def __init__(
        self,
        argv: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        *,
        fleet: str,
        vm: str,
        number: str,
        with_stdin: bool,
    ) -> None:
        self.fleet, self.vm, self.number = fleet, vm, number
        self._lock = threading.Lock()
        self._is_reaped = False
        flags = 0
        if sys.platform == "win32":
            # Suspended until it is in the job, so that no child of its can be born outside.
            flags = subprocess.CREATE_NEW_PROCESS_GROUP | 0x4
        self.process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env={**env, FLEET_MARK: fleet, VM_MARK: vm, EVALUATOR_MARK: number},
            stdin=subprocess.PIPE if with_stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            creationflags=flags,
        )
        if sys.platform == "win32":
            self._job = Job()
            self._job.adopt(self.process)

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        return self.process.pid

    def kill(self) -> None:
        """Kills the process and what stayed in its group (on Windows: all of it) at once, without waiting."""
        if sys.platform == "win32":
            self._job.terminate()
        else:
            with self._lock:
                # The group's number belongs to this tree for as long as its leader was not reaped.
                if not self._is_reaped:
                    _kill_group(self.process.pid)

    def wait(self) -> int:
        """Waits until the process has ended, then ends all that it left behind. Call it once, from one thread.

        Returns:
            The exit code; on Linux minus the signal's number when a signal ended it.

        Raises:
            SurvivorsError: something of it could not be ended.
        """
        if sys.platform == "win32":
            code = self.process.wait()
            self._job.close()
        else:
            os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
            with self._lock:
                _kill_group(self.process.pid)
                code = self.process.wait()
                self._is_reaped = True
        end_marked(self.fleet, self.vm, self.number)
        return code


def _wanted(fleet: str, vm: str | None, evaluator: str | None) -> dict[str, str]:
    marks = {FLEET_MARK: fleet, VM_MARK: vm, EVALUATOR_MARK: evaluator}
    return {name: value for name, value in marks.items() if value is not None}


def _look(wanted: Mapping[str, str]) -> tuple[list[int], list[int]]:
    """The living processes with these marks, and those of which it cannot be told yet."""
    return _look_on_linux(wanted) if sys.platform == "linux" else (_marked_elsewhere(wanted), [])


def _look_on_linux(wanted: Mapping[str, str]) -> tuple[list[int], list[int]]:
    needles = [f"\0{name}={value}\0".encode() for name, value in wanted.items()]
    found, unborn = [], []
    for entry in os.listdir("/proc"):  # noqa: PTH208  # a pass over all processes is on the way of each ended game
        if not entry.isdigit():
            continue
        try:
            fd = os.open(f"/proc/{entry}/environ", os.O_RDONLY)
        except OSError:
            continue  # gone meanwhile, or another user's: not ours then
        try:
            environ = b"\0" + _read_all(fd)
        except OSError:
            continue
        finally:
            os.close(fd)
        if all(needle in environ for needle in needles):
            found.append(int(entry))
        elif environ == b"\0" and _is_in_exec(entry):
            unborn.append(int(entry))
    return found, unborn


def _is_in_exec(pid: str) -> bool:
    """Whether a process that shows no environment may only not show it yet: in the middle of its exec it has none.

    Kernel threads and zombies have no program; a process that has none for longer than an exec takes was given none.
    """
    if sys.platform == "win32":
        return False
    try:
        os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115  # on the way of each ended game, as above
        with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123  # likewise
            state, *fields = stat.read().rpartition(b")")[2].split()
    except (OSError, ValueError):
        return False
    began_s = int(fields[18]) / os.sysconf("SC_CLK_TCK")  # field 22 of proc(5)'s stat; `state` is the third
    return state not in (b"Z", b"X") and time.clock_gettime(time.CLOCK_BOOTTIME) - began_s < _BIRTH_S


def _read_all(fd: int) -> bytes:
    data = os.read(fd, 65536)
    if len(data) < 4096:
        return data
    parts = [data]
    while part := os.read(fd, 65536):
        parts.append(part)
    return b"".join(parts)


def _marked_elsewhere(wanted: Mapping[str, str]) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            environ = process.environ()
            if process.status() != psutil.STATUS_ZOMBIE and wanted.items() <= environ.items():
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue  # gone meanwhile, or another user's: not ours then
    return found


def _is_dying(pid: int) -> bool:
    """Whether a killed process still holds files and sockets: it is neither gone nor a zombie."""
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.Error:
        return False


def _kill(pid: int) -> None:
    try:
        if sys.platform == "win32":
            psutil.Process(pid).kill()
        else:
            os.kill(pid, signal.SIGKILL)
    except (psutil.Error, OSError):
        return  # gone meanwhile; whoever may not be killed is found alive and named in the end


def _kill_group(pgid: int) -> None:
    if sys.platform != "win32":
        try:
            os.killpg(pgid, signal.SIGKILL)
        except OSError:
            return  # nobody is left in the group


def _name(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return "gone"
