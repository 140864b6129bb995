"""What the supervisor relies on in every driver, and in every fake of one."""

import time
from threading import Event

import pytest

from tzar_actors.drivers.base import KeepsLogs, PowerState
from tzar_actors.errors import DriverError


@pytest.fixture
def driver(subject):
    subject.driver.create("vm-1")
    return subject.driver


@pytest.fixture
def running(subject, driver):
    driver.start("vm-1", subject.identity("vm-1", 1))
    return driver


@pytest.fixture
def holds(subject):
    """Whether a guest holds the identity of this incarnation: at once, unless its driver waits for no more than that it
    is there."""

    def holds(vm: str, incarnation: int) -> bool:
        deadline = time.monotonic() + subject.takes_within_s
        while subject.delivered(vm) != subject.identity(vm, incarnation):
            if time.monotonic() >= deadline:
                return False
            Event().wait(0.02)
        return True

    return holds


@pytest.fixture
def put(subject, tmp_path):
    def put(path: str, content: bytes) -> None:
        source = tmp_path / "pushed.bin"
        source.write_bytes(content)
        subject.driver.push("vm-1", source, path)

    return put


@pytest.fixture
def get(subject):
    """What a file in the VM holds; None when there is none."""

    def get(path: str) -> bytes | None:
        execution = subject.driver.execute("vm-1", subject.read(path), timeout_s=30)
        return execution.stdout if execution.exit_code == 0 else None

    return get


def test_a_created_vm_is_off_and_was_never_started(driver):
    status = driver.status()["vm-1"]
    assert (status.power, status.incarnation, status.checkpoints) == (PowerState.OFF, 0, ())
    assert status.machine_id


def test_creating_a_vm_twice_changes_nothing(driver):
    before = driver.status()["vm-1"]
    assert driver.create("vm-1") == before.machine_id
    assert dict(driver.status()) == {"vm-1": before}


def test_two_vms_have_two_machine_ids(driver):
    assert driver.create("vm-2") != driver.status()["vm-1"].machine_id


def test_a_vm_made_anew_has_another_machine_id(driver):
    before = driver.create("vm-1")
    driver.remove("vm-1")
    assert driver.create("vm-1") != before


def test_a_vm_that_was_never_created_is_absent(driver):
    assert "vm-2" not in driver.status()


def test_a_started_vm_runs_under_its_incarnation(subject, running):
    status = running.status()["vm-1"]
    assert (status.power, status.incarnation) == (PowerState.RUNNING, 1)
    assert status.machine_id == running.create("vm-1")


def test_the_guest_of_a_vm_that_was_started_takes_its_identity_and_nothing_of_it_is_left(running, holds):
    assert holds("vm-1", 1)


def test_a_running_vm_is_not_started_again(subject, running, holds):
    assert holds("vm-1", 1)
    with pytest.raises(DriverError, match="vm-1"):
        running.start("vm-1", subject.identity("vm-1", 2))
    assert running.status()["vm-1"].incarnation == 1
    assert subject.delivered("vm-1") == subject.identity("vm-1", 1)


def test_a_vm_starts_from_the_template(running, get):
    assert get("template.txt") == b"of the template"


@pytest.mark.parametrize("verb", ["stop", "kill"])
def test_a_vm_that_was_turned_off_is_off_and_keeps_its_incarnation(subject, running, verb):
    turn_off(running, verb)
    status = running.status()["vm-1"]
    assert (status.power, status.incarnation) == (PowerState.OFF, 1)
    assert not subject.runs_anything("vm-1")


@pytest.mark.parametrize("verb", ["stop", "kill"])
def test_turning_off_what_is_off_or_absent_changes_nothing(driver, verb):
    before = dict(driver.status())
    turn_off(driver, verb)
    turn_off(driver, verb, "vm-2")
    assert dict(driver.status()) == before


@pytest.mark.parametrize("verb", ["stop", "kill"])
def test_a_vm_that_was_turned_off_starts_again_with_the_same_disk(subject, running, put, get, holds, verb):
    put("kept.txt", b"kept")
    turn_off(running, verb)
    running.start("vm-1", subject.identity("vm-1", 2))
    assert running.status()["vm-1"].incarnation == 2
    assert holds("vm-1", 2)
    assert get("kept.txt") == b"kept"


def test_a_stop_that_is_not_heeded_raises_and_the_vm_runs_on_until_it_is_killed(subject, driver):
    subject.make_deaf("vm-1")
    subject.driver.start("vm-1", subject.identity("vm-1", 1))
    with pytest.raises(DriverError, match="still runs"):
        subject.driver.stop("vm-1", timeout_s=0.1)
    assert subject.driver.status()["vm-1"].power is PowerState.RUNNING
    subject.driver.kill("vm-1")
    assert subject.driver.status()["vm-1"].power is PowerState.OFF


def test_a_vm_that_died_is_off_and_not_absent(subject, running):
    subject.crash("vm-1")
    deadline = time.monotonic() + 10  # a process that was killed takes a moment to be gone
    while (power := running.status()["vm-1"].power) is not PowerState.OFF:
        assert time.monotonic() < deadline, f"still {power}"
    running.start("vm-1", subject.identity("vm-1", 2))
    assert running.status()["vm-1"].power is PowerState.RUNNING


def test_a_vm_that_is_absent_cannot_be_used(subject, driver, tmp_path):
    source = tmp_path / "file"
    source.write_bytes(b"")
    for use in (
        lambda: driver.start("vm-2", subject.identity("vm-2", 1)),
        lambda: driver.checkpoint("vm-2", "clean"),
        lambda: driver.restore("vm-2", "clean", subject.identity("vm-2", 1)),
        lambda: driver.push("vm-2", source, "file"),
        lambda: driver.execute("vm-2", subject.read("file"), timeout_s=1),
    ):
        with pytest.raises(DriverError, match="there is no such VM"):
            use()
    assert list(driver.status()) == ["vm-1"]


def test_a_restore_brings_back_a_changed_file_and_drops_a_later_one(subject, running, put, get):
    put("level.txt", b"first")
    running.checkpoint("vm-1", "clean")
    put("level.txt", b"changed")
    put("later.txt", b"later")
    running.restore("vm-1", "clean", subject.identity("vm-1", 2))
    assert (get("level.txt"), get("later.txt")) == (b"first", None)


def test_a_restored_vm_runs_under_the_new_incarnation(subject, running):
    running.checkpoint("vm-1", "clean")
    running.restore("vm-1", "clean", subject.identity("vm-1", 2))
    status = running.status()["vm-1"]
    assert (status.power, status.incarnation) == (PowerState.RUNNING, 2)
    assert subject.delivered("vm-1") == subject.identity("vm-1", 2)


def test_a_checkpoint_can_be_restored_again_after_the_vm_changed_it(subject, running, put, get):
    put("level.txt", b"first")
    running.checkpoint("vm-1", "clean")
    for incarnation in (2, 3):
        running.restore("vm-1", "clean", subject.identity("vm-1", incarnation))
        assert get("level.txt") == b"first"
        put("level.txt", b"changed")


def test_a_vm_that_is_off_can_be_checkpointed_and_restored(subject, driver, get):
    driver.checkpoint("vm-1", "clean")
    driver.restore("vm-1", "clean", subject.identity("vm-1", 1))
    assert get("template.txt") == b"of the template"


def test_checkpoints_are_listed_oldest_first(driver):
    for name in ("clean", "b", "a"):
        driver.checkpoint("vm-1", name)
    assert driver.status()["vm-1"].checkpoints == ("clean", "b", "a")


def test_a_checkpoint_is_not_written_over(subject, running, put, get):
    put("level.txt", b"first")
    running.checkpoint("vm-1", "clean")
    put("level.txt", b"second")
    with pytest.raises(DriverError, match="clean already"):
        running.checkpoint("vm-1", "clean")
    running.restore("vm-1", "clean", subject.identity("vm-1", 2))
    assert get("level.txt") == b"first"


def test_a_restore_of_a_missing_checkpoint_raises_and_the_vm_runs_on(subject, running):
    running.checkpoint("vm-1", "clean")
    with pytest.raises(DriverError, match=r"no checkpoint gone.*clean"):
        running.restore("vm-1", "gone", subject.identity("vm-1", 2))
    status = running.status()["vm-1"]
    assert (status.power, status.incarnation) == (PowerState.RUNNING, 1)


def test_a_running_vm_is_not_removed(running):
    with pytest.raises(DriverError, match="while it runs"):
        running.remove("vm-1")
    assert running.status()["vm-1"].power is PowerState.RUNNING


def test_a_removed_vm_is_absent_and_removing_it_again_changes_nothing(driver):
    driver.checkpoint("vm-1", "clean")
    driver.remove("vm-1")
    driver.remove("vm-1")
    assert dict(driver.status()) == {}
    driver.create("vm-1")
    assert driver.status()["vm-1"].checkpoints == ()


@pytest.mark.promise(7, "it touches only what it made")
def test_what_bears_no_mark_is_neither_listed_nor_touched(subject, driver, tmp_path):
    subject.add_foreign("theirs")
    pushed = tmp_path / "pushed"
    pushed.write_bytes(b"ours")
    assert list(driver.status()) == ["vm-1"]
    for touch in (
        lambda: driver.create("theirs"),
        lambda: driver.start("theirs", subject.identity("theirs", 1)),
        lambda: driver.stop("theirs", timeout_s=1),
        lambda: driver.kill("theirs"),
        lambda: driver.checkpoint("theirs", "clean"),
        lambda: driver.restore("theirs", "clean", subject.identity("theirs", 1)),
        lambda: driver.push("theirs", pushed, "theirs"),
        lambda: driver.execute("theirs", subject.read("theirs"), timeout_s=1),
        lambda: driver.remove("theirs"),
    ):
        with pytest.raises(DriverError, match=r"not made by .*fleet"):
            touch()
    assert subject.foreign_is_whole("theirs")


@pytest.mark.promise(5, "host faults burn nothing")
def test_a_host_that_cannot_be_asked_raises_and_does_not_show_its_vms_as_absent(subject, driver):
    subject.lose_host()
    with pytest.raises(DriverError) as raised:
        driver.status()
    assert raised.value.unreachable
    assert raised.value.vm is None


def test_a_pushed_file_arrives_whole_in_folders_made_for_it(running, put, get):
    content = bytes(range(256)) * 1000
    put("games/levels/1.bin", content)
    put("games/levels/1.bin", content[::-1])
    assert get("games/levels/1.bin") == content[::-1]


@pytest.mark.parametrize("target", ["../out.txt", "games/../../out.txt", "/out.txt"])
def test_a_push_does_not_leave_the_vm(running, put, target):
    with pytest.raises(DriverError, match="no path inside"):
        put(target, b"out")


def test_a_push_of_a_missing_file_says_so(running, tmp_path):
    with pytest.raises(DriverError, match=r"missing\.bin"):
        running.push("vm-1", tmp_path / "missing.bin", "x")


def test_an_execution_returns_the_exit_code_and_both_outputs(subject, running):
    execution = running.execute("vm-1", subject.speak("out", "err", 3), timeout_s=30)
    assert (execution.exit_code, execution.stdout, execution.stderr) == (3, b"out", b"err")
    assert not execution.timed_out


def test_an_execution_over_its_time_is_ended_with_all_it_started_and_the_vm_runs_on(subject, running):
    for timeout_s in (0.5, 2, 8):  # a busy machine may need longer until the tree stands
        execution = running.execute("vm-1", subject.tree(), timeout_s)
        assert execution.timed_out
        if execution.stdout:
            break
    assert execution.stdout == b"started"
    assert not subject.tree_lives()
    assert running.status()["vm-1"].power is PowerState.RUNNING


def test_a_program_that_is_not_there_is_an_error_that_names_it(running):
    with pytest.raises(DriverError, match="no-such-program"):
        running.execute("vm-1", ["no-such-program"], timeout_s=1)


def test_the_end_of_the_agent_s_log_is_read_and_no_more_than_was_asked_for(driver, running, put):
    assert isinstance(driver, KeepsLogs)
    put("agent.log", b"what came before, and the end")
    assert driver.logs("vm-1", 7)["agent.log"] == b"the end"
    assert driver.logs("vm-1", 1000)["agent.log"] == b"what came before, and the end"
    assert driver.logs("vm-2", 7) == {}


def test_nothing_is_pushed_to_or_executed_in_a_vm_that_is_off(subject, driver, put):
    with pytest.raises(DriverError, match="off"):
        put("file", b"")
    with pytest.raises(DriverError, match="off"):
        driver.execute("vm-1", subject.read("file"), timeout_s=1)


def test_closing_the_driver_turns_nothing_off(subject, running):
    running.close()
    assert subject.runs_anything("vm-1")


def turn_off(driver, verb, vm="vm-1"):
    if verb == "stop":
        driver.stop(vm, timeout_s=10)
    else:
        driver.kill(vm)
