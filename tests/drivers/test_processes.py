"""How a process is told from another."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from tzar_actors.drivers import processes
from tzar_actors.drivers.processes import Process, age_s, end, identify, is_alive, wait_for_end


@pytest.fixture
def child():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield child
        child.kill()


def test_a_process_is_the_same_at_each_look(child):
    process = identify(child.pid)
    assert process == identify(child.pid)
    assert is_alive(process)


def test_two_processes_differ_by_more_than_their_number(child):
    assert identify(child.pid).born != identify(os.getppid()).born


def test_a_process_that_was_born_at_another_time_is_another_and_is_left_alone(child):
    stranger = Process(child.pid, "long ago")
    assert not is_alive(stranger)
    end(stranger)
    assert child.poll() is None


def test_a_dead_process_that_nobody_reaped_is_not_alive(child):
    process = identify(child.pid)
    end(process)
    assert wait_for_end(process, timeout_s=10)
    assert not is_alive(process)


def test_a_wait_for_a_process_that_runs_on_says_so(child):
    assert not wait_for_end(identify(child.pid), timeout_s=0.02)


def test_there_is_no_process_of_a_free_number():
    free = next(pid for pid in range(2**22 - 1, 1, -1) if not psutil.pid_exists(pid))
    assert identify(free) is None


def test_psutil_tells_processes_apart_where_there_is_no_proc(child, monkeypatch):
    monkeypatch.setattr(processes.sys, "platform", "darwin")
    process = identify(child.pid)
    assert process == identify(child.pid)
    child.kill()
    child.wait()
    assert identify(child.pid) is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_name_full_of_brackets_and_spaces_hides_no_field(tmp_path):
    program = tmp_path / "a) Z 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "600"]) as child:
        seconds = psutil.Process(child.pid).create_time() - psutil.boot_time()
        ticks = int(identify(child.pid).born.split(":")[1])
        child.kill()
    assert ticks / os.sysconf("SC_CLK_TCK") == pytest.approx(seconds, abs=1)


def test_a_processes_age_is_the_time_since_it_was_started():
    tick_s = 0.02  # the system rounds to hundredths
    before = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        after = time.monotonic()
        asked = time.monotonic()
        age = age_s(child.pid)
        assert asked - after - tick_s <= age <= time.monotonic() - before + tick_s
        child.kill()
