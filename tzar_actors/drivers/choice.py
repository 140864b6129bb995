"""Which driver the settings ask for, and how its host is prepared."""

import sys
from pathlib import Path
from typing import Final, assert_never

from hyperv.driver import HyperVDriver
from hyperv.lanes import Lanes
from hyperv.opening import found_credentials, lanes_by_winrm, lanes_here
from hyperv.plans import Addresses, GuestPlan, VmPlan
from hyperv.setup import HyperVSetup, NetworkPlan
from tzar_actors.drivers.base import Driver, HostSetup
from tzar_actors.drivers.local import LocalDriver
from tzar_actors.drivers.setups import LocalSetup
from tzar_actors.settings import Host, HyperVHost, Settings

__all__ = ["make_driver", "make_setup"]

_MIB: Final = 1024 * 1024


def make_driver(host: Host, fleet_id: str, state_dir: Path) -> Driver:
    """The driver of a host.

    Args:
        host: its settings.
        fleet_id: the mark of the fleet.
        state_dir: where a driver that keeps its VMs on this machine puts them.

    Raises:
        ConfigError: credentials that it needs are not there, or a library is not installed.
    """
    match host.driver:
        case "local":
            argv = (host.local.python or sys.executable, "-m", "tzar_agent", "run")
            return LocalDriver(host.name, fleet_id, _folder(host, state_dir), host.local.template, argv)
        case "hyperv":
            guests = _guests(host.hyperv)
            return HyperVDriver(host.name, fleet_id, _lanes(host), _vms(host.hyperv), guests)
        case _:
            assert_never(host.driver)


def make_setup(host: Host, settings: Settings, fleet_id: str, ports: tuple[int, int]) -> HostSetup:
    """What prepares and checks a host.

    Args:
        host: its settings.
        settings: all of them.
        fleet_id: the mark of the fleet; 32 zeros where there is no fleet yet.
        ports: where the supervisor listens for control and for blobs; 0: it has not chosen yet.
    """
    match host.driver:
        case "local":
            reserve_bytes = settings.limits.disk_low_mib * _MIB
            python = host.local.python or sys.executable
            folder = _folder(host, settings.state_dir)
            return LocalSetup(host.name, folder, host.vms, host.local.template, python, reserve_bytes)
        case "hyperv":
            network = _network(host.hyperv, ports)
            return HyperVSetup(host.name, fleet_id, _lanes(host), _vms(host.hyperv), network, host.vms)
        case _:
            assert_never(host.driver)


def _folder(host: Host, state_dir: Path) -> Path:
    return state_dir / "vms" / host.name


def _lanes(host: Host) -> Lanes:
    given = host.hyperv
    if given.address is None:
        return lanes_here(host.name, given.lanes)
    address = f"[{given.address}]" if ":" in given.address else given.address
    scheme, port = ("https", given.port or 5986) if given.https else ("http", given.port or 5985)
    # Those two sign in with what the user has already: a ticket, a certificate.
    needs_account = given.transport not in ("kerberos", "certificate") or given.credentials is not None
    account = found_credentials(given.credentials or host.name, given.credentials_file) if needs_account else None
    return lanes_by_winrm(
        host.name,
        given.lanes,
        f"{scheme}://{address}:{port}/wsman",
        account,
        transport=given.transport,
        verify=given.verify_certificate,
        ca_file=given.ca_file,
        options=given.winrm_options,
    )


def _vms(given: HyperVHost) -> VmPlan:
    return VmPlan(
        template=given.template,
        folder=given.folder,
        switch=given.switch,
        memory=given.memory_mb,
        dynamic=(given.minimum_memory_mb, given.maximum_memory_mb) if given.dynamic_memory else None,
        processors=given.processors,
        generation=given.generation,
        secure_boot=given.secure_boot if given.secure_boot != "off" else "",
        gpu_partition=given.gpu_partition,
        screen=(given.screen_width, given.screen_height),
        disk=given.disk_mb,
        reserve_memory=given.reserve_memory_mb,
        reserve_disk=given.reserve_disk_mb,
    )


def _guests(given: HyperVHost) -> GuestPlan:
    addresses = None
    if (guests := given.guest_range) is not None:
        gateway = given.gateway or (given.host_address if given.nat else "")
        addresses = Addresses(*guests, given.prefix_length, gateway)
    return GuestPlan(
        credentials=found_credentials(given.guest_credentials, given.credentials_file),
        home=given.agent_home,
        addresses=addresses,
        boot_timeout_s=given.boot_timeout_s,
        checkpoint=given.checkpoint or "",
    )


def _network(given: HyperVHost, ports: tuple[int, int]) -> NetworkPlan:
    is_elsewhere = given.address not in (None, "localhost", "127.0.0.1", "::1")
    return NetworkPlan(given.host_address, given.prefix_length, given.nat, is_elsewhere, ports)
