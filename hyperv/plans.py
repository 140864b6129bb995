"""What a driver of one host is told: how its VMs are made, and how their guests are reached."""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from hyperv.credentials import Credentials
from hyperv.messages import Value

__all__ = ["Addresses", "AddressesError", "GuestPlan", "VmPlan"]


class AddressesError(ValueError):
    """A VM has no address in the range. The text says why."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """The range from which guests get their addresses, where nothing on their switch gives them any.

    Args:
        first: the first address.
        last: the last one.
        prefix_length: of their network.
        gateway: "": they have no way out of it.
    """

    first: ipaddress.IPv4Address
    last: ipaddress.IPv4Address
    prefix_length: int
    gateway: str = ""

    def of(self, vm: str) -> str:
        """The address of a VM: that with the number at the end of its name, counted round.

        So it needs no record, stays when the VM is made anew, and is another for each of as many VMs in a row as
        there are addresses.

        Raises:
            AddressesError: its name does not end in a number.
        """
        number = re.search(r"[0-9]+$", vm)
        if number is None:
            raise AddressesError("its name does not end in a number, by which it would get an address")
        count = int(self.last) - int(self.first) + 1
        return str(self.first + (int(number.group()) - 1) % count)

    def parameters(self, vm: str) -> dict[str, Value]:
        """For `Set-TzarWorkerGuest`."""
        return {"Address": self.of(vm), "PrefixLength": self.prefix_length, "Gateway": self.gateway or None}


@dataclass(frozen=True, slots=True)
class VmPlan:
    """What `New-TzarWorkerVM` makes of each VM. Sizes of memory and disk in MiB, of the screen in pixels.

    Args:
        template: the disk that the VMs' disks are differenced from, a path on the host.
        folder: where the fleet's folder lies on the host.
        switch: the virtual switch.
        memory: what each has, or starts with.
        dynamic: the least and the most of dynamic memory; None: it has `memory` always.
        processors: virtual processors of each.
        generation: 1 or 2.
        secure_boot: with which template its firmware looks at what it boots; "": not at all.
        gpu_partition: whether each gets a part of the host's GPU.
        screen: width and height.
        disk: what one VM may write to its disk, for the host's budget.
        reserve_memory: what is left to the host.
        reserve_disk: what is left free.
    """

    template: str
    folder: str
    switch: str
    memory: int = 4096
    dynamic: tuple[int, int] | None = None
    processors: int = 2
    generation: int = 2
    secure_boot: str = "MicrosoftWindows"
    gpu_partition: bool = False
    screen: tuple[int, int] = (1280, 720)
    disk: int = 8192
    reserve_memory: int = 2048
    reserve_disk: int = 10240

    def parameters(self) -> dict[str, Value]:
        """For `New-TzarWorkerVM`."""
        least, most = self.dynamic or (None, None)
        return {
            "Template": self.template,
            "Folder": self.folder,
            "SwitchName": self.switch,
            "MemoryMB": self.memory,
            "DynamicMemory": self.dynamic is not None,
            "MinimumMemoryMB": least,
            "MaximumMemoryMB": most,
            "Processors": self.processors,
            "Generation": self.generation,
            "SecureBoot": "On" if self.secure_boot else "Off",
            "SecureBootTemplate": self.secure_boot or None,
            "GpuPartition": self.gpu_partition,
            "VideoWidth": self.screen[0],
            "VideoHeight": self.screen[1],
            "DiskMB": self.disk,
            "ReserveMemoryMB": self.reserve_memory,
            "ReserveDiskMB": self.reserve_disk,
            "NoStart": True,
        }


@dataclass(frozen=True, slots=True)
class GuestPlan:
    """How the guests are reached.

    Args:
        credentials: of an administrator there; asked for at each use.
        home: the agent's folder, a path in the guest.
        addresses: None: something else gives guests theirs.
        boot_timeout_s: seconds from a VM's start until its guest has the identity.
        checkpoint: made of each VM at its first boot, with its memory, before its first identity; "": none.
    """

    credentials: Callable[[], Credentials] = field(repr=False)
    home: str = r"C:\ProgramData\tzar-agent"
    addresses: Addresses | None = None
    boot_timeout_s: float = 300.0
    checkpoint: str = ""
