"""`tzar vm` while no supervisor runs: the state folder and the drivers are used directly."""

import json
import sys
import time

import pytest

from tzar_actors.journal.reading import kept_fleet
from tzar_agent.tree import end_marked, marked

PATIENCE_S = 60.0
C = ("-c", "fleet.toml")


@pytest.fixture(autouse=True)
def nothing_is_left(folder):
    yield
    if (kept := kept_fleet(folder / "state" / "journal.sqlite")) is not None:
        end_marked(kept.id)


@pytest.fixture
def vm(tzar):
    """Runs `tzar vm` with --json; its exit code, and what it said by VM."""

    def vm(verb, *names):
        done = tzar("vm", verb, *names, *C, "--json")
        assert "Traceback" not in done.stderr
        return done.returncode, {each["vm"]: each for each in map(json.loads, done.stdout.splitlines())}

    return vm


def until(is_so):
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)  # between two looks at processes of their own


def events(folder, name):
    lines = (folder / "state" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == name]


@pytest.mark.promise(6, "nothing accepted is lost")
def test_what_was_started_by_hand_is_adopted_by_the_supervisor_that_comes(vm, tzar, folder, supervise):
    code, said = vm("start", "--all")
    assert code == 0
    assert {name: (each["ok"], each["incarnation"]) for name, each in said.items()} == {
        "tzar-01": (True, 1),
        "tzar-02": (True, 1),
    }
    supervise()
    until(lambda: len(events(folder, "vm_ready")) == 2)
    assert {(ready["vm"], ready["incarnation"], ready["adopted"]) for ready in events(folder, "vm_ready")} == {
        ("tzar-01", 1, True),
        ("tzar-02", 1, True),
    }
    assert tzar("evaluate", *C, "one.genome").returncode == 0


def test_a_vm_is_made_started_looked_at_stopped_and_removed(vm, tzar):
    assert vm("create", "tzar-01")[1]["tzar-01"]["text"].startswith("made, ")
    assert vm("start", "tzar-01")[0] == 0
    shown = tzar("vm", "status", *C)
    assert shown.returncode == 0
    assert "running" in shown.stdout
    assert "absent" in shown.stdout
    said = tzar("vm", "remove", "tzar-01", *C)
    assert said.returncode == 1
    assert "cannot be removed while it runs" in said.stderr
    assert tzar("vm", "stop", "tzar-01", *C).stdout.startswith("tzar-01: stopped")
    assert vm("remove", "tzar-01")[0] == 0
    assert vm("status")[1]["tzar-01"]["power"] == "absent"


def test_an_error_of_one_vm_keeps_none_of_the_others(vm, folder):
    (folder / "state" / "vms" / "here" / "tzar-01").mkdir(parents=True)  # somebody else's
    code, said = vm("create", "--all")
    assert code == 1
    assert {name: each["ok"] for name, each in said.items()} == {"tzar-01": False, "tzar-02": True}
    assert "was not made by the fleet" in said["tzar-01"]["text"]
    (failed,) = events(folder, "driver_failed")
    assert (failed["vm"], failed["verb"]) == ("tzar-01", "create")


@pytest.mark.parametrize("verb", ["create", "start", "stop", "restart", "reset", "remove", "status"])
def test_an_unknown_name_is_told_with_the_nearest_one_and_nothing_is_done(tzar, folder, verb):
    done = tzar("vm", verb, "tzar-1", *C)
    assert done.returncode == 2
    assert 'no VM "tzar-1"; the nearest known is tzar-01' in done.stderr
    assert not (folder / "state").exists()


def test_neither_names_nor_all_is_told(tzar):
    done = tzar("vm", "start", *C)
    assert done.returncode == 2
    assert "--all" in done.stderr


@pytest.mark.promise(4, "ladder")
def test_a_vm_stopped_by_hand_is_left_off_by_the_supervisor_until_it_is_started(vm, tzar, supervise, folder):
    vm("start", "tzar-01")
    code, said = vm("stop", "tzar-01")
    assert (code, said["tzar-01"]["ok"]) == (0, True)
    assert not marked(kept_fleet(folder / "state" / "journal.sqlite").id, "tzar-01")
    supervise()
    until(lambda: [ready["vm"] for ready in events(folder, "vm_ready")] == ["tzar-02"])
    status = json.loads(tzar("status", *C, "--json").stdout)
    assert {each["vm"]: each["is_held"] for each in status["vms"]} == {"tzar-01": True, "tzar-02": False}
    assert events(folder, "vm_held")[0]["vm"] == "tzar-01"
    code, said = vm("start", "tzar-01")
    assert (code, said["tzar-01"]["incarnation"]) == (0, 2)


def test_a_command_runs_in_the_vm_and_its_exit_code_and_outputs_come_through(vm, tzar, folder):
    vm("start", "tzar-01")
    program = "import sys; sys.stdout.buffer.write(b'out\\xff'); print('err', file=sys.stderr); sys.exit(7)"
    done = tzar("vm", "exec", "tzar-01", *C, "--", sys.executable, "-c", program)
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\ufffd", "err\n")
    (folder / "sent").write_bytes(b"over there")
    assert tzar("vm", "push", "tzar-01", "sent", "in/there", *C).returncode == 0
    read = "import pathlib; print(pathlib.Path('in/there').read_text())"
    said = json.loads(tzar("vm", "exec", "tzar-01", *C, "--json", "--", sys.executable, "-c", read).stdout)
    assert (said["exit_code"], said["stdout"].strip(), said["timed_out"]) == (0, "over there", False)
    endless = "import threading; print('began', flush=True); threading.Event().wait()"
    late = tzar("vm", "exec", "tzar-01", *C, "--timeout", "3", "--", sys.executable, "-c", endless)
    assert (late.returncode, late.stdout) == (124, "began\n")
    assert "was ended after 3 s" in late.stderr


def test_a_screen_that_is_not_there_is_an_error_and_no_file(vm, tzar, folder):
    vm("start", "tzar-01")
    done = tzar("vm", "screenshot", "tzar-01", "-o", "screen.png", *C)
    assert done.returncode == 1
    assert "a local VM has no screen" in done.stderr
    assert not (folder / "screen.png").exists()


def test_a_folder_for_a_screen_that_is_not_there_is_told_before_anything_is_done(tzar, folder):
    done = tzar("vm", "screenshot", "tzar-01", "-o", "nowhere/screen.png", *C)
    assert done.returncode == 2
    assert "nowhere/screen.png: there is no such folder" in done.stderr.replace("\\", "/")
    assert not (folder / "state").exists()


@pytest.mark.parametrize("seconds", ["nan", "inf", "1e11"])
def test_a_time_limit_that_is_none_is_refused(tzar, seconds):
    for words in (("exec", "tzar-01", *C, "--timeout", seconds, "--", "x"), ("stop", "tzar-01", "--timeout", seconds)):
        done = tzar("vm", *words)
        assert done.returncode == 2
        assert "--timeout" in done.stderr


def test_reaching_into_a_vm_that_is_not_there_says_what_to_do(tzar):
    done = tzar("vm", "exec", "tzar-01", *C, "--", "python")
    assert done.returncode == 1
    assert "tzar vm create" in done.stderr
