"""`tzar vm` beside a supervisor, through which VMs are powered."""

import json
import sys
import time

import pytest

PATIENCE_S = 60.0
C = ("-c", "fleet.toml")


@pytest.fixture
def vms(tzar, supervisor):
    """The rows of `tzar vm status`, once both VMs are here."""

    def vms():
        return {row["vm"]: row for row in map(json.loads, tzar("vm", "status", *C, "--json").stdout.splitlines())}

    deadline = time.monotonic() + PATIENCE_S
    while any(row["supervisor"]["state"] != "idle" for row in vms().values()):
        assert time.monotonic() < deadline, "they did not come"
    return vms


def test_status_says_what_the_driver_and_the_supervisor_say(vms, tzar):
    row = vms()["tzar-01"]
    assert (row["power"], row["incarnation"], row["supervisor"]["state"]) == ("running", 1, "idle")
    shown = tzar("vm", "status", *C, "tzar-02").stdout
    assert "tzar-02" in shown
    assert "tzar-01" not in shown


@pytest.mark.promise(4, "ladder")
def test_vms_are_stopped_started_restarted_and_reset_by_their_supervisor_without_a_failure(vms, tzar):
    def ask(verb):
        done = tzar("vm", verb, "tzar-01", *C, "--json")
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert (said["vm"], said["ok"]) == ("tzar-01", True)
        return vms()["tzar-01"]

    disk = vms()["tzar-01"]["machine_id"]
    stopped = ask("stop")
    assert (stopped["power"], stopped["is_held"], stopped["supervisor"]["state"]) == ("off", True, "off")
    assert tzar("evaluate", *C, "one.genome").returncode == 0, "the other VM plays on"
    started = ask("start")
    assert (started["power"], started["is_held"], started["incarnation"]) == ("running", False, 2)
    restarted = ask("restart")
    assert (restarted["incarnation"], restarted["machine_id"]) == (3, disk)
    reset = ask("reset")
    assert reset["incarnation"] == 4
    assert reset["machine_id"] != disk
    assert reset["supervisor"]["failures"] == 0


@pytest.mark.parametrize(("verb", "instead"), [("create", "raise `vms`"), ("remove", "tzar vm reset")])
def test_what_would_take_the_fleet_from_its_supervisor_is_refused_with_what_to_do_instead(
    tzar, supervisor, verb, instead
):
    done = tzar("vm", verb, "tzar-01", *C)
    assert done.returncode == 1
    assert f"process {supervisor.pid}" in done.stderr
    assert instead in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_not_so_in_time_is_told_and_the_others_go_on(vms, tzar):
    done = tzar("vm", "stop", "--all", *C, "--timeout", "0.1", "--json")
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert {each["vm"] for each in said} == {"tzar-01", "tzar-02"}
    assert done.returncode == (0 if all(each["ok"] for each in said) else 1)
    for each in said:
        assert each["ok"] or "it was asked for a stop, and after 0.1 s it is" in each["text"]


def test_vms_are_reached_beside_their_supervisor(vms, tzar, folder):
    (folder / "sent").write_bytes(b"over there")
    assert tzar("vm", "push", "tzar-02", "sent", "sent", *C).returncode == 0
    read = "import pathlib; print(pathlib.Path('sent').read_text())"
    done = tzar("vm", "exec", "tzar-02", *C, "--", sys.executable, "-c", read)
    assert (done.returncode, done.stdout.strip()) == (0, "over there")
    assert vms()["tzar-02"]["supervisor"]["state"] == "idle"
