"""`tzar host`: prepares the hosts of a fleet, and says what they lack."""

import json
import sys
from dataclasses import asdict
from typing import Annotated, TypeAlias

import typer
from rich.console import Console
from rich.table import Table

from tzar_actors.cli.options import ConfigOption, JsonOption, settings_from
from tzar_actors.errors import DriverError

__all__ = ["app"]

app = typer.Typer(help="The fleet's hosts: prepare and check them.", no_args_is_help=True)

HostsArgument: TypeAlias = Annotated[
    list[str] | None, typer.Argument(metavar="HOST...", help="Names of hosts; without any: all of the configuration.")
]


@app.command("init")
def init_command(hosts: HostsArgument = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Make what hosts lack for their VMs: folders, networks, firewall rules. Run twice, it finds all there."""
    from tzar_actors.by_hand.setups import find_hosts, initialize

    settings = settings_from(config)
    console, errors = Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)
    has_failed = False
    for host in find_hosts(settings, hosts or ()):
        try:
            parts = initialize(settings, host)
        except DriverError as error:
            has_failed = True
            errors.print(str(error), markup=False, highlight=False)
            continue
        for part in parts:
            if as_json:
                sys.stdout.write(json.dumps({"host": host.name, **asdict(part)}) + "\n")
            else:
                console.print(f"{host.name}: {part.name} {part.state}: {part.detail}", markup=False, highlight=False)
    if has_failed:
        raise typer.Exit(1)


@app.command("check")
def check_command(hosts: HostsArgument = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Look whether hosts can carry their VMs, and print what to do about what is not in order.

    Exit code 1: something is not. Nothing is changed by it.
    """
    from tzar_actors.by_hand.setups import check, find_hosts

    settings = settings_from(config)
    table = Table("host", "check", "")
    for name in ("found", "wanted", "cure"):
        table.add_column(name, overflow="fold")  # whole, since it is there to be copied
    has_failed = False
    for host in find_hosts(settings, hosts or ()):
        for each in check(settings, host):
            has_failed = has_failed or each.ok is False
            if as_json:
                sys.stdout.write(json.dumps({"host": host.name, **asdict(each)}) + "\n")
            mark = {True: "good", False: "BAD", None: "?"}[each.ok]
            table.add_row(host.name, each.name, mark, each.found, each.wanted, each.cure)
    if not as_json:
        Console().print(table)
    if has_failed:
        raise typer.Exit(1)
