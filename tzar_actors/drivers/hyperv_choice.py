"""The Hyper-V driver and its made-up host, as the settings ask for them.

It is imported only where a host is one of these: other fleets start sooner without.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from hyperv.credentials import Credentials
from hyperv.driver import HyperVDriver
from hyperv.fake import FakeHost
from hyperv.lanes import Lanes
from hyperv.messages import Secret
from hyperv.opening import found_credentials, lanes_by_winrm, lanes_here
from hyperv.plans import Addresses, GuestPlan, VmPlan
from hyperv.program import Program, shipped_functions
from hyperv.setup import HyperVSetup, Listening, NetworkPlan
from tzar_actors.drivers.base import Driver, HostSetup, LimitOf
from tzar_actors.settings import Host, HyperVHost

__all__ = ["fake_driver", "hyperv_driver", "hyperv_setup"]


def hyperv_driver(host: Host, fleet_id: str, limit_of: LimitOf | None = None) -> Driver:
    """The driver of a Hyper-V host. `limit_of`: when its calls are given up.

    Raises:
        ConfigError: credentials that it needs are not there, or a library is not installed.
    """
    given = host.hyperv
    guests = _guests(given, found_credentials(given.guest_credentials, given.credentials_file))
    return HyperVDriver(host.name, fleet_id, _lanes(host), _vms(given), guests, limit_of)


def fake_driver(host: Host, fleet_id: str, folder: Path, limit_of: LimitOf | None = None) -> Driver:
    """The same driver on a host that is made up, and kept in `folder`."""
    fake = _fake(host, folder)
    account = Credentials(fake.facts.guest_user, Secret(fake.facts.guest_password))
    guests = _guests(host.hyperv, lambda: account)
    return HyperVDriver(host.name, fleet_id, _FakeLanes(host, fake), _vms(host.hyperv), guests, limit_of)


def hyperv_setup(host: Host, fleet_id: str, listen: str, ports: tuple[int, int], fake_folder: Path | None) -> HostSetup:
    """What prepares and checks the host.

    Args:
        host: its settings.
        fleet_id: the mark of the fleet.
        listen: the address on which the supervisor listens.
        ports: where it listens for control and for blobs; 0: it has not chosen yet.
        fake_folder: of a host that is made up; None: it is real.

    Raises:
        ConfigError: as `hyperv_driver`.
    """
    lanes = _lanes(host) if fake_folder is None else _FakeLanes(host, _fake(host, fake_folder))
    given = host.hyperv
    is_elsewhere = fake_folder is None and given.address not in (None, "localhost", "127.0.0.1", "::1")
    # Guests of a host that is made up are processes of this machine.
    listens = Listening(listen, host.advertise or "") if fake_folder is None else None
    network = NetworkPlan(given.host_address, given.prefix_length, given.nat, is_elsewhere, ports, listens)
    return HyperVSetup(host.name, fleet_id, lanes, _vms(given), network, host.vms)


def _fake(host: Host, folder: Path) -> FakeHost:
    argv = (host.local.python or sys.executable, "-m", "tzar_agent", "run")
    fake = FakeHost(folder, name=host.name, agent_argv=argv, agent_home=host.hyperv.agent_home)
    fake.add_template(host.hyperv.template, host.local.template)
    fake.add_switch(host.hyperv.switch)
    return fake


class _FakeLanes(Lanes):
    """Lanes to a made-up host, which is let go of with them, for the next one who wants it."""

    def __init__(self, host: Host, fake: FakeHost) -> None:
        super().__init__(host.name, fake.open, Program(shipped_functions()), count=host.hyperv.lanes)
        self._fake: FakeHost | None = fake

    def close(self) -> None:
        """Ends all PowerShells and lets the host go. Twice: nothing, since another one may have it by now."""
        super().close()
        fake, self._fake = self._fake, None
        if fake is not None:
            fake.close()


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
