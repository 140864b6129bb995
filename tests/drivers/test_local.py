"""What only the local driver does: processes that outlive a supervisor, and folders that survive its crashes."""

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tzar_actors.drivers import local, processes
from tzar_actors.drivers.base import KeepsLogs, PowerState
from tzar_actors.errors import DriverError
from tzar_agent.tree import marked

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files and signals")


@pytest.fixture
def disk(folder):
    return folder / "vm-1" / "disk"


@contextlib.contextmanager
def full_disk():
    def fill(source, target, **_):
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shutil, "copy2", fill)
        yield


def running(driver, identity, vm="vm-1"):
    driver.create(vm)
    driver.start(vm, identity(1, vm))
    return driver


def power(driver):
    return driver.status()["vm-1"].power


def test_an_agent_is_marked_with_fleet_vm_and_incarnation(make_driver, identity, disk, fleet):
    running(make_driver(), identity)
    assert (disk / "marks").read_text() == f"{fleet} vm-1 1"


def test_an_agent_gets_the_environment_but_no_accounts_of_hosts(make_driver, identity, fleet, monkeypatch):
    monkeypatch.setenv("TZAR_HYPERV_HV01_PASSWORD", "s3cret")
    monkeypatch.setenv("GAME_FOLDER", "there")
    running(make_driver(), identity)
    environments = [psutil.Process(pid).environ() for pid in marked(fleet)]
    assert environments
    for environment in environments:
        assert environment["GAME_FOLDER"] == "there"
        assert "TZAR_HYPERV_HV01_PASSWORD" not in environment


@posix
def test_only_its_owner_can_read_the_identity(make_driver, identity, disk, monkeypatch):
    modes = []
    spawn = processes.spawn

    def look_then_spawn(*arguments):
        modes.append((disk / "identity.json").stat().st_mode & 0o777)
        return spawn(*arguments)

    monkeypatch.setattr(processes, "spawn", look_then_spawn)
    running(make_driver(), identity)
    assert modes == [0o600]


def test_a_supervisor_killed_right_after_a_start_leaves_a_vm_that_the_next_one_adopts(
    make_driver, identity, fleet, folder, wait_until
):
    supervisor = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, pathlib, threading\n"
            "from tzar_actors.drivers.local import LocalDriver\n"
            "from tzar_agent.protocol.identity import Identity\n"
            "fleet, folder, standin, document = sys.argv[1:]\n"
            "agent = (sys.executable, standin, 'work')\n"
            "driver = LocalDriver('local-1', fleet, pathlib.Path(folder), agent_argv=agent)\n"
            "driver.create('vm-1')\n"
            "driver.start('vm-1', Identity.from_json(document))\n"
            "print('started', flush=True)\n"
            "threading.Event().wait(600)\n",
            fleet,
            str(folder),
            str(Path(__file__).parent / "standin_agent.py"),
            identity(7).to_json(),
        ],
        stdout=subprocess.PIPE,
    )
    with supervisor:
        assert supervisor.stdout.readline().strip() == b"started"
        supervisor.kill()
    (agent,) = marked(fleet, "vm-1")
    driver = make_driver()
    status = driver.status()["vm-1"]
    assert (status.power, status.incarnation, status.detail) == (PowerState.RUNNING, 7, f"pid {agent}")
    driver.stop("vm-1", timeout_s=10)
    assert power(driver) is PowerState.OFF
    wait_until(lambda: not marked(fleet, "vm-1"))


@posix
def test_an_agent_has_a_session_of_its_own(make_driver, identity, fleet):
    running(make_driver(), identity)
    (agent,) = marked(fleet, "vm-1")
    assert os.getsid(agent) == agent


def test_an_agent_that_ends_first_is_an_error_with_the_end_of_its_console_and_the_vm_is_off(
    make_driver, identity, disk
):
    driver = make_driver("dead")
    driver.create("vm-1")
    with pytest.raises(DriverError, match=r"exit code 1 before.*the disk holds no game") as raised:
        driver.start("vm-1", identity(1))
    assert (raised.value.vm, raised.value.host) == ("vm-1", "local-1")
    assert power(driver) is PowerState.OFF
    assert not (disk / "identity.json").exists()


def test_an_agent_that_does_not_take_its_identity_is_ended_and_the_identity_removed(make_driver, identity, disk, fleet):
    driver = make_driver("idle", boot_timeout_s=0.3)
    driver.create("vm-1")
    with pytest.raises(DriverError, match=r"did not take its identity within 0\.3 s"):
        driver.start("vm-1", identity(1))
    assert power(driver) is PowerState.OFF
    assert not (disk / "identity.json").exists()
    assert marked(fleet) == []


def test_an_agent_that_cannot_be_started_is_an_error_that_names_it(make_driver, identity):
    driver = make_driver(agent_argv=("no-such-agent",))
    driver.create("vm-1")
    with pytest.raises(DriverError, match="no-such-agent"):
        driver.start("vm-1", identity(1))


@pytest.mark.parametrize("verb", ["stop", "kill"])
def test_what_an_agent_started_does_not_outlive_its_vm(make_driver, identity, disk, fleet, verb):
    driver = running(make_driver("parent"), identity)
    child = int((disk / "child.pid").read_text())
    assert len(marked(fleet, "vm-1")) == 2
    assert child in marked(fleet, "vm-1")
    driver.stop("vm-1", timeout_s=10) if verb == "stop" else driver.kill("vm-1")
    assert marked(fleet, "vm-1") == []


def test_a_start_ends_what_a_crashed_agent_left_running(make_driver, identity, disk, fleet, wait_until):
    driver = running(make_driver("parent"), identity)
    child = int((disk / "child.pid").read_text())
    (agent,) = set(marked(fleet, "vm-1")) - {child}
    psutil.Process(agent).kill()
    wait_until(lambda: power(driver) is PowerState.OFF)
    assert marked(fleet, "vm-1") == [child]
    driver.start("vm-1", identity(2))
    assert child not in marked(fleet, "vm-1")


@pytest.mark.promise(7, "it touches only what it made")
def test_the_vms_of_other_names_are_left_alone_by_a_kill(make_driver, identity, fleet):
    driver = running(make_driver(), identity)
    running(driver, identity, "vm-2")
    driver.kill("vm-1")
    assert driver.status()["vm-2"].power is PowerState.RUNNING


@pytest.mark.promise(7, "it touches only what it made")
def test_another_process_that_was_given_the_agents_number_is_not_taken_for_it(make_driver, identity, folder):
    driver = running(make_driver(), identity)
    driver.kill("vm-1")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        mark = folder / "vm-1" / "vm.json"
        document = json.loads(mark.read_text())
        document["agent"]["pid"] = stranger.pid
        mark.write_text(json.dumps(document))
        assert power(driver) is PowerState.OFF
        driver.kill("vm-1")
        driver.stop("vm-1", timeout_s=1)
        assert stranger.poll() is None
        stranger.kill()


@posix
def test_a_dead_agent_is_reaped_by_the_next_status(make_driver, identity, fleet, wait_until):
    driver = running(make_driver(), identity)
    (agent,) = marked(fleet, "vm-1")
    os.kill(agent, signal.SIGKILL)
    wait_until(lambda: power(driver) is PowerState.OFF and not psutil.pid_exists(agent))


def test_a_status_of_many_vms_takes_milliseconds(make_driver):
    driver = make_driver()
    for number in range(50):
        driver.create(f"vm-{number}")
    times = []
    for _ in range(5):
        began = time.perf_counter()
        assert len(driver.status()) == 50
        times.append(time.perf_counter() - began)
    assert min(times) < 0.1


def test_a_console_over_its_limit_starts_anew_at_the_next_start(make_driver, identity, folder):
    driver = make_driver()
    driver.create("vm-1")
    console = folder / "vm-1" / "console.log"
    console.write_bytes(b"x" * (1024 * 1024 + 1))
    driver.start("vm-1", identity(1))
    assert console.stat().st_size < 1024


def test_an_execution_keeps_the_last_mib_of_its_output(make_driver, identity):
    driver = running(make_driver(), identity)
    program = "import sys; sys.stdout.write('a' * 5_000_000 + 'the end')"
    execution = driver.execute("vm-1", [sys.executable, "-c", program], timeout_s=30)
    assert len(execution.stdout) == 1024 * 1024
    assert execution.stdout.endswith(b"athe end")


def test_an_execution_ends_though_what_it_left_behind_holds_its_output(make_driver, identity, fleet):
    driver = running(make_driver(), identity)
    child = "import threading; threading.Event().wait(600)"
    program = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}]); print('left')"
    execution = driver.execute("vm-1", [sys.executable, "-c", program], timeout_s=60)
    assert (execution.exit_code, execution.stdout.strip(), execution.timed_out) == (0, b"left", False)
    assert len(marked(fleet, "vm-1")) == 2
    driver.stop("vm-1", timeout_s=10)
    assert marked(fleet, "vm-1") == []


def test_a_file_that_arrives_changed_is_refused_and_the_old_one_stays(
    make_driver, identity, disk, tmp_path, monkeypatch
):
    driver = running(make_driver(), identity)
    source = tmp_path / "game.bin"
    source.write_bytes(b"old")
    driver.push("vm-1", source, "game.bin")
    source.write_bytes(b"new")
    monkeypatch.setattr(local.shutil, "copyfile", lambda source, target: target.write_bytes(b"nwe"))
    with pytest.raises(DriverError, match="SHA-256"):
        driver.push("vm-1", source, "game.bin")
    assert (disk / "game.bin").read_bytes() == b"old"
    assert [file.name for file in disk.iterdir() if "pushed" in file.name] == []


@posix
def test_a_push_does_not_follow_a_link_out_of_the_disk(make_driver, identity, disk, tmp_path):
    driver = running(make_driver(), identity)
    (disk / "out").symlink_to(tmp_path)
    source = tmp_path / "source"
    source.write_bytes(b"")
    with pytest.raises(DriverError, match="no path inside"):
        driver.push("vm-1", source, "out/file")


def test_a_checkpoint_holds_no_identity(make_driver, disk, folder):
    driver = make_driver()
    driver.create("vm-1")
    (disk / "identity.json").write_text("secret")
    driver.checkpoint("vm-1", "clean")
    assert list((folder / "vm-1" / "checkpoints" / "clean").iterdir()) == []


def test_a_full_disk_is_an_error_with_its_cure_and_the_next_checkpoint_of_that_name_works(make_driver, disk):
    driver = make_driver()
    driver.create("vm-1")
    (disk / "big.bin").write_bytes(b"big")
    with full_disk(), pytest.raises(DriverError, match=r"No space left.*Free space"):
        driver.checkpoint("vm-1", "clean")
    assert driver.status()["vm-1"].checkpoints == ()
    driver.checkpoint("vm-1", "clean")
    assert driver.status()["vm-1"].checkpoints == ("clean",)


@pytest.mark.promise(5, "host faults burn nothing")
def test_a_machine_that_can_start_no_process_is_busy_and_not_broken(make_driver, identity, monkeypatch):
    driver = make_driver()
    driver.create("vm-1")

    def refuse(*_):
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(processes, "spawn", refuse)
    with pytest.raises(DriverError) as raised:
        driver.start("vm-1", identity(1))
    assert raised.value.busy


def test_a_failed_restore_leaves_the_disk_as_it_was(make_driver, identity, disk):
    driver = running(make_driver(), identity)
    (disk / "level.txt").write_text("first")
    driver.checkpoint("vm-1", "clean")
    (disk / "level.txt").write_text("changed")
    with full_disk(), pytest.raises(DriverError, match="No space left"):
        driver.restore("vm-1", "clean", identity(2))
    assert power(driver) is PowerState.OFF
    assert (disk / "level.txt").read_text() == "changed"
    driver.restore("vm-1", "clean", identity(3))
    assert (disk / "level.txt").read_text() == "first"


def test_there_is_no_screenshot_of_a_local_vm(make_driver, identity):
    with pytest.raises(DriverError, match="no screen"):
        running(make_driver(), identity).screenshot("vm-1")


@posix
def test_an_execution_over_its_time_is_ended_though_it_emptied_its_environment(make_driver, identity):
    driver = running(make_driver(), identity)
    execution = driver.execute("vm-1", ["env", "-i", "sh", "-c", "echo $$; sleep 600; true"], timeout_s=2)
    assert execution.timed_out
    assert not psutil.pid_exists(int(execution.stdout))


def test_a_mark_that_may_not_be_read_is_an_error_and_no_absence(make_driver, monkeypatch):
    driver = make_driver()
    driver.create("vm-1")
    read = Path.read_text

    def refuse(path, *arguments, **named):
        if path.name == "vm.json":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return read(path, *arguments, **named)

    monkeypatch.setattr(Path, "read_text", refuse)
    for ask in (driver.status, lambda: driver.kill("vm-1"), lambda: driver.create("vm-1")):
        with pytest.raises(DriverError, match=r"Permission denied .*vm\.json.*the right to it"):
            ask()


def test_the_logs_of_a_vm_are_its_console_and_its_agent_s_be_it_running_or_off(make_driver, identity):
    driver = make_driver()
    assert isinstance(driver, KeepsLogs)
    assert driver.logs("vm-1", 100) == {}
    running(driver, identity)
    driver.kill("vm-1")
    (console,) = tuple(driver._folders._folder.glob("vm-1/console.log"))
    console.write_bytes(b"begin" + b"." * 1000 + b"end of the console")
    (console.parent / "disk" / "agent.log").write_bytes(b"of the agent")
    assert driver.logs("vm-1", 18) == {"console.log": b"end of the console", "agent.log": b"of the agent"}
