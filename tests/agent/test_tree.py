"""Process trees, found by their marks and ended whole."""

import os
import secrets
import signal
import subprocess
import sys
import time

import psutil
import pytest

import tzar_agent.tree as trees
from tzar_agent.tree import Tree, end_marked, marked


@pytest.fixture
def fleet():
    name = f"test-{secrets.token_hex(6)}"
    yield name
    end_marked(name)


def sleeper(fleet, vm="vm-1", evaluator=None):
    env = {**os.environ, "TZAR_FLEET": fleet, "TZAR_VM": vm}
    if evaluator is not None:
        env["TZAR_EVALUATOR"] = evaluator
    process = subprocess.Popen(["sleep", "300"], env=env)
    wait_until(lambda: process.pid in marked(fleet))
    return process


def wait_until(condition):
    give_up_at = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < give_up_at


def tree(fleet, tmp_path, program, number="1"):
    argv = [sys.executable, "-c", program]
    return Tree(argv, tmp_path, dict(os.environ), fleet=fleet, vm="vm-1", number=number, with_stdin=False)


LEAVES_ITS_GROUP = """
import subprocess, sys, time
child = "import subprocess, time; subprocess.Popen(['sleep', '300'], start_new_session=True); time.sleep(300)"
subprocess.Popen([sys.executable, "-c", child], start_new_session=True)
subprocess.Popen(["sleep", "300"])
print("ready", flush=True)
time.sleep({seconds})
"""


def test_processes_are_found_by_fleet_vm_and_evaluator(fleet):
    one, two, three = sleeper(fleet), sleeper(fleet, evaluator="e1"), sleeper(fleet, vm="vm-2", evaluator="e1")
    try:
        assert sorted(marked(fleet)) == sorted([one.pid, two.pid, three.pid])
        assert sorted(marked(fleet, "vm-1")) == sorted([one.pid, two.pid])
        assert marked(fleet, "vm-1", "e1") == [two.pid]
        assert marked(fleet, "vm") == []
        assert marked(fleet[:-1]) == []
        assert end_marked(fleet, "vm-1", spare=[one.pid]) == 1
        assert sorted(marked(fleet)) == sorted([one.pid, three.pid])
        assert end_marked(fleet) == 2
        assert end_marked(fleet) == 0
    finally:
        for process in (one, two, three):
            process.kill()
            process.wait()


@pytest.mark.parametrize(("seconds", "kills"), [("300", True), ("0", False)])
def test_a_tree_ends_whole_whether_it_is_killed_or_ends_by_itself(fleet, tmp_path, seconds, kills):
    started = tree(fleet, tmp_path, LEAVES_ITS_GROUP.replace("{seconds}", seconds))
    assert started.process.stdout.readline() == b"ready\n"
    if kills:
        wait_until(lambda: len(marked(fleet, "vm-1", "1")) == 4)
        started.kill()
    code = started.wait()
    assert code == (-9 if kills else 0)
    assert marked(fleet) == []
    started.kill()  # of a tree that is gone: nothing happens
    started.process.stdout.close()
    started.process.stderr.close()


@pytest.mark.promise(7, "it touches only what it made")
def test_a_tree_that_ends_leaves_other_trees_alone(fleet, tmp_path):
    first = tree(fleet, tmp_path, "import time; time.sleep(300)", "1")
    second = tree(fleet, tmp_path, "import time; time.sleep(300)", "2")
    wait_until(lambda: len(marked(fleet)) == 2)
    first.kill()
    first.wait()
    assert marked(fleet) == [second.pid]
    second.kill()
    second.wait()
    for ended in (first, second):
        ended.process.stdout.close()
        ended.process.stderr.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere psutil reads the environments, which is slower")
def test_a_pass_over_the_process_table_costs_little_for_each_process(fleet):
    count = len(psutil.pids())
    best = float("inf")
    for _ in range(20):
        began = time.perf_counter()
        marked(fleet)
        best = min(best, time.perf_counter() - began)
    assert best / count < 100e-6  # ten times what it takes on an idle machine


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a new process has its environment from the start")
def test_a_process_in_the_middle_of_its_exec_shows_no_mark_yet_and_is_ended_all_the_same(fleet, monkeypatch):
    environ = {**os.environ, "TZAR_FLEET": fleet, "TZAR_VM": "vm-1"}
    born = subprocess.Popen(["sleep", "300"], env=environ, start_new_session=True)
    looks = []

    def as_the_kernel_shows_it(fd, read=trees._read_all):
        content = read(fd)
        if f"TZAR_FLEET={fleet}".encode() not in content:
            return content
        looks.append(content)
        return b"" if len(looks) <= 3 else content

    monkeypatch.setattr(trees, "_read_all", as_the_kernel_shows_it)
    try:
        assert end_marked(fleet, "vm-1") == 1
        assert born.wait(5) == -9
    finally:
        born.kill()
        born.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere environments are read by psutil")
def test_a_process_without_any_environment_is_not_waited_for_longer_than_a_birth_takes(fleet):
    bare = subprocess.Popen(["sleep", "300"], env={})
    try:
        began = time.monotonic()
        assert end_marked(fleet) == 0
        assert time.monotonic() - began < 2
        assert bare.poll() is None
    finally:
        bare.kill()
        bare.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere environments are read by psutil")
def test_strangers_without_an_environment_one_after_the_other_keep_nobody_waiting(fleet):
    script = "import subprocess\nwhile True:\n    subprocess.run(['sleep', '0.4'], env={})\n"
    strangers = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    try:
        for _ in range(3):
            assert end_marked(fleet, timeout_s=1.5) == 0
    finally:
        os.killpg(strangers.pid, signal.SIGKILL)
        strangers.wait()
