"""How much of the way of an evaluation our promises cost: the fleet beside a bare broker and a process pool.

Run it while nothing else runs: `python bench/dispatch.py`. Each system is started, measured and stopped in turn, in
several rounds; every second round goes the other way round, so that a machine that slows down favours nobody.
Missed floors are shown, and are no failure: the exit code tells only whether everything was measured.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import psutil
import typer
from bare_broker import BareBroker
from fleet import Fleet
from pool import Pool
from report import table
from rich.console import Console
from rich.progress import Progress
from rounds import latency_figures, spreads
from sha256 import Sha256
from work import WORKERS, BenchError, System

__all__ = ["main"]


class Only(StrEnum):
    """What can be asked for by itself: systems, and what is measured of them."""

    BARE = "bare"
    POOL = "pool"
    SHA256 = "sha256"
    PROCESS = "process"
    POWER = "power"
    THROUGHPUT = "throughput"
    LATENCY = "latency"
    WIRE = "wire"
    IN_PLACE = "in_place"


MEASURES = (Only.THROUGHPUT, Only.LATENCY, Only.WIRE, Only.IN_PLACE)


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is measured at once: evaluations, round trips, large genomes and their bytes."""

    evaluations: int = 4000
    round_trips: int = 300
    large: int = 24
    large_bytes: int = 11_000_000


QUICK = Amount(evaluations=100, round_trips=10, large=2, large_bytes=1_000_000)


@dataclass(frozen=True, slots=True)
class Station:
    """One stop of a round: a system, what is measured of it, and how its figures are named."""

    system: Only
    make: Callable[[], System]
    measures: tuple[Only, ...]
    naming: str = "{}"


def stations(folder: Path) -> tuple[Station, ...]:
    """All stops of a round. Fleets keep their state beneath `folder`."""
    small = (Only.THROUGHPUT, Only.LATENCY)
    return (
        Station(Only.BARE, BareBroker, (*small, Only.WIRE), "bare_{}"),
        Station(Only.PROCESS, lambda: Fleet("process", True, folder), (*small, Only.IN_PLACE)),
        Station(Only.PROCESS, lambda: Fleet("process", False, folder), (Only.WIRE,)),
        Station(Only.POWER, lambda: Fleet("power", True, folder), (*small, Only.IN_PLACE), "{}_power"),
        Station(Only.POWER, lambda: Fleet("power", False, folder), (Only.WIRE,), "{}_power"),
        Station(Only.SHA256, Sha256, (Only.IN_PLACE,)),
        Station(Only.POOL, Pool, small, "pool_{}"),
    )


def chosen(all_stations: Sequence[Station], only: Sequence[Only]) -> list[Station]:
    """The stations that `only` asks for. It narrows systems where it names any, and measures where it names any."""
    measures = [one for one in only if one in MEASURES] or MEASURES
    systems = [one for one in only if one not in MEASURES] or list(Only)
    return [
        Station(station.system, station.make, kept, station.naming)
        for station in all_stations
        if station.system in systems and (kept := tuple(one for one in station.measures if one in measures))
    ]


def figures_of(station: Station, amount: Amount) -> dict[str, float]:
    """Starts the station's system, measures it, stops it. The names are those of the JSON.

    Raises:
        BenchError: it could not be measured.
    """
    system = station.make()
    try:
        system.start()
        found = dict(_measured(system, station.measures, amount))
    finally:
        system.stop()
    if station.system is Only.SHA256:
        return found
    return {station.naming.format(name): value for name, value in found.items()}


def _measured(system: System, measures: Sequence[Only], amount: Amount) -> Iterator[tuple[str, float]]:
    for measure in measures:
        match measure:
            case Only.THROUGHPUT:
                system.throughput(amount.evaluations // 4, 256)  # what is loaded at first use is loaded now
                yield "evaluations_per_s", system.throughput(amount.evaluations, 256)
            case Only.LATENCY:
                yield from latency_figures(system.idle_latency(amount.round_trips)).items()
            case Only.WIRE:
                system.wire(min(amount.large, WORKERS), amount.large_bytes)
                yield "wire_mb_s", system.wire(amount.large, amount.large_bytes)
            case Only.IN_PLACE if isinstance(system, Sha256):
                yield "sha256_mb_s", system.in_place(amount.large, amount.large_bytes)
                yield "sha256_one_processor_mb_s", system.one_processor(amount.large, amount.large_bytes)
            case Only.IN_PLACE:
                system.in_place(min(amount.large, WORKERS), amount.large_bytes)
                yield "in_place_mb_s", system.in_place(amount.large, amount.large_bytes)


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
    progress_console = Console(stderr=True)
    busy = psutil.cpu_percent(interval=0.2 if quick else 1.0)
    if busy > 10:
        progress_console.print(f"Others use {busy:.0f} % of this machine's processors: the figures will suffer.")
    stops = chosen(stations(folder or Path(tempfile.gettempdir())), only or [])
    found: list[dict[str, float]] = []
    with Progress(console=progress_console, transient=True) as progress:
        task = progress.add_task("", total=rounds * len(stops))
        for number in range(rounds):
            figures: dict[str, float] = {}
            for stop in stops if number % 2 == 0 else stops[::-1]:
                progress.update(task, description=f"round {number + 1} of {rounds}: {stop.system}")
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


if __name__ == "__main__":
    typer.run(main)
