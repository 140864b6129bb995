"""Evolves a policy for ViZDoom's health_gathering on a fleet of four local VMs: the loop to copy for your own game."""

import numpy as np

import tzar_actors
from tzar_actors.demo.policy import RANDOM_GENOME, WEIGHTS, genome_of

POPULATION, ELITE, PARENTS, GENERATIONS = 24, 3, 6, 10
MUTATION = 0.03  # standard deviation


def breed(ranked: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """The next generation: the elite as it is, and children that mix two good parents and mutate."""
    children = []
    while len(children) < POPULATION - ELITE:
        one, other = (ranked[rng.integers(PARENTS)] for _ in range(2))
        mixed = np.where(rng.random(WEIGHTS) < 0.5, one, other) if rng.random() < 0.5 else one
        children.append(mixed + rng.normal(0.0, MUTATION, WEIGHTS))
    return ranked[:ELITE] + children


def main() -> None:
    rng = np.random.default_rng(7)
    population = list(rng.normal(0.0, 0.1, (POPULATION, WEIGHTS)))
    with tzar_actors.launch(evaluator="tzar_actors.demo.health_gathering:play") as fleet:
        for generation in range(GENERATIONS):
            genomes = [genome_of(weights) for weights in population]
            results = list(fleet.evaluate(genomes, games=3, seed=generation, generation=generation, order=True))
            # Only a scored evaluation says something of its genome; any other outcome is no low fitness.
            scored = [result for result in results if result.fitness is not None]
            scored.sort(key=lambda result: -result.fitness)
            print(f"generation {generation}: best {scored[0].fitness:.0f} of {len(scored)} scored")
            population = breed([population[result.index] for result in scored], rng)
        champion = genome_of(population[0])
        for result in fleet.evaluate([champion, RANDOM_GENOME], games=16, seed=10**6, order=True):
            print(f"{('champion', 'random')[result.index]}: {result.outcome}, {result.fitness} ticks on unseen games")


if __name__ == "__main__":
    main()
