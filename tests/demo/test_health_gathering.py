import operator
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import psutil
import pytest

pytest.importorskip("vizdoom", reason='the demo\'s game is not installed: pip install "tzar-actors[demo]"')

from tzar_actors.demo import health_gathering
from tzar_actors.demo.campaign import Campaign, Plan
from tzar_actors.demo.health_gathering import LONGEST_GAME, play
from tzar_actors.demo.policy import RANDOM_GENOME, WEIGHTS, GenomeError, genome_of
from tzar_agent import Game

NETWORK = genome_of(np.random.default_rng(2).normal(0, 0.1, WEIGHTS))
FORWARD = genome_of(np.array([0.0] * (WEIGHTS - 1) + [1.0]))


@pytest.fixture(scope="module", autouse=True)
def _no_engine_is_left():
    yield
    health_gathering._engine().close()
    health_gathering._engine.cache_clear()


def game(seed, report=lambda count, note: None):
    return Game("1-1", 0, seed, report)


def ticks(genome, seed):
    return play(genome, {}, game(seed)).fitness


def test_the_same_genome_and_seed_end_alike_whatever_was_played_in_between():
    seeds = (0, 7, 2**31, 2**63 - 1)
    first = [ticks(genome, seed) for genome in (NETWORK, RANDOM_GENOME) for seed in seeds]
    again = [ticks(genome, seed) for genome in (NETWORK, RANDOM_GENOME) for seed in reversed(seeds)]
    assert again == first[3::-1] + first[:3:-1]


def test_the_same_genome_and_seed_end_alike_in_another_process(process_fleet):
    seeds = [11, 12]
    with process_fleet(play, vms=1) as fleet:
        (evaluation,) = fleet.evaluate([NETWORK], seeds=seeds)
    assert [played.fitness for played in evaluation.games] == [ticks(NETWORK, seed) for seed in seeds]


def test_seeds_make_different_games():
    assert len({ticks(RANDOM_GENOME, seed) for seed in range(6)}) > 1


def test_fitness_is_the_ticks_survived_and_decisions_come_every_four_of_them():
    result = play(FORWARD, {}, game(3))
    assert 0 < result.fitness <= LONGEST_GAME
    assert result.details["decisions"] == pytest.approx(result.fitness / 4, abs=1)


def test_progress_is_reported_now_and_then_and_says_where_the_game_is():
    notes = []
    result = play(RANDOM_GENOME, {}, game(1, lambda count, note: notes.append(note)))
    assert notes[:2] == ["tick 0 of 2100", "tick 100 of 2100"]
    assert len(notes) == -(-result.details["decisions"] // 25)


def test_a_bad_genome_and_params_are_refused_before_anything_is_played():
    with pytest.raises(GenomeError, match=r"^genome: not msgpack"):
        play(b"\xc1", {}, game(0))
    with pytest.raises(ValueError, match=r"params: health_gathering takes none, but got map"):
        play(RANDOM_GENOME, {"map": "duel"}, game(0))


def test_nothing_is_left_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    health_gathering._engine().close()
    health_gathering._engine.cache_clear()
    ticks(RANDOM_GENOME, 1)
    health_gathering._engine().close()
    health_gathering._engine.cache_clear()
    assert list(tmp_path.iterdir()) == []
    assert Path.cwd() == tmp_path


def engine_of(child):
    return next(p for p in child.children() if "+viz_instance_id" in p.cmdline())


@pytest.mark.skipif(sys.platform == "win32", reason="shared memory goes with its last user there")
def test_a_killed_engine_leaves_no_shared_memory():
    pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))  # any picklable function of two can be its report
    pid = pool.submit(os.getpid).result()
    ticks_there = pool.submit(play, RANDOM_GENOME, {}, game(5, operator.is_)).result().fitness
    engine = engine_of(psutil.Process(pid))
    instance = engine.cmdline()[engine.cmdline().index("+viz_instance_id") + 1]
    psutil.Process(pid).kill()
    engine.kill()
    pool.shutdown()
    assert ticks_there > 0
    assert not list(Path("/dev/shm").glob(f"*{instance}*"))


def test_a_small_campaign_on_processes_scores_everything_though_one_is_killed(process_fleet):
    plan = Plan(generations=3, population=6, games=2, seed=1, candidates=1, validation_games=1, held_out_games=2)
    with process_fleet(play, vms=2) as fleet:
        report = Campaign(fleet, plan, Silent()).run()
    assert report.outcomes == {"scored": report.submitted}
    assert report.killed is not None
    assert report.killed.attempt != report.killed.successor
    assert fleet.left_behind() == []


class Silent:
    def stage(self, title, evaluations): ...
    def ended(self, evaluation, status): ...
    def generation(self, generation): ...
    def killed(self, kill): ...
    def succeeded(self, succession): ...
