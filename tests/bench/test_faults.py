"""Faults find their victims by the fleet's marks, and leave nothing frozen."""

import os
import subprocess
import sys
import time
from collections import Counter
from threading import Event

import faults
import psutil
import pytest
from faults import Fault, Faults

from tzar_agent.tree import EVALUATOR_MARK, FLEET_MARK, VM_MARK

PATIENCE_S = 20.0
FREEZES_S = {"agent": (0.05, 0.1), "evaluator": (0.05, 0.1), "supervisor": (0.05, 0.1)}


@pytest.fixture
def start():
    started = []

    def start_(*argv, **marks):
        process = subprocess.Popen(
            [sys.executable, "-c", "input()", *argv], stdin=subprocess.PIPE, env={**os.environ, **marks}
        )
        started.append(process)
        return process

    yield start_
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()


@pytest.fixture
def fleet(tmp_path):
    return f"fleet-of-{tmp_path.name}"


def within(seconds, condition):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        Event().wait(0.01)
    return True


def doing(fleet, *mix, spare=()):
    return Faults(fleet, 0.05, dict.fromkeys(mix, 1), 1, FREEZES_S, spare)


def pids(processes):
    return [process.pid for process in processes]


def test_agents_and_evaluators_are_told_apart_by_their_marks_and_come_by_vm(fleet, start):
    second = start(**{FLEET_MARK: fleet, VM_MARK: "vm-2"})
    first = start(**{FLEET_MARK: fleet, VM_MARK: "vm-1"})
    evaluator = start(**{FLEET_MARK: fleet, VM_MARK: "vm-1", EVALUATOR_MARK: "1"})
    start(**{FLEET_MARK: fleet + "x", VM_MARK: "vm-1"})
    assert within(PATIENCE_S, lambda: pids(faults.agents(fleet)) == [first.pid, second.pid])
    assert within(PATIENCE_S, lambda: pids(faults.evaluators(fleet)) == [evaluator.pid])
    assert pids(faults.agents(fleet, "vm-2")) == [second.pid]


def test_a_supervisor_is_a_child_that_runs_one(start):
    child = start("tzar_actors.supervisor")
    start("something else")
    assert within(PATIENCE_S, lambda: pids(faults.supervisors()) == [child.pid])


def test_who_is_killed_is_counted_and_nobody_else_is_touched(fleet, start):
    agent = start(**{FLEET_MARK: fleet, VM_MARK: "vm-1"})
    spared = start(**{FLEET_MARK: fleet, VM_MARK: "vm-2"})
    evaluator = start(**{FLEET_MARK: fleet, VM_MARK: "vm-1", EVALUATOR_MARK: "1"})
    killed = Fault("agent", "killed")
    with doing(fleet, killed, spare=["vm-2"]) as done:
        assert within(PATIENCE_S, lambda: agent.poll() is not None)
    assert done.done == Counter({killed: 1})
    assert spared.poll() is None
    assert evaluator.poll() is None


@pytest.mark.skipif(sys.platform == "win32", reason="there, an ended process leaves the table at once")
def test_who_was_killed_and_still_stands_in_the_process_table_is_not_killed_again(fleet, start, monkeypatch):
    process = start(**{FLEET_MARK: fleet, VM_MARK: "vm-1"})
    looks = []

    def agents(fleet, vm=None):
        looks.append(psutil.Process(process.pid).status())
        return [psutil.Process(process.pid)]

    monkeypatch.setattr(faults, "agents", agents)
    killed = Fault("agent", "killed")
    with doing(fleet, killed) as done:  # nobody waits for the process, so it stays in the table
        assert within(PATIENCE_S, lambda: looks.count(psutil.STATUS_ZOMBIE) >= 3)
    assert done.done == Counter({killed: 1})


def test_what_is_frozen_goes_on_later_and_at_the_end_at_the_latest(fleet, start):
    agent = psutil.Process(start(**{FLEET_MARK: fleet, VM_MARK: "vm-1"}).pid)
    frozen = Fault("agent", "frozen")
    with doing(fleet, frozen) as done:
        assert within(PATIENCE_S, lambda: done.done[frozen] >= 2), "it went on, and was frozen again"
    assert within(PATIENCE_S, lambda: agent.status() != psutil.STATUS_STOPPED)
    assert agent.is_running()


def test_what_ends_the_faults_before_their_time_is_told(fleet, monkeypatch):
    def fails(fleet, vm=None):
        raise RuntimeError("the process table cannot be read")

    monkeypatch.setattr(faults, "agents", fails)
    done = doing(fleet, Fault("agent", "killed"))
    with pytest.raises(RuntimeError, match="cannot be read"), done:
        assert within(PATIENCE_S, lambda: not done._thread.is_alive())
