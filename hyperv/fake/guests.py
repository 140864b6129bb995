"""The guests of the fake host's VMs: an agent each, as a process of this machine, whose drive C: is a folder.

A guest is its agent: where that process ends, the VM is off. It isolates nothing.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath

from hyperv.fake.machines import Booted
from tzar_actors.drivers import processes
from tzar_actors.drivers.base import Execution
from tzar_actors.drivers.environment import without_credentials
from tzar_agent.tree import FLEET_MARK, VM_MARK, end_marked

__all__ = ["Guests", "locate"]

_END_S = 10.0  # a process that was ended at once and is still there then hangs in the system
_FULL = re.compile(r"[A-Za-z]:\\")


class Guests:
    """Boots and ends them.

    Args:
        agent_argv: the agent's command; `--home` and its folder are appended. Empty: guests that
            answer and run nothing.
        agent_home: that folder, as the guest names it.
        folder: of this machine, for what the agents write and what was booted.
        env: environment variables that they get beside this process's own.
        booted: the guests that were booted, by their VMs' ids; kept up to date.
    """

    def __init__(
        self,
        agent_argv: Sequence[str],
        agent_home: str,
        folder: Path,
        env: Mapping[str, str],
        booted: dict[str, Booted],
    ) -> None:
        self._argv = tuple(agent_argv)
        self._home = agent_home
        self._folder = folder
        self._env = dict(env)
        self._booted = booted
        self._children: dict[str, subprocess.Popen[bytes]] = {}  # what this process started itself, to be reaped by it
        self._end_unknown()

    def boot(self, vm: str, disk: Path, marks: Mapping[str, str]) -> None:
        """Starts the guest of the VM with this id, its processes marked. Raises `OSError`."""
        process = None
        if self._argv:
            home = locate(disk, self._home)
            home.mkdir(parents=True, exist_ok=True)
            argv = [*self._argv, "--home", str(home)]
            self._note(vm).write_text(json.dumps(dict(marks)), encoding="utf-8")
            child = processes.spawn(argv, home, self._environment(marks), self._folder / f"{vm}.log")
            self._children[vm] = child
            process = processes.identify(child.pid) or processes.Process(child.pid, "it has ended already")
        self._booted[vm] = Booted(process, dict(marks))

    def has_ended(self, vm: str) -> bool:
        """Whether the guest was booted and has ended by itself."""
        guest = self._booted.get(vm)
        return guest is not None and not self._runs(vm, guest)

    def pid(self, vm: str) -> int | None:
        """The process of the guest's agent; None: there is none."""
        guest = self._booted.get(vm)
        return guest.process.pid if guest is not None and guest.process is not None and self._runs(vm, guest) else None

    def ask_to_end(self, vm: str) -> None:
        """Asks the guest to shut down."""
        guest = self._booted[vm]
        guest.was_asked = True
        if guest.process is not None:
            processes.ask_to_end(guest.process)

    def end(self, vm: str) -> None:
        """Takes the power from the guest, and ends everything that bears its marks. It is off: nothing happens.

        Raises:
            SurvivorsError: something of it could not be ended.
        """
        guest = self._booted.pop(vm, None)
        if guest is None:
            return
        if guest.process is not None:
            processes.end(guest.process)  # first, since it would start anew what is ended before it
        if (child := self._children.pop(vm, None)) is not None:
            child.wait(_END_S)
        end_marked(guest.marks[FLEET_MARK], guest.marks[VM_MARK])
        self._note(vm).unlink(missing_ok=True)

    def let_go(self) -> None:
        """Leaves those that run to whoever has this host next."""
        for child in self._children.values():
            processes.let_go(child)
        self._children.clear()

    def run(
        self, disk: Path, argv: Sequence[str], folder: str, marks: Mapping[str, str], timeout_s: float
    ) -> Execution:
        """Runs a program in the guest. Raises `OSError` when it cannot be started."""
        local = [str(locate(disk, one)) if _FULL.match(one) else one for one in argv]
        if _FULL.match(argv[0]) and not Path(local[0]).exists():
            local[0] = argv[0]  # a program of this machine, on Windows
        if PureWindowsPath(argv[0]).name.lower() in ("python.exe", "python") and not Path(local[0]).exists():
            local[0] = sys.executable
        place = locate(disk, folder)
        return processes.run_marked(
            local, place, self._environment(marks), marks[FLEET_MARK], marks[VM_MARK], timeout_s
        )

    def _note(self, vm: str) -> Path:
        return self._folder / f"{vm}.json"

    def _environment(self, marks: Mapping[str, str]) -> dict[str, str]:
        return {**without_credentials(os.environ), **self._env, **marks}

    def _runs(self, vm: str, guest: Booted) -> bool:
        if guest.process is None:
            return not guest.was_asked
        child = self._children.get(vm)
        return processes.is_alive(guest.process) if child is None else child.poll() is None

    def _end_unknown(self) -> None:
        """Ends guests whose boot was cut short by the end of the process that had this host."""
        for note in self._folder.glob("*.json"):
            if note.stem not in self._booted:
                marks = json.loads(note.read_text(encoding="utf-8"))
                end_marked(marks[FLEET_MARK], marks[VM_MARK])
                note.unlink()


def locate(disk: Path, path: str) -> Path:
    r"""Where a path of the guest, as `C:\games`, lies on this machine. It never leads out of the disk."""
    place = disk
    for part in PureWindowsPath(path).parts[1:]:
        if part == "..":
            place = place if place == disk else place.parent
        elif (place / part).exists() or not place.is_dir():
            place /= part
        else:
            same = [entry for entry in place.iterdir() if entry.name.casefold() == part.casefold()]
            place = same[0] if same else place / part
    return place
