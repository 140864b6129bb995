"""What the bench asks of a fleet, with a fleet that is none: it answers as the trainer's API says."""

import subprocess
import sys
import tomllib
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import fleet
import psutil
import pytest
from evaluator import instant
from work import PARAMS, SEED, WORKERS, BenchError

import tzar_actors


class Answering:
    """A fleet that evaluates in this process, last genome first."""

    def __init__(self):
        self.idle = WORKERS
        self.outcome = "scored"
        self.given = []

    def status(self):
        self.idle += 1  # one agent more with each look
        vms = [SimpleNamespace(state="idle" if n < self.idle else "booting") for n in range(WORKERS)]
        return SimpleNamespace(vms=vms)

    def put(self, genome):
        return SimpleNamespace(genome=genome)

    def submit(self, genome, *, params, seed):
        future = Future()
        future.set_result(self._result(0, genome))
        return future

    def evaluate(self, genomes, *, params, games, seed):
        self.given.append(list(genomes))
        assert (params, games, seed) == (PARAMS, 1, SEED)
        for index, genome in reversed(list(enumerate(self.given[-1]))):
            yield self._result(index, getattr(genome, "genome", genome))

    def _result(self, index, genome):
        return SimpleNamespace(
            index=index, outcome=self.outcome, fitness=instant(genome, PARAMS, None), reason="made so"
        )


@pytest.fixture
def answering(monkeypatch):
    fake = Answering()

    @contextmanager
    def launch(config):
        fake.config = tomllib.loads(Path(config).read_text(encoding="utf-8"))
        yield fake

    monkeypatch.setattr(tzar_actors, "launch", launch, raising=False)
    return fake


def started(folder, durability="process", share_blobs=True):
    system = fleet.Fleet(durability, share_blobs, folder)
    system.start()
    return system


def test_the_configuration_says_what_is_measured(answering, tmp_path):
    started(tmp_path, "power", share_blobs=False).stop()
    section = answering.config["fleet"]
    assert (section["durability"], section["share_blobs"]) == ("power", False)
    assert Path(section["state_dir"]).is_relative_to(tmp_path.resolve())
    assert answering.config["evaluator"]["kind"] == "inline"
    assert Path(answering.config["evaluator"]["path"][0], "evaluator.py").is_file()
    assert answering.config["hosts"][0]["vms"] == WORKERS


def test_it_waits_until_all_agents_are_idle(answering, tmp_path):
    answering.idle = WORKERS - 3
    system = started(tmp_path)
    assert answering.idle == WORKERS
    system.stop()


def test_agents_that_stay_away_are_an_error_that_counts_them(answering, tmp_path, monkeypatch):
    monkeypatch.setattr(fleet, "PATIENCE_S", 0.0)
    answering.idle = 2
    system = fleet.Fleet("process", True, tmp_path)
    with pytest.raises(BenchError, match="only 3 of 8"):
        system.start()
    system.stop()


def test_results_that_come_in_any_order_are_matched_to_their_genomes(answering, tmp_path):
    system = started(tmp_path)
    assert system.throughput(20, 256) > 0
    assert len(system.idle_latency(5)) == 5
    system.stop()


def test_in_place_the_genomes_are_stored_ahead(answering, tmp_path):
    system = started(tmp_path)
    assert system.in_place(2, 1000) > 0
    assert all(hasattr(blob, "genome") for blob in answering.given[-1])
    system.stop()


def test_an_evaluation_that_was_not_scored_is_no_measurement(answering, tmp_path):
    system = started(tmp_path)
    answering.outcome = "infra_failed"
    with pytest.raises(BenchError, match="infra_failed"):
        system.throughput(3, 256)
    system.stop()


def test_a_wire_needs_agents_that_do_not_share_the_spool(answering, tmp_path):
    system = started(tmp_path)
    with pytest.raises(BenchError, match="no wire"):
        system.wire(1, 1000)
    system.stop()


def test_the_state_folder_is_gone_afterwards(answering, tmp_path):
    started(tmp_path).stop()
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_was_there_before_the_fleet_is_left_alone(answering, tmp_path):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as before:
        started(tmp_path).stop()
        assert before.poll() is None
        before.kill()


def test_a_process_that_the_fleet_leaves_behind_is_named_and_killed(answering, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(fleet, "PATIENCE_S", 0.1)
    system = started(tmp_path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as left:
        system.stop()
        assert not psutil.pid_exists(left.pid)
    assert f"process {left.pid} was left behind" in capfd.readouterr().err
