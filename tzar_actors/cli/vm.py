"""`tzar vm`: the fleet's VMs, one by one: by their supervisor where one runs, else by their drivers."""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer
from rich.console import Console

from tzar_actors.cli import vm_reach
from tzar_actors.cli.options import ConfigOption, JsonOption, VmsArgument, settings_from
from tzar_actors.errors import LockedError, SupervisorError

if TYPE_CHECKING:
    from pathlib import Path

    from tzar_actors.by_hand.power import Done, Verb
    from tzar_actors.client.protocol import PowerVerb
    from tzar_actors.settings import Settings

__all__ = ["app"]

app = typer.Typer(help="The fleet's VMs: make, power, reach and remove them.", no_args_is_help=True)
app.command("status")(vm_reach.status_command)
app.command("exec")(vm_reach.exec_command)
app.command("push")(vm_reach.push_command)
app.command("screenshot")(vm_reach.screenshot_command)

AllOption: TypeAlias = Annotated[bool, typer.Option("--all", help="All VMs there are, in place of names.")]
TimeoutOption: TypeAlias = Annotated[
    float,
    typer.Option(
        "--timeout",
        min=0.1,
        max=86400.0,
        help="Seconds that a supervisor has until it is so; without one: that a VM has to shut down.",
    ),
]

_INSTEAD = {
    "create": "It makes the VMs of its configuration by itself; for more of them raise `vms` there and start it again",
    "remove": "To have a VM off: tzar vm stop; with a new disk: tzar vm reset; for fewer of them lower `vms` in its"
    " configuration and start it again. Or stop the supervisor before",
}


@app.command("create")
def create_command(
    vms: VmsArgument = None, all_: AllOption = False, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Make VMs from their host's template, off. Made already: nothing changes. Not beside a supervisor."""
    _without_supervisor("create", vms, all_, config, as_json)


@app.command("remove")
def remove_command(
    vms: VmsArgument = None, all_: AllOption = False, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Remove VMs that are off, with their disks and checkpoints. Not beside a supervisor."""
    _without_supervisor("remove", vms, all_, config, as_json)


@app.command("start")
def start_command(
    vms: VmsArgument = None,
    all_: AllOption = False,
    config: ConfigOption = None,
    timeout_s: TimeoutOption = 60.0,
    as_json: JsonOption = False,
) -> None:
    """Start VMs, also those in quarantine. Without a supervisor their agents dial until one comes."""
    _power("start", vms, all_, config, timeout_s, as_json)


@app.command("stop")
def stop_command(
    vms: VmsArgument = None,
    all_: AllOption = False,
    config: ConfigOption = None,
    timeout_s: TimeoutOption = 120.0,
    as_json: JsonOption = False,
) -> None:
    """Stop VMs: shut down, else turned off. They stay off until they are started again, whoever supervises them."""
    _power("stop", vms, all_, config, timeout_s, as_json)


@app.command("restart")
def restart_command(
    vms: VmsArgument = None,
    all_: AllOption = False,
    config: ConfigOption = None,
    timeout_s: TimeoutOption = 60.0,
    as_json: JsonOption = False,
) -> None:
    """Turn VMs off and boot them anew, on the same disk."""
    _power("restart", vms, all_, config, timeout_s, as_json)


@app.command("reset")
def reset_command(
    vms: VmsArgument = None,
    all_: AllOption = False,
    config: ConfigOption = None,
    timeout_s: TimeoutOption = 60.0,
    as_json: JsonOption = False,
) -> None:
    """Boot VMs anew from their checkpoint or, where there is none, with a new disk from the template."""
    _power("reset", vms, all_, config, timeout_s, as_json)


def _power(
    verb: "PowerVerb", vms: list[str] | None, are_all: bool, config: "Path | None", timeout_s: float, as_json: bool
) -> None:
    from tzar_actors import connect
    from tzar_actors.by_hand.supervised import power

    settings = settings_from(config)
    try:
        _by_hand(settings, verb, _find(settings, vms, are_all, verb != "stop"), timeout_s, as_json)
    except LockedError as locked:
        found = _find(settings, vms, are_all, only_configured=True)
        try:
            fleet = connect(settings.state_dir)
        except SupervisorError as error:
            raise SupervisorError(f"{locked}. Try again in a moment") from error
        with fleet:
            _tell(power(fleet, verb, found, timeout_s), as_json)


def _without_supervisor(
    verb: "Verb", vms: list[str] | None, are_all: bool, config: "Path | None", as_json: bool
) -> None:
    settings = settings_from(config)
    try:
        _by_hand(settings, verb, _find(settings, vms, are_all, verb == "create"), 0.0, as_json)
    except LockedError as locked:
        raise SupervisorError(f"tzar vm {verb} needs the fleet for itself, and {locked}. {_INSTEAD[verb]}") from locked


def _find(settings: "Settings", vms: list[str] | None, are_all: bool, only_configured: bool) -> dict[str, str]:
    from tzar_actors.by_hand.reach import Reach

    with Reach(settings) as reach:
        return reach.find(vms or (), are_all=are_all, only_configured=only_configured)


def _by_hand(settings: "Settings", verb: "Verb", vms: dict[str, str], timeout_s: float, as_json: bool) -> None:
    from tzar_actors.by_hand.power import ByHand

    with ByHand(settings) as hand:
        _tell(hand.each(verb, vms, timeout_s), as_json)


def _tell(all_done: "Iterable[Done]", as_json: bool) -> None:
    """Says how each ended. Exit code 1: one of them did not end well."""
    console, errors = Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)
    is_well = True
    for done in all_done:
        is_well = is_well and done.ok
        if as_json:
            sys.stdout.write(json.dumps(asdict(done)) + "\n")
            sys.stdout.flush()
        elif done.ok:
            console.print(f"{done.vm}: {done.text}", markup=False, highlight=False)
        else:
            errors.print(done.text, markup=False, highlight=False)
    if not is_well:
        raise typer.Exit(1)
