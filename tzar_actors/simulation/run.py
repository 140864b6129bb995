"""Runs one world from its seed to its summary: what `tzar simulate` does."""

import gc
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tzar_actors.simulation.faults import PROFILES
from tzar_actors.simulation.story import ViolationError
from tzar_actors.simulation.world import World

__all__ = ["DAY_S", "Plan", "Summary", "simulate"]

DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is simulated.

    Args:
        seed: decides everything.
        vms: in the fleet.
        hosts: that carry them.
        days: of the world.
        profile: name of the faults, one of `PROFILES`.
    """

    seed: int
    vms: int
    hosts: int
    days: float
    profile: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of it.

    Args:
        plan: what was simulated.
        simulated_s: seconds of the world, with the peace at its end.
        wall_s: seconds that it took.
        outcomes: evaluations, by outcome.
        faults: that happened, by name.
        lives: of the supervisor.
        violation: the law that was broken; None: all held.
    """

    plan: Plan
    simulated_s: float
    wall_s: float
    outcomes: dict[str, int]
    faults: dict[str, int]
    lives: int
    violation: ViolationError | None

    @property
    def evaluations(self) -> int:
        """How many evaluations got an outcome."""
        return sum(self.outcomes.values())

    def as_json(self) -> dict[str, object]:
        """The summary for programs."""
        return {
            "seed": self.plan.seed,
            "vms": self.plan.vms,
            "days": self.plan.days,
            "evaluations": self.evaluations,
            "faults": sum(self.faults.values()),
            "violations": 0 if self.violation is None else 1,
            "wall_s": round(self.wall_s, 3),
        }


def simulate(plan: Plan, on_progress: Callable[[float, World], None] = lambda at, world: None) -> Summary:
    """Simulates `plan`.

    Args:
        plan: what is simulated.
        on_progress: called now and then with the seconds of the world that have passed, and the world.
    """
    # In memory where the system offers that: the journal is the real one, and writes at each turn.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="tzar-simulate-", dir=memory if memory.is_dir() else None) as folder:
        world = World(plan.seed, plan.vms, plan.hosts, PROFILES[plan.profile], Path(folder))
        began, violation = time.perf_counter(), None
        try:
            for at in world.run(plan.days * DAY_S):
                on_progress(at, world)
        except ViolationError as broken:
            violation = broken
        wall_s = time.perf_counter() - began
    counts = world.surroundings.counts + world.surroundings.network.counts
    summary = Summary(
        plan, world.surroundings.now, wall_s, dict(world.laws.outcomes), dict(counts), world.lives, violation
    )
    del world
    gc.collect()  # the actors of a world know each other
    return summary
