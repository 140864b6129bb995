"""What the fake host has: VMs, checkpoints, switches, and how much of everything."""

import time
import uuid
from dataclasses import dataclass, field

from hyperv.fake.drive import Disk, Drive
from hyperv.fake.marks import Mark, read_mark
from tzar_actors.drivers.processes import Process

__all__ = ["Booted", "Facts", "FakeCheckpoint", "FakeSwitch", "FakeVm", "State"]


@dataclass(frozen=True, slots=True)
class Facts:
    """How large the host is, and who may do what in its guests.

    Args:
        computer: its own name.
        memory_mb: all of its memory.
        own_memory_mb: what of that it needs itself.
        disk_mb: all of its disk.
        guest_user: the account in the guests.
        guest_password: its password.
        boot_s: seconds from a VM's start until its guest answers.
    """

    computer: str = "HV01"
    memory_mb: int = 65536
    own_memory_mb: int = 2048
    disk_mb: int = 2_000_000
    guest_user: str = "Administrator"
    guest_password: str = field(default="Password1!", repr=False)
    boot_s: float = 0.0


@dataclass(frozen=True, slots=True)
class FakeCheckpoint:
    """A saved state of a VM: its disk and its notes, of a time in seconds since 1970."""

    name: str
    disk: Disk
    notes: str
    with_memory: bool
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: float = field(default_factory=time.time)


@dataclass(slots=True)
class FakeVm:
    """One VM, ours or not.

    Args:
        name: Hyper-V's own.
        path: the folder that it lies in.
        disk: the path of its disk's file; "": it has none.
        memory_mb: that it starts with.
        id: its id.
        notes: with the mark, if it is ours.
        state: Hyper-V's, as a text.
        started_at: monotonic seconds.
        checkpoints: oldest first.
        settings: what it was made with, for tests to look at.
        clock_off_s: by how much its guest's clock is fast.
        address: what its guest was given: address, prefix length, gateway.
    """

    name: str
    path: str
    disk: str
    memory_mb: int
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    notes: str = ""
    state: str = "Off"
    started_at: float = 0.0
    checkpoints: list[FakeCheckpoint] = field(default_factory=list)
    settings: dict[str, object] = field(default_factory=dict)
    clock_off_s: float = 0.0
    address: tuple[str, int, str] | None = None

    @property
    def mark(self) -> Mark | None:
        """Whose it is."""
        return read_mark(self.notes)


@dataclass(slots=True)
class FakeSwitch:
    """A virtual switch: its type, and the host's addresses on it with their prefix lengths."""

    name: str
    type: str = "Internal"
    addresses: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Booted:
    """A guest that was booted.

    Args:
        process: its agent's; None: it is one that runs nothing.
        marks: the environment by which its processes are known.
        was_asked: whether it was asked to shut down.
    """

    process: Process | None
    marks: dict[str, str]
    was_asked: bool = False


@dataclass(slots=True)
class State:
    """All that the host is, by ids, paths and names.

    Args:
        vms: by id.
        booted: the guests of the VMs that run, or ran until a moment ago, by the VMs' ids.
        switches: by name.
        nats: the networks, by the NAT's name.
        rules: of the firewall, by switch: the ports, and the adapter.
        drive: its files.
    """

    vms: dict[str, FakeVm] = field(default_factory=dict)
    booted: dict[str, Booted] = field(default_factory=dict)
    switches: dict[str, FakeSwitch] = field(default_factory=dict)
    nats: dict[str, str] = field(default_factory=dict)
    rules: dict[str, tuple[tuple[int, ...], str]] = field(default_factory=dict)
    drive: Drive = field(default_factory=Drive)
