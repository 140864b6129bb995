"""A soak: evaluations keep coming for a long time, with faults now and then, and nothing may be lost or grow.

Agents and evaluators are killed and frozen, the supervisor is frozen alone: a process that was just started has not
leaked yet. For the same reason nothing happens to the agent of the first VM, which is the one whose growth is measured.

Growth is the middle of the last tenth of the run less that of the first tenth after the warm-up, which is a quarter of
the run, and at most ten minutes.

- `growth_mb`: resident memory of supervisor, agent or trainer: the one that grew most. `growth_mb_by_process`: each.
- `growth_fds`, `growth_threads`: of the three processes together.
- `growth_processes`: of all that carry the fleet's mark.
- `growth_disk_mb`: of the state folder; by what lies in it, and for each evaluation, in the table.
- `slowdown`: outcomes a second in the first ten minutes after the warm-up / in the last ten; 1 is as fast. Of a run
  that is shorter than forty minutes it is the first and the last quarter. Faults fall where they fall in it.

`lost` and `doubled` are those of `chaos.py`; `wrong` too. The last line is {"minutes", "lost", "doubled", "growth_mb",
"growth_fds", "slowdown", ...}. The exit code is 1 when something was lost, doubled or wrong.
"""

import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from faults import WITHOUT_SUPERVISOR_KILLS, Faults, Target
from figures import Figure, table
from gauges import Gauges, Sample, settled
from ledger import Ledger, doubles_in_log, events_of
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rig import Rig, finish, rig
from stream import Work, stream
from work import BenchError

from tzar_actors import SupervisorError

__all__ = ["main"]

SHORTEST_S, LONGEST_S = 0.01, 0.09
FREEZES_S: Mapping[Target, tuple[float, float]] = {
    "agent": (0.2, 20.0),
    "evaluator": (0.2, 8.0),
    "supervisor": (0.1, 5.0),
}
WINDOW = 500
PATIENCE_S = 120.0
LONGEST_WARM_UP_S = LONGEST_SPAN_S = 600.0
TICKS = 10  # a second: outcomes are counted by tenths of it, since a list of all of them would be a growth of its own
LOOK_EVERY_S, LOOKS = 5.0, 200  # of a short run there are as many looks, closer together
FLOORS = {"growth_mb": 10.0, "growth_fds": 4.0, "growth_threads": 2.0, "growth_processes": 1.0, "slowdown": 1.1}

SECTIONS = {
    "evaluator": {
        "kind": "python",
        "target": "seeded_game:play",
        "path": [str(Path(__file__).resolve().parent)],
        "time_limit_s": 30.0,
        "stall_s": 5.0,
        "max_attempts": 10,
    },
    "recovery": {"restarts": 100_000, "window_s": 600.0, "first_delay_s": 0.1, "longest_delay_s": 1.0},
}


@dataclass(frozen=True, slots=True)
class Trend:
    """What changed between the beginning and the end of a run."""

    mb: dict[str, float]
    fds: float
    threads: float
    processes: float
    disk_mb: dict[str, float]
    slowdown: float


def main(
    minutes: Annotated[float, typer.Option(min=0.05, help="How long evaluations keep coming.")] = 60.0,
    vms: Annotated[int, typer.Option(min=2, help="VMs of the fleet.")] = 4,
    every: Annotated[float, typer.Option(min=0.05, help="Seconds between two faults.")] = 30.0,
    seed: Annotated[int, typer.Option(min=0, help="Of genomes, games and faults.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object on the last line.")] = False,
    folder: Annotated[Path | None, typer.Option(help="Where the fleet keeps its state.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the fleet's state, its log among it.")] = False,
) -> None:
    """Keeps a fleet busy for a long time and shows what grew."""
    work = Work(vms, 1, SHORTEST_S, LONGEST_S, 0.0, seed)
    console = Console(stderr=True)
    ledger = Ledger()
    try:
        with rig(folder or Path(tempfile.gettempdir()), vms, SECTIONS, keep=keep) as running:
            faults = Faults(
                running.id,
                every,
                WITHOUT_SUPERVISOR_KILLS,
                seed,
                FREEZES_S,
                spare=[_first_vm(running)],
            )
            trend = soaked(running, ledger, work, minutes * 60, faults, console)
            doubles = doubles_in_log(events_of(running.log))
    except (BenchError, SupervisorError) as error:
        console.print(f"[red]{error}[/red]")
        raise typer.Exit(1) from error
    doubled = ledger.doubled + len(doubles.outcomes)
    growth_mb = max(trend.mb.values())
    Console().print(table(f"{vms} VMs, {minutes:g} minutes, seed {seed}", _figures(ledger, doubled, trend, faults)))
    for story in ledger.stories:
        console.print(f"[red]{story}[/red]", highlight=False)
    found = {
        "minutes": minutes,
        "lost": ledger.open,
        "doubled": doubled,
        "wrong": ledger.wrong,
        "growth_mb": round(growth_mb, 2),
        "growth_fds": trend.fds,
        "slowdown": round(trend.slowdown, 3),
        "evaluations": ledger.asked,
        "growth_mb_by_process": {name: round(value, 2) for name, value in trend.mb.items()},
        "growth_threads": trend.threads,
        "growth_processes": trend.processes,
        "growth_disk_mb": round(sum(trend.disk_mb.values()), 2),
        "faults": faults.done.total(),
        "seed": seed,
    }
    raise typer.Exit(finish(ledger.open, doubled, ledger.wrong, as_json, found))


def soaked(running: Rig, ledger: Ledger, work: Work, seconds: float, faults: Faults, console: Console) -> Trend:
    """Keeps a fleet busy.

    Args:
        running: the fleet.
        ledger: takes what is asked and what comes back.
        work: what is played.
        seconds: how long.
        faults: what is done meanwhile.
        console: where progress is shown.

    Raises:
        BenchError: the run was too short to see anything.
    """
    ends: Counter[int] = Counter()
    gauges = Gauges(running, _first_vm(running), min(LOOK_EVERY_S, seconds / LOOKS))
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=seconds)
        begin = time.monotonic()

        def show(text: str) -> None:
            progress.update(task, completed=time.monotonic() - begin, description=text)

        on_end = _teller(ends, begin, ledger, faults, gauges, show)
        with gauges, faults:
            stream(running.fleet, ledger, work, seconds, WINDOW, PATIENCE_S, random.Random(work.seed), None, on_end)
    return trend_of(gauges.samples, ends, begin, time.monotonic())


def trend_of(samples: Sequence[Sample], ends: Mapping[int, int], begin: float, end: float) -> Trend:
    """What changed between the beginning, after the warm-up, and the end.

    Args:
        samples: all looks, oldest first.
        ends: how many outcomes came in each tenth of a second after `begin`.
        begin: of the run, in monotonic seconds.
        end: of the run.

    Raises:
        BenchError: there are too few looks or outcomes to compare.
    """
    warm = begin + min(LONGEST_WARM_UP_S, (end - begin) / 4)
    tenth = (end - warm) / 10
    first = [sample for sample in samples if warm <= sample.at < warm + tenth]
    last = [sample for sample in samples if end - tenth <= sample.at]
    span = min(LONGEST_SPAN_S, (end - begin) / 4)
    at_first = sum(count for tick, count in ends.items() if warm <= begin + tick / TICKS < warm + span)
    at_last = sum(count for tick, count in ends.items() if end - span <= begin + tick / TICKS)
    if not first or not last or not at_first or not at_last:
        raise BenchError(
            f"{len(samples)} looks and {sum(ends.values())} outcomes in {end - begin:.0f} s are too few to compare"
        )

    def growth(of: Callable[[Sample], float]) -> float:
        return settled(map(of, last)) - settled(map(of, first))

    def mb(name: str) -> Callable[[Sample], float]:
        return lambda sample: sample.mb[name]

    def disk_mb(name: str) -> Callable[[Sample], float]:
        return lambda sample: sample.disk_mb.get(name, 0.0)

    return Trend(
        {name: growth(mb(name)) for name in first[0].mb},
        growth(lambda sample: sample.fds),
        growth(lambda sample: sample.threads),
        growth(lambda sample: sample.processes),
        {name: growth(disk_mb(name)) for name in sorted({name for each in (*first, *last) for name in each.disk_mb})},
        at_first / at_last,
    )


def _figures(ledger: Ledger, doubled: int, trend: Trend, faults: Faults) -> list[Figure]:
    by_process = ", ".join(f"{name} {value:+.2f}" for name, value in trend.mb.items())
    grown = sorted(((name, value) for name, value in trend.disk_mb.items() if abs(value) >= 0.01), key=lambda e: -e[1])
    outcomes = ", ".join(f"{n} {name}" for name, n in ledger.outcomes.most_common())
    return [
        Figure("evaluations", ledger.asked, note=f"{faults.done.total()} faults"),
        Figure("lost", ledger.open, 0),
        Figure("doubled", doubled, 0),
        Figure("wrong", ledger.wrong, 0, note=outcomes),
        Figure("memory grew by, MB", max(trend.mb.values()), FLOORS["growth_mb"], note=by_process),
        Figure("descriptors grew by", trend.fds, FLOORS["growth_fds"]),
        Figure("threads grew by", trend.threads, FLOORS["growth_threads"]),
        Figure("processes grew by", trend.processes, FLOORS["growth_processes"]),
        Figure("disk grew by, MB", sum(trend.disk_mb.values()), note=", ".join(f"{n} {v:+.2f}" for n, v in grown)),
        Figure("slowdown", trend.slowdown, FLOORS["slowdown"]),
    ]


def _teller(
    ends: "Counter[int]", begin: float, ledger: Ledger, faults: Faults, gauges: Gauges, show: Callable[[str], None]
) -> Callable[[], None]:
    """What is called after each outcome: it counts it in `ends`, and now and then shows how it goes."""
    shown_at = 0.0

    def ended() -> None:
        nonlocal shown_at
        now = time.monotonic()
        ends[int((now - begin) * TICKS)] += 1
        if now - shown_at < 1.0:
            return
        shown_at = now
        memory = gauges.samples[-1].mb if gauges.samples else {}
        sizes = "".join(f", {name} {value:.0f} MB" for name, value in memory.items())
        bad = f", [red]{ledger.wrong} wrong[/red]" if ledger.wrong else ""
        rate = ledger.ended / (now - begin)
        show(f"{ledger.ended} evaluations, {rate:.0f}/s, {faults.done.total()} faults{bad}{sizes}")

    return ended


def _first_vm(running: Rig) -> str:
    return min(vm.vm for vm in running.fleet.status().vms)


if __name__ == "__main__":
    typer.run(main)
