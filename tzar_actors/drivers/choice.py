"""Which driver the settings ask for."""

import sys
from pathlib import Path
from typing import assert_never

from tzar_actors.drivers.base import Driver
from tzar_actors.drivers.local import LocalDriver
from tzar_actors.settings import Host

__all__ = ["make_driver"]


def make_driver(host: Host, fleet_id: str, state_dir: Path) -> Driver:
    """The driver of a host.

    Args:
        host: its settings.
        fleet_id: the mark of the fleet.
        state_dir: where a driver that keeps its VMs on this machine puts them.
    """
    match host.driver:
        case "local":
            argv = (host.local.python or sys.executable, "-m", "tzar_agent", "run")
            return LocalDriver(host.name, fleet_id, state_dir / "vms" / host.name, host.local.template, argv)
        case _:
            assert_never(host.driver)
