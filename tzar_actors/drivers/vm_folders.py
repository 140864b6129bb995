"""The folders that are the local driver's VMs: their marks, disks and checkpoints. It knows files and no processes.

    <folder>/<vm>/vm.json             the mark, and what was started last
    <folder>/<vm>/disk/               made from the template; the agent's home
    <folder>/<vm>/checkpoints/NAME/   copies of disk/

Each step that could be cut short by a crash works beside the place and ends in a rename; what a crash left is known by
its name and its mark, and is finished or redone by the next call. Without the fleet's mark nothing is touched.
"""

import contextlib
import errno
import json
import os
import re
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from tzar_actors.drivers.file_trees import copy_tree, remove_tree
from tzar_actors.drivers.processes import Process
from tzar_actors.errors import DriverError
from tzar_agent.tree import SurvivorsError

__all__ = ["IDENTITY", "VmFolders", "VmRecord", "explained"]

IDENTITY = "identity.json"  # in disk/, until the agent has taken it: it belongs to no copy
_MARK = "vm.json"
_NEW_MARK = "vm.json.new"
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")  # one that each file system takes, and that hides nothing


@dataclass(frozen=True, slots=True)
class VmRecord:
    """What a VM's `vm.json` says.

    Args:
        fleet: the id of the fleet that made it.
        vm: its name.
        machine_id: drawn when it was made.
        incarnation: of the identity it was started with last; 0: never started.
        agent: the process it was started as last.
    """

    fleet: str
    vm: str
    machine_id: str
    incarnation: int = 0
    agent: Process | None = None


@contextlib.contextmanager
def explained(what: str, host: str, vm: str | None = None) -> Iterator[None]:
    """Turns what the system refuses into a `DriverError` that says what failed and what to do.

    Without a VM, nothing is known of any VM of the host then.
    """
    try:
        yield
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        cure, busy = _CURES.get(error.errno or 0, ("", False))
        reason = f"{what}: {error.strerror or error}{place}"
        raise DriverError(reason, host=host, vm=vm, cure=cure, busy=busy, unreachable=vm is None) from error
    except (psutil.Error, SurvivorsError) as error:
        raise DriverError(f"{what}: {error}", host=host, vm=vm) from error


_RIGHTS = ("Give the user that runs the supervisor the right to it", False)
_SPACE = ("Free space on that disk, or lower the number of VMs", False)
_LOAD = ("The machine is short of memory or processes: run fewer VMs on it", True)
_CURES = {
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: _RIGHTS,
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.ENOMEM: _LOAD,
    errno.EAGAIN: _LOAD,
}


class VmFolders:
    """The VM folders of one fleet below `folder`.

    Args:
        host: the host's name, for errors.
        fleet: the fleet's id: the mark.
        folder: where the VMs lie; it is made when it is missing.

    Each method may raise `DriverError`: a name cannot be used, or a folder is not the fleet's; or `OSError`.
    """

    def __init__(self, host: str, fleet: str, folder: Path) -> None:
        self._host = host
        self._fleet = fleet
        self._folder = folder
        self._lock = threading.Lock()  # Windows renames neither a file that is open nor a folder that is being listed
        with explained("its folder cannot be made", host):
            folder.mkdir(parents=True, exist_ok=True)

    def path(self, vm: str) -> Path:
        """The VM's folder."""
        return self._folder / self._checked(vm, vm)

    def disk(self, vm: str) -> Path:
        """The VM's disk, whole: a change of disks that a crash cut short is finished first."""
        disk, new, old = (self.path(vm) / name for name in ("disk", "disk.new", "disk.old"))
        if not disk.exists():
            for whole in (new, old):  # `disk` is moved away only when `disk.new` is complete
                if whole.exists():
                    whole.rename(disk)
                    break
        return disk

    def checkpoints(self, vm: str) -> tuple[str, ...]:
        """The names of the VM's checkpoints, oldest first."""
        return tuple(entry.name for entry in self._checkpoint_entries(vm))

    def read_all(self) -> "list[tuple[VmRecord, tuple[str, ...]]]":
        """All VMs of the fleet and their checkpoints; what bears no mark of the fleet is left out."""
        found = []
        with os.scandir(self._folder) as entries:
            names = sorted(entry.name for entry in entries if _NAME.fullmatch(entry.name))
        for name in names:
            with self._lock:
                record = self._read(self._folder / name)
                if record is not None and record.vm == name:
                    found.append((record, self.checkpoints(name)))
        return found

    def find(self, vm: str) -> VmRecord | None:
        """What is recorded of the VM; None when there is nothing of that name.

        Raises:
            DriverError: there is something of that name, and it is not the fleet's.
        """
        folder = self.path(vm)
        with self._lock:
            record = self._read(folder)
        if record is not None and record.vm == vm:
            return record
        if not os.path.lexists(folder):
            return None
        raise DriverError(
            f"{folder} was not made by the fleet {self._fleet}, or its {_MARK} is damaged; it was not touched",
            host=self._host,
            vm=vm,
            cure="Move it away, or give the host another folder",
        )

    def write(self, record: VmRecord) -> None:
        """Records what was started, for good: it is found after any crash."""
        self._write(self.path(record.vm), record)

    def make(self, vm: str, template: Path | None) -> VmRecord:
        """The VM, made from the template (None: with an empty disk) if it was not there."""
        record = self.find(vm)
        if record is not None:
            return record
        self.clear_leftovers(vm)
        record = VmRecord(self._fleet, vm, str(uuid.uuid4()))
        making = self._beside(vm, "making")
        making.mkdir()
        self._write(making, record)
        (making / "checkpoints").mkdir()
        if template is None:
            (making / "disk").mkdir()
        else:
            copy_tree(template, making / "disk", leave_out=IDENTITY)
        making.rename(self.path(vm))
        return record

    def add_checkpoint(self, vm: str, name: str) -> None:
        """Copies the VM's disk; the name must be free."""
        place = self.path(vm) / "checkpoints"
        if (place / self._checked(name, vm)).exists():
            raise DriverError(
                f"it has a checkpoint {name} already",
                host=self._host,
                vm=vm,
                cure="Choose another name for the new one",
            )
        making = place / f".{name}.making"
        remove_tree(making, last=_MARK)
        copy_tree(self.disk(vm), making, leave_out=IDENTITY)
        newest = max((entry.stat().st_mtime_ns for entry in self._checkpoint_entries(vm)), default=0)
        made = max(time.time_ns(), newest + 1000)  # their order stands, even when the clock was set back
        os.utime(making, ns=(made, made))
        making.rename(place / name)

    def require_checkpoint(self, vm: str, name: str) -> Path:
        """The folder of a checkpoint.

        Raises:
            DriverError: there is no such checkpoint.
        """
        checkpoint = self.path(vm) / "checkpoints" / self._checked(name, vm)
        if not checkpoint.is_dir():
            has = ", ".join(self.checkpoints(vm)) or "none"
            raise DriverError(
                f"it has no checkpoint {name}", host=self._host, vm=vm, cure=f"Restore one that it has: {has}"
            )
        return checkpoint

    def put_back(self, vm: str, name: str) -> None:
        """Makes the VM's disk what the checkpoint holds. Nothing may run on it."""
        checkpoint = self.require_checkpoint(vm, name)
        disk = self.disk(vm)
        new, old = disk.with_name("disk.new"), disk.with_name("disk.old")
        remove_tree(new, last=_MARK)
        remove_tree(old, last=_MARK)
        copy_tree(checkpoint, new, leave_out=IDENTITY)
        if disk.exists():
            disk.rename(old)
        new.rename(disk)
        remove_tree(old, last=_MARK)

    def remove(self, vm: str) -> None:
        """Removes the VM with all it has, and what a crash left of it. Nothing may run on it."""
        if self.find(vm) is not None:
            self.clear_leftovers(vm)
            with self._lock:
                self.path(vm).rename(self._beside(vm, "removed"))
        self.clear_leftovers(vm)

    def clear_leftovers(self, vm: str) -> None:
        """Removes what a crash left of making or removing the VM."""
        for leftover in (self._beside(vm, "making"), self._beside(vm, "removed")):
            if not leftover.exists():
                continue
            record = self._read(leftover)
            is_ours = record is not None and record.vm == vm
            # The mark is the first thing that is made in it and the last that goes.
            if not is_ours and {entry.name for entry in leftover.iterdir()} - {_NEW_MARK}:
                raise DriverError(f"{leftover} was not made by the fleet", host=self._host, vm=vm, cure="Move it away")
            remove_tree(leftover, last=_MARK)

    def _beside(self, vm: str, state: str) -> Path:
        return self._folder / f".{self._checked(vm, vm)}.{state}"

    def _checked(self, name: str, vm: str) -> str:
        if not _NAME.fullmatch(name):
            raise DriverError(
                f"{name!r} cannot be a name",
                host=self._host,
                vm=vm,
                cure="Use letters, digits, - and _, with dots between them",
            )
        return name

    def _checkpoint_entries(self, vm: str) -> "list[os.DirEntry[str]]":
        with os.scandir(self.path(vm) / "checkpoints") as entries:
            whole = [entry for entry in entries if not entry.name.startswith(".")]
        return sorted(whole, key=lambda entry: (entry.stat().st_mtime_ns, entry.name))

    def _read(self, folder: Path) -> VmRecord | None:
        try:
            document = json.loads((folder / _MARK).read_text(encoding="utf-8"))
            if document["tzar_vm"] != 1 or document["fleet"] != self._fleet:
                return None
            del document["tzar_vm"]
            agent = document.pop("agent")
            return VmRecord(agent=None if agent is None else Process(**agent), **document)
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            return None  # no mark, or a stranger's

    def _write(self, folder: Path, record: VmRecord) -> None:
        new = folder / _NEW_MARK
        with new.open("w", encoding="utf-8") as file:
            json.dump({"tzar_vm": 1, **asdict(record)}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())  # a mark that a loss of power leaves empty would make the VM a stranger
        with self._lock:
            new.replace(folder / _MARK)
