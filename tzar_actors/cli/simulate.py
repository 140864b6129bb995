"""`tzar simulate`: the real core and actors in a seeded world of faults."""

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from tzar_actors.simulation.run import Summary
    from tzar_actors.simulation.world import World

__all__ = ["simulate_command"]


def simulate_command(
    vms: Annotated[int, typer.Option(min=1, max=10_000, help="VMs of the fleet.")] = 16,
    days: Annotated[float, typer.Option(min=0.001, help="Days of the world.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Decides everything that happens.")] = 7,
    faults: Annotated[
        str,
        typer.Option(help="How much goes wrong: none, light, heavy, or persons: heavy, and people power VMs by hand."),
    ] = "heavy",
    hosts: Annotated[int | None, typer.Option(min=1, help="Hosts. Without it: one for each 16 VMs.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object on standard output.")] = False,
) -> None:
    """Simulates a fleet on a virtual clock. Exit code 1, the seed and the story when a promise is broken."""
    from tzar_actors.simulation.faults import PROFILES
    from tzar_actors.simulation.run import DAY_S, Plan, simulate

    if faults not in PROFILES:
        raise typer.BadParameter(f"{faults}; allowed: {', '.join(PROFILES)}", param_hint="--faults")
    plan = Plan(seed, vms, hosts or (vms + 15) // 16, days, faults)
    console = Console(stderr=as_json)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("simulating", total=days * DAY_S)

        def on_progress(at: float, world: "World") -> None:
            ended = sum(world.laws.outcomes.values())
            progress.update(task, completed=min(at, days * DAY_S), description=f"{ended} evaluations")

        summary = simulate(plan, on_progress)
    _show(summary, console)
    if as_json:
        typer.echo(json.dumps(summary.as_json()))
    if summary.violation is not None:
        raise typer.Exit(1)


def _show(summary: "Summary", console: Console) -> None:
    plan = summary.plan
    console.print(
        f"{plan.vms} VMs on {plan.hosts} hosts for {summary.simulated_s / 3600:.1f} simulated hours with {plan.profile}"
        f" faults, seed {plan.seed}: {summary.evaluations} evaluations in {summary.wall_s:.1f} s,"
        f" {summary.lives} lives of the supervisor",
        highlight=False,
    )
    table = Table("outcome", "evaluations", "fault", "times")
    outcomes = sorted(summary.outcomes.items(), key=lambda item: -item[1])
    faults = sorted(summary.faults.items(), key=lambda item: -item[1])
    for place in range(max(len(outcomes), len(faults))):
        left = outcomes[place] if place < len(outcomes) else ("", "")
        right = faults[place] if place < len(faults) else ("", "")
        table.add_row(left[0], str(left[1]), right[0], str(right[1]))
    console.print(table)
    if summary.violation is None:
        console.print("Every law held.", highlight=False)
    else:
        console.print(str(summary.violation), markup=False, highlight=False, soft_wrap=True)
