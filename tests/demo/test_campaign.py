from collections import Counter

import msgpack
import pytest

from tzar_actors.demo.campaign import HELD_OUT_SEEDS, TRAINING_SEEDS, VALIDATION_SEEDS, Campaign, Plan
from tzar_actors.demo.policy import RANDOM_GENOME
from tzar_actors.errors import TzarError

PLAN = Plan(generations=3, population=8, games=2, seed=5, candidates=2, validation_games=3, held_out_games=4)


class Notes:
    """A watcher that writes down what it was told."""

    def __init__(self):
        self.stages, self.kills, self.successions, self.generations, self.endings = [], [], [], [], 0

    def stage(self, title, evaluations):
        self.stages.append((title, evaluations))

    def ended(self, evaluation, status):
        assert status.vms
        self.endings += 1

    def generation(self, generation):
        self.generations.append(generation)

    def killed(self, kill):
        self.kills.append(kill)

    def succeeded(self, succession):
        self.successions.append(succession)


def fitness(genome, seed):
    """Of a network, the weights say it; the random policy is always worse."""
    if genome == RANDOM_GENOME:
        return 380.0
    return 1000.0 + sum(msgpack.unpackb(genome)["key_bias"]["data"])


def run(pretended_fleet, plan=PLAN, fitness=fitness):
    fleet, notes = pretended_fleet(fitness), Notes()
    return Campaign(fleet, plan, notes, fleet.end).run(), fleet, notes


def test_it_plays_the_generations_then_validation_then_the_champion_beside_the_random_policy(pretended_fleet):
    report, fleet, notes = run(pretended_fleet)
    assert [(len(c.genomes), len(c.seeds), c.generation) for c in fleet.calls] == [
        (8, 2, 1),
        (8, 2, 2),
        (8, 2, 3),
        (2, 3, None),
        (2, 4, None),
    ]
    assert [title for title, _ in notes.stages] == [
        "generation 1 of 3",
        "generation 2 of 3",
        "generation 3 of 3",
        "validation",
        "held-out seeds",
    ]
    assert report.submitted == notes.endings == 28
    assert report.outcomes == Counter(scored=28)
    assert notes.generations == report.generations


def test_training_validation_and_held_out_seeds_come_from_ranges_that_share_none(pretended_fleet):
    _, fleet, _ = run(pretended_fleet)
    *training, validation, held_out = (call.seeds for call in fleet.calls)
    assert all(seed in TRAINING_SEEDS for seeds in training for seed in seeds)
    assert all(seed in VALIDATION_SEEDS for seed in validation)
    assert all(seed in HELD_OUT_SEEDS for seed in held_out)
    assert TRAINING_SEEDS.stop <= VALIDATION_SEEDS.start
    assert VALIDATION_SEEDS.stop <= HELD_OUT_SEEDS.start
    assert all(len(set(call.seeds)) == len(call.seeds) for call in fleet.calls)


def test_the_champion_is_the_candidate_that_does_best_in_validation(pretended_fleet):
    report, fleet, _ = run(pretended_fleet)
    candidates, (champion, beside) = fleet.calls[-2].genomes, fleet.calls[-1].genomes
    assert champion == max(candidates, key=lambda genome: fitness(genome, 0))
    assert beside == RANDOM_GENOME
    assert (report.champion, report.random) == (fitness(champion, 0), 380.0)


def test_the_same_plan_asks_for_the_same_genomes_and_seeds(pretended_fleet):
    (_, one, _), (_, other, _) = run(pretended_fleet), run(pretended_fleet)
    assert one.calls == other.calls


def test_fitness_finds_its_genome_though_evaluations_end_in_another_order(pretended_fleet):
    report, fleet, _ = run(pretended_fleet)
    for generation, call in zip(report.generations, fleet.calls, strict=False):
        scores = [fitness(genome, 0) for genome in call.genomes]
        assert generation.best == max(scores)
        assert generation.mean == pytest.approx(sum(scores) / len(scores))


def test_one_vm_is_killed_in_the_second_generation_and_its_game_is_found_again(pretended_fleet):
    report, fleet, notes = run(pretended_fleet)
    assert fleet.killed == [notes.kills[0].vm] == [report.killed.vm]
    assert report.killed_in == 2
    assert notes.successions == [report.killed]
    assert report.killed.successor_vm != report.killed.vm
    assert report.killed.successor != report.killed.attempt


def test_a_plan_of_one_generation_kills_in_that_one(pretended_fleet):
    report, _, _ = run(pretended_fleet, Plan(1, 8, 2, candidates=1, validation_games=1, held_out_games=1))
    assert report.killed_in == 1


def test_a_kill_that_hits_no_game_is_tried_again_in_the_next_generation(pretended_fleet):
    fleet, notes = pretended_fleet(fitness), Notes()
    misses = iter([True])

    def end(pid):
        if not next(misses, False):
            fleet.end(pid)

    report = Campaign(fleet, PLAN, notes, end).run()
    assert len(notes.kills) == 2
    assert report.killed_in == 3


def test_no_kill_that_hits_a_game_is_said_so(pretended_fleet):
    fleet, notes = pretended_fleet(fitness), Notes()
    report = Campaign(fleet, PLAN, notes, end=lambda _: None).run()
    assert (report.killed, report.killed_in, notes.successions) == (None, None, [])


def test_a_game_that_was_never_scored_counts_as_its_outcome_and_is_no_low_fitness(pretended_fleet):
    first = []

    def unlucky(genome, seed):
        first.append(genome)
        return None if genome == first[0] else fitness(genome, seed)

    report, fleet, _ = run(pretended_fleet, fitness=unlucky)
    assert report.outcomes["infra_failed"] == sum(call.genomes.count(first[0]) for call in fleet.calls)
    assert report.generations[0].mean == pytest.approx(
        sum(fitness(genome, 0) for genome in fleet.calls[0].genomes[:-1]) / 7
    )


def test_a_generation_of_which_nothing_was_scored_ends_the_campaign_and_says_why(pretended_fleet):
    with pytest.raises(TzarError, match=r"generation 1 of 3: not one genome was scored.*every VM died of it"):
        run(pretended_fleet, fitness=lambda genome, seed: None)
