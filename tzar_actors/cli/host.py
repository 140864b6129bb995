"""`tzar host`: prepares the hosts of a fleet, and says what they lack."""

import json
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer
from rich.console import Console
from rich.text import Text

from tzar_actors.cli.options import ConfigOption, JsonOption, settings_from
from tzar_actors.errors import DriverError

if TYPE_CHECKING:
    from tzar_actors.drivers.base import Check

__all__ = ["app"]

app = typer.Typer(help="The fleet's hosts: prepare and check them.", no_args_is_help=True)

_MARKS: Final = {True: ("good", "green"), False: ("BAD", "bold red"), None: ("?", "yellow")}
_INDENT: Final = 8

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
    console = Console(soft_wrap=True)
    has_failed = False
    for host in find_hosts(settings, hosts or ()):
        found = check(settings, host)
        has_failed = has_failed or any(each.ok is False for each in found)
        if as_json:
            sys.stdout.writelines(json.dumps({"host": host.name, **asdict(each)}) + "\n" for each in found)
            continue
        console.print(f"{host.name}: {_summary(found)}", markup=False, highlight=False)
        for each in found:
            for line in _lines(each, console.width):
                console.print(line)
    if has_failed:
        raise typer.Exit(1)


def _summary(checks: "Sequence[Check]") -> str:
    bad, unknown = (sum(each.ok is ok for each in checks) for ok in (False, None))
    if not bad and not unknown:
        return "all is in order"
    told = f"{bad} of {len(checks)} checks failed" if bad else ""
    if not unknown:
        return told
    return f"{told}, {unknown} could not be made" if told else f"{unknown} of {len(checks)} checks could not be made"


def _lines(check: "Check", width: int) -> Iterator[Text]:
    """The check for people: of what is in order what was found, of anything else also what was wanted and the cure."""
    mark, style = _MARKS[check.ok]
    first, *others = _wrapped(f"{check.name}: {check.found or 'nothing'}", width)
    if check.ok is not True:
        others += _wrapped(f"wanted: {check.wanted}", width)
        if check.cure:
            others.append(f"cure: {check.cure}")  # one line, however long: it is there to be copied
    yield Text.assemble((f"  {mark:<{_INDENT - 2}}", style), first)
    for line in others:
        yield Text(" " * _INDENT + line)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(20, width - _INDENT), break_long_words=False, break_on_hyphens=False)
