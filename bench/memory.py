"""What the supervisor holds in memory: with a queue of large genomes, and after very many evaluations.

- `supervisor_mb`: the most resident memory that the supervisor's process ever had, with `queued` different genomes of
  11 MB queued behind a game that does not end. Genomes are made one by one, and neither side keeps one: they lie on the
  disk, which must have room for all of them (5.5 GB for 500; this is checked before).
- With `--evaluations 100000`: `supervisor_mb_after_tenth` and `supervisor_mb_after_all`, its resident memory when a
  tenth of so many evaluations of 256 bytes have ended and when all have; and `growth_ratio`, the second over the first.

Megabytes are 10**6 bytes. Missed floors are red and no failure; the exit code is 1 when it could not be measured.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import psutil
import typer
from figures import Figure, table
from gauges import MB, peak_mb, resident_mb, settled
from rich.console import Console
from rich.progress import Progress
from rig import Rig, finish, rig
from work import BenchError

from tzar_actors import SupervisorError

__all__ = ["main"]

GENOME_BYTES = 11_000_000
SPARE_BYTES = 500_000_000  # journal, log, and what others write meanwhile
FLOOR_MB, FLOOR_RATIO = 300.0, 1.1
PATIENCE_S = 120.0
LOOKS, LOOK_EVERY_S = 5, 0.2
HERE = str(Path(__file__).resolve().parent)
ENDLESS = {"shortest_s": 3600.0, "longest_s": 3600.0, "crash_share": 0.0, "crash_seed": 0}
LARGE = {"evaluator": {"kind": "python", "target": "seeded_game:play", "path": [HERE], "time_limit_s": 7200.0}}
MANY = {"evaluator": {"kind": "inline", "target": "evaluator:instant", "path": [HERE]}}


def main(
    genomes: Annotated[int, typer.Option(min=1, help="Genomes of 11 MB that are queued.")] = 500,
    evaluations: Annotated[int, typer.Option(min=0, help="Small evaluations, in ten parts; 0: none.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object on the last line.")] = False,
    folder: Annotated[Path | None, typer.Option(help="Where the fleet keeps its state, genomes among it.")] = None,
) -> None:
    """Shows how much memory the supervisor takes."""
    console = Console(stderr=True)
    place = folder or Path(tempfile.gettempdir())
    figures: list[Figure] = []
    found: dict[str, Any] = {}
    try:
        _require_room(place, genomes)
        with rig(place, 1, LARGE) as running:
            peak, before = with_large_queued(running, genomes, console)
        found |= {"supervisor_mb": round(peak, 1), "queued": genomes, "supervisor_mb_before": round(before, 1)}
        figures.append(Figure("supervisor's peak, MB", peak, FLOOR_MB, note=f"{genomes} genomes of 11 MB are queued"))
        figures.append(Figure("the same before, MB", before, note="all VMs idle, nothing queued"))
        if evaluations:
            with rig(place, 4, MANY) as running:
                tenth, all_of_them = after_many(running, evaluations, console)
            found |= {
                "supervisor_mb_after_tenth": round(tenth, 1),
                "supervisor_mb_after_all": round(all_of_them, 1),
                "growth_ratio": round(all_of_them / tenth, 3),
                "evaluations": evaluations,
            }
            note = f"{tenth:.1f} MB after {evaluations // 10:,}, {all_of_them:.1f} MB after {evaluations:,} evaluations"
            figures.append(Figure("growth, ratio", all_of_them / tenth, FLOOR_RATIO, note=note))
    except (BenchError, SupervisorError, NotImplementedError) as error:
        console.print(f"[red]{error}[/red]")
        raise typer.Exit(1) from error
    Console().print(table("memory of the supervisor's process", figures))
    raise typer.Exit(finish(0, 0, 0, as_json, found))


def with_large_queued(running: Rig, genomes: int, console: Console) -> tuple[float, float]:
    """Queues large genomes behind a game that does not end.

    Args:
        running: a fleet of one VM.
        genomes: how many.
        console: where progress is shown.

    Returns:
        The supervisor's peak then, and before, in MB.

    Raises:
        BenchError: they were not accepted.
    """
    supervisor = psutil.Process(running.fleet.supervisor_pid)
    before = peak_mb(supervisor)
    rest = os.urandom(GENOME_BYTES - 16)
    futures = [running.fleet.submit(b"the game that does not end", params=ENDLESS)]
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        for _ in progress.track(range(genomes), description="genomes queued"):
            futures.append(running.fleet.submit(os.urandom(16) + rest, params=ENDLESS))
    deadline = time.monotonic() + PATIENCE_S
    while (is_open := running.fleet.status().evaluations_open) < len(futures):
        if failed := [future.exception() for future in futures if future.done()]:
            raise BenchError(f"{len(failed)} of {genomes} genomes were not queued, the first since {failed[0]}")
        if time.monotonic() > deadline:
            raise BenchError(f"only {is_open} of {len(futures)} evaluations are open after {PATIENCE_S:.0f} s")
        Event().wait(LOOK_EVERY_S)
    return peak_mb(supervisor), before


def after_many(running: Rig, evaluations: int, console: Console) -> tuple[float, float]:
    """Plays many small games.

    Args:
        running: the fleet.
        evaluations: how many.
        console: where progress is shown.

    Returns:
        The supervisor's resident memory when a tenth of them has ended, and when all have, in MB.

    Raises:
        BenchError: one of them came back wrong.
    """
    tenth = evaluations // 10
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("evaluations", total=evaluations)

        def play(count: int) -> None:
            for number, result in enumerate(running.fleet.evaluate(_small(count), games=1)):
                if result.outcome != "scored":
                    raise BenchError(f"{result.key} came back as {result.outcome}: {result.reason}")
                if number % 100 == 99:
                    progress.advance(task, 100)

        play(tenth)
        first = _resting_mb(running)
        for _ in range(9):  # one after the other, since what a deeper queue takes is no growth
            play(tenth)
        return first, _resting_mb(running)


def _small(count: int) -> Iterator[bytes]:
    return (os.urandom(256) for _ in range(count))


def _resting_mb(running: Rig) -> float:
    """The supervisor's resident memory while it has nothing to do."""
    running.await_idle()
    looks = []
    for _ in range(LOOKS):
        Event().wait(LOOK_EVERY_S)
        looks.append(resident_mb(psutil.Process(running.fleet.supervisor_pid)))
    return settled(looks)


def _require_room(place: Path, genomes: int) -> None:
    needed, free = genomes * GENOME_BYTES + SPARE_BYTES, shutil.disk_usage(place).free
    if free < needed:
        raise BenchError(
            f"{genomes} genomes of 11 MB and their journal need {needed / MB:,.0f} MB of disk, and {place} has"
            f" {free / MB:,.0f} MB free: name another folder with --folder, or fewer --genomes"
        )


if __name__ == "__main__":
    typer.run(main)
