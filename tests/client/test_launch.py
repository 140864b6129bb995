import copy
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import CancelledError

import psutil
import pytest

import tzar_actors
from tzar_actors.client import launcher
from tzar_actors.errors import ConfigError, RejectedError, SupervisorError

PATIENCE_S = 60.0


def changed(config, section, **values):
    other = copy.deepcopy(config)
    other[section].update(values)
    return other


def test_launch_starts_a_supervisor_which_ends_with_its_trainer(config):
    with tzar_actors.launch(config) as fleet:
        supervisor = psutil.Process(fleet.supervisor_pid)
        assert fleet.status().pid == fleet.supervisor_pid
        assert fleet.submit(b"\x05").result(PATIENCE_S).fitness == 5.0
    assert not supervisor.is_running()
    with pytest.raises(SupervisorError):
        fleet.submit(b"\x05")
    fleet.close()


def test_a_second_launch_on_the_same_folder_attaches_to_what_runs(config, fleet):
    with tzar_actors.launch(config) as second:
        assert not isinstance(second, tzar_actors.LaunchedFleet)
        assert second.status().pid == fleet.supervisor_pid
        assert second.submit(b"\x05").result(PATIENCE_S).fitness == 5.0
        assert second.status().trainers == 2
    assert fleet.submit(b"\x06").result(PATIENCE_S).fitness == 6.0


def test_a_launch_with_other_settings_is_refused_and_shows_the_difference(config, fleet):
    with pytest.raises(SupervisorError) as refused:
        tzar_actors.launch(changed(config, "evaluator", time_limit_s=5.0))
    for words in (f"process {fleet.supervisor_pid}", "evaluator.time_limit_s: 600.0 and 5.0", "fleet.state_dir"):
        assert words in str(refused.value)
    assert fleet.status().pid == fleet.supervisor_pid


def test_what_follows_a_trainers_exit_is_no_difference(config, fleet):
    with tzar_actors.launch(changed(config, "fleet", on_trainer_exit="linger")) as second:
        assert second.status().pid == fleet.supervisor_pid


def test_connect_finds_the_supervisor_by_its_folder(config, fleet):
    with tzar_actors.connect(fleet.state_dir) as second:
        assert second.status().pid == fleet.supervisor_pid


def test_connect_to_a_folder_without_a_supervisor_says_so_at_once(tmp_path):
    with pytest.raises(SupervisorError, match="no supervisor has run in"):
        tzar_actors.connect(tmp_path)


def test_a_launch_without_an_evaluator_is_the_configurations_fault(config):
    del config["evaluator"]
    with pytest.raises(ConfigError, match="evaluator"):
        tzar_actors.launch(config)


def test_a_supervisor_that_does_not_come_up_is_an_error_with_its_reason_and_its_logs_tail(config, folder):
    (folder / "state").mkdir()
    (folder / "state" / "journal.sqlite").write_bytes(b"no journal at all, however long this is. " * 100)
    with pytest.raises(SupervisorError) as failed:
        tzar_actors.launch(config)
    text = str(failed.value)
    assert "did not come up: the journal" in text
    assert "not a database" in text
    assert f"The end of {folder / 'state' / 'supervisor.log'}:" in text


def test_a_supervisor_that_dies_before_a_word_is_told_with_its_code_and_the_logs_tail(config, monkeypatch):
    popen = subprocess.Popen

    def broken(argv, **options):
        code = "import sys; print('the disk is on fire', file=sys.stderr); sys.exit(3)"
        return popen([argv[0], "-c", code], **options)

    monkeypatch.setattr(launcher.subprocess, "Popen", broken)
    with pytest.raises(SupervisorError, match=r"(?s)ended with code 3.*the disk is on fire"):
        tzar_actors.launch(config)


def test_a_fleet_that_lingers_is_left_running_and_found_again(config, until):
    lingering = changed(config, "fleet", on_trainer_exit="linger")
    with tzar_actors.launch(lingering) as fleet:
        pid = fleet.supervisor_pid
    with tzar_actors.launch(lingering) as again:
        assert again.status().pid == pid
        again.shut_down(drain=False)
        until(lambda: fleet._process.poll() is not None)
    assert fleet._process.returncode == 0


def test_leaving_by_an_exception_stops_at_once_what_would_wait_for_ever(config, until, folder):
    class MindChangedError(Exception):
        pass

    futures = []

    def change_mind():
        with tzar_actors.launch(config) as fleet:
            futures.append(fleet.submit(b"\x01", params={"wait": "never"}))
            until(lambda: (folder / "began-1").exists())
            raise MindChangedError

    with pytest.raises(MindChangedError):
        change_mind()
    assert isinstance(futures[0].exception(1.0), SupervisorError)


def test_leaving_in_good_order_ends_what_is_open_before(config, until, folder):
    with tzar_actors.launch(config) as fleet:
        future = fleet.submit(b"\x01", key="a", params={"wait": "go"})
        until(lambda: (folder / "began-1").exists())
        threading.Timer(0.3, (folder / "go").touch).start()
    assert future.result(0.0).fitness == 1.0


@pytest.mark.promise(6, "nothing accepted is lost")
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is how Linux ends a process at once")
def test_a_supervisor_that_is_killed_is_started_again_and_every_future_resolves(fleet, folder, until):
    running = [fleet.submit(bytes([i]), params={"wait": "go"}, games=2) for i in range(1, 6)]
    until(lambda: fleet.status().games_running == 2)
    agents = {vm.pid for vm in fleet.status().vms}
    os.kill(fleet.supervisor_pid, signal.SIGKILL)
    later = [fleet.submit(bytes([i])) for i in range(6, 9)]
    (folder / "go").touch()
    assert [future.result(PATIENCE_S).fitness for future in running + later] == [float(i) for i in range(1, 9)]
    assert fleet.supervisor_starts == 2
    assert fleet.status().epoch == 2
    until(lambda: {vm.pid for vm in fleet.status().vms} == agents)  # one of them may have played it all by itself


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is how Linux ends a process at once")
def test_what_was_cancelled_while_there_was_no_supervisor_stays_cancelled(fleet, folder, until):
    future = fleet.submit(b"\x01", key="a", params={"wait": "never"})
    until(lambda: (folder / "began-1").exists())
    os.kill(fleet.supervisor_pid, signal.SIGKILL)
    until(lambda: fleet._connection._welcome is None)
    assert future.cancel()
    with pytest.raises(CancelledError):
        future.result(0.0)
    until(lambda: fleet.supervisor_starts == 2 and fleet.status().evaluations_open == 0)
    (result,) = fleet.results("a")
    assert result.outcome == "cancelled"


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is how Linux ends a process at once")
def test_a_supervisor_that_is_killed_while_it_starts_is_started_once_more(fleet, folder, monkeypatch, until):
    start, tries = launcher._start, []

    def killed_twice(settings):
        tries.append(settings)
        if len(tries) > 2:
            return start(settings)
        dying = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
        with monkeypatch.context() as patch:
            patch.setattr(launcher, "SUPERVISOR_ARGV", dying)
            return start(settings)

    monkeypatch.setattr(launcher, "_start", killed_twice)
    future = fleet.submit(b"\x01", params={"wait": "go"})
    until(lambda: (folder / "began-1").exists())
    os.kill(fleet.supervisor_pid, signal.SIGKILL)
    (folder / "go").touch()
    assert future.result(PATIENCE_S).fitness == 1.0
    assert len(tries) == 3
    until(lambda: fleet.supervisor_starts == 2)
    assert fleet.status().pid == fleet.supervisor_pid


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is how Linux ends a process at once")
def test_a_supervisor_that_dies_again_and_again_is_given_up_with_every_future_told(fleet, folder, monkeypatch, until):
    def fails(settings):
        raise SupervisorError("it does not come up any more")

    future = fleet.submit(b"\x01", params={"wait": "never"})
    until(lambda: (folder / "began-1").exists())
    until(lambda: all(vm.pid is not None for vm in fleet.status().vms))
    agents = [psutil.Process(vm.pid) for vm in fleet.status().vms]
    monkeypatch.setattr(launcher, "_start", fails)
    os.kill(fleet.supervisor_pid, signal.SIGKILL)
    try:
        with pytest.raises(SupervisorError, match="does not come up any more"):
            future.result(PATIENCE_S)
        with pytest.raises(SupervisorError):
            fleet.submit(b"\x02")
    finally:
        for agent in agents:  # nobody is left who would end them
            for process in (*agent.children(recursive=True), agent):
                process.kill()


def test_a_supervisor_that_somebody_shut_down_is_not_started_again(config, fleet, folder, until):
    future = fleet.submit(b"\x01", params={"wait": "never"})
    until(lambda: (folder / "began-1").exists())
    with tzar_actors.connect(fleet.state_dir) as other:
        other.shut_down(drain=False)
    with pytest.raises(SupervisorError, match="was shut down"):
        future.result(PATIENCE_S)
    assert fleet.supervisor_starts == 1


def test_while_it_drains_a_supervisor_takes_nothing_new_and_says_so(config, fleet, folder, until):
    first = fleet.submit(b"\x01", params={"wait": "go"})
    until(lambda: (folder / "began-1").exists())
    with tzar_actors.connect(fleet.state_dir) as other:
        other.shut_down(drain=True)
        until(lambda: fleet.status().is_draining)
        with pytest.raises(RejectedError) as refused:
            fleet.submit(b"\x02").result(PATIENCE_S)
        assert refused.value.code == "draining"
        (folder / "go").touch()
        assert first.result(PATIENCE_S).fitness == 1.0


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is how Linux ends a process at once")
def test_a_trainer_that_attached_is_told_when_its_supervisor_is_gone_for_good(config, folder, until):
    with tzar_actors.launch(changed(config, "fleet", on_trainer_exit="linger", orphan_s=1.0)) as owner:
        pid = owner.supervisor_pid
    with tzar_actors.connect(folder / "state", patience_s=2.0) as fleet:
        future = fleet.submit(b"\x01", key="a", params={"wait": "never"})
        until(lambda: (folder / "began-1").exists())
        agents = [psutil.Process(vm.pid) for vm in fleet.status().vms if vm.pid is not None]
        os.kill(pid, signal.SIGKILL)  # and nobody starts it again: whoever launched it has left
        error = future.exception(PATIENCE_S)
        with pytest.raises(SupervisorError, match="has ended"):
            fleet.submit(b"\x02")
    assert isinstance(error, SupervisorError)
    for words in ("has answered in", "for 2 s", "kept in its journal", "tzar results"):
        assert words in str(error)
    for agent in agents:  # one is in a game that never ends, and nobody is left who would end it
        for process in (*agent.children(recursive=True), agent):
            process.kill()


@pytest.mark.skipif(os.name != "posix", reason="SIGSTOP is how Linux makes a process hang")
def test_a_supervisor_that_hangs_while_its_trainer_leaves_is_ended_by_force(config, monkeypatch, folder, until):
    monkeypatch.setattr(launcher, "_END_S", 1.0)
    monkeypatch.setattr(launcher, "_TERMINATE_S", 0.5)
    fleet = tzar_actors.launch(changed(config, "fleet", orphan_s=1.0))
    until(lambda: all(vm.pid is not None for vm in fleet.status().vms))
    agents = [psutil.Process(vm.pid) for vm in fleet.status().vms]
    supervisor = psutil.Process(fleet.supervisor_pid)
    supervisor.suspend()
    with pytest.raises(SupervisorError, match="did not end within 1 s and was ended by force"):
        fleet.close()
    assert not supervisor.is_running()
    assert set(psutil.wait_procs(agents, PATIENCE_S)[1]) == set()


def test_a_drain_lasts_as_long_as_its_games_however_short_the_patience_with_an_end(config, monkeypatch, folder, until):
    monkeypatch.setattr(launcher, "_END_S", 1.5)
    with tzar_actors.launch(config) as fleet:
        future = fleet.submit(b"\x01", params={"wait": "go"})
        until(lambda: (folder / "began-1").exists())
        threading.Timer(3.0, (folder / "go").touch).start()
    assert future.result(0.0).fitness == 1.0


def test_a_look_whether_a_supervisor_runs_keeps_none_from_starting(config, folder):
    (folder / "state").mkdir()
    done = threading.Event()
    looks = []

    def look():
        while not done.is_set():
            looks.append(launcher.is_locked(folder / "state"))

    looker = threading.Thread(target=look)
    looker.start()
    try:
        with tzar_actors.launch(config) as fleet:
            assert isinstance(fleet, tzar_actors.LaunchedFleet)
            assert fleet.submit(b"\x01").result(PATIENCE_S).fitness == 1.0
    finally:
        done.set()
        looker.join()
    assert {True, False} <= set(looks)


@pytest.mark.promise(8, "bounded")
def test_a_disk_below_its_mark_refuses_new_work_with_what_to_do(config):
    with tzar_actors.launch(changed(config, "limits", disk_low_mib=10**9)) as fleet:
        for genome in (b"\x01", b"\x01" * 100_000):
            error = fleet.submit(genome).exception(PATIENCE_S)
            if error is None:  # the disk is looked at just after the start
                error = fleet.submit(genome + b"\x02").exception(PATIENCE_S)
            assert isinstance(error, RejectedError)
            assert error.code == "disk_full"
            assert "limits.disk_low_mib" in error.reason


def test_after_a_damaged_journal_was_set_aside_no_supervisor_begins_anew_until_it_is_moved_away(config, folder):
    (folder / "state").mkdir()
    (folder / "state" / "journal.sqlite").write_bytes(b"no journal at all, however long this is. " * 100)
    for _ in range(2):
        with pytest.raises(SupervisorError, match=r"To begin anew, move journal\.damaged-"):
            tzar_actors.launch(config)
    (aside,) = (folder / "state").glob("journal.damaged-*")
    aside.rename(folder / "away")
    with tzar_actors.launch(config) as fleet:
        assert fleet.submit(b"\x01").result(PATIENCE_S).fitness == 1.0
