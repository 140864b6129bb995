"""`tzar demo`: a real game, evolved on a small fleet, with a worker killed in mid-game."""

from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

__all__ = ["demo"]


class Driver(StrEnum):
    """The drivers whose VMs are processes of this machine."""

    LOCAL = "local"
    HYPERV_FAKE = "hyperv-fake"


def demo(
    vms: Annotated[int, typer.Option(min=1, max=64, help="VMs of the fleet, all on this machine.")] = 4,
    generations: Annotated[int, typer.Option(min=1, help="Generations to evolve.")] = 10,
    population: Annotated[int, typer.Option(min=2, help="Genomes in each generation.")] = 24,
    games: Annotated[int, typer.Option(min=1, help="Games of each genome.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Decides the first generation, all mutations and all games.")] = 7,
    json: Annotated[bool, typer.Option("--json", help="End with one JSON object on standard output.")] = False,
    chart: Annotated[
        Path, typer.Option(help="The chart's file. The log is left beside it as events.jsonl.", dir_okay=False)
    ] = Path("tzar-demo/chart.html"),
    driver: Annotated[
        Driver, typer.Option(help="hyperv-fake: the Hyper-V driver whole, on a host that is made up in memory.")
    ] = Driver.LOCAL,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the fleet's state folder as well.")] = False,
) -> None:
    """Evolves a policy for a real game on a fleet of local VMs, and kills one of them in mid-game."""
    console = Console(stderr=json)
    missing = [name for name in ("vizdoom", "numpy", "plotly") if find_spec(name) is None]
    if missing:
        Console(stderr=True).print(
            f'tzar demo needs {", ".join(missing)}. Install what is missing with:\n    pip install "tzar-actors[demo]"',
            markup=False,
        )
        raise typer.Exit(2)
    # Imported only now: they need what may have been missing, and are slow for all other commands.
    from tzar_actors import launch
    from tzar_actors.demo.campaign import Plan
    from tzar_actors.demo.run import Options, run
    from tzar_actors.errors import TzarError

    plan = Plan(generations=generations, population=population, games=games, seed=seed)
    try:
        summary = run(Options(vms, plan, chart, keep, driver.value), launch, console)
    except (TzarError, OSError) as error:
        Console(stderr=True).print(f"tzar demo: {error}", markup=False)
        raise typer.Exit(1) from error
    if json:
        typer.echo(summary.json())
    if not summary.is_whole:
        raise typer.Exit(1)
