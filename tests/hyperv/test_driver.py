"""The driver's own part: which calls it makes in which order, and what it does when one of them fails.

What the calls do is tried in the lab, by the drivers' contract suite.
"""

import base64
import hashlib
import ipaddress
import json
import time
from pathlib import PureWindowsPath

import pytest

from hyperv.credentials import Credentials
from hyperv.driver import HyperVDriver
from hyperv.errors import HyperVError
from hyperv.guests import Guests
from hyperv.messages import Secret
from hyperv.plans import Addresses, GuestPlan, VmPlan
from hyperv.screens import shown_size
from tzar_actors.actors.evidence import EvidenceStore
from tzar_actors.core.call_limits import CallLimits
from tzar_actors.errors import ConfigError, DriverError
from tzar_agent.protocol.identity import Identity

FLEET = "ab" * 16
ID = "0f0e0d0c-0000-4000-8000-000000000001"
HOME = r"C:\agent"
DOCUMENT = HOME + r"\identity.json"
ADDRESSES = Addresses(ipaddress.IPv4Address("10.0.0.5"), ipaddress.IPv4Address("10.0.0.9"), 24)


class ScriptedLanes:
    """Lanes that note each call, and answer it with what was laid out for its function: a list, or an error."""

    def __init__(self):
        self.calls = []
        self.timeouts_s = {}
        self.answers = {}
        self.is_closed = False

    def answer(self, function, *answers):
        """The answers of a function in turn; the last one stays."""
        self.answers[function] = list(answers)

    def call(self, function, parameters, timeout_s):
        self.calls.append((function, dict(parameters)))
        self.timeouts_s.setdefault(function, timeout_s)
        answers = self.answers.get(function, [[]])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    status = call

    def close(self):
        self.is_closed = True

    def functions(self):
        """The names of what was called, without the questions about status that follow one another."""
        names = [function for function, _ in self.calls]
        return [name for name, before in zip(names, ["", *names], strict=False) if name != before]

    def given(self, function):
        return [parameters for name, parameters in self.calls if name == function]


def error(code="", **given):
    return HyperVError("it said so", host="hv01", vm="tzar-01", cmdlet="Some-Cmdlet", code=code, **given)


def row(checkpoints=(), heartbeat="OkApplicationsHealthy", state="Running"):
    named = [{"Name": name} for name in checkpoints]
    return {
        "Name": "tzar-01",
        "Id": ID,
        "State": state,
        "Heartbeat": heartbeat,
        "UptimeSeconds": 1.0,
        "MemoryAssignedBytes": 0,
        "DiskBytes": 0,
        "Incarnation": 3,
        "Checkpoints": named,
        "Detail": "",
    }


def no_account():
    raise AssertionError("nobody enters the guest")


@pytest.fixture
def lanes():
    lanes = ScriptedLanes()
    lanes.answer("Start-TzarWorkerVM", [{"Id": ID}])
    lanes.answer("Restore-TzarWorkerVM", [{"Id": ID}])
    lanes.answer("Get-TzarWorkerVM", [row(heartbeat="")], [row()])
    lanes.answer("Set-TzarWorkerGuest", [{"PathExists": False}])
    return lanes


@pytest.fixture
def make(lanes):
    def make(limit_of=None, **given):
        plan = {"credentials": lambda: Credentials("admin", Secret("hush")), "home": HOME, **given}
        vms = VmPlan(r"C:\t.vhdx", "C:\\vms\\", "tzar")
        return HyperVDriver("hv01", FLEET, lanes, vms, GuestPlan(**plan), limit_of)

    return make


@pytest.fixture
def identity():
    keys = {"server_key": "s" * 40, "public_key": "p" * 40, "secret_key": "x" * 40}
    return Identity(FLEET, "tzar-01", 3, "tcp://10.0.0.1:9", **keys, entropy="00" * 32, time=1.0, orphan_s=None)


def test_a_start_boots_waits_and_delivers_and_enters_no_guest_whose_network_gives_addresses(lanes, make, identity):
    make(credentials=no_account).start("tzar-01", identity)
    assert lanes.functions() == ["Start-TzarWorkerVM", "Get-TzarWorkerVM", "Copy-TzarIdentity"]
    assert lanes.given("Start-TzarWorkerVM") == [{"Fleet": FLEET, "Name": "tzar-01", "Incarnation": 3}]
    [delivered] = lanes.given("Copy-TzarIdentity")
    assert delivered["Target"] == DOCUMENT


def test_a_start_that_gives_an_address_looks_whether_the_identity_was_taken(lanes, make, identity):
    make(addresses=ADDRESSES).start("tzar-01", identity)
    assert lanes.functions() == ["Start-TzarWorkerVM", "Get-TzarWorkerVM", "Copy-TzarIdentity", "Set-TzarWorkerGuest"]
    [needs] = lanes.given("Set-TzarWorkerGuest")
    assert (needs["FromHostClock"], needs["TestPath"], needs["User"]) == (True, DOCUMENT, "admin")


def test_the_identity_names_the_machine_and_shows_in_no_text(lanes, make, identity):
    make().start("tzar-01", identity)
    [delivered] = lanes.given("Copy-TzarIdentity")
    document = Identity.from_json(delivered["Document"].text)
    assert (document.machine_id, document.secret_key) == (ID, identity.secret_key)
    assert identity.secret_key not in repr(lanes.calls)
    assert "hush" not in repr(lanes.calls)


def test_a_guest_gets_its_address_with_the_first_call_into_it_and_not_with_the_others(lanes, make, identity):
    lanes.answer("Set-TzarWorkerGuest", [{"PathExists": True}], [{"PathExists": True}], [{"PathExists": False}])
    make(addresses=ADDRESSES).start("tzar-01", identity)
    first, *others = lanes.given("Set-TzarWorkerGuest")
    assert (first["Address"], first["PrefixLength"], first["Gateway"]) == ("10.0.0.5", 24, None)
    assert [sorted(other) for other in others] == [["Fleet", "Name", "Password", "TestPath", "User"]] * 2


def test_a_guest_that_takes_no_files_or_no_session_yet_is_asked_again(lanes, make, identity):
    lanes.answer("Copy-TzarIdentity", error("TzarNoHeartbeat"), [])
    lanes.answer("Set-TzarWorkerGuest", error("TzarNoGuestSession"), [{"PathExists": False}])
    make(addresses=ADDRESSES).start("tzar-01", identity)
    assert [len(lanes.given(name)) for name in ("Copy-TzarIdentity", "Set-TzarWorkerGuest")] == [2, 2]


def test_a_password_that_is_refused_is_shown_nine_times_in_five_minutes(lanes, identity):
    now = [0.0]
    lanes.answer("Set-TzarWorkerGuest", error("TzarNoGuestSession"))
    plan = GuestPlan(lambda: Credentials("admin", Secret("hush")))
    wait = lambda seconds: now.__setitem__(0, now[0] + seconds)  # noqa: E731 - a clock that moves by the waits alone
    guests = Guests("hv01", FLEET, lanes, plan, clock=lambda: now[0], pause=wait)
    with pytest.raises(DriverError, match="it said so"):
        guests.bring_up("tzar-01", ID, identity, deadline=300.0, is_restored=True)
    assert len(lanes.given("Set-TzarWorkerGuest")) == 9
    assert now[0] <= 300.0


def test_a_verb_has_ended_when_whoever_asked_for_it_gives_it_up(lanes, make, identity):
    limits = CallLimits(call_timeout_s=30.0, boot_timeout_s=100.0)
    driver = make(limits.limit_s, checkpoint="parked", boot_timeout_s=100.0)
    lanes.answer("New-TzarWorkerVM", [{"Id": ID}])
    lanes.answer("Get-TzarWorkerVM", [row()])
    driver.create("tzar-01")
    driver.start("tzar-01", identity)
    driver.restore("tzar-01", "parked", identity)
    driver.stop("tzar-01", 10.0)
    driver.remove("tzar-01")
    driver.status()
    for function, verb in {
        "New-TzarWorkerVM": "create",
        "Start-TzarWorkerVM": "kill",
        "Checkpoint-TzarWorkerVM": "start",
        "Restore-TzarWorkerVM": "restore",
        "Stop-TzarWorkerVM": "stop",
        "Remove-TzarWorkerVM": "remove",
        "Get-TzarWorkerVM": "status",
    }.items():
        assert lanes.timeouts_s[function] <= limits.limit_s(verb) - 5.0, function
        assert lanes.timeouts_s[function] > limits.limit_s(verb) / 2, function


def test_a_boot_that_takes_all_its_time_leaves_some_for_turning_it_off(lanes, make, identity):
    limits = CallLimits(call_timeout_s=30.0, boot_timeout_s=0.1)
    lanes.answer("Get-TzarWorkerVM", [row(heartbeat="")])
    with pytest.raises(DriverError, match="does not answer"):
        make(limits.limit_s, boot_timeout_s=0.1).start("tzar-01", identity)
    assert 15.0 < lanes.timeouts_s["Stop-TzarWorkerVM"] < 25.0


@pytest.mark.parametrize(
    ("function", "failure", "what"),
    [
        ("Copy-TzarIdentity", error("TzarForeignFolder"), "it said so"),
        ("Set-TzarWorkerGuest", error(unreachable=True), "it said so"),
        ("Get-TzarWorkerVM", [row(state="Off")], "went Off while it booted"),
        ("Set-TzarWorkerGuest", [{"PathExists": True}], "its agent did not take its identity"),
    ],
)
def test_a_vm_whose_boot_fails_is_turned_off_again(lanes, make, identity, function, failure, what):
    lanes.answer(function, failure)
    with pytest.raises(DriverError, match=what):
        make(boot_timeout_s=0.3, addresses=ADDRESSES).start("tzar-01", identity)
    assert lanes.functions()[-1] == "Stop-TzarWorkerVM"
    assert lanes.given("Stop-TzarWorkerVM")[-1]["TurnOff"] is True


def test_what_failed_first_is_told_when_turning_off_fails_too(lanes, make, identity):
    lanes.answer("Copy-TzarIdentity", error("TzarForeignFolder"))
    lanes.answer("Stop-TzarWorkerVM", HyperVError("second", host="hv01", vm="tzar-01", cmdlet="Stop-VM"))
    with pytest.raises(DriverError, match="it said so"):
        make().start("tzar-01", identity)


def test_the_checkpoint_is_made_at_the_first_boot_before_the_identity_comes(lanes, make, identity):
    make(checkpoint="parked").start("tzar-01", identity)
    names = lanes.functions()
    assert names.index("Checkpoint-TzarWorkerVM") < names.index("Copy-TzarIdentity")
    lanes.calls.clear()
    lanes.answer("Get-TzarWorkerVM", [row(checkpoints=("parked",))])
    make(checkpoint="parked").start("tzar-01", identity)
    assert "Checkpoint-TzarWorkerVM" not in lanes.functions()


def test_a_restore_brings_up_the_guest_and_sets_its_clock(lanes, make, identity):
    make().restore("tzar-01", "parked", identity)
    assert lanes.functions() == ["Restore-TzarWorkerVM", "Get-TzarWorkerVM", "Copy-TzarIdentity", "Set-TzarWorkerGuest"]
    [restored] = lanes.given("Restore-TzarWorkerVM")
    assert (restored["CheckpointName"], restored["Incarnation"]) == ("parked", 3)
    [needs] = lanes.given("Set-TzarWorkerGuest")
    assert needs["FromHostClock"] is True, "it has the time of the day of its checkpoint"
    assert "Address" not in needs


def test_a_restore_of_a_missing_checkpoint_turns_nothing_off(lanes, make, identity):
    lanes.answer("Restore-TzarWorkerVM", error("TzarNoCheckpoint"))
    with pytest.raises(DriverError, match="it has no checkpoint gone"):
        make().restore("tzar-01", "gone", identity)
    assert lanes.functions() == ["Restore-TzarWorkerVM"]


def test_a_stop_waits_as_long_as_it_was_told_and_a_kill_turns_off(lanes, make):
    driver = make()
    driver.stop("tzar-01", timeout_s=12.0)
    driver.kill("tzar-01")
    asked, turned_off = lanes.given("Stop-TzarWorkerVM")
    assert (asked["TimeoutSeconds"], "TurnOff" in asked) == (12.0, False)
    assert turned_off["TurnOff"] is True


@pytest.mark.parametrize(
    ("screen", "asked"),
    [((1280, 720), (1280, 720)), ((7680, 4320), (4096, 2304)), ((640, 4320), (607, 4096))],
)
def test_a_large_screen_is_asked_for_in_a_size_that_there_is(screen, asked):
    assert shown_size(*screen) == asked


@pytest.mark.parametrize(
    ("limit_s", "asked_s", "given_s"),
    [
        (None, 60.0, 60.0),
        (None, 7200.0, 3600.0),  # what Stop-TzarWorkerVM takes at most
        (120.0, 60.0, 60.0),  # as a supervisor has it: call_timeout_s and stop_timeout_s
        (60.0, 60.0, 27.5),  # there must be time left to see it off
    ],
)
def test_a_guest_has_all_the_time_to_shut_down_that_there_is(lanes, make, limit_s, asked_s, given_s):
    make(limit_of=None if limit_s is None else lambda verb: limit_s).stop("tzar-01", asked_s)
    [asked] = lanes.given("Stop-TzarWorkerVM")
    assert asked["TimeoutSeconds"] == given_s
    assert limit_s is None or lanes.timeouts_s["Stop-TzarWorkerVM"] <= limit_s


def test_what_a_verb_does_in_two_calls_ends_within_its_limit(lanes, make, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("hyperv.driver.time.monotonic", lambda: now[0])
    screen = {"Width": 1, "Height": 1, "Rgb565": base64.b64encode(b"00").decode()}
    lanes.answer("Get-TzarWorkerScreenshot", [screen])
    lanes.answer("Get-TzarWorkerVM", [row()])
    for limit_s in (30.0, 7.5):
        lanes.timeouts_s.clear()
        driver = make(limit_of=lambda verb, limit_s=limit_s: limit_s)
        driver.logs("tzar-01", 1000)
        driver.screenshot("tzar-01")
        driver.status()
        taken_s = lanes.timeouts_s
        assert 1.0 <= taken_s["Get-TzarWorkerLog"] + taken_s["Get-TzarWorkerScreenshot"] < limit_s
        assert 1.0 <= taken_s["Clear-TzarUpload"] <= taken_s["Get-TzarWorkerVM"] < limit_s


def test_a_pushed_file_goes_to_the_host_in_pieces_and_from_there_into_the_guest(lanes, make, tmp_path):
    content = bytes(range(256)) * 1200
    (tmp_path / "file").write_bytes(content)
    make().push("tzar-01", tmp_path / "file", "games/1.map")
    pieces = lanes.given("Write-TzarHostFile")
    assert b"".join(base64.b64decode(piece["Base64"]) for piece in pieces) == content
    assert [piece["Offset"] for piece in pieces] == [0, 144_000, 288_000]
    assert all(len(json.dumps(piece)) < 200_000 for piece in pieces)
    [sent] = lanes.given("Send-TzarWorkerFile")
    assert PureWindowsPath(sent["Source"]).parent == PureWindowsPath(rf"C:\vms\{FLEET}\_upload")
    assert (sent["Target"], sent["Sha256"]) == (HOME + r"\games\1.map", hashlib.sha256(content).hexdigest())
    assert [removed["Path"] for removed in lanes.given("Remove-TzarHostFile")] == [sent["Source"]]


@pytest.mark.parametrize("size", [0, 144_000])
def test_an_empty_file_and_one_of_just_a_piece_arrive(lanes, make, tmp_path, size):
    (tmp_path / "file").write_bytes(b"x" * size)
    make().push("tzar-01", tmp_path / "file", "file")
    assert sum(len(base64.b64decode(piece["Base64"])) for piece in lanes.given("Write-TzarHostFile")) == size
    assert len(lanes.given("Send-TzarWorkerFile")) == 1


def test_what_lies_on_the_host_is_removed_also_when_the_guest_refuses_it(lanes, make, tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    lanes.answer("Send-TzarWorkerFile", error("TzarHashDiffers"))
    lanes.answer("Remove-TzarHostFile", error(unreachable=True))
    with pytest.raises(DriverError, match="it said so") as raised:
        make().push("tzar-01", tmp_path / "file", "file")
    assert raised.value.code == "TzarHashDiffers"
    assert len(lanes.given("Remove-TzarHostFile")) == 1


def test_what_pushes_that_were_killed_left_is_removed_with_the_first_status_and_once_an_hour(lanes, make, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("hyperv.driver.time.monotonic", lambda: now[0])
    lanes.answer("Get-TzarWorkerVM", [row()])
    driver = make()
    for now[0] in (1000.0, 1005.0, 4599.0, 4601.0, 4602.0):
        assert driver.status().keys() == {"tzar-01"}
    assert lanes.functions().count("Clear-TzarUpload") == 2
    [given, _] = lanes.given("Clear-TzarUpload")
    assert given == {"Fleet": FLEET, "Folder": "C:\\vms\\", "OlderThanSeconds": 600.0}


def test_a_status_is_one_also_when_what_is_left_cannot_be_removed(lanes, make):
    lanes.answer("Get-TzarWorkerVM", [row()])
    lanes.answer("Clear-TzarUpload", error())
    assert make().status().keys() == {"tzar-01"}


def test_an_execution_runs_in_the_agents_home_and_has_its_outputs_as_bytes(lanes, make):
    outputs = {name: base64.b64encode(text).decode() for name, text in (("Stdout", b"\xff out"), ("Stderr", b""))}
    lanes.answer("Invoke-TzarWorkerCommand", [{"ExitCode": 3, "TimedOut": False, **outputs}])
    execution = make().execute("tzar-01", ("game.exe", "a b"), timeout_s=5)
    assert (execution.exit_code, execution.stdout, execution.stderr) == (3, b"\xff out", b"")
    [given] = lanes.given("Invoke-TzarWorkerCommand")
    assert (given["Argv"], given["WorkingDirectory"], given["TimeoutSeconds"]) == (["game.exe", "a b"], HOME, 5)


def test_the_log_of_the_agent_is_read_in_its_guest(lanes, make):
    lanes.answer("Get-TzarWorkerLog", [{"Path": "", "Base64": base64.b64encode(b"\xff the end").decode()}], [])
    assert make().logs("tzar-01", 64) == {"agent.log": b"\xff the end"}
    [given] = lanes.given("Get-TzarWorkerLog")
    assert (given["Path"], given["LimitBytes"], given["User"]) == (HOME + r"\agent.log", 64, "admin")
    assert make().logs("tzar-01", 64) == {}, "there is none"


def test_a_vm_that_is_not_there_has_no_logs(lanes, make):
    lanes.answer("Get-TzarWorkerLog", error("TzarNoSuchVM"))
    assert make().logs("tzar-01", 64) == {}


@pytest.mark.parametrize(
    ("code", "says"),
    [("TzarNotRunning", "one cannot read the logs of a VM that is off"), ("TzarNoHeartbeat", "it said so")],
)
def test_evidence_of_a_vm_whose_guest_is_dead_says_that_it_lacks_its_log_and_why(lanes, make, tmp_path, code, says):
    lanes.answer("Get-TzarWorkerLog", error(code))
    lanes.answer("Get-TzarWorkerScreenshot", error())
    store = EvidenceStore(tmp_path / "evidence", tmp_path / "events.jsonl")
    files, lacks = store.fill(store.place("tzar-01", 1, 0.0), "tzar-01", {"reason.txt": "why"}, make())
    assert files == 1
    assert f"logs: VM tzar-01 on hv01: Some-Cmdlet: {says}" in lacks


def test_guests_whose_account_is_not_to_be_found_are_an_error_with_the_vm(lanes, make, identity):
    def gone():
        raise ConfigError("there are no credentials of guest. Set them")

    with pytest.raises(DriverError, match="VM tzar-01 on hv01: there are no credentials of guest"):
        make(credentials=gone, addresses=ADDRESSES).start("tzar-01", identity)
    assert lanes.functions()[-1] == "Stop-TzarWorkerVM"


def test_a_vm_without_a_number_gets_no_address_and_the_error_says_what_to_do(lanes, make):
    guests = Addresses(ipaddress.IPv4Address("10.0.0.5"), ipaddress.IPv4Address("10.0.0.9"), 24)
    keys = {"server_key": "s" * 40, "public_key": "p" * 40, "secret_key": "x" * 40}
    theirs = Identity(FLEET, "other", 3, "tcp://10.0.0.1:9", **keys, entropy="00", time=time.time(), orphan_s=None)
    lanes.answer("Get-TzarWorkerVM", [{**row(), "Name": "other"}])
    with pytest.raises(DriverError, match='guest_addresses = "dhcp"'):
        make(addresses=guests).start("other", theirs)


def test_closing_the_driver_closes_its_lanes(lanes, make):
    make().close()
    assert lanes.is_closed
