"""What the host has room for, answered with the arithmetic: Budgets.ps1."""

import math
from collections.abc import Sequence

from hyperv.fake.hypervisor import Hypervisor
from hyperv.fake.marks import fleet_folder
from hyperv.fake.records import tzar_error

__all__ = ["require_disk", "require_memory"]

_MB = 2**20


def require_memory(host: Hypervisor, count: int, memory_mb: int, reserve_mb: int) -> None:
    """Throws TzarNotEnoughMemory unless the host can run so many VMs more, all at once with those it has."""
    vms = host.all_vms()
    marked = [vm for vm in vms if vm.mark is not None]
    others = [vm for vm in vms if vm.mark is None and vm.state == "Running"]
    promised, used = (sum(vm.memory_mb for vm in some) for some in (marked, others))
    total = host.facts.memory_mb
    free = total - reserve_mb - promised - used
    needed = count * memory_mb
    if needed > free:
        raise tzar_error(
            "TzarNotEnoughMemory",
            f"{count} x {memory_mb} MB = {needed} MB of memory do not fit: {total} MB - {reserve_mb} MB in reserve - "
            f"{promised} MB of {len(marked)} fleet VMs - {used} MB of {len(others)} other VMs = {free} MB are free. "
            f"{max(0, free // memory_mb)} would fit. Make fewer, or give each less.",
            category="ResourceUnavailable",
        )


def require_disk(
    host: Hypervisor,
    count: int,
    disk_mb: int,
    memory_mb: int,
    reserve_mb: int,
    folder: str,
    fleet: str,
    places: Sequence[str],
) -> None:
    """Throws TzarNotEnoughDisk unless there is room for so many VMs more, and for what the others may still write."""
    left, each = host.free_mb(), disk_mb + memory_mb
    growth = 0
    for place in places:
        has = sum(file.size for file in host.drive.files_under(fleet_folder(folder, fleet) + "\\" + place))
        growth += math.ceil(max(0.0, each - has / _MB))
    free = left - reserve_mb - growth
    needed = count * each
    if needed > free:
        raise tzar_error(
            "TzarNotEnoughDisk",
            f"{count} x ({disk_mb} MB of disk + {memory_mb} MB for a checkpoint with memory) = {needed} MB do not fit "
            f"in {folder}: {left} MB free - {reserve_mb} MB in reserve - {growth} MB that {len(places)} VMs of the "
            f"fleet may still write = {free} MB. {max(0, free // each) if each else 0} would fit. Make fewer, or free "
            "some.",
            category="ResourceUnavailable",
            target=folder,
        )
