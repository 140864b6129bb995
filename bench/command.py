"""The bench's command line: measures the stations in several rounds and shows what they add up to."""

import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import psutil
import typer
from report import table
from rich.console import Console
from rich.progress import Progress
from rounds import spreads
from stations import QUICK, Amount, Only, chosen, figures_of, stations
from work import WORKERS, BenchError

__all__ = ["main"]


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often every system is measured.")] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="Measure little: to see that it works, not how fast.")] = False,
    only: Annotated[list[Only] | None, typer.Option(help="Systems or measurements to keep; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object on the last line.")] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Where fleets keep their state: durability is measured on this disk.")
    ] = None,
) -> None:
    """Measures the fleet beside a bare broker and a process pool."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is measured is stopped, too
    progress_console = Console(stderr=True)
    busy = psutil.cpu_percent(interval=0.2 if quick else 1.0)
    if busy > 10:
        progress_console.print(f"Others use {busy:.0f} % of this machine's processors: the figures will suffer.")
    stops = chosen(stations(folder or Path(tempfile.gettempdir())), only or [])
    found: list[dict[str, float]] = []
    # Drawn at each stop alone: a thread that draws all the time would take part in what is measured.
    with Progress(console=progress_console, transient=True, auto_refresh=False) as progress:
        task = progress.add_task("", total=rounds * len(stops))
        for number in range(rounds):
            figures: dict[str, float] = {}
            for stop in stops if number % 2 == 0 else stops[::-1]:
                progress.update(task, description=f"round {number + 1} of {rounds}: {stop.system}", refresh=True)
                try:
                    figures |= figures_of(stop, QUICK if quick else Amount())
                except BenchError as error:
                    progress_console.print(f"[red]{error}[/red]")
                    raise typer.Exit(1) from error
                progress.advance(task)
            found.append(figures)
    summary = spreads(found)
    Console().print(table(summary, rounds))
    if as_json:
        medians = {name: float(f"{spread.median:.4g}") for name, spread in summary.items()}
        print(json.dumps({**medians, "rounds": rounds, "workers": WORKERS, "busy_before_percent": busy}))
