"""A VM's part of what its host said, as its machine takes it."""

from typing import assert_never

from tzar_actors.actors.messages import VmObserved
from tzar_actors.core.vm_events import Power, Seen
from tzar_actors.drivers.base import PowerState, VmStatus

__all__ = ["power_of", "seen"]


def seen(observed: VmObserved) -> Seen:
    """What the machine of the VM is told."""
    status = observed.status
    power = power_of(status, observed.is_known)
    if status is None:
        return Seen(power, 0, observed.asked_at)
    return Seen(power, status.incarnation, observed.asked_at, status.machine_id)


def power_of(status: VmStatus | None, is_known: bool) -> Power:
    """The VM's power; `status` is None when its host does not name it."""
    if not is_known:
        return "unknown"
    if status is None:
        return "absent"
    match status.power:
        case PowerState.OFF:
            return "off"
        case PowerState.CHANGING:
            return "changing"
        case PowerState.RUNNING:
            return "running"
        case _:
            assert_never(status.power)
