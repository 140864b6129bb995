"""A trainer that is killed: what its supervisor then does, and what the next trainer gets."""

import json
import subprocess
import sys
import time
from threading import Event

import psutil
import pytest

import tzar_actors

GAME = """
import pathlib
from threading import Event

FOLDER = pathlib.Path(__file__).parent


def play(genome, params, game):
    (FOLDER / f"began-{genome[0]}").touch()
    while genome[0] == 1 and not (FOLDER / "go").exists():
        game.progress()
        Event().wait(0.01)
    return float(genome[0])
"""
TRAINER = """
import json, sys
import tzar_actors

fleet = tzar_actors.launch(json.loads(sys.argv[1]))
futures = [fleet.submit(bytes([i]), key=f"g-{i}", generation=5) for i in range(1, 9)]
futures[3].result(60)
print(json.dumps({"supervisor": fleet.supervisor_pid}), flush=True)
futures[0].result()
"""


def within(seconds, condition):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        Event().wait(0.02)
    return True


@pytest.fixture
def config(tmp_path):
    (tmp_path / "game_left.py").write_text(GAME)

    def make(on_trainer_exit):
        return {
            "fleet": {
                "state_dir": str(tmp_path / "state"),
                "on_trainer_exit": on_trainer_exit,
                "drain_grace_s": 0.5,
                "orphan_s": 5.0,
            },
            "evaluator": {"kind": "python", "target": "game_left:play", "path": [str(tmp_path)]},
            "hosts": [{"vms": 2}],
        }

    return make


def kill_a_trainer(config):
    """Starts a trainer that launches a fleet, has all but its first game played, and is killed. Its supervisor."""
    with subprocess.Popen([sys.executable, "-c", TRAINER, json.dumps(config)], stdout=subprocess.PIPE) as trainer:
        supervisor = psutil.Process(json.loads(trainer.stdout.readline())["supervisor"])
        trainer.kill()
    return supervisor


def outcomes(fleet):
    return {result.key: result.fitness for result in fleet.results(generation=5)}


ALL = {f"g-{i}": float(i) for i in range(1, 9)}


@pytest.mark.promise(6, "nothing accepted is lost")
def test_a_supervisor_that_lingers_keeps_what_its_trainer_missed_for_the_next_one(config, tmp_path):
    supervisor = kill_a_trainer(config("linger"))
    with tzar_actors.connect(tmp_path / "state") as fleet:
        assert within(30, lambda: len(outcomes(fleet)) == 7)
        assert fleet.results_so_far("g-1").open_keys == ("g-1",)
        again = fleet.submit(b"\x01", key="g-1", generation=5)  # waits for what is being played already
        (tmp_path / "go").touch()
        assert again.result(30).fitness == 1.0
        assert again.result().games[0].attempts[0].id.startswith("1."), "it was not played anew"
        assert outcomes(fleet) == ALL
        played = fleet.evaluate([bytes([i]) for i in range(1, 9)], keys=[f"g-{i}" for i in range(1, 9)])
        assert {result.key: result.fitness for result in played} == ALL
        status = fleet.status()
        assert (status.outcomes, status.pid) == ({"scored": 8}, supervisor.pid)
    assert supervisor.is_running(), "it lingers for the next one"
    with tzar_actors.connect(tmp_path / "state") as fleet:
        fleet.shut_down(drain=False)
        assert within(30, lambda: not supervisor.is_running())


def test_a_supervisor_that_drains_plays_what_was_accepted_and_ends_by_itself(config, tmp_path):
    supervisor = kill_a_trainer(config("drain"))
    assert not within(1.5, lambda: not supervisor.is_running()), "one game is still open"
    (tmp_path / "go").touch()
    assert within(30, lambda: not supervisor.is_running())
    with tzar_actors.launch(config("drain")) as fleet:
        assert outcomes(fleet) == ALL
        assert fleet.status().outcomes == {}, "nothing was played by the second supervisor"


def test_a_trainer_that_comes_back_while_it_drains_is_served_as_before(config, tmp_path):
    supervisor = kill_a_trainer(config("drain"))
    with tzar_actors.launch(config("drain")) as fleet:
        assert within(10, lambda: not fleet.status().is_draining)
        assert fleet.status().pid == supervisor.pid
        (tmp_path / "go").touch()
        assert fleet.submit(b"\x09").result(30).fitness == 9.0
        assert within(30, lambda: outcomes(fleet) == ALL)
    assert within(30, lambda: not supervisor.is_running())


@pytest.mark.promise(6, "nothing accepted is lost")
def test_a_supervisor_that_stops_leaves_what_is_open_in_the_journal_for_the_next_start(config, tmp_path):
    supervisor = kill_a_trainer(config("stop"))
    assert within(30, lambda: not supervisor.is_running())
    assert not (tmp_path / "go").exists()
    (tmp_path / "go").touch()
    with tzar_actors.launch(config("linger")) as fleet:
        assert within(30, lambda: outcomes(fleet) == ALL)
        fleet.shut_down(drain=False)
        assert within(30, lambda: fleet._process.poll() is not None)
