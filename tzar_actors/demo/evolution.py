"""A small genetic algorithm for rows of weights. It plays nothing: `ask` for a generation, `tell` how it did.

All its draws come from the generator it is given, so equal generators and equal fitness make equal generations.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Evolution", "Rules", "Weights"]

Weights: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Rules:
    """How a generation comes from the one before it.

    Args:
        population: genomes in a generation.
        elite: the best so many go into the next generation as they are.
        parents: the best so many have children.
        crossover: the share of children that take each weight from one of two parents; the others have one parent.
        mutation: standard deviation of what is added to each weight of a child.
        spread: standard deviation of the first generation's weights.

    Raises:
        ValueError: the elite or the parents are more than the population, or there are none.
    """

    population: int = 24
    elite: int = 3
    parents: int = 6
    crossover: float = 0.5
    mutation: float = 0.03
    spread: float = 0.1

    def __post_init__(self) -> None:
        for name in ("elite", "parents"):
            if not 1 <= getattr(self, name) <= self.population:
                count = getattr(self, name)
                raise ValueError(f"{name}: 1 to {self.population} (the population) is needed, not {count}")


@dataclass(slots=True)
class Evolution:
    """The generation to be played, and what became of those before.

    Args:
        rng: draws all that is random.
        length: weights in a genome.
        rules: how generations follow each other.
    """

    rng: np.random.Generator
    length: int
    rules: Rules = field(default_factory=Rules)
    _population: list[Weights] = field(init=False)
    _best: list[Weights] = field(init=False, default_factory=list)  # of each generation, oldest first

    def __post_init__(self) -> None:
        shape = (self.rules.population, self.length)
        self._population = list(self.rng.normal(0.0, self.rules.spread, shape).astype(np.float32))

    def ask(self) -> list[Weights]:
        """The generation to be played now."""
        return list(self._population)

    def tell(self, fitness: Sequence[float | None]) -> None:
        """Takes how the generation did, and breeds the next.

        Args:
            fitness: of each genome that `ask` returned, in its order; None: it has none, and no children either.

        Raises:
            ValueError: there is not one for each, or all are None, so that there is nothing to breed from.
        """
        if len(fitness) != len(self._population):
            raise ValueError(f"fitness: {len(self._population)} values are needed, not {len(fitness)}")
        places = [place for place, value in enumerate(fitness) if value is not None]
        if not places:
            raise ValueError("fitness: no genome of this generation was scored, so there is nothing to breed from")
        places.sort(key=lambda place: -(fitness[place] or 0.0))  # stable: of equals the earlier one is the better
        ranked = [self._population[place] for place in places]
        self._best.append(ranked[0])
        elite, parents = ranked[: self.rules.elite], ranked[: self.rules.parents]
        children = [self._child(parents) for _ in range(self.rules.population - len(elite))]
        self._population = elite + children

    def candidates(self, count: int) -> list[Weights]:
        """The best of each of the latest generations, newest first, each once; at most `count`.

        One of them is the champion. Which, their fitness cannot say: each was the best on few games, partly by luck.
        """
        found: list[Weights] = []
        for weights in reversed(self._best):
            if not any(np.array_equal(weights, other) for other in found):
                found.append(weights)
        return found[:count]

    def _child(self, parents: list[Weights]) -> Weights:
        one, other = (parents[self.rng.integers(len(parents))] for _ in range(2))
        mixed: npt.NDArray[Any] = one
        if self.rng.random() < self.rules.crossover:
            mixed = np.where(self.rng.random(self.length) < 0.5, one, other)
        return (mixed + self.rng.normal(0.0, self.rules.mutation, self.length)).astype(np.float32)
