import numpy as np
import pytest

from tzar_actors.demo.evolution import Evolution, Rules

LENGTH = 12
TARGET = np.linspace(-1, 1, LENGTH).astype(np.float32)


def evolution(seed=0, **rules):
    return Evolution(np.random.default_rng(seed), LENGTH, Rules(**rules))


def nearness(weights):
    return -float(np.square(weights - TARGET).sum())


def evolve(run, generations):
    for _ in range(generations):
        run.tell([nearness(weights) for weights in run.ask()])
    return run


def test_equal_generators_and_equal_fitness_make_equal_generations():
    one, other = evolve(evolution(seed=3), 4).ask(), evolve(evolution(seed=3), 4).ask()
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_another_seed_makes_another_first_generation():
    assert not np.array_equal(evolution(seed=1).ask()[0], evolution(seed=2).ask()[0])


def test_asking_twice_changes_nothing():
    run = evolution()
    assert all(np.array_equal(a, b) for a, b in zip(run.ask(), run.ask(), strict=True))


def test_each_generation_has_the_same_size_and_float32_weights():
    run = evolution(population=9)
    for _ in range(3):
        assert [(weights.shape, weights.dtype) for weights in run.ask()] == [((LENGTH,), np.float32)] * 9
        evolve(run, 1)


def test_the_elite_goes_on_unchanged_best_first():
    run = evolution(population=6, elite=2, parents=3)
    before = run.ask()
    run.tell([0.0, 5.0, 1.0, 9.0, 2.0, 3.0])
    assert np.array_equal(run.ask()[0], before[3])
    assert np.array_equal(run.ask()[1], before[1])


def test_without_mutation_each_weight_of_a_child_is_that_of_a_parent():
    run = evolution(population=8, elite=1, parents=2, mutation=0.0, crossover=1.0)
    parents = run.ask()[:2]
    run.tell([9.0, 8.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    children = run.ask()[1:]
    assert all(np.all((child == parents[0]) | (child == parents[1])) for child in children)
    assert any(not np.array_equal(child, parents[0]) and not np.array_equal(child, parents[1]) for child in children)


def test_a_genome_without_fitness_is_no_parent_even_if_all_others_are_worse_than_zero():
    run = evolution(population=4, elite=1, parents=3, mutation=0.0, crossover=0.0)
    before = run.ask()
    run.tell([None, -5.0, None, None])
    assert all(np.array_equal(weights, before[1]) for weights in run.ask())


def test_evolution_comes_near_what_fitness_asks_for():
    run = evolution(mutation=0.1, spread=0.5)
    first = max(map(nearness, run.ask()))
    evolve(run, 60)
    assert max(map(nearness, run.ask())) > first / 10


def test_candidates_are_the_best_of_the_latest_generations_newest_first_and_each_once():
    run = evolution(population=4, elite=1, parents=1)
    first = run.ask()[2]
    run.tell([0.0, 0.0, 9.0, 0.0])
    run.tell([9.0, 0.0, 0.0, 0.0])  # the elite again
    second = run.ask()[3]
    run.tell([0.0, 0.0, 0.0, 9.0])
    assert [w.tobytes() for w in run.candidates(5)] == [second.tobytes(), first.tobytes()]
    assert [w.tobytes() for w in run.candidates(1)] == [second.tobytes()]


def test_fitness_must_fit_the_generation():
    with pytest.raises(ValueError, match="24 values are needed, not 1"):
        evolution().tell([1.0])
    with pytest.raises(ValueError, match="no genome of this generation was scored"):
        evolution(population=2, elite=1, parents=1).tell([None, None])


@pytest.mark.parametrize("rules", [{"elite": 0}, {"parents": 25}, {"population": 2}])
def test_rules_that_cannot_be_followed_are_refused(rules):
    with pytest.raises(ValueError, match="is needed, not"):
        Rules(**rules)
