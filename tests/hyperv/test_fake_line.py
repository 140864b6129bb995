"""The line to the fake host: what breaks between a lane and the host, and what the lane makes of it."""

import secrets
import sys
import threading

import pytest
from lab import wait_until

from hyperv.channel import ChannelError
from hyperv.credentials import Credentials
from hyperv.driver import HyperVDriver
from hyperv.errors import HyperVError
from hyperv.fake import FakeHost
from hyperv.lane import Lane
from hyperv.lane_rules import Trouble
from hyperv.lanes import Lanes
from hyperv.messages import Line, Request, Secret, definition, read_reply
from hyperv.plans import GuestPlan, VmPlan
from hyperv.program import Program, shipped_functions
from tzar_agent.tree import marked

FLEET = secrets.token_hex(16)
TEMPLATE = "C:\\tzar\\template.vhdx"
PATIENCE_S = 30.0
PROGRAM = Program(shipped_functions())


@pytest.fixture
def host(tmp_path, closing):
    host = closing(FakeHost(tmp_path / "host"))
    host.add_template(TEMPLATE)
    host.add_switch("tzar")
    return host


@pytest.fixture
def lane(host, closing):
    return closing(Lane("hv01", host.open, PROGRAM))


def call(lane, function, timeout_s=PATIENCE_S, **given):
    return lane.call(function, {"Fleet": FLEET, **given}, timeout_s)


def make(lane, *names):
    return call(
        lane,
        "New-TzarWorkerVM",
        Name=list(names),
        Template=TEMPLATE,
        Folder="D:\\tzar",
        SwitchName="tzar",
        NoStart=True,
    )


def in_background(function, *arguments, **named):
    """Calls it on a thread of its own; what is returned waits for its outcome: what it returned, or its error."""
    outcome = []

    def run():
        try:
            outcome.append(function(*arguments, **named))
        except HyperVError as error:
            outcome.append(error)

    def wait():
        thread.join(PATIENCE_S)
        return outcome[0]

    thread = threading.Thread(target=run)
    thread.start()
    return wait


def test_a_call_whose_answer_is_lost_is_asked_again_and_done_once(host, lane):
    make(lane, "vm-1")
    host.lose_next_answer("Checkpoint-TzarWorkerVM")
    [made] = call(lane, "Checkpoint-TzarWorkerVM", Name="vm-1", CheckpointName="clean")
    assert [(one.id, one.name) for one in host.vm("vm-1").checkpoints] == [(made["Id"], "clean")]


def test_a_hung_call_ends_at_its_deadline_and_the_next_one_has_another_powershell(host, lane):
    make(lane, "vm-1")
    host.hang_next("Start-TzarWorkerVM")
    with pytest.raises(HyperVError, match=r"VM vm-1 on hv01: Start-TzarWorkerVM: it did not end within 0\.3 s"):
        call(lane, "Start-TzarWorkerVM", timeout_s=0.3, Name="vm-1")
    assert host.vm("vm-1").state == "Off"
    assert call(lane, "Start-TzarWorkerVM", Name="vm-1")[0]["State"] == "Running"


def test_a_hung_call_blinds_nobody(host, closing):
    lanes = closing(Lanes("hv01", host.open, PROGRAM, count=1))
    host.hang_next("Get-TzarRemains")
    waiting = in_background(lanes.call, "Get-TzarRemains", {"Fleet": FLEET, "Folder": "D:\\tzar"}, PATIENCE_S)
    wait_until(lambda: not host.faults.hangs["Get-TzarRemains"], "the call hangs")
    assert lanes.status("Get-TzarWorkerVM", {"Fleet": FLEET}, PATIENCE_S) == []
    lanes.close()
    assert isinstance(waiting(), HyperVError)


@pytest.mark.parametrize(
    ("trouble", "busy", "unreachable"),
    [(Trouble.BUSY, True, False), (Trouble.DENIED, False, True), (Trouble.UNTRUSTED, False, True)],
)
def test_a_powershell_that_is_refused_says_whether_it_is_load(host, lane, trouble, busy, unreachable):
    host.refuse_next(trouble)
    with pytest.raises(HyperVError) as raised:
        call(lane, "Get-TzarWorkerVM")
    assert (raised.value.busy, raised.value.unreachable) == (busy, unreachable)


def test_after_a_quota_was_used_up_the_next_call_gets_its_powershell(host, lane):
    host.refuse_next(Trouble.BUSY)
    with pytest.raises(HyperVError):
        call(lane, "Get-TzarWorkerVM")
    assert call(lane, "Get-TzarWorkerVM") == []


def test_a_cut_connection_and_a_restart_of_winrm_are_got_over(host, lane):
    make(lane, "vm-1")
    host.cut_connections()
    assert len(call(lane, "Get-TzarWorkerVM")) == 1
    host.restart_winrm()
    assert call(lane, "Start-TzarWorkerVM", Name="vm-1")[0]["State"] == "Running"


def test_a_call_that_was_on_its_way_when_winrm_restarted_is_lost_unless_it_only_looked(host, lane):
    outcomes = []
    for function, given in (("Start-TzarWorkerVM", {"Name": "vm-1"}), ("Get-TzarRemains", {"Folder": "D:\\tzar"})):
        host.hang_next(function)
        waiting = in_background(call, lane, function, **given)
        wait_until(lambda function=function: not host.faults.hangs[function], "the call is on its way")
        host.restart_winrm()
        outcomes.append(waiting())
    lost, looked = outcomes
    assert isinstance(lost, HyperVError)
    assert lost.unreachable
    assert looked == []


def test_a_host_that_loses_its_power_is_unreachable_and_comes_back_with_its_vms_off(host, lane):
    make(lane, "vm-1", "vm-2")
    call(lane, "Start-TzarWorkerVM", Name="vm-1", Incarnation=3)
    host.lose_power()
    with pytest.raises(HyperVError) as raised:
        call(lane, "Get-TzarWorkerVM", timeout_s=1.0)
    assert raised.value.unreachable
    host.come_up()
    rows = call(lane, "Get-TzarWorkerVM")
    assert [(row["Name"], row["State"], row["Incarnation"]) for row in rows] == [("vm-1", "Off", 3), ("vm-2", "Off", 0)]
    assert call(lane, "Start-TzarWorkerVM", Name="vm-1", Incarnation=4)[0]["State"] == "Running"


def test_what_runs_in_a_guest_ends_with_the_power_of_its_host(host, lane):
    make(lane, "vm-1")
    call(lane, "Start-TzarWorkerVM", Name="vm-1")
    argv = [sys.executable, "-c", "import threading; threading.Event().wait(600)"]
    account = {"User": "Administrator", "Password": "Password1!"}
    waiting = in_background(call, lane, "Invoke-TzarWorkerCommand", Name="vm-1", Argv=argv, **account)
    wait_until(lambda: marked(FLEET, "vm-1"), "the command runs")
    host.lose_power()
    outcome = waiting()
    assert isinstance(outcome, HyperVError)
    assert outcome.unreachable
    assert marked(FLEET) == []


def test_a_host_that_is_down_takes_no_new_connection(host):
    host.faults.is_down = True
    with pytest.raises(ChannelError) as raised:
        host.open(PROGRAM, 1.0)
    assert raised.value.trouble is Trouble.NO_ROUTE


@pytest.fixture
def talk(host, closing):
    """Sends lines to a shell and returns the replies, without a lane."""
    channel = host.open(PROGRAM, PATIENCE_S)

    def talk(line):
        channel.send(Line(line), PATIENCE_S)
        return read_reply(channel.receive(PATIENCE_S))

    channel.send(PROGRAM.first_line, PATIENCE_S)
    assert talk(definition("first", PROGRAM.sources)).error is None
    yield talk
    channel.close(PATIENCE_S)


def test_a_repeated_operation_is_answered_from_memory_for_a_while(host, talk):
    given = {"Fleet": FLEET, "Folder": "D:\\tzar", "Path": f"D:\\tzar\\{FLEET}\\_upload\\a", "Offset": 0}
    first = Request.make("op-1", "Write-TzarHostFile", {**given, "Base64": "YQ=="}).line
    assert talk(first) == talk(first)
    host.remove_file(given["Path"])
    for n in range(7):
        talk(Request.make(f"other-{n}", "Get-TzarWorkerVM", {"Fleet": FLEET}).line)
    assert talk(first).value == ({"Path": given["Path"], "Length": 1},)
    assert host.drive.find(given["Path"]) is None
    talk(Request.make("one-more", "Get-TzarWorkerVM", {"Fleet": FLEET}).line)
    talk(first)
    assert host.drive.find(given["Path"]) is not None


def test_a_damaged_request_is_told_and_the_next_one_is_answered(talk):
    for line in (b"not base64", b"bm90IEpTT04=", b"W10="):
        assert talk(line).error["code"] == "TzarGarbled"
    assert talk(Request.make("op", "Get-TzarWorkerVM", {"Fleet": FLEET}).line).error is None


def test_warnings_come_with_the_reply(host, lane, talk):
    make(lane, "vm-1")
    given = {"Fleet": FLEET, "Name": "vm-1", "CheckpointName": "clean", "SkipExisting": True}
    assert talk(Request.make("a", "Checkpoint-TzarWorkerVM", given).line).said == ()
    assert "no other was made" in talk(Request.make("b", "Checkpoint-TzarWorkerVM", given).line).said[0]


def test_what_begins_with_another_loop_than_ours_ends(host):
    channel = host.open(PROGRAM, PATIENCE_S)
    channel.send(Line(b"Z2FyYmFnZQ=="), PATIENCE_S)
    with pytest.raises(ChannelError) as raised:
        channel.receive(PATIENCE_S)
    assert raised.value.trouble is Trouble.GONE


def test_a_declaration_that_cannot_be_read_is_told_when_it_is_defined(host, closing):
    source = (
        "function Get-TzarWorkerVM {\n    [CmdletBinding()]\n    param(\n        [guid] $Id = (New-Guid)\n    )\n}\n"
    )
    lane = closing(Lane("hv01", host.open, Program((source,))))
    with pytest.raises(HyperVError, match=r"its functions cannot be defined: Get-TzarWorkerVM: .*New-Guid"):
        call(lane, "Get-TzarWorkerVM")


def test_the_driver_that_comes_after_a_push_that_was_killed_removes_what_that_left(host, closing):
    plan = VmPlan(TEMPLATE, "C:\\tzar\\vms", "tzar")
    account = Credentials("Administrator", Secret("Password1!"))

    def driver():
        lanes = Lanes("hv01", host.open, PROGRAM, count=1)
        return closing(HyperVDriver("hv01", FLEET, lanes, plan, GuestPlan(lambda: account)))

    killed = Lanes("hv01", host.open, PROGRAM, count=1)
    path = f"C:\\tzar\\vms\\{FLEET}\\_upload\\ab"
    given = {"Fleet": FLEET, "Folder": plan.folder, "Path": path, "Offset": 0, "Base64": "YWJj"}
    closing(killed).call("Write-TzarHostFile", given, PATIENCE_S)
    driver().status()
    assert host.drive.find(path), "it may be one that goes on"
    host.drive.find(path).written_at -= 3600
    driver().status()
    assert host.drive.find(path) is None
