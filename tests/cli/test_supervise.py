import json

import pytest


def test_status_without_a_supervisor_says_so_and_how_to_start_one(tzar):
    done = tzar("status", "-c", "fleet.toml")
    assert done.returncode == 1
    assert "no supervisor has run in" in done.stderr
    assert "tzar supervise" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_fleet_that_was_left_is_told_to_be_so_at_once(tzar, folder):
    assert tzar("evaluate", "-c", "fleet.toml", "one.genome").returncode == 0
    done = tzar("status", "-c", "fleet.toml")
    assert done.returncode == 1
    assert "has ended" in done.stderr
    assert "tzar supervise" in done.stderr


@pytest.mark.promise(7, "it touches only what it made")
def test_a_second_supervisor_on_the_same_folder_is_refused_naming_the_first(tzar, supervisor):
    done = tzar("supervise", "-c", "fleet.toml")
    assert done.returncode == 1
    assert f"process {supervisor.pid}" in done.stderr
    assert "another supervisor runs on" in done.stderr
    assert "Traceback" not in done.stderr


def test_status_and_evaluate_use_the_supervisor_that_runs_and_leave_it_running(tzar, supervisor):
    status = json.loads(tzar("status", "-c", "fleet.toml", "--json").stdout)
    assert status["pid"] == supervisor.pid
    assert [vm["vm"] for vm in status["vms"]] == ["tzar-01", "tzar-02"]
    done = tzar("evaluate", "-c", "fleet.toml", "one.genome", "two.genome")
    assert done.returncode == 0, done.stderr
    shown = tzar("status", "-c", "fleet.toml")
    assert shown.returncode == 0
    assert f"supervisor {supervisor.pid}" in shown.stdout
    assert "2 scored" in shown.stdout
    assert supervisor.poll() is None


def test_a_port_that_is_taken_is_told_with_what_to_do(tzar, folder):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = (folder / "fleet.toml").read_text(encoding="utf-8")
        (folder / "taken.toml").write_text(config.replace("[fleet]", f"[fleet]\nport = {port}"), encoding="utf-8")
        done = tzar("supervise", "-c", "taken.toml")
    assert done.returncode == 1
    assert f"port {port} is in use by another program" in done.stderr
    assert "Traceback" not in done.stderr
