"""What the settings come to: the VMs of each host by name, and what their agents are told of the supervisor."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, assert_never

from tzar_actors.gateway.addresses import reachable, tcp
from tzar_actors.settings import Host, Settings

__all__ = ["HostPlan", "host_plans", "longest_boot_s", "longest_stop_s"]

_STOP_S: Final = 10.0  # what a process of this machine is given to end


@dataclass(frozen=True, slots=True)
class HostPlan:
    """One host.

    Args:
        host: its settings.
        vms: the names of its VMs.
        orphan_s: seconds without a supervisor after which its agents end; None: they park.
        checkpoint: the name of the checkpoint that its VMs are reset to; "": there is none, a new disk is as good.
        stop_timeout_s: seconds that a VM which is asked to stop is given; then it is turned off.
    """

    host: Host
    vms: tuple[str, ...]
    orphan_s: float | None
    checkpoint: str
    stop_timeout_s: float

    def dialled(self, endpoint: str) -> str:
        """Where its agents dial a supervisor that listens on `endpoint`."""
        port = endpoint.rpartition(":")[2]
        return tcp(self.host.advertise, port) if self.host.advertise else reachable(endpoint)


def host_plans(settings: Settings) -> Iterator[HostPlan]:
    """Every host. VMs are numbered through all of them."""
    number = 0
    for host in settings.hosts:
        vms = tuple(f"{settings.fleet.name}-{number + i + 1:02d}" for i in range(host.vms))
        number += host.vms
        match host.driver:
            case "local":
                yield HostPlan(host, vms, settings.fleet.orphan_s, checkpoint="", stop_timeout_s=_STOP_S)
            case "hyperv-fake":  # its guests are processes of this machine, as local VMs are
                yield HostPlan(
                    host, vms, settings.fleet.orphan_s, host.hyperv.checkpoint or "", host.hyperv.stop_timeout_s
                )
            case "hyperv":
                yield HostPlan(host, vms, None, host.hyperv.checkpoint or "", host.hyperv.stop_timeout_s)
            case _:
                assert_never(host.driver)


def longest_boot_s(settings: Settings) -> float:
    """Seconds that a boot may take on the slowest of the hosts.

    A driver that waits for its guests gives up with an error that says what was missing. The limit of its call must not
    come before.
    """
    own = [host.hyperv.boot_timeout_s for host in settings.hosts if host.driver in ("hyperv", "hyperv-fake")]
    return max([settings.recovery.boot_timeout_s, *own])


def longest_stop_s(settings: Settings) -> float:
    """Seconds that a VM which is asked to stop is given on the most patient of the hosts."""
    return max(plan.stop_timeout_s for plan in host_plans(settings))
