"""`tzar status`: the fleet right now."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from tzar_actors.cli.options import ConfigOption, settings_from

if TYPE_CHECKING:
    from tzar_actors.client.results import FleetStatus

__all__ = ["status_command"]


def status_command(
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Shows the VMs, the queue and the counters of a fleet that runs."""
    from tzar_actors import connect

    settings = settings_from(config)
    fleet = connect(settings.state_dir)
    try:
        status = fleet.status()
    finally:
        fleet.close()
    if as_json:
        sys.stdout.write(json.dumps(asdict(status)) + "\n")
        return
    console = Console()
    console.print(_summary(status), highlight=False)
    console.print(_vms(status))


def _summary(status: "FleetStatus") -> str:
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(status.outcomes.items())) or "none"
    draining = ", draining" if status.is_draining else ""
    return (
        f"fleet {status.fleet}, supervisor {status.pid} (epoch {status.epoch}{draining}), {status.trainers} trainers\n"
        f"{status.evaluations_open} evaluations open: {status.games_running} games running, "
        f"{status.games_queued} queued\n"
        f"since this start: outcomes {outcomes}; {status.attempts_lost} attempts lost, "
        f"{status.results_dropped} results dropped{_troubles(status)}"
    )


def _troubles(status: "FleetStatus") -> str:
    lines = [f"\nhost {host} has a fault: {trouble}" for host, trouble in status.hosts.items() if trouble]
    return "".join([*lines, f"\nALARM: {status.alarm}" if status.alarm else ""])


def _vms(status: "FleetStatus") -> Table:
    table = Table("VM", "host", "state", "incarnation", "pid", "attempt", "played", "failures", "")
    for vm in status.vms:
        table.add_row(
            vm.vm,
            vm.host,
            vm.state,
            str(vm.incarnation),
            "" if vm.pid is None else str(vm.pid),
            vm.attempt or "",
            str(vm.games_played),
            str(vm.failures),
            vm.detail or ("stopped by a person" if vm.is_held else ""),
        )
    return table
