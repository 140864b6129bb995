"""What `Get-TzarWorkerVM` said of VMs, as a driver says it."""

from collections.abc import Iterable, Mapping
from typing import Any

from tzar_actors.drivers.base import PowerState, VmStatus

__all__ = ["Row", "by_name", "seen"]

Row = Mapping[str, Any]
"""What it says of one VM."""

# Hyper-V's own names of states. One that it cannot get at the disks of is "critical". A saved VM is off: a start drops
# its memory. A paused one is on: it has its memory, and only turning it off ends it.
_OFF = frozenset({"Off", "Saved", "FastSaved", "OffCritical", "SavedCritical", "FastSavedCritical"})
_RUNNING = frozenset({"Running", "Paused", "RunningCritical", "PausedCritical"})
_TWO = "two VMs bear its mark, so one is a copy: remove the mark from the Notes of the copy"


def by_name(rows: Iterable[Row]) -> dict[str, Row]:
    """The rows by the VMs' names. A name that two VMs bear is neither off nor running: nothing is done to either."""
    named: dict[str, Row] = {}
    for row in rows:
        other = named.get(row["Name"])
        named[row["Name"]] = row if other is None else {**other, "State": "Other", "Detail": _TWO}
    return named


def seen(row: Row) -> VmStatus:
    """The VM's status."""
    state = row["State"]
    power = PowerState.OFF if state in _OFF else PowerState.RUNNING if state in _RUNNING else PowerState.CHANGING
    return VmStatus(
        power=power,
        machine_id=row["Id"],
        incarnation=row["Incarnation"],
        checkpoints=tuple(checkpoint["Name"] for checkpoint in row["Checkpoints"]),
        detail=_detail(row),
    )


def _detail(row: Row) -> str:
    facts = [row["State"]]
    if row["State"] == "Running":
        facts.append(f"heartbeat {row['Heartbeat']}, up {row['UptimeSeconds']:.0f} s")
        facts.append(f"memory {row['MemoryAssignedBytes'] >> 20} MiB")
    facts.append(f"disk {row['DiskBytes'] >> 20} MiB")
    return "; ".join([*facts, *filter(None, [row["Detail"]])])
