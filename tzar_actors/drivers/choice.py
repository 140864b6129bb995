"""Which driver the settings ask for, and how its host is prepared."""

import sys
from pathlib import Path
from typing import Final, assert_never

from tzar_actors.drivers.base import Driver, HostSetup, LimitOf
from tzar_actors.drivers.local import LocalDriver
from tzar_actors.drivers.setups import LocalSetup
from tzar_actors.settings import Host, Settings

__all__ = ["make_driver", "make_setup"]

_MIB: Final = 1024 * 1024


def make_driver(host: Host, fleet_id: str, state_dir: Path, limit_of: LimitOf | None = None) -> Driver:
    """The driver of a host.

    Args:
        host: its settings.
        fleet_id: the mark of the fleet.
        state_dir: where a driver that keeps its VMs on this machine puts them.
        limit_of: when its calls are given up; None: never, a person waits for them.

    Raises:
        ConfigError: credentials that it needs are not there, or a library is not installed.
    """
    match host.driver:
        case "local":
            argv = (host.local.python or sys.executable, "-m", "tzar_agent", "run")
            return LocalDriver(host.name, fleet_id, _folder(host, state_dir), host.local.template, argv)
        case "hyperv-fake":
            from tzar_actors.drivers.hyperv_choice import fake_driver

            return fake_driver(host, fleet_id, _fake_folder(host, state_dir), limit_of)
        case "hyperv":
            from tzar_actors.drivers.hyperv_choice import hyperv_driver

            return hyperv_driver(host, fleet_id, limit_of)
        case _:
            assert_never(host.driver)


def make_setup(host: Host, settings: Settings, fleet_id: str, ports: tuple[int, int]) -> HostSetup:
    """What prepares and checks a host.

    Args:
        host: its settings.
        settings: all of them.
        fleet_id: the mark of the fleet; 32 zeros where there is no fleet yet.
        ports: where the supervisor listens for control and for blobs; 0: it has not chosen yet.

    Raises:
        ConfigError: as `make_driver`.
    """
    match host.driver:
        case "local":
            reserve_bytes = settings.limits.disk_low_mib * _MIB
            python = host.local.python or sys.executable
            folder = _folder(host, settings.state_dir)
            return LocalSetup(host.name, folder, host.vms, host.local.template, python, reserve_bytes)
        case "hyperv" | "hyperv-fake":
            from tzar_actors.drivers.hyperv_choice import hyperv_setup

            is_fake = host.driver == "hyperv-fake"
            fake_folder = _fake_folder(host, settings.state_dir) if is_fake else None
            return hyperv_setup(host, fleet_id, settings.fleet.listen, ports, fake_folder)
        case _:
            assert_never(host.driver)


def _folder(host: Host, state_dir: Path) -> Path:
    return state_dir / "vms" / host.name


def _fake_folder(host: Host, state_dir: Path) -> Path:
    return state_dir / "hyperv-fake" / host.name
