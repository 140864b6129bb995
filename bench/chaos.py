"""Chaos on real processes: what kills and freezes at random cost a fleet, and whether they lose or falsify anything.

Agents, evaluator processes and the supervisor are killed (SIGKILL) and frozen (SIGSTOP, SIGCONT some seconds later),
one fault every `--every` seconds, while evaluations of two games each are played by real evaluator processes. A share
of the attempts ends in a crash of the VM by itself. On Windows processes are ended and suspended instead.

- `lost`: evaluations without an outcome.
- `doubled`: outcomes that came twice, by the trainer's books, by the log, or because the journal has another outcome
  of a key than the trainer was given; and attempts whose id was issued twice.
- `wrong`: outcomes other than the one that genome and seed must give: another fitness, or none. No genome is to blame
  for anything here, so each outcome but `scored` is wrong.
- `efficiency`: ideal makespan / actual. The ideal is what the same games take without faults and without any overhead:
  the sum of their known durations over the number of VMs. The actual is the time from the first submission to the last
  outcome. `efficiency_without_faults` is the same of a shorter run before, without kills, freezes and crashes: what
  boots of evaluators, dispatch and the machine cost alone. The ends of both runs, when not all VMs have a game left,
  are in them.

The last line is {"evaluations", "lost", "doubled", "wrong", "kills", "efficiency", ...}. Missed floors are red and no
failure; the exit code is 1 when something was lost, doubled or wrong, or processes of the fleet were alive at the end.
"""

import random
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from faults import MIX, Fault, Faults, Target
from figures import Figure, table
from ledger import Ledger, doubles_in_log, events_of
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rig import Rig, finish, rig
from stream import Work, stream
from work import BenchError

from tzar_actors import SupervisorError

__all__ = ["main"]

VMS, GAMES = 8, 2
SHORTEST_S, LONGEST_S = 0.05, 0.95
# Some freezes of agents are longer than their silence is borne, some end before their VM is reset, and some after it.
# A frozen supervisor stops everybody, and nothing could make up for that: it is frozen for shorter.
FREEZES_S: Mapping[Target, tuple[float, float]] = {
    "agent": (0.2, 6.0),
    "evaluator": (0.2, 4.0),
    "supervisor": (0.1, 1.0),
}
WINDOW = 2000
PATIENCE_S = 120.0
CALM_SHARE, CALM_LONGEST_S = 0.2, 60.0  # of the run without faults, beside that with them
FLOOR = 0.85
KEYS_AT_ONCE = 500

SECTIONS = {
    "evaluator": {
        "kind": "python",
        "target": "seeded_game:play",
        "path": [str(Path(__file__).resolve().parent)],
        "time_limit_s": 20.0,
        "stall_s": 3.0,  # less than the longest freeze of an evaluator
        "max_attempts": 10,
    },
    "heartbeat": {"interval_s": 0.5, "misses": 3, "reconnect_grace_s": 3.0},
    # A VM that crashes at every twentieth game fails more often than a fleet should be content with.
    "recovery": {"restarts": 100_000, "window_s": 600.0, "first_delay_s": 0.01, "longest_delay_s": 0.02},
    "log": {"level": "DEBUG"},
}


@dataclass(frozen=True, slots=True)
class Findings:
    """What a run with faults showed."""

    ledger: Ledger
    doubled: int
    faults: "Counter[Fault]"
    vm_failures: int
    seconds: float
    efficiency: float
    calm_efficiency: float
    supervisor_starts: int


def main(
    minutes: Annotated[float, typer.Option(min=0.01, help="How long faults are done.")] = 10.0,
    every: Annotated[float, typer.Option(min=0.05, help="Seconds between two faults.")] = 2.0,
    vms: Annotated[int, typer.Option(min=2, help="VMs of the fleet.")] = VMS,
    crashes: Annotated[float, typer.Option(min=0.0, max=0.5, help="Share of attempts that crash their VM.")] = 0.05,
    seed: Annotated[int, typer.Option(min=0, help="Of genomes, games, crashes and faults.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object on the last line.")] = False,
    folder: Annotated[Path | None, typer.Option(help="Where the fleet keeps its state.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the fleet's state, its log among it.")] = False,
) -> None:
    """Kills and freezes a fleet's processes while it plays, and checks every outcome."""
    work = Work(vms, GAMES, SHORTEST_S, LONGEST_S, crashes, seed)
    try:
        with rig(folder or Path(tempfile.gettempdir()), vms, SECTIONS, keep=keep) as running:
            found = measured(running, work, minutes * 60, every, Console(stderr=True))
    except (BenchError, SupervisorError) as error:
        Console(stderr=True).print(f"[red]{error}[/red]")
        raise typer.Exit(1) from error
    raise typer.Exit(told(found, work, minutes, as_json))


def measured(running: Rig, work: Work, seconds: float, every_s: float, console: Console) -> Findings:
    """Has a fleet play without faults and then with them.

    Args:
        running: the fleet.
        work: what is played.
        seconds: how long with faults.
        every_s: seconds between two faults.
        console: where progress is shown.

    Raises:
        BenchError: it could not be measured.
    """
    calm_s = min(CALM_LONGEST_S, seconds * CALM_SHARE)
    calm, _, calm_took_s = _run(running, replace(work, crash_share=0.0), calm_s, None, console, "without faults")
    if calm.open or calm.wrong:
        stories = "; ".join(calm.stories) or f"no outcome for {PATIENCE_S:.0f} s"
        raise BenchError(f"{calm.open} evaluations were lost without any fault, {calm.wrong} wrong: {stories}")
    faults = Faults(running.id, every_s, MIX, work.seed, FREEZES_S)
    ledger, differing, took_s = _run(running, work, seconds, faults, console, "with faults")
    doubles = doubles_in_log(events_of(running.log))
    ledger.stories += [f"{name} is twice in the log" for name in (*doubles.outcomes, *doubles.attempts)]
    return Findings(
        ledger,
        ledger.doubled + differing + len(doubles.outcomes) + len(doubles.attempts),
        faults.done,
        sum(event["event"] == "vm_failed" for event in events_of(running.log)),
        took_s,
        ledger.ended_s / work.vms / took_s if took_s else 0.0,
        calm.ended_s / work.vms / calm_took_s if calm_took_s else 0.0,
        running.fleet.supervisor_starts,
    )


def told(found: Findings, work: Work, minutes: float, as_json: bool) -> int:
    """Shows what was found. Returns the exit code."""
    ledger = found.ledger
    kills = sum(times for fault, times in found.faults.items() if fault.what == "killed")
    figures = [
        Figure("evaluations", ledger.asked, note=f"of {work.games} games, {work.shortest_s:g} to {work.longest_s:g} s"),
        Figure("lost", ledger.open, 0),
        Figure("doubled", found.doubled, 0),
        Figure("wrong", ledger.wrong, 0, note=", ".join(f"{n} {name}" for name, n in ledger.outcomes.most_common())),
        Figure("efficiency", found.efficiency, FLOOR, less_is_better=False, note=f"{found.seconds:.0f} s"),
        Figure("efficiency without faults", found.calm_efficiency),
        Figure("kills", kills),
        *(Figure(f"  {fault}", found.faults[fault]) for fault in MIX),
        Figure("VMs failed", found.vm_failures, note=f"{work.crash_share:.0%} of the attempts crash theirs"),
        Figure("supervisor started", found.supervisor_starts),
    ]
    title = f"{work.vms} VMs, {minutes:g} minutes, seed {work.seed}"
    Console().print(table(title, figures))
    for story in ledger.stories:
        Console(stderr=True).print(f"[red]{story}[/red]", highlight=False)
    return finish(
        ledger.open,
        found.doubled,
        ledger.wrong,
        as_json,
        {
            "evaluations": ledger.asked,
            "lost": ledger.open,
            "doubled": found.doubled,
            "wrong": ledger.wrong,
            "kills": kills,
            "efficiency": round(found.efficiency, 4),
            "efficiency_without_faults": round(found.calm_efficiency, 4),
            "faults": {str(fault): found.faults[fault] for fault in MIX},
            "vms_failed": found.vm_failures,
            "supervisor_starts": found.supervisor_starts,
            "seconds": round(found.seconds, 1),
            "seed": work.seed,
        },
    )


def _run(
    running: Rig, work: Work, seconds: float, faults: Faults | None, console: Console, what: str
) -> tuple[Ledger, int, float]:
    """The books, the outcomes that the journal has otherwise, and the seconds that it took."""
    ledger = Ledger()
    given: dict[str, float | None] = {}
    draw = random.Random(f"{work.seed} {what}")
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=seconds * work.vms)

        def show() -> None:
            done = f", {faults.done.total()} faults" if faults else ""
            bad = f", [red]{ledger.wrong} wrong[/red]" if ledger.wrong else ""
            text = f"{what}: {ledger.ended} evaluations{done}{bad}"
            progress.update(task, completed=ledger.ended_s, description=text)

        if faults is None:
            took_s = stream(running.fleet, ledger, work, seconds, WINDOW, PATIENCE_S, draw, given, show)
        else:
            with faults:
                took_s = stream(running.fleet, ledger, work, seconds, WINDOW, PATIENCE_S, draw, given, show)
    return ledger, _otherwise(running, ledger, given), took_s


def _otherwise(running: Rig, ledger: Ledger, given: dict[str, float | None]) -> int:
    """How many outcomes the journal has not, or not as they were given to the trainer."""
    keys = list(given)
    doubled = 0
    for start in range(0, len(keys), KEYS_AT_ONCE):
        some = keys[start : start + KEYS_AT_ONCE]
        journalled = {result.key: result.fitness for result in running.fleet.results(*some)}
        for key in some:
            if key not in journalled or journalled[key] != given[key]:
                doubled += 1
                kept = journalled.get(key, "nothing")
                ledger.stories.append(f"{key}: the trainer was given {given[key]}, the journal has {kept}")
    return doubled


if __name__ == "__main__":
    typer.run(main)
