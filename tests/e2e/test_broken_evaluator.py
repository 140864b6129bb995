"""An evaluator that fails for everybody: dispatch stops and says so, nobody is punished, and it goes on once mended."""

import time
from threading import Event

import pytest

import tzar_actors
from tzar_actors.events.reading import read

EVALUATOR = """\
from pathlib import Path


def play(genome, params, game):
    if not Path({flag!r}).exists():
        print("looking for the game's files")
        raise FileNotFoundError("the game's files are gone")
    if genome == b"bad":
        raise ValueError("this genome cannot be played")
    return float(len(genome))
"""


@pytest.fixture
def flag(tmp_path):
    return tmp_path / "mended"


@pytest.fixture
def fleet(tmp_path, flag):
    (tmp_path / "maybe_broken.py").write_text(EVALUATOR.format(flag=str(flag)))
    config = {
        "fleet": {"state_dir": str(tmp_path / "state"), "on_trainer_exit": "stop"},
        "evaluator": {"kind": "python", "target": "maybe_broken:play", "path": [str(tmp_path)]},
        "hosts": [{"vms": 2}],
    }
    with tzar_actors.launch(config) as fleet:
        yield fleet


def events(fleet, name):
    return [event for event in read(fleet.state_dir / "events.jsonl") if event["event"] == name]


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        Event().wait(0.05)


@pytest.mark.promise(3, "blame")
def test_a_broken_evaluator_stops_dispatch_until_it_is_mended_and_then_only_the_bad_genome_fails(fleet, flag):
    futures = [fleet.submit(bytes([65 + i]) * (i + 1)) for i in range(6)]
    bad = fleet.submit(b"bad")
    wait_for(lambda: fleet.status().alarm)
    assert "the game's files are gone" in fleet.status().alarm
    wait_for(lambda: events(fleet, "evaluator_broken"))  # the status may be ahead of the log
    (broken,) = events(fleet, "evaluator_broken")
    assert "looking for the game's files" in broken["evidence"]
    wait_for(lambda: len([e for e in events(fleet, "attempt_lost") if "fails for everybody" in e["cause"]]) >= 2)
    assert not any(future.done() for future in [*futures, bad])
    flag.touch()
    assert [future.result(60).fitness for future in futures] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    result = bad.result(60)
    assert result.outcome == "genome_failed"
    assert "this genome cannot be played" in result.reason
    assert fleet.status().alarm == ""
    wait_for(lambda: events(fleet, "evaluator_mended"))
    assert len(events(fleet, "evaluator_mended")) == 1
    assert not events(fleet, "vm_failed")
