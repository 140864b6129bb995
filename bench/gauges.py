"""What a fleet has of what may leak: memory, descriptors and threads of its processes, their number, and the disk."""

import os
import statistics
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from faults import agents
from rig import Rig

from tzar_agent.tree import marked

__all__ = ["Gauges", "Sample", "bytes_below", "peak_mb", "resident_mb", "settled"]

MB = 1e6


@dataclass(frozen=True, slots=True)
class Sample:
    """One look.

    Args:
        at: monotonic seconds.
        mb: resident memory of supervisor, agent and trainer, in MB.
        fds: open descriptors of the three together (handles, on Windows).
        threads: of the three together.
        processes: that carry the fleet's mark.
        disk_mb: of the state folder, by what lies in it directly.
    """

    at: float
    mb: Mapping[str, float]
    fds: int
    threads: int
    processes: int
    disk_mb: Mapping[str, float]


class Gauges:
    """Looks every now and then, in a thread of its own: `with Gauges(...) as gauges`.

    A moment at which a process is not there gives no sample.

    Args:
        running: the fleet. Its trainer is this process.
        vm: whose agent is looked at; it should be one that lives on.
        every_s: seconds between two looks.
    """

    def __init__(self, running: Rig, vm: str, every_s: float) -> None:
        self.samples: list[Sample] = []
        self._running = running
        self._vm = vm
        self._every_s = every_s
        self._failure: Exception | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gauges", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        if self._failure is not None and error is None:
            raise self._failure

    def _run(self) -> None:
        try:
            while not self._over.wait(self._every_s):
                try:
                    self.samples.append(self._look())
                except psutil.NoSuchProcess:
                    continue
        except Exception as error:  # noqa: BLE001  # raised when it is left: a bench that saw nothing must not pass
            self._failure = error

    def _look(self) -> Sample:
        at = time.monotonic()
        found = agents(self._running.id, self._vm)
        if not found:
            raise psutil.NoSuchProcess(0, msg=f"VM {self._vm} has no agent now")
        three = {
            "supervisor": psutil.Process(self._running.fleet.supervisor_pid),
            "agent": found[0],
            "trainer": psutil.Process(),
        }
        return Sample(
            at,
            {name: resident_mb(process) for name, process in three.items()},
            sum(_descriptors(process) for process in three.values()),
            sum(process.num_threads() for process in three.values()),
            len(marked(self._running.id)),
            {entry.name: bytes_below(entry) / MB for entry in self._running.fleet.state_dir.iterdir()},
        )


def settled(values: Iterable[float]) -> float:
    """The middle one: a moment's peak is no growth."""
    return statistics.median(values)


def resident_mb(process: psutil.Process) -> float:
    """Its resident memory, in MB."""
    return float(process.memory_info().rss) / MB


def peak_mb(process: psutil.Process) -> float:
    """The most resident memory that it ever had, in MB.

    Raises:
        NotImplementedError: this system does not tell it of other processes.
    """
    if sys.platform == "linux":
        for line in Path(f"/proc/{process.pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / MB
    if sys.platform == "win32":
        return float(process.memory_info().peak_wset) / MB
    raise NotImplementedError("the peak of another process's memory is known on Linux and Windows alone")


def bytes_below(place: Path) -> int:
    """The size of a file, or of all files in a folder, in bytes. What is removed meanwhile counts as nothing.

    A spool has many thousand files: they are gone through one by one, since a list of them would count as memory of
    the trainer, which is this process.
    """
    try:
        if not place.is_dir():
            return place.stat().st_size
        with os.scandir(place) as entries:
            return sum(map(_bytes_of, entries))
    except OSError:
        return 0


def _bytes_of(entry: "os.DirEntry[str]") -> int:
    try:
        is_folder = entry.is_dir(follow_symlinks=False)
        return bytes_below(Path(entry)) if is_folder else entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0


def _descriptors(process: psutil.Process) -> int:
    if sys.platform == "win32":
        return process.num_handles()
    return process.num_fds()
