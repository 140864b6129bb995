"""What a driver is: the few verbs with which the supervisor reaches the VMs of one host.

A driver decides nothing: it does, and it says what happened. Every verb may take a minute, may raise `DriverError`
and retries nothing. Each is called from one thread at a time for a VM, and from several for a host. One that has not
returned within its limit (`core.call_limits`) is given up, and the next call for its VM may come while it still hangs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from tzar_agent.protocol.identity import Identity

__all__ = [
    "Check",
    "Driver",
    "Execution",
    "HostSetup",
    "KeepsLogs",
    "LimitOf",
    "LimitedVerb",
    "Part",
    "PowerState",
    "VmStatus",
]

LimitedVerb: TypeAlias = Literal["create", "start", "restore", "stop", "kill", "remove", "status", "evidence"]
LimitOf: TypeAlias = Callable[[LimitedVerb], float]
"""The seconds after which a call of a verb is given up by whoever asked for it."""


class PowerState(StrEnum):
    """A VM's power, as its driver saw it. A VM that `status` does not name is absent."""

    OFF = "off"
    CHANGING = "changing"  # neither off nor running yet: ask again
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class VmStatus:
    """What one query said of one VM that carries the fleet's mark.

    Args:
        power: its power state.
        machine_id: the hypervisor's own id of the VM: it stays when the VM is renamed, and is new when it is made anew.
        incarnation: of the identity delivered last; 0: none yet.
        checkpoints: names of its checkpoints, oldest first.
        detail: what else a person may want to see, in one line.
    """

    power: PowerState
    machine_id: str
    incarnation: int
    checkpoints: tuple[str, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Execution:
    """How a command in a VM ended. `timed_out`: it was ended by the limit, and `exit_code` means nothing."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """Whether one thing that a host needs for its VMs is in order.

    Args:
        name: what was looked at, in one or two words.
        ok: whether it is as wanted; None: it could not be found out, and `found` says why.
        found: what is there.
        wanted: what should be.
        cure: what a person can do about it; "" where nothing is wrong.
    """

    name: str
    ok: bool | None
    found: str
    wanted: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """What was done about one part of a host. `state`: "made", "changed" or "there"; `detail`: what it is now."""

    name: str
    state: str
    detail: str


class HostSetup(Protocol):
    """Prepares a host for its VMs, and looks whether it can carry them. What needs neither has only a folder."""

    def initialize(self) -> Sequence[Part]:
        """Makes what is missing. Called twice: the second time all is there. Raises `DriverError`."""
        ...

    def check(self) -> Sequence[Check]:
        """Looks at everything and changes nothing. Raises `DriverError` when the host cannot be asked at all."""
        ...

    def close(self) -> None:
        """Lets go of what it holds open."""
        ...


class Driver(Protocol):
    """Creates and powers the VMs of one host that carry one fleet's mark, and touches no others.

    A VM is named by the supervisor; the driver maps the name to the hypervisor's id.
    """

    def create(self, vm: str) -> str:
        """Makes the VM from the host's template, off; made already: nothing changes. Returns its machine id."""
        ...

    def start(self, vm: str, identity: Identity) -> None:
        """Boots the VM, which must be off, and delivers `identity` to it; ends when it is delivered."""
        ...

    def stop(self, vm: str, timeout_s: float) -> None:
        """Asks the VM to shut down and waits until it is off; raises when it is not after `timeout_s` seconds."""
        ...

    def kill(self, vm: str) -> None:
        """Turns the VM off at once, with everything that runs in it. Off already: nothing changes."""
        ...

    def checkpoint(self, vm: str, name: str) -> None:
        """Saves the VM's state as `name`; raises when the name is taken."""
        ...

    def restore(self, vm: str, name: str, identity: Identity) -> None:
        """Puts the VM back to the checkpoint, boots it, delivers `identity`; no such checkpoint: raises."""
        ...

    def remove(self, vm: str) -> None:
        """Removes the VM, its disks and its checkpoints; it must be off. Absent already: nothing changes."""
        ...

    def status(self) -> Mapping[str, VmStatus]:
        """All VMs of this fleet on the host, in one query. Raises when it cannot be asked: that is not "absent"."""
        ...

    def push(self, vm: str, source: Path, target: str) -> None:
        """Copies a file into the running VM and verifies its SHA-256 there. `target` is a path inside the VM."""
        ...

    def execute(self, vm: str, argv: Sequence[str], timeout_s: float) -> Execution:
        """Runs a command inside the running VM; after `timeout_s` seconds it is ended with all it started."""
        ...

    def screenshot(self, vm: str) -> bytes:
        """The VM's screen as PNG; raises where there is no screen."""
        ...

    def close(self) -> None:
        """Lets go of what the driver holds open. VMs run on."""
        ...


@runtime_checkable
class KeepsLogs(Protocol):
    """What a driver offers besides when it can read the logs of a VM."""

    def logs(self, vm: str, limit_bytes: int) -> Mapping[str, bytes]:
        """The ends of the VM's logs by their names, no more than `limit_bytes` of each; without VM or logs: empty.

        Raises `DriverError` when they cannot be read now, as those of a VM that is off where only its guest has them.
        """
        ...
