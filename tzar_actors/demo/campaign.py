"""What the demo does with a fleet: it evolves a policy, kills a VM's agent on the way, and measures the champion.

The seeds of training, validation and the final measure come from three ranges that share none.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

import numpy as np

from tzar_actors.demo.evolution import Evolution, Rules
from tzar_actors.demo.fleet import Evaluation, Fleet, Status
from tzar_actors.demo.kill import Kill, Succession, end_process, kill_in_mid_game, succession
from tzar_actors.demo.policy import RANDOM_GENOME, WEIGHTS, genome_of
from tzar_actors.errors import TzarError

__all__ = ["Campaign", "Generation", "Plan", "Report", "Watcher"]

TRAINING_SEEDS = range(2**29)
VALIDATION_SEEDS = range(2**29, 2**30)
HELD_OUT_SEEDS = range(2**30, 2**31)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to evolve, and how well to measure.

    Args:
        generations: so many.
        population: genomes in each.
        games: of each genome in training; all genomes of a generation play the same.
        seed: decides the first generation, all mutations and all games' seeds.
        candidates: for the champion: the best of so many latest generations.
        validation_games: of each candidate.
        held_out_games: of the champion and of the random policy.
    """

    generations: int = 10
    population: int = 24
    games: int = 3
    seed: int = 7
    candidates: int = 6
    validation_games: int = 6
    held_out_games: int = 16


@dataclass(frozen=True, slots=True)
class Generation:
    """How a generation did: ticks survived by its best genome and on average, and the seconds it took."""

    number: int
    best: float
    mean: float
    seconds: float


@dataclass(slots=True)
class Report:
    """What came of it.

    Args:
        generations: one for each, in order.
        submitted: evaluations that were asked for.
        outcomes: evaluations by outcome.
        killed_in: the generation in which an agent was killed and lost a game, from 1.
        killed: that game's lost attempt and its successor; None: no kill hit a game.
        champion: mean ticks of the champion on held-out seeds; None: not every game was scored.
        random: the same of the random policy, on the same seeds.
    """

    generations: list[Generation] = field(default_factory=list)
    submitted: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    killed_in: int | None = None
    killed: Succession | None = None
    champion: float | None = None
    random: float | None = None


class Watcher(Protocol):
    """Is told how the campaign goes, on the thread that it runs on."""

    def stage(self, title: str, evaluations: int) -> None:
        """A round of so many evaluations begins."""

    def ended(self, evaluation: Evaluation, status: Status) -> None:
        """One of the round's evaluations ended, and this is what the VMs do now."""

    def generation(self, generation: Generation) -> None:
        """A generation ended."""

    def killed(self, kill: Kill) -> None:
        """A VM's agent was killed."""

    def succeeded(self, succession: Succession) -> None:
        """The game that was lost with it was played by another attempt."""


class Campaign:
    """One run of the demo on a fleet.

    Args:
        fleet: plays the games.
        plan: how many, and which.
        watcher: is told how it goes.
        end: kills a process by its id.
    """

    def __init__(self, fleet: Fleet, plan: Plan, watcher: Watcher, end: Callable[[int], None] = end_process) -> None:
        self.report = Report()
        self._fleet = fleet
        self._plan = plan
        self._watcher = watcher
        self._end = end
        self._kill: Kill | None = None
        self._kill_is_due = False
        self._last_reason = ""

    def run(self) -> Report:
        """Evolves, picks the champion, measures it beside the random policy.

        Raises:
            TzarError: not one genome of a generation was scored, and why the last of them was not.
        """
        plan = self._plan
        rng = np.random.default_rng(plan.seed)
        rules = Rules(plan.population, elite=max(1, plan.population // 8), parents=max(1, plan.population // 4))
        evolution = Evolution(rng, WEIGHTS, rules)
        for number in range(1, plan.generations + 1):
            # The first generation is still booting VMs; a kill that hit no game is tried again in the next.
            self._kill_is_due = self.report.killed is None and number >= min(2, plan.generations)
            begin = monotonic()
            title = f"generation {number} of {plan.generations}"
            genomes = [genome_of(weights) for weights in evolution.ask()]
            fitness = self._play(title, genomes, _draw(rng, TRAINING_SEEDS, plan.games), number)
            scored = [value for value in fitness if value is not None]
            if not scored:
                raise TzarError(f"{title}: not one genome was scored. The last of them: {self._last_reason}")
            evolution.tell(fitness)
            row = Generation(number, max(scored), sum(scored) / len(scored), monotonic() - begin)
            self.report.generations.append(row)
            self._watcher.generation(row)
        candidates = [genome_of(weights) for weights in evolution.candidates(plan.candidates)]
        trial = self._play("validation", candidates, _draw(rng, VALIDATION_SEEDS, plan.validation_games))
        champion = candidates[max(range(len(trial)), key=lambda place: trial[place] or 0.0)]
        seeds = _draw(rng, HELD_OUT_SEEDS, plan.held_out_games)
        self.report.champion, self.report.random = self._play("held-out seeds", [champion, RANDOM_GENOME], seeds)
        return self.report

    def _play(
        self, title: str, genomes: Sequence[bytes], seeds: Sequence[int], generation: int | None = None
    ) -> list[float | None]:
        """The mean fitness of each genome, in their order."""
        self._watcher.stage(title, len(genomes))
        self.report.submitted += len(genomes)
        fitness: list[float | None] = [None] * len(genomes)
        evaluations = self._fleet.evaluate(genomes, seeds=seeds, generation=generation)
        for ended, evaluation in enumerate(evaluations, 1):
            fitness[evaluation.index] = evaluation.fitness
            self.report.outcomes[str(evaluation.outcome)] += 1
            self._last_reason = evaluation.reason
            self._look_for_successor(evaluation, generation)
            self._watcher.ended(evaluation, self._fleet.status())
            if self._kill_is_due and ended >= len(genomes) // 3:
                self._strike()
        return fitness

    def _strike(self) -> None:
        self._kill_is_due = False
        self._kill = kill_in_mid_game(self._fleet, self._end)
        if self._kill:
            self._watcher.killed(self._kill)

    def _look_for_successor(self, evaluation: Evaluation, generation: int | None) -> None:
        if self._kill is None or self.report.killed is not None:
            return
        if found := succession(self._kill, evaluation):
            self.report.killed, self.report.killed_in = found, generation
            self._watcher.succeeded(found)


def _draw(rng: np.random.Generator, seeds: range, count: int) -> list[int]:
    """So many seeds of a range, each once."""
    drawn: dict[int, None] = {}
    while len(drawn) < count:
        drawn[int(rng.integers(seeds.start, seeds.stop))] = None
    return list(drawn)
