"""`tzar evaluate`: genome files in, outcomes out."""

import json
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from tzar_actors.cli.options import ConfigOption, settings_from
from tzar_actors.cli.outcomes import table_of, write_json
from tzar_actors.errors import ConfigError, RejectedError

if TYPE_CHECKING:
    from tzar_actors.client.fleet import Fleet
    from tzar_actors.client.results import EvaluationResult

__all__ = ["evaluate_command"]

_KEY_WIDTH = 30  # of the keys that are made here: they are there to be copied


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
    detach: Annotated[
        bool, typer.Option("--detach", help="Submit, print the keys and leave; `tzar results` has the outcomes later.")
    ] = False,
) -> None:
    """Evaluates genome files on a fleet, and prints each outcome. Exit code 1: not all of them scored."""
    from tzar_actors import launch
    from tzar_actors.settings import with_evaluator

    params = _params(param or [])
    settings = settings_from(config)
    if evaluator is not None:
        settings = with_evaluator(settings, evaluator, [Path.cwd()])
    is_any_fleet_meant = config is None and evaluator is None
    console = Console(stderr=True, soft_wrap=True)
    paths = [path for path in genomes if path.is_file()]
    for path in genomes:
        if path not in paths:
            console.print(f"{path}: there is no such genome file; it is left out", markup=False)
    if not paths:
        raise typer.Exit(1)
    if detach:
        if settings.fleet.on_trainer_exit == "stop":
            raise ConfigError('--detach: fleet.on_trainer_exit is "stop", so nothing would be played; allowed: "drain"')
        fleet = launch(None if is_any_fleet_meant else settings)
        asked = {"params": params, "games": games, "seed": seed, "generation": generation}
        if _submit_and_leave(fleet, paths, asked, console, as_json) < len(genomes):
            raise typer.Exit(1)
        return
    results: dict[int, EvaluationResult] = {}
    with launch(None if is_any_fleet_meant else settings) as fleet, _progress(console) as progress:
        task = progress.add_task("evaluating", total=len(paths))
        futures: dict[Future[EvaluationResult], int] = {
            fleet.submit(path, params=params, games=games, seed=seed, generation=generation): index
            for index, path in enumerate(paths)
        }
        with _cancelled_at_the_end(futures):
            for future in as_completed(futures):
                index = futures[future]
                progress.advance(task)
                try:
                    results[index] = result = future.result()
                except RejectedError as error:
                    progress.console.print(f"{paths[index]}: {error.reason}", markup=False)
                    continue
                if as_json:
                    write_json(result, file=str(paths[index]), index=index)
    if not as_json:
        Console().print(table_of("genome", ((str(paths[i]), result) for i, result in sorted(results.items()))))
    if len(results) < len(genomes) or any(result.fitness is None for result in results.values()):
        raise typer.Exit(1)


def _submit_and_leave(fleet: "Fleet", paths: list[Path], asked: dict[str, Any], console: Console, as_json: bool) -> int:
    """Prints the keys of what was accepted, and returns how many they are."""
    try:
        futures = [fleet.submit(path, **asked) for path in paths]
        fleet.detach()
    except BaseException:
        fleet.__exit__(*sys.exc_info())
        raise
    accepted = 0
    table = Table("genome", Column("key", no_wrap=True, min_width=_KEY_WIDTH), "generation")
    for path, future in zip(paths, futures, strict=True):
        if isinstance(error := future.exception(0.0), RejectedError):
            console.print(f"{path}: {error.reason}", markup=False)
            continue
        accepted += 1
        if as_json:
            sys.stdout.write(
                json.dumps({"file": str(path), "key": future.key, "generation": asked["generation"]}) + "\n"
            )
        else:
            table.add_row(str(path), future.key, "" if asked["generation"] is None else str(asked["generation"]))
    if not as_json:
        Console(soft_wrap=True).print(table)
    return accepted


@contextmanager
def _cancelled_at_the_end(futures: "Mapping[Future[EvaluationResult], int]") -> Iterator[None]:
    """What is still open when its reader goes is played for nobody, where the fleet is one that stays."""
    try:
        yield
    finally:
        for future in futures:
            future.cancel()


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
