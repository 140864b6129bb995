"""How soon a fleet goes on after a death: from a kill or a freeze to the next order, as medians of several rounds.

All times are of this machine's wall clock: the moment of a kill is taken just before it, and everything else is read
from the supervisor's log (docs/events.md), at the level that has `attempt_started`, which is written when the game's
order goes to its agent.

- `agent_killed_s`: an agent that plays is killed; until the game's next `attempt_started`, which must be on another VM.
- `evaluator_killed_s`: the same, when the agent's evaluator process is killed.
- `agent_frozen_intervals`: an agent that plays is frozen; from its last heartbeat until the game's next
  `attempt_started`, in heartbeat intervals. The last heartbeat was `agent_silent.seconds` before `agent_silent`.
- `supervisor_killed_s`: the supervisor is killed with 1,000 evaluations queued; from the start of the next supervisor's
  process until its first `attempt_started`. `supervisor_killed_from_kill_s` is the same from the kill.

The other VMs are idle when an agent or evaluator dies, so the game waits for nothing else. `*_began_s` beside them
tells when the game itself began again, by its own clock. When a supervisor's process began is known to about 10 ms.
"""

import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import wait
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import psutil
import typer
from faults import agents, evaluators
from figures import Figure, table
from ledger import events_of
from rich.console import Console
from rig import Rig, finish, rig
from seeded_game import fitness_of
from work import BenchError

from tzar_actors import EvaluationFuture, EvaluationResult, SupervisorError
from tzar_actors.client.fleet import game_seeds
from tzar_actors.drivers.processes import age_s

__all__ = ["main"]

VMS = 3
INTERVAL_S, MISSES = 0.5, 3
QUEUED = 1000
PLAY_S = 1.0  # of the game whose agent or evaluator is killed
FREEZE_S = INTERVAL_S * (MISSES + 4)
QUEUED_S = 0.02  # of the games that are queued when the supervisor dies
PATIENCE_S = 60.0
LOOK_EVERY_S = 0.005
FLOORS = {
    "agent_killed_s": 0.05,
    "evaluator_killed_s": 0.05,
    "agent_frozen_intervals": MISSES + 0.5,
    "supervisor_killed_s": 3.0,
}

SECTIONS = {
    "evaluator": {
        "kind": "python",
        "target": "seeded_game:play",
        "path": [str(Path(__file__).resolve().parent)],
        "max_attempts": 5,
    },
    "heartbeat": {"interval_s": INTERVAL_S, "misses": MISSES, "reconnect_grace_s": 30.0},
    "recovery": {"restarts": 100_000, "window_s": 600.0, "first_delay_s": 0.05, "longest_delay_s": 0.1},
    "log": {"level": "DEBUG"},
}


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often each fault is done.")] = 11,
    queued: Annotated[int, typer.Option(min=VMS + 1, help="Evaluations queued when the supervisor dies.")] = QUEUED,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object on the last line.")] = False,
    folder: Annotated[Path | None, typer.Option(help="Where the fleet keeps its state.")] = None,
) -> None:
    """Measures how soon a game is played again after a death, and how soon a new supervisor gives orders."""
    console = Console(stderr=True)
    try:
        with rig(folder or Path(tempfile.gettempdir()), VMS, SECTIONS) as running:
            found = measured(running, rounds, queued, console)
    except (BenchError, SupervisorError) as error:
        console.print(f"[red]{error}[/red]")
        raise typer.Exit(1) from error
    medians = {name: round(statistics.median(values), 4) for name, values in found.items()}
    figures = [
        Figure(name.replace("_", " "), medians[name], FLOORS.get(name), note=f"{min(values):.3g} to {max(values):.3g}")
        for name, values in found.items()
    ]
    Console().print(table(f"medians of {rounds} rounds, {queued} evaluations queued", figures))
    raise typer.Exit(finish(0, 0, 0, as_json, {**medians, "rounds": rounds, "queued": queued}))


@dataclass(frozen=True, slots=True)
class _Played:
    """An evaluation whose only game is being played, and the VM that plays it."""

    future: EvaluationFuture
    genome: bytes
    vm: str


def measured(running: Rig, rounds: int, queued: int, console: Console) -> dict[str, list[float]]:
    """All figures, a value for each round.

    Raises:
        BenchError: a game did not go on within a minute, or came back wrong.
    """
    found: dict[str, list[float]] = {}
    deeds: tuple[tuple[str, Callable[[Rig], Mapping[str, float]]], ...] = (
        ("agent killed", _agent_killed),
        ("evaluator killed", _evaluator_killed),
        ("agent frozen", _agent_frozen),
        ("supervisor killed", lambda running: _supervisor_killed(running, queued)),
    )
    with console.status("") as status:
        for name, deed in deeds:
            for number in range(rounds):
                status.update(f"{name}, round {number + 1} of {rounds}")
                running.await_idle(PATIENCE_S)
                for figure, value in deed(running).items():
                    found.setdefault(figure, []).append(value)
    return found


def _agent_killed(running: Rig) -> Mapping[str, float]:
    played = _playing(running)
    killed_at = _kill(agents(running.id, played.vm))
    ordered_at, began_at = _played_again(running, played)
    return {"agent_killed_s": ordered_at - killed_at, "agent_killed_began_s": began_at - killed_at}


def _evaluator_killed(running: Rig) -> Mapping[str, float]:
    played = _playing(running)
    killed_at = _kill(evaluators(running.id, played.vm))
    ordered_at, began_at = _played_again(running, played)
    return {"evaluator_killed_s": ordered_at - killed_at, "evaluator_killed_began_s": began_at - killed_at}


def _agent_frozen(running: Rig) -> Mapping[str, float]:
    played = _playing(running, FREEZE_S)
    (agent, *_) = agents(running.id, played.vm)
    agent.suspend()
    try:
        ordered_at, _ = _played_again(running, played)
    finally:
        agent.resume()
    silent = _last(running, lambda event: event["event"] == "agent_silent" and event["vm"] == played.vm)
    heard_at = _time(silent) - silent["seconds"]
    return {"agent_frozen_intervals": (ordered_at - heard_at) / INTERVAL_S}


def _supervisor_killed(running: Rig, queued: int) -> Mapping[str, float]:
    fleet = running.fleet
    draw = random.Random(fleet.supervisor_starts)
    genomes = [draw.randbytes(256) for _ in range(queued)]
    futures = [_submit(running, genome, QUEUED_S) for genome in genomes]
    deadline = time.monotonic() + PATIENCE_S
    while (status := fleet.status()).evaluations_open < queued - VMS and not any(f.done() for f in futures):
        if time.monotonic() > deadline:
            raise BenchError(f"only {status.evaluations_open} of {queued} evaluations are open after {PATIENCE_S:g} s")
        Event().wait(LOOK_EVERY_S)
    starts, pid = fleet.supervisor_starts, fleet.supervisor_pid
    killed_at = _kill([psutil.Process(pid)])
    while fleet.supervisor_starts == starts:
        if time.monotonic() > deadline:
            raise BenchError(f"no supervisor was there again {PATIENCE_S:g} s after its kill")
        Event().wait(LOOK_EVERY_S)
    born_at = time.time() - age_s(fleet.supervisor_pid)
    if wait(futures, PATIENCE_S).not_done:
        raise BenchError(f"{sum(not f.done() for f in futures)} of {queued} evaluations did not come back")
    for future, genome in zip(futures, genomes, strict=True):
        _require_right(future.result(), genome)
    epoch = _last(running, lambda event: event["event"] == "supervisor_started")["epoch"]
    orders = (
        _time(event)
        for event in events_of(running.log)
        if event["event"] == "attempt_started" and event["attempt"].startswith(f"{epoch}.")
    )
    first = min(orders)
    return {"supervisor_killed_s": first - born_at, "supervisor_killed_from_kill_s": first - killed_at}


def _playing(running: Rig, seconds: float = PLAY_S) -> _Played:
    """An evaluation whose only game is played just now."""
    genome = os.urandom(256)
    future = _submit(running, genome, seconds)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for row in running.fleet.status().vms:
            if row.evaluation == future.key:
                Event().wait(random.uniform(0.1, 0.4) * PLAY_S)  # somewhere within the game
                return _Played(future, genome, row.vm)
        Event().wait(LOOK_EVERY_S)
    raise BenchError(f"no VM played {future.key} within {PATIENCE_S:g} s, although they were idle; see {running.log}")


def _played_again(running: Rig, played: _Played) -> tuple[float, float]:
    """When the game was ordered again, to another VM, and when it began there."""
    future = played.future
    result = future.result(PATIENCE_S)
    _require_right(result, played.genome)
    orders = [
        event
        for event in events_of(running.log)
        if event["event"] == "attempt_started" and event["evaluation"] == future.key
    ]
    vms = [order["vm"] for order in orders]
    if len(orders) != 2 or vms[0] != played.vm or vms[1] == played.vm:
        raise BenchError(f"{future.key} was ordered from {vms} after a fault on {played.vm}")
    return _time(orders[1]), result.games[0].details["began"]


def _submit(running: Rig, genome: bytes, seconds: float) -> EvaluationFuture:
    params = {"shortest_s": seconds, "longest_s": seconds, "crash_share": 0.0, "crash_seed": 0}
    return running.fleet.submit(genome, seeds=game_seeds(0, 1), params=params)


def _require_right(result: EvaluationResult, genome: bytes) -> None:
    right = fitness_of(genome, game_seeds(0, 1)[0])
    if result.outcome != "scored" or result.fitness != right:
        raise BenchError(
            f"{result.key} came back as {result.outcome} with fitness {result.fitness}, right is {right}:"
            f" {result.reason}"
        )


def _kill(processes: list[psutil.Process]) -> float:
    """Kills the first of them, and returns the time just before."""
    if not processes:
        raise BenchError("the process that was to be killed is gone")
    at = time.time()
    processes[0].kill()
    return at


def _last(running: Rig, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The last event of this kind."""
    found = [event for event in events_of(running.log) if is_it(event)]
    if not found:
        raise BenchError(f"an event that should be in {running.log} is not there")
    return found[-1]


def _time(event: Mapping[str, Any]) -> float:
    """When it happened, in seconds since 1970."""
    return datetime.fromisoformat(event["t"]).timestamp()


if __name__ == "__main__":
    typer.run(main)
