"""The fake host's Hyper-V: its VMs, switches and drive, and what the cmdlets do to them.

All of it is guarded by `lock`, which a function holds while it is carried out, and lets go of for what takes long.
"""

import contextlib
import json
import shutil
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hyperv.fake.drive import Disk, HostFile
from hyperv.fake.faults import Faults
from hyperv.fake.guests import Guests
from hyperv.fake.kept import save
from hyperv.fake.machines import Facts, FakeVm, State
from hyperv.fake.marks import Mark, is_place_of, place_of
from hyperv.fake.records import DISK_FULL, OUT_OF_MEMORY, cmdlet_error, tzar_error
from tzar_actors.drivers.file_trees import copy_tree
from tzar_agent.machine import MACHINE_ID
from tzar_agent.tree import FLEET_MARK, VM_MARK

__all__ = ["EndedError", "Hypervisor", "marks_of"]

_MB = 2**20


class EndedError(Exception):
    """The PowerShell that carries out a call was ended."""


class Hypervisor:
    """See the module.

    Args:
        folder: of this machine: the contents of disks lie there, in `disks`, and what the host is, in `host.json`.
        facts: how large the host is.
        guests: what runs in its VMs.
        state: what it is at the beginning.
    """

    def __init__(self, folder: Path, facts: Facts, guests: Guests, state: State) -> None:
        self.lock = threading.Condition(threading.Lock())
        self.facts = facts
        self.guests = guests
        self.faults = Faults()
        self.state = state
        self.drive = state.drive
        self.vms = state.vms
        self._place = folder
        self._folder = folder / "disks"

    @contextlib.contextmanager
    def unlocked(self, ended: threading.Event) -> Iterator[None]:
        """For what takes long in the middle of a function. Raises `EndedError`: its PowerShell was ended meanwhile."""
        self.lock.release()
        try:
            yield
        finally:
            self.lock.acquire()
        if ended.is_set():
            raise EndedError

    def save(self) -> None:
        """Writes down what the host is now. Raises `OSError`."""
        save(self._place / "host.json", self.state)

    def all_vms(self) -> list[FakeVm]:
        """Get-TzarMarkedVM: all VMs by name, as they are now."""
        if self.faults.service_stopped:
            raise tzar_error(
                "TzarNoService",
                "Hyper-V's service does not answer (Hyper-V encountered an error trying to access an object on "
                f"computer '{self.facts.computer}' because the object was not found).",
                category="ResourceUnavailable",
            )
        if self.faults.access_denied:
            raise cmdlet_error(
                "Get-VM",
                "AccessDenied",
                "You do not have the required permission to complete this task. Contact the administrator of the "
                f"authorization policy for the computer '{self.facts.computer}'.",
                category="PermissionDenied",
            )
        for vm in self.vms.values():
            if vm.state == "Running" and self.guests.has_ended(vm.id):
                self.turn_off(vm)
        return sorted(self.vms.values(), key=lambda vm: vm.name)

    def find(self, fleet: str, name: str) -> FakeVm | None:
        """Select-TzarVM: the fleet's VM of this name, or None. Throws TzarForeignVM, TzarTwoVMs."""
        among = self.all_vms()
        found = [vm for vm in among if (mark := vm.mark) is not None and (mark.fleet, mark.name) == (fleet, name)]
        if len(found) > 1:
            ids = ", ".join(vm.id for vm in found)
            raise tzar_error(
                "TzarTwoVMs",
                f"Two VMs bear the mark of '{name}': {ids}. One is a copy; nothing was done to either. Remove the mark "
                "from the Notes of the copy.",
                target=name,
            )
        if found:
            return found[0]
        for other in among:
            mark = other.mark
            is_ours = (mark is not None and mark.fleet == fleet) or self.is_half_made(other, fleet)
            if other.name.casefold() == name.casefold() and not is_ours:
                whose = f"it bears the mark of '{mark.name}' in fleet {mark.fleet}" if mark else "it bears no mark"
                raise tzar_error(
                    "TzarForeignVM",
                    f"There is a VM '{other.name}' ({other.id}) that this fleet did not make: {whose}. It was not "
                    "touched. Rename it, or remove it by hand.",
                    category="PermissionDenied",
                    target=name,
                )
        return None

    def require(self, fleet: str, name: str) -> tuple[FakeVm, Mark]:
        """Find-TzarVM: as `find`, with its mark. Throws TzarNoSuchVM as well."""
        vm = self.find(fleet, name)
        if vm is None or (mark := vm.mark) is None:
            raise tzar_error(
                "TzarNoSuchVM",
                f"There is no VM '{name}' of this fleet on this host. Make it with New-TzarWorkerVM.",
                category="ObjectNotFound",
                target=name,
            )
        return vm, mark

    def require_running(self, fleet: str, name: str) -> tuple[FakeVm, Mark]:
        """As `require`. Throws TzarNotRunning as well."""
        vm, mark = self.require(fleet, name)
        if vm.state != "Running":
            raise tzar_error(
                "TzarNotRunning", f"The VM '{name}' is {vm.state}, not running. Start it before.", target=name
            )
        return vm, mark

    def is_half_made(self, vm: FakeVm, fleet: str) -> bool:
        """Test-TzarHalfMade: whether a VM is what a crash left between New-VM and the mark."""
        note = self.note_in(vm.path)
        return (
            vm.mark is None
            and vm.state == "Off"
            and is_place_of(vm.path, fleet)
            and note.get("Fleet") == fleet
            and place_of(note.get("Name", "")) == vm.name
            and vm.path.casefold().endswith("\\" + vm.name.casefold())
        )

    def note_in(self, path: str) -> dict[str, str]:
        """Get-TzarWorkerNote: what worker.json in a VM's folder says; nothing when it is not there or not whole."""
        file = self.drive.find(f"{path}\\worker.json")
        try:
            return dict(json.loads(file.content)) if file is not None else {}
        except ValueError:  # cut short by a crash while it was written: nothing was made after it
            return {}

    def answers(self, vm: FakeVm) -> bool:
        """Whether the guest of a VM gives its heartbeat."""
        names = {vm.name, mark.name if (mark := vm.mark) else vm.name}
        has_booted = time.monotonic() - vm.started_at >= self.facts.boot_s
        return vm.state == "Running" and has_booted and not names & self.faults.never_heartbeat

    def boot(self, vm: FakeVm) -> None:
        """Start-VM."""
        used = sum(other.memory_mb for other in self.vms.values() if other.state == "Running")
        if used + vm.memory_mb > self.facts.memory_mb - self.facts.own_memory_mb:
            raise cmdlet_error(
                "Start-VM",
                "OutOfMemory",
                f"'{vm.name}' failed to start. Not enough memory in the system to start the virtual machine {vm.name} "
                f"with ram size {vm.memory_mb} megabytes",
                hresult=OUT_OF_MEMORY,
                category="FromStdErr",
            )
        disk = self.drive.find(vm.disk)
        if disk is not None and disk.disk is not None and (mark := vm.mark) is not None:
            self.guests.boot(vm.id, disk.disk.content, {**marks_of(mark), MACHINE_ID: vm.id})
        vm.state, vm.started_at, vm.clock_off_s = "Running", time.monotonic(), 0.0

    def turn_off(self, vm: FakeVm) -> None:
        """Stop-VM -TurnOff; it is off already: only what is left of its guest goes."""
        self.guests.end(vm.id)
        vm.state = "Off"
        self.lock.notify_all()

    def copy_content(self, source: Path | None, path: str, cmdlet: str, ended: threading.Event) -> Path:
        """A copy of a disk's content, for the disk at `path`; None: an empty one. Meanwhile it is `unlocked`."""
        if self.faults.disk_full:
            what = f"'{path}': There is not enough space on the disk"
            raise cmdlet_error(cmdlet, "OperationFailed", what, hresult=DISK_FULL)
        content = self._folder / uuid.uuid4().hex
        is_whole = False
        try:
            with self.unlocked(ended):
                if source is None:
                    content.mkdir()
                else:
                    copy_tree(source, content, leave_out="")
            is_whole = True
        finally:
            if not is_whole:
                shutil.rmtree(content, ignore_errors=True)
        return content

    def drop(self, files: Sequence[HostFile]) -> None:
        """Removes what disks hold that are no more."""
        for file in files:
            if file.disk is not None:
                shutil.rmtree(file.disk.content)

    def disk_of(self, vm: FakeVm) -> Disk:
        """What the VM's disk holds. Throws TzarDiskMissing."""
        file = self.drive.find(vm.disk)
        if file is None or file.disk is None:
            raise tzar_error(
                "TzarDiskMissing",
                f"The VM '{vm.name}' has lost its disk {vm.disk}. Make it anew: Remove-TzarWorkerVM, then "
                "New-TzarWorkerVM.",
                category="ObjectNotFound",
                target=vm.name,
            )
        return file.disk

    def free_mb(self) -> int:
        """What is free of the host's disk."""
        return 0 if self.faults.disk_full else self.facts.disk_mb - self.drive.size() // _MB


def marks_of(mark: Mark) -> Mapping[str, str]:
    """The environment by which a guest's processes are known."""
    return {FLEET_MARK: mark.fleet, VM_MARK: mark.name, "TZAR_INCARNATION": str(mark.incarnation)}
