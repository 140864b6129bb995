"""`tzar results`: the outcomes of what was submitted before, by this trainer or by another."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from tzar_actors.cli.options import ConfigOption, settings_from
from tzar_actors.cli.outcomes import table_of, write_json
from tzar_actors.errors import ConfigError, SupervisorError

if TYPE_CHECKING:
    from tzar_actors.client.results import ResultsSoFar
    from tzar_actors.settings import Settings

__all__ = ["results_command"]


def results_command(
    keys: Annotated[list[str] | None, typer.Argument(help="Keys of evaluations.")] = None,
    config: ConfigOption = None,
    generation: Annotated[int | None, typer.Option(help="All of this generation, in place of keys.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Prints outcomes by key or by generation, from the supervisor or from what it left in its journal.

    Exit code 1: not all that was asked for has ended.
    """
    asked = tuple(keys or ())
    if bool(asked) == (generation is not None):
        raise ConfigError("results are found by keys or by --generation: give one of them")
    found = _find(settings_from(config), asked, generation)
    if as_json:
        for result in found.ended:
            write_json(result)
    else:
        Console().print(table_of("key", ((result.key, result) for result in found.ended)))
    console = Console(stderr=True, soft_wrap=True)
    unknown = [key for key in asked if key not in {*found.open_keys, *(result.key for result in found.ended)}]
    for key in found.open_keys:
        console.print(f"{key}: has no outcome yet", markup=False)
    for key in unknown:
        console.print(f"{key}: is not known; it never was accepted, or was forgotten ([retention])", markup=False)
    if not asked and not found.ended and not found.open_keys:
        console.print(f"generation {generation}: nothing is known of it", markup=False)
        raise typer.Exit(1)
    if found.open_keys or unknown:
        raise typer.Exit(1)


def _find(settings: "Settings", keys: tuple[str, ...], generation: int | None) -> "ResultsSoFar":
    from tzar_actors import connect
    from tzar_actors.client.results import results_so_far
    from tzar_actors.journal.reading import kept_outcomes

    try:
        fleet = connect(settings.state_dir)
    except SupervisorError:  # nobody runs there: the outcomes are kept all the same
        return results_so_far(*kept_outcomes(settings.state_dir / "journal.sqlite", keys, generation), keys)
    try:
        return fleet.results_so_far(*keys, generation=generation)
    finally:
        fleet.close()
