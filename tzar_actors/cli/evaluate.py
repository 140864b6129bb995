"""`tzar evaluate`: genome files in, outcomes out."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tzar_actors.cli.options import ConfigOption, settings_from
from tzar_actors.errors import ConfigError, RejectedError

if TYPE_CHECKING:
    from tzar_actors.client.results import EvaluationResult

__all__ = ["evaluate_command"]


def evaluate_command(
    genomes: Annotated[list[Path], typer.Argument(help="Genome files.", dir_okay=False)],
    config: ConfigOption = None,
    evaluator: Annotated[
        str | None, typer.Option(help='"module:function", in place of the configuration\'s; from the current folder.')
    ] = None,
    games: Annotated[int, typer.Option(min=1, max=1000, help="Games of each genome.")] = 1,
    seed: Annotated[int, typer.Option(help="From which the games' seeds are derived.")] = 0,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", help="NAME=VALUE for the evaluator; VALUE as JSON, else text.")
    ] = None,
    generation: Annotated[int | None, typer.Option(help="A number to find these outcomes by later.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, as outcomes come.")] = False,
) -> None:
    """Evaluates genome files on a fleet, and prints each outcome. Exit code 1: not all of them scored."""
    from tzar_actors import launch
    from tzar_actors.settings import with_evaluator

    settings = settings_from(config)
    if evaluator is not None:
        settings = with_evaluator(settings, evaluator, [Path.cwd()])
    console = Console(stderr=True)
    missing = [path for path in genomes if not path.is_file()]
    for path in missing:
        console.print(f"{path}: there is no such genome file; it is left out", markup=False)
    paths = [path for path in genomes if path not in missing]
    results: list[EvaluationResult] = []
    is_whole = not missing
    with launch(settings) as fleet, _progress(console) as progress:
        task = progress.add_task("evaluating", total=len(paths))
        outcomes = fleet.evaluate(paths, params=_params(param or []), games=games, seed=seed, generation=generation)
        try:
            for result in outcomes:
                results.append(result)
                progress.advance(task)
                if as_json:
                    sys.stdout.write(json.dumps(_plain(result, paths), default=_text) + "\n")
                    sys.stdout.flush()
        except RejectedError as error:
            is_whole = False
            progress.console.print(str(error), markup=False)
    if not as_json:
        Console().print(_table(results, paths))
    if not is_whole or any(result.fitness is None for result in results):
        raise typer.Exit(1)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)


def _params(given: list[str]) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise ConfigError(f"--param {each!r}: allowed is NAME=VALUE")
        try:
            params[name] = json.loads(value)
        except ValueError:
            params[name] = value
    return params


def _plain(result: "EvaluationResult", paths: list[Path]) -> dict[str, Any]:
    return {"file": str(paths[result.index]), **asdict(result)}


def _text(value: object) -> str:
    """Bytes among a game's details, as hex: JSON has none."""
    return value.hex() if isinstance(value, bytes) else str(value)


def _table(results: "list[EvaluationResult]", paths: list[Path]) -> Table:
    table = Table("genome", "outcome", "fitness", "games", "attempts", "seconds", "reason")
    for result in sorted(results, key=lambda each: each.index):
        table.add_row(
            str(paths[result.index]),
            result.outcome,
            "" if result.fitness is None else f"{result.fitness:g}",
            str(len(result.games)),
            str(sum(len(game.attempts) for game in result.games)),
            f"{result.seconds:.2f}",
            result.reason,
        )
    return table
