"""The fake host as its user sees it: what it has, how lanes reach it, and what goes wrong with it.

It lives in the process that made it, and one process has it at a time. As a host it outlives that: the next one that is
made in the same folder is the same host, with all its VMs, and those whose guests run on this machine run on.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from hyperv.channel import ChannelError
from hyperv.fake.channel import FakeChannel
from hyperv.fake.drive import Disk, HostFile
from hyperv.fake.guests import Guests
from hyperv.fake.hypervisor import Hypervisor
from hyperv.fake.kept import load
from hyperv.fake.machines import Facts, FakeSwitch, FakeVm
from hyperv.fake.marks import fleet_folder, place_of
from hyperv.fake.records import ScriptError
from hyperv.lane_rules import Trouble
from hyperv.program import Program
from tzar_actors.drivers.file_trees import copy_tree, remove_tree
from tzar_actors.errors import DriverError

__all__ = ["FakeHost"]

_LOCK = "fake-host.lock"


class FakeHost(Hypervisor):
    """A Hyper-V host in memory.

    Args:
        folder: of this machine, for the contents of disks: its own, made when it is missing.
        name: the host's name, for errors.
        facts: how large it is, and the account in its guests.
        agent_argv: the command of the agent in its guests; `--home` and its folder are appended. Empty: the guests
            answer and run nothing.
        agent_home: that folder, as the guest names it.
        env: environment variables that the agents get beside this process's own.

    Raises:
        DriverError: another fake host has this folder, or it is somebody else's.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "fake",
        facts: Facts = Facts(),  # noqa: B008 - a frozen value
        agent_argv: Sequence[str] = (),
        agent_home: str = "C:\\",
        env: Mapping[str, str] | None = None,
    ) -> None:
        folder = folder.absolute()
        self._file_lock = _locked(folder, name)
        try:
            for part in ("disks", "guests"):
                (folder / part).mkdir(exist_ok=True)
            state = load(folder / "host.json")
            guests = Guests(agent_argv, agent_home, folder / "guests", env or {}, state.booted)
        except (OSError, ValueError) as error:
            raise DriverError(f"its folder {folder} cannot be used: {error}", host=name, cure="Remove it") from error
        super().__init__(folder, facts, guests, state)
        self._channels: list[FakeChannel] = []
        self._drop_unknown_disks()

    def open(self, program: Program, timeout_s: float) -> FakeChannel:
        """An `Opener`: a channel to a PowerShell of its own."""
        with self.lock:
            self._channels = [channel for channel in self._channels if not channel.has_ended]
            if self.faults.is_down:
                raise ChannelError(Trouble.NO_ROUTE, "nobody listens at the fake host")
            if self.faults.openings:
                trouble = self.faults.openings.popleft()
                raise ChannelError(trouble, f"the fake host was told to answer so ({trouble})")
            channel = FakeChannel(self, program)
            self._channels.append(channel)
            return channel

    def add_template(self, path: str, source: Path | None = None, *, is_read_only: bool = True) -> None:
        """A disk at `path` to make clones of, with a copy of the folder `source` on it; None: it is empty.

        There is one already: nothing happens.
        """
        if self.drive.find(path) is not None:
            return
        content = self._place / "disks" / uuid.uuid4().hex
        if source is None:
            content.mkdir()
        else:
            copy_tree(source, content, leave_out="")
        with self.lock:
            self.drive.put(HostFile(path, disk=Disk(content), is_read_only=is_read_only))
            self.save()

    def change_template(self, path: str) -> None:
        """Somebody writes to the disk at `path`: its clones are broken."""
        with self.lock:
            file = self.drive.find(path)
            if file is None or file.disk is None:
                raise LookupError(f"there is no disk {path}")
            file.disk = replace(file.disk, identity=uuid.uuid4().hex)

    def remove_file(self, path: str) -> None:
        """Somebody removes a file of the host."""
        with self.lock:
            self.drive.remove(path)

    def set_read_only(self, path: str, is_read_only: bool) -> None:
        """Somebody changes that of a file."""
        with self.lock:
            file = self.drive.find(path)
            if file is None:
                raise LookupError(f"there is no file {path}")
            file.is_read_only = is_read_only

    def add_switch(self, name: str, kind: str = "Internal") -> None:
        """A virtual switch. There is one already: nothing happens."""
        with self.lock:
            self.state.switches.setdefault(name, FakeSwitch(name, kind))
            self.save()

    def add_foreign(self, name: str, *, memory_mb: int = 1024, is_running: bool = False, notes: str = "") -> FakeVm:
        """A VM that somebody else made."""
        vm = FakeVm(name, f"C:\\VMs\\{name}", "", memory_mb, notes=notes, state="Running" if is_running else "Off")
        with self.lock:
            self.vms[vm.id] = vm
        return vm

    def add_half_made(self, fleet: str, name: str, folder: str) -> FakeVm:
        """What a crash leaves in the middle of New-TzarWorkerVM: a VM in its place, without its mark."""
        place = place_of(name)
        path = f"{fleet_folder(folder, fleet)}\\{place}"
        note = {"Fleet": fleet, "Name": name, "Template": ""}
        vm = FakeVm(place, path, f"{path}\\{place}.vhdx", 1024)
        with self.lock:
            self.drive.put(HostFile(f"{path}\\worker.json", json.dumps(note).encode()))
            self.drive.put(HostFile(vm.disk))
            self.vms[vm.id] = vm
        return vm

    def vm(self, name: str) -> FakeVm:
        """The VM that Hyper-V names so."""
        with self.lock:
            return next(vm for vm in self.vms.values() if vm.name == name)

    def files_of(self, name: str) -> Path:
        """The folder of this machine that is drive C: of the VM that Hyper-V names so."""
        vm = self.vm(name)
        with self.lock:
            return self.disk_of(vm).content

    def turn_off_vm(self, name: str) -> None:
        """The VM that Hyper-V names so loses its power, as in a crash."""
        vm = self.vm(name)
        with self.lock:
            self.turn_off(vm)

    def fail_next(self, function: str, error: ScriptError) -> None:
        """The next call of a function raises this and does nothing; called again: the one after it as well."""
        with self.lock:
            self.faults.failures[function].append(error)

    def hang_next(self, function: str) -> None:
        """The next call of a function never ends by itself."""
        with self.lock:
            self.faults.hangs[function] += 1

    def lose_next_answer(self, function: str) -> None:
        """The next call of a function is carried out, and its answer lost with the connection."""
        with self.lock:
            self.faults.lost_answers[function] += 1

    def refuse_next(self, trouble: Trouble, times: int = 1) -> None:
        """The next attempts to open a PowerShell meet this: a quota, refused credentials, an untrusted certificate."""
        with self.lock:
            self.faults.openings.extend([trouble] * times)

    def cut_connections(self) -> None:
        """All connections break; the shells live on."""
        for channel in self._channels:
            channel.cut()

    def restart_winrm(self) -> None:
        """All shells end; the VMs run on."""
        for channel in self._channels:
            channel.lose_shell()

    def lose_power(self) -> None:
        """The host goes down with all its VMs, until it `come_up`."""
        self.faults.is_down = True
        self.cut_connections()
        self.restart_winrm()
        with self.lock:
            for vm in self.vms.values():
                self.turn_off(vm)

    def come_up(self) -> None:
        """The host can be reached again. Its VMs are as they were left, off after a loss of power."""
        self.faults.is_down = False

    def close(self) -> None:
        """Lets go of the host, which is there for the next one that is made in its folder; its VMs run on."""
        self.restart_winrm()
        with self.lock:
            self.save()
            self.guests.let_go()
        self._file_lock.release()

    def remove(self) -> None:
        """The end of the host, with all its VMs and files."""
        self.lose_power()
        self.close()
        remove_tree(self._place, last=_LOCK)

    def _drop_unknown_disks(self) -> None:
        known = {file.disk.content for file in self.drive.files.values() if file.disk is not None}
        for content in (self._place / "disks").iterdir():
            if content not in known:
                remove_tree(content, last="")


def _locked(folder: Path, name: str) -> FileLock:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not (folder / _LOCK).exists():
            raise DriverError(f"{folder} was not made by a fake host", host=name, cure="Give it a folder of its own")
        lock = FileLock(folder / _LOCK)
        lock.acquire(timeout=0)
    except Timeout:
        raise DriverError(
            "a fake host lives in the process that made it, and another process has this one",
            host=name,
            cure="End that first, or ask its supervisor",
            unreachable=True,
        ) from None
    except OSError as error:
        raise DriverError(f"its folder {folder} cannot be used: {error.strerror}", host=name) from error
    return lock
