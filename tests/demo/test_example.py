import contextlib
import runpy
from pathlib import Path

import pytest

from tzar_actors.demo.policy import RANDOM_GENOME, policy_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "evolve.py"


@pytest.fixture
def fleet(pretended_fleet, monkeypatch):
    """A fleet that scores each genome by its first bytes, behind the trainer's call as the example makes it."""
    pretended = pretended_fleet(lambda genome, seed: 380.0 if genome == RANDOM_GENOME else float(sum(genome[-12:])))

    class Trainer:
        def evaluate(self, genomes, *, games, seed, generation=None, order):
            results = pretended.evaluate(
                genomes, seeds=[seed * 1000 + game for game in range(games)], generation=generation
            )
            return iter(sorted(results, key=lambda result: result.index if order else 0))

    @contextlib.contextmanager
    def launch(evaluator):
        assert evaluator == "tzar_actors.demo.health_gathering:play"
        yield Trainer()

    monkeypatch.setattr("tzar_actors.launch", launch, raising=False)
    return pretended


def test_the_example_evolves_ten_generations_and_measures_its_champion(fleet, capsys):
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert [len(call.genomes) for call in fleet.calls] == [24] * 10 + [2]
    for call in fleet.calls[:-1]:
        for genome in call.genomes:
            policy_of(genome, seed=0)
    *generations, champion, random = capsys.readouterr().out.splitlines()
    assert len(generations) == 10
    assert champion.startswith("champion: scored")
    assert random == "random: scored, 380.0 ticks on unseen games"


def test_the_example_keeps_its_elite(fleet):
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    for before, after in zip(fleet.calls[:9], fleet.calls[1:10], strict=True):
        best = max(before.genomes, key=lambda genome: fleet.fitness(genome, 0))
        assert after.genomes[0] == best


def test_the_example_goes_on_though_some_genomes_were_not_scored(fleet, capsys):
    scored = fleet.fitness
    fleet.fitness = lambda genome, seed: None if genome[-1] % 2 else scored(genome, seed)
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    generations = capsys.readouterr().out.splitlines()[:10]
    assert not any("of 24 scored" in line for line in generations)
    assert generations[-1].startswith("generation 9: best")
