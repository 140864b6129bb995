"""A driver that never answers, in a supervisor with its real threads."""

import sys
import time
from pathlib import Path
from threading import Event

import psutil
import pytest

import tzar_actors
from tzar_actors.client import launcher
from tzar_actors.events.reading import read

EVALUATOR = "def play(genome, params, game):\n    return float(sum(genome))\n"


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    (tmp_path / "game_of_stuck.py").write_text(EVALUATOR)
    stuck = Path(__file__).parent / "stuck_supervisor.py"
    monkeypatch.setattr(launcher, "SUPERVISOR_ARGV", (sys.executable, str(stuck)))
    config = {
        "fleet": {"state_dir": str(tmp_path / "state"), "on_trainer_exit": "stop"},
        "evaluator": {"kind": "python", "target": "game_of_stuck:play", "path": [str(tmp_path)]},
        "hosts": [{"vms": 2, "boots_at_a_time": 1}],
        "recovery": {"call_timeout_s": 5.0, "boot_timeout_s": 3.0},
    }
    with tzar_actors.launch(config) as fleet:
        yield fleet


@pytest.mark.promise(8, "bounded")
def test_a_driver_that_never_answers_costs_one_thread_and_the_supervisor_ends_all_the_same(fleet):
    future = fleet.submit(b"genome")
    assert future.result(60).outcome == "scored", "the other VM plays, though the only lane was stuck"
    deadline = time.monotonic() + 60
    while not all(vm.state == "idle" for vm in fleet.status().vms):
        assert time.monotonic() < deadline, fleet.status()
        Event().wait(0.1)
    status = fleet.status()
    assert status.stuck == {"local": ["start of tzar-01"]}
    assert [(vm.vm, vm.incarnation, vm.failures) for vm in status.vms] == [("tzar-01", 2, 1), ("tzar-02", 1, 0)]
    (abandoned,) = [event for event in read(fleet.state_dir / "events.jsonl") if event["event"] == "lane_abandoned"]
    assert (abandoned["vm"], abandoned["verb"], abandoned["stuck"]) == ("tzar-01", "start", 1)
    supervisor = psutil.Process(fleet.supervisor_pid)
    fleet.close()
    supervisor.wait(30)
