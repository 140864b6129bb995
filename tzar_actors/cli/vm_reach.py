"""The part of `tzar vm` that looks at VMs and reaches into them: by their drivers, whether a supervisor runs or not."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from tzar_actors.cli.options import ConfigOption, JsonOption, VmArgument, VmsArgument, settings_from
from tzar_actors.errors import ConfigError, SupervisorError

if TYPE_CHECKING:
    from tzar_actors.by_hand.reach import SeenVm
    from tzar_actors.client.results import VmSnapshot
    from tzar_actors.settings import Settings

__all__ = ["exec_command", "push_command", "screenshot_command", "status_command"]

_TIMED_OUT = 124  # as of timeout(1)


def status_command(vms: VmsArgument = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show what drivers, journal and supervisor say of VMs: of all, or of those named.

    Exit code 1: a host could not be asked, so nothing is known of its VMs.
    """
    from tzar_actors.by_hand.reach import Reach

    settings = settings_from(config)
    rows = _supervised(settings)
    with Reach(settings) as reach:
        found = list(reach.look(reach.find(vms or (), are_all=not vms)))
    if as_json:
        for seen in found:
            row = rows.get(seen.vm)
            said = {**asdict(seen), "supervisor": asdict(row) if row is not None else None}
            sys.stdout.write(json.dumps(said) + "\n")
    else:
        Console().print(_table(found, rows))
    if any(seen.power == "unknown" for seen in found):
        raise typer.Exit(1)


def exec_command(
    vm: VmArgument,
    argv: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="What to run in the VM, behind a --.")],
    config: ConfigOption = None,
    timeout_s: Annotated[
        float,
        typer.Option("--timeout", min=0.1, max=86400.0, help="Seconds after which it is ended with all it started."),
    ] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object with exit code and outputs.")] = False,
) -> None:
    """Run a command in a running VM, and end with its exit code, its outputs passed through; 124: it took too long."""
    from tzar_actors.by_hand.reach import Reach

    with Reach(settings_from(config)) as reach:
        ((_, host),) = reach.find([vm]).items()
        execution = reach.driver(host).execute(vm, argv, timeout_s)
    if as_json:
        said = {"vm": vm, "host": host, "exit_code": execution.exit_code, "timed_out": execution.timed_out}
        outputs = {"stdout": execution.stdout, "stderr": execution.stderr}
        decoded = {name: output.decode("utf-8", "replace") for name, output in outputs.items()}
        sys.stdout.write(json.dumps(said | decoded) + "\n")
    else:
        for stream, output in ((sys.stdout, execution.stdout), (sys.stderr, execution.stderr)):
            stream.buffer.write(output)
            stream.flush()
    if execution.timed_out:
        Console(stderr=True, soft_wrap=True).print(
            f"VM {vm} on {host}: {argv[0]} was ended after {timeout_s:g} s", markup=False, highlight=False
        )
        raise typer.Exit(_TIMED_OUT)
    raise typer.Exit(_exit_code(execution.exit_code))


def push_command(
    vm: VmArgument,
    file: Annotated[Path, typer.Argument(help="A file here.", dir_okay=False, exists=True)],
    target: Annotated[str, typer.Argument(help="Its path in the VM, as the VM's driver takes it.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy a file into a running VM, and verify there what arrived."""
    from tzar_actors.by_hand.reach import Reach

    with Reach(settings_from(config)) as reach:
        ((_, host),) = reach.find([vm]).items()
        reach.driver(host).push(vm, file.absolute(), target)
    _say(as_json, vm, host, "push", f"{file} is {target} there", file.stat().st_size)


def screenshot_command(
    vm: VmArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the PNG.", dir_okay=False)],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write what a running VM shows as a PNG file."""
    from tzar_actors.by_hand.reach import Reach

    if not output.absolute().parent.is_dir():
        raise ConfigError(f"--output {output}: there is no such folder. Make it, or name another")
    with Reach(settings_from(config)) as reach:
        ((_, host),) = reach.find([vm]).items()
        picture = reach.driver(host).screenshot(vm)
    try:
        output.write_bytes(picture)
    except OSError as error:
        raise ConfigError(f"--output {output} cannot be written: {error.strerror}. Name another file") from error
    _say(as_json, vm, host, "screenshot", f"its screen is in {output}", len(picture))


def _say(as_json: bool, vm: str, host: str, verb: str, text: str, size_bytes: int) -> None:
    if as_json:
        said = {"vm": vm, "host": host, "verb": verb, "ok": True, "text": text, "bytes": size_bytes}
        sys.stdout.write(json.dumps(said) + "\n")
    else:
        Console(soft_wrap=True).print(f"{vm}: {text}", markup=False, highlight=False)


def _exit_code(code: int) -> int:
    """As this process can end with it: a signal's number as shells tell it, and no failure as a success."""
    if 0 <= code <= 255:
        return code
    return 128 - code if -128 < code < 0 else 255


def _supervised(settings: "Settings") -> "dict[str, VmSnapshot]":
    """What the supervisor says, where one runs and answers."""
    from tzar_actors import connect
    from tzar_actors.client.launcher import is_locked

    if not settings.state_dir.is_dir() or not is_locked(settings.state_dir):
        return {}
    try:
        fleet = connect(settings.state_dir)
    except SupervisorError as error:
        Console(stderr=True, soft_wrap=True).print(str(error), markup=False, highlight=False)
        return {}
    with fleet:
        return {row.vm: row for row in fleet.status().vms}


def _table(found: "list[SeenVm]", rows: "dict[str, VmSnapshot]") -> Table:
    table = Table("VM", "host", "power", "incarnation", "checkpoints", "supervisor", "")
    for seen in found:
        row = rows.get(seen.vm)
        details = (
            "stopped by a person" if seen.is_held else "",
            seen.detail,
            row.detail if row is not None else "",
        )
        table.add_row(
            seen.vm,
            seen.host,
            seen.power,
            str(seen.incarnation or ""),
            ", ".join(seen.checkpoints),
            row.state if row is not None else "",
            "; ".join(detail for detail in details if detail),
        )
    return table
