"""A VM that nothing brings back: it is shown as what it is, and no game waits for it."""

import sys
import time
from pathlib import Path
from threading import Event

import pytest

import tzar_actors
from tzar_actors.events.reading import read

# Stands in for the agents' Python: that of the second VM ends at once, whatever is tried.
WRAPPER = """\
#!{python}
import os, sys

if os.sep + "tzar-02" + os.sep in sys.argv[-1]:
    sys.exit("this VM is broken")
os.execv({python!r}, [{python!r}, *sys.argv[1:]])
"""
EVALUATOR = "def play(genome, params, game):\n    raise ValueError('this genome cannot be played')\n"


@pytest.fixture
def fleet(tmp_path):
    (tmp_path / "bad_game.py").write_text(EVALUATOR)
    wrapper = tmp_path / "python"
    wrapper.write_text(WRAPPER.format(python=sys.executable))
    wrapper.chmod(0o700)
    config = {
        "fleet": {"state_dir": str(tmp_path / "state"), "on_trainer_exit": "stop"},
        "evaluator": {"kind": "python", "target": "bad_game:play", "path": [str(tmp_path)], "max_attempts": 3},
        "hosts": [{"vms": 2, "local": {"python": str(wrapper)}}],
        "recovery": {"restarts": 1, "first_delay_s": 0.05, "longest_delay_s": 0.1},
    }
    with tzar_actors.launch(config) as fleet:
        yield fleet


def row(fleet, vm):
    return next(each for each in fleet.status().vms if each.vm == vm)


@pytest.mark.promise(4, "ladder")
@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for the agent's Python is a script that POSIX starts")
def test_a_vm_in_quarantine_is_shown_as_such_and_no_game_waits_for_it(fleet):
    future = fleet.submit(b"genome")
    deadline = time.monotonic() + 60
    while not any(event["event"] == "vm_quarantined" for event in read(fleet.state_dir / "events.jsonl")):
        assert time.monotonic() < deadline, "the broken VM was never given up"
        Event().wait(0.1)
    result = future.result(30)
    assert result.outcome == "genome_failed"
    assert [(attempt.vm, attempt.status) for attempt in result.games[0].attempts] == [("tzar-01", "fault")] * 3
    broken = row(fleet, "tzar-02")
    assert broken.state == "quarantined"
    assert "failures within" in broken.detail
    (event,) = [event for event in read(fleet.state_dir / "events.jsonl") if event["event"] == "vm_quarantined"]
    evidence = Path(event["folder"])
    assert evidence.parent == fleet.state_dir / "evidence"
    assert "this VM is broken" in (evidence / "reason.txt").read_text()
    assert "verb='start'" in (evidence / "messages.txt").read_text()
    assert '"event":"vm_failed"' in (evidence / "events.jsonl").read_text()
    assert "this VM is broken" in (evidence / "logs" / "console.log").read_text()
