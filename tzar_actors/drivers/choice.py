"""Which driver the settings ask for."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import assert_never

from hyperv.credentials import Credentials
from hyperv.driver import HyperVDriver
from hyperv.fake import FakeHost
from hyperv.lanes import Lanes
from hyperv.messages import Secret
from hyperv.opening import found_credentials, lanes_by_winrm, lanes_here
from hyperv.plans import Addresses, GuestPlan, VmPlan
from hyperv.program import Program, shipped_functions
from tzar_actors.drivers.base import Driver
from tzar_actors.drivers.local import LocalDriver
from tzar_actors.settings import Host, HyperVHost

__all__ = ["make_driver"]


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
            return LocalDriver(host.name, fleet_id, state_dir / "vms" / host.name, host.local.template, argv)
        case "hyperv-fake":
            argv = (host.local.python or sys.executable, "-m", "tzar_agent", "run")
            fake = FakeHost(
                state_dir / "hyperv-fake" / host.name,
                name=host.name,
                agent_argv=argv,
                agent_home=host.hyperv.agent_home,
            )
            fake.add_template(host.hyperv.template, host.local.template)
            fake.add_switch(host.hyperv.switch)
            lanes = Lanes(host.name, fake.open, Program(shipped_functions()), count=host.hyperv.lanes)
            account = Credentials(fake.facts.guest_user, Secret(fake.facts.guest_password))
            guests = _guests(host.hyperv, lambda: account)
            return HyperVDriver(host.name, fleet_id, lanes, _vms(host.hyperv), guests)
        case "hyperv":
            given = host.hyperv
            guests = _guests(given, found_credentials(given.guest_credentials, given.credentials_file))
            return HyperVDriver(host.name, fleet_id, _lanes(host), _vms(host.hyperv), guests)
        case _:
            assert_never(host.driver)


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


def _guests(given: HyperVHost, credentials: Callable[[], Credentials]) -> GuestPlan:
    addresses = None
    if (guests := given.guest_range) is not None:
        gateway = given.gateway or (given.host_address if given.nat else "")
        addresses = Addresses(*guests, given.prefix_length, gateway)
    return GuestPlan(
        credentials=credentials,
        home=given.agent_home,
        addresses=addresses,
        boot_timeout_s=given.boot_timeout_s,
        checkpoint=given.checkpoint or "",
    )
