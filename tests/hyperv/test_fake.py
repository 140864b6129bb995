"""The fake host, called through a real lane: what its functions do, and how strict it is."""

import base64
import hashlib
import secrets
import sys
import time
from dataclasses import replace

import pytest
from lab import wait_until

from hyperv.errors import HyperVError
from hyperv.fake import FakeHost
from hyperv.fake.machines import Facts
from hyperv.fake.records import IN_USE, cmdlet_error
from hyperv.lane import Lane
from hyperv.program import Program, shipped_functions
from tzar_actors.errors import DriverError
from tzar_agent.tree import marked

FLEET = secrets.token_hex(16)  # its processes are known by it: those of another run are not ours to end
TEMPLATE, FOLDER = "C:\\tzar\\template.vhdx", "D:\\tzar"
ACCOUNT = {"User": "administrator", "Password": "Password1!"}
PATIENCE_S = 30.0

# An agent that does nothing; `deaf` heeds no request to end.
AGENT = (
    "import signal, sys, threading\n"
    "end = threading.Event()\n"
    "request = signal.SIGTERM if sys.platform != 'win32' else signal.SIGBREAK\n"
    "signal.signal(request, signal.SIG_IGN if sys.argv[1] == 'deaf' else lambda *_: end.set())\n"
    "print('ready', flush=True)\n"
    "end.wait()\n"
)


@pytest.fixture
def make_host(tmp_path):
    """A host with a template, a switch and one VM of somebody else."""
    made = {}

    def make_host(name="host", **given):
        source = tmp_path / "template"
        source.mkdir(exist_ok=True)
        (source / "level.txt").write_bytes(b"of the template")
        host = FakeHost(tmp_path / name, **given)
        made[name] = host  # in place of one that was there before, and is let go
        host.add_template(TEMPLATE, source)
        host.add_switch("tzar")
        host.add_foreign("theirs")
        return host

    yield make_host
    for name, host in made.items():
        host.remove()
        assert not (tmp_path / name).exists()


@pytest.fixture
def host(make_host):
    return make_host()


@pytest.fixture
def make_call(closing):
    """Calls a function on a host, for the fleet."""

    def make_call(host):
        lane = closing(Lane("hv01", host.open, Program(shipped_functions())))

        def call(function, timeout_s=PATIENCE_S, **parameters):
            return lane.call(function, {"Fleet": FLEET, **parameters}, timeout_s)

        call.lane = lane
        return call

    return make_call


@pytest.fixture
def call(make_call, host):
    return make_call(host)


def new(call, *names, **given):
    wanted = {"Template": TEMPLATE, "Folder": FOLDER, "SwitchName": "tzar", "NoStart": True, **given}
    return call("New-TzarWorkerVM", Name=list(names), **wanted)


def status(call, name="vm-1"):
    [row] = call("Get-TzarWorkerVM", Name=name)
    return row


def refusal(code, call, function, **given):
    with pytest.raises(HyperVError) as raised:
        call(function, **given)
    assert raised.value.code == code
    return raised.value


class TestVms:
    def test_a_vm_that_was_made_is_listed_with_its_mark_and_made_again_it_is_the_same(self, call, host):
        [made] = new(call, "vm-1")
        assert new(call, "vm-1") == [made]
        row = status(call)
        assert (row["Id"], row["State"], row["Heartbeat"], row["Incarnation"]) == (made["Id"], "Off", "", 0)
        assert (row["ParentPath"], row["Checkpoints"]) == (TEMPLATE, [])
        assert row["DiskBytes"] > len(b"of the template")
        assert host.vm("vm-1").notes.startswith(f"tzar-actors fleet={FLEET} vm=vm-1 incarnation=0")
        assert host.files_of("vm-1").joinpath("level.txt").read_bytes() == b"of the template"

    def test_a_count_makes_numbered_vms_and_starts_them(self, call):
        made = call("New-TzarWorkerVM", Count=3, Template=TEMPLATE, Folder=FOLDER, SwitchName="tzar", MemoryMB=1024)
        assert [(vm["Name"], vm["State"], vm["Incarnation"]) for vm in made] == [
            (f"tzar-0{n}", "Running", 1) for n in (1, 2, 3)
        ]

    @pytest.mark.parametrize(
        "name", ['it\'s "here"', "$(Get-Date) `n", "[a-z]*?", "\u65e5\u672c \U0001f600", "Tzar_01", "con"]
    )
    def test_any_name_is_one_vm_with_a_place_of_its_own(self, call, name):
        new(call, name, "vm-1")
        assert call("Start-TzarWorkerVM", Name=name, Incarnation=4)[0]["Name"] == name
        assert (status(call, name)["Incarnation"], status(call)["State"]) == (4, "Off")
        refusal("TzarNoSuchVM", call, "Start-TzarWorkerVM", Name=name + "x")

    def test_lines_that_people_wrote_into_the_notes_are_kept(self, call, host):
        new(call, "vm-1")
        host.vm("vm-1").notes += "\r\nask Ann before you touch this"
        call("Start-TzarWorkerVM", Name="vm-1", Incarnation=7)
        assert host.vm("vm-1").notes.splitlines() == [
            f"tzar-actors fleet={FLEET} vm=vm-1 incarnation=7",
            f"tzar-actors parent={TEMPLATE}",
            "ask Ann before you touch this",
        ]

    def test_a_vm_that_runs_is_started_again_only_under_its_own_incarnation(self, call):
        new(call, "vm-1")
        call("Start-TzarWorkerVM", Name="vm-1", Incarnation=2)
        assert call("Start-TzarWorkerVM", Name="vm-1", Incarnation=2)[0]["State"] == "Running"
        refusal("TzarNotOff", call, "Start-TzarWorkerVM", Name="vm-1", Incarnation=3)
        assert status(call)["Incarnation"] == 2

    def test_a_checkpoint_brings_back_files_and_the_clock_of_its_day_but_no_incarnation(self, call, host):
        new(call, "vm-1")
        call("Start-TzarWorkerVM", Name="vm-1", Incarnation=1)
        assert call("Checkpoint-TzarWorkerVM", Name="vm-1", CheckpointName="clean")[0]["WithMemory"] is True
        host.files_of("vm-1").joinpath("level.txt").write_bytes(b"changed")
        host.vm("vm-1").checkpoints[0] = replace(host.vm("vm-1").checkpoints[0], created_at=time.time() - 3600)
        call("Restore-TzarWorkerVM", Name="vm-1", CheckpointName="clean", Incarnation=5)
        row = status(call)
        assert (row["State"], row["Incarnation"], [one["Name"] for one in row["Checkpoints"]]) == (
            "Running",
            5,
            ["clean"],
        )
        assert host.files_of("vm-1").joinpath("level.txt").read_bytes() == b"of the template"
        [guest] = call("Set-TzarWorkerGuest", Name="vm-1", Time=time.time(), **ACCOUNT)
        assert guest["ClockWasOffSeconds"] == pytest.approx(-3600, abs=30)
        [guest] = call("Set-TzarWorkerGuest", Name="vm-1", Time=time.time(), **ACCOUNT)
        assert abs(guest["ClockWasOffSeconds"]) < 30

    def test_a_checkpoint_that_is_not_there_is_an_error_and_the_vm_runs_on(self, call):
        new(call, "vm-1", NoStart=False)
        call("Checkpoint-TzarWorkerVM", Name="vm-1", CheckpointName="clean")
        error = refusal("TzarNoCheckpoint", call, "Restore-TzarWorkerVM", Name="vm-1", CheckpointName="gone")
        assert "'clean'" in str(error)
        assert (status(call)["State"], status(call)["Incarnation"]) == ("Running", 1)
        refusal("TzarCheckpointExists", call, "Checkpoint-TzarWorkerVM", Name="vm-1", CheckpointName="clean")

    def test_a_removed_vm_leaves_nothing_of_it_behind(self, call, host, tmp_path):
        before = sorted(tmp_path.rglob("*"))
        new(call, "vm-1", "it's")
        call("Checkpoint-TzarWorkerVM", Name="vm-1", CheckpointName="clean")
        call("Start-TzarWorkerVM", Name="it's")
        refusal("TzarNotOff", call, "Remove-TzarWorkerVM", Name="it's")
        call("Remove-TzarWorkerVM", Name="it's", Force=True)
        for _ in range(2):
            call("Remove-TzarWorkerVM", Name="vm-1", Folder=FOLDER)
        assert call("Get-TzarWorkerVM") == []
        assert sorted(tmp_path.rglob("*")) == before
        assert not host.drive.has_folder(f"{FOLDER}\\{FLEET}")

    def test_what_bears_no_mark_of_the_fleet_is_not_touched(self, call, host, make_call):
        new(call, "vm-1")
        for function, given in (
            ("New-TzarWorkerVM", {"Template": TEMPLATE, "Folder": FOLDER, "SwitchName": "tzar", "Count": None}),
            ("Start-TzarWorkerVM", {}),
            ("Stop-TzarWorkerVM", {"TurnOff": True}),
            ("Checkpoint-TzarWorkerVM", {"CheckpointName": "c"}),
            ("Restore-TzarWorkerVM", {"CheckpointName": "c"}),
            ("Copy-TzarIdentity", {"Document": "{}", "Target": "C:\\x"}),
            ("Remove-TzarWorkerVM", {"Force": True}),
        ):
            refusal("TzarForeignVM", call, function, Name="theirs", **given)
            refusal("TzarForeignVM", call, function, Name="vm-1", **{**given, "Fleet": "e" * 32})
        assert [row["Name"] for row in call("Get-TzarWorkerVM")] == ["vm-1"]
        assert call("Get-TzarWorkerVM", Fleet="e" * 32) == []

    def test_what_a_crash_left_half_made_is_found_and_made_anew_or_removed(self, call, host):
        host.add_half_made(FLEET, "vm-1", FOLDER)
        host.add_half_made(FLEET, "vm-2", FOLDER)
        assert [row["Name"] for row in call("Get-TzarRemains", Folder=FOLDER)] == ["vm-1", "vm-2"]
        new(call, "vm-1")
        call("Remove-TzarWorkerVM", Name="vm-2", Folder=FOLDER)
        assert call("Get-TzarRemains", Folder=FOLDER) == []
        assert sorted(vm.name for vm in host.vms.values()) == ["theirs", "vm-1"]

    def test_what_if_changes_nothing(self, call, host, tmp_path):
        new(call, "vm-1", "vm-2")
        call("Start-TzarWorkerVM", Name="vm-2")
        call("Checkpoint-TzarWorkerVM", Name="vm-2", CheckpointName="clean")
        before = [{**row, "UptimeSeconds": 0} for row in call("Get-TzarWorkerVM")], sorted(tmp_path.rglob("*"))
        new(call, "vm-3", WhatIf=True)
        for function, given in (
            ("Start-TzarWorkerVM", {"Name": "vm-1"}),
            ("Stop-TzarWorkerVM", {"Name": "vm-2", "TurnOff": True}),
            ("Restart-TzarWorkerVM", {"Name": "vm-2", "TurnOff": True}),
            ("Checkpoint-TzarWorkerVM", {"Name": "vm-2", "CheckpointName": "other"}),
            ("Restore-TzarWorkerVM", {"Name": "vm-2", "CheckpointName": "clean"}),
            ("Remove-TzarWorkerVM", {"Name": "vm-1", "Folder": FOLDER}),
        ):
            assert call(function, WhatIf=True, **given) == []
        assert (
            [{**row, "UptimeSeconds": 0} for row in call("Get-TzarWorkerVM")],
            sorted(tmp_path.rglob("*")),
        ) == before


class TestRefusals:
    def test_memory_that_does_not_fit_is_refused_with_the_arithmetic_before_anything_is_made(
        self, make_host, make_call
    ):
        call = make_call(make_host(facts=Facts(memory_mb=8192)))
        new(call, "vm-1", MemoryMB=2048)
        with pytest.raises(
            HyperVError, match=r"2 x 2048 MB = 4096 MB .* 8192 MB - 3072 MB .* 2048 MB of 1 fleet"
        ) as raised:
            new(call, "vm-1", "vm-2", "vm-3", MemoryMB=2048, ReserveMemoryMB=2048 + 1024)
        assert (raised.value.code, raised.value.busy) == ("TzarNotEnoughMemory", True)
        assert len(call("Get-TzarWorkerVM")) == 1

    def test_a_start_without_enough_memory_is_hyper_vs_own_error(self, make_host, make_call):
        host = make_host(facts=Facts(memory_mb=8192))
        call = make_call(host)
        new(call, "vm-1", MemoryMB=4096)
        host.add_foreign("greedy", memory_mb=4096, is_running=True)
        with pytest.raises(HyperVError, match="Start-VM: ") as raised:
            call("Start-TzarWorkerVM", Name="vm-1")
        assert (raised.value.hresult, raised.value.busy, raised.value.code) == (0x8007000E, True, "")
        assert status(call)["State"] == "Off"

    def test_a_full_disk_is_refused_with_the_arithmetic_or_is_hyper_vs_own_error(self, call, host, tmp_path):
        new(call, "vm-1")
        before = sorted(tmp_path.rglob("*"))
        host.faults.disk_full = True
        with pytest.raises(HyperVError, match=r"0 MB free - 10240 MB in reserve") as raised:
            new(call, "vm-2")
        assert (raised.value.code, raised.value.busy) == ("TzarNotEnoughDisk", True)
        with pytest.raises(HyperVError, match="Checkpoint-VM: ") as raised:
            call("Checkpoint-TzarWorkerVM", Name="vm-1", CheckpointName="clean")
        assert raised.value.hresult == 0x80070070
        assert sorted(tmp_path.rglob("*")) == before

    def test_a_template_that_is_missing_writable_or_changed_is_refused_at_clone_and_boot(self, call, host):
        new(call, "vm-1")
        host.set_read_only(TEMPLATE, False)
        for attempt in (lambda: new(call, "vm-2"), lambda: call("Start-TzarWorkerVM", Name="vm-1")):
            with pytest.raises(HyperVError, match="is writable"):
                attempt()
        host.set_read_only(TEMPLATE, True)
        host.change_template(TEMPLATE)
        refusal("TzarTemplateChanged", call, "Start-TzarWorkerVM", Name="vm-1")
        new(call, "vm-2")
        assert call("Start-TzarWorkerVM", Name="vm-2")[0]["State"] == "Running"
        host.remove_file(TEMPLATE)
        refusal("TzarTemplateMissing", call, "Restart-TzarWorkerVM", Name="vm-2", TurnOff=True)
        assert status(call, "vm-2")["State"] == "Running"

    @pytest.mark.parametrize(
        ("given", "code"),
        [
            ({"SwitchName": "other"}, "TzarNoSwitch"),
            ({"Template": "C:\\no.vhdx"}, "TzarTemplateMissing"),
            ({"Template": "C:\\tzar\\..\\template.vhdx"}, "TzarBadPath"),
            ({"Folder": "tzar"}, "TzarBadPath"),
            ({"Folder": "C:\\[tzar]"}, "TzarBadPath"),
            ({"MinimumMemoryMB": 512}, "TzarBadMemory"),
            ({"DynamicMemory": True, "MaximumMemoryMB": 2048}, "TzarBadMemory"),
        ],
    )
    def test_what_cannot_be_made_is_refused(self, call, given, code):
        with pytest.raises(HyperVError) as raised:
            new(call, "vm-1", **given)
        assert raised.value.code == code
        assert call("Get-TzarWorkerVM") == []

    def test_an_error_of_a_cmdlet_that_is_asked_for_comes_once(self, call, host):
        new(call, "vm-1")
        host.fail_next(
            "Start-TzarWorkerVM", cmdlet_error("Start-VM", "OperationFailed", "The file is used", hresult=IN_USE)
        )
        with pytest.raises(HyperVError, match="VM vm-1 on hv01: Start-VM: The file is used") as raised:
            call("Start-TzarWorkerVM", Name="vm-1")
        assert "backup" in raised.value.cure
        assert call("Start-TzarWorkerVM", Name="vm-1")[0]["State"] == "Running"

    def test_a_host_whose_hyper_v_cannot_be_asked_raises_and_shows_no_vm_as_absent(self, call, host):
        new(call, "vm-1")
        for fault in ("service_stopped", "access_denied"):
            setattr(host.faults, fault, True)
            with pytest.raises(HyperVError) as raised:
                call("Get-TzarWorkerVM")
            assert raised.value.unreachable
            setattr(host.faults, fault, False)
        assert status(call)["State"] == "Off"


class TestBinding:
    @pytest.mark.parametrize(
        ("function", "given", "error_id"),
        [
            ("Get-TzarWorkerVM", {"Nope": 1}, "NamedParameterNotFound"),
            ("Start-TzarWorkerVM", {}, "MissingMandatoryParameter"),
            ("Get-TzarWorkerVM", {"Fleet": None}, "MissingMandatoryParameter"),
            ("Get-TzarWorkerVM", {"Fleet": "short"}, "ParameterArgumentValidationError"),
            ("Start-TzarWorkerVM", {"Name": ["a", "b"]}, "ParameterArgumentTransformationError"),
            ("Start-TzarWorkerVM", {"Name": 5}, "ParameterArgumentTransformationError"),
            ("Start-TzarWorkerVM", {"Name": ""}, "ParameterArgumentValidationErrorEmptyStringNotAllowed"),
            ("Start-TzarWorkerVM", {"Name": "a", "Incarnation": "2"}, "ParameterArgumentTransformationError"),
            ("Start-TzarWorkerVM", {"Name": "a", "Incarnation": -1}, "ParameterArgumentValidationError"),
            ("Start-TzarWorkerVM", {"Name": "a", "Incarnation": 2**40}, "ParameterArgumentTransformationError"),
            ("Stop-TzarWorkerVM", {"Name": "a", "TurnOff": "yes"}, "ParameterArgumentTransformationError"),
            ("Stop-TzarWorkerVM", {"Name": "a", "TimeoutSeconds": 4000}, "ParameterArgumentValidationError"),
            ("Invoke-TzarWorkerCommand", {"Name": "a", **ACCOUNT, "Argv": []}, "ParameterArgumentValidationError"),
            ("Get-TzarWorkerVM", {"WhatIf": True}, "NamedParameterNotFound"),
        ],
    )
    def test_what_powershell_would_not_bind_is_its_error(self, call, function, given, error_id):
        with pytest.raises(HyperVError) as raised:
            call(function, **given)
        assert raised.value.error_id == f"{error_id},{function}"

    def test_parameters_of_two_sets_are_not_given_together(self, call):
        with pytest.raises(HyperVError) as raised:
            new(call, "vm-1", Count=2)
        assert raised.value.error_id == "AmbiguousParameterSet,New-TzarWorkerVM"

    def test_names_of_parameters_have_no_case_and_null_is_not_given(self, call):
        new(call, "vm-1")
        assert call("Get-TzarWorkerVM", NAME="vm-1")[0]["Name"] == "vm-1"
        assert len(call("Get-TzarWorkerVM", Name=None)) == 1

    def test_only_functions_that_were_sent_are_called(self, call):
        for name in ("Get-Date", "Find-TzarVM", "Get-VM; Get-Date"):
            refusal("TzarUnknownFunction", call, name)


class TestGuests:
    def test_an_identity_arrives_once_the_guest_answers(self, call, host):
        host.faults.never_heartbeat.add("vm-1")
        new(call, "vm-1")
        where = {"Name": "vm-1", "Document": '{"vm": 1}', "Target": "C:\\ProgramData\\tzar\\identity.json"}
        refusal("TzarNotRunning", call, "Copy-TzarIdentity", **where)
        call("Start-TzarWorkerVM", Name="vm-1")
        assert status(call)["Heartbeat"] == "NoContact"
        refusal("TzarNoHeartbeat", call, "Copy-TzarIdentity", **where)
        refusal("TzarNoHeartbeat", call, "Stop-TzarWorkerVM", Name="vm-1")
        refusal("TzarNoGuestSession", call, "Set-TzarWorkerGuest", Name="vm-1", **ACCOUNT)
        host.faults.never_heartbeat.clear()
        assert status(call)["Heartbeat"] == "OkApplicationsHealthy"
        call("Copy-TzarIdentity", **where)
        assert host.files_of("vm-1").joinpath("ProgramData/tzar/identity.json").read_text() == '{"vm": 1}'
        [guest] = call("Set-TzarWorkerGuest", Name="vm-1", TestPath="c:\\programdata\\TZAR\\identity.json", **ACCOUNT)
        assert guest == {"Address": "", "ClockWasOffSeconds": None, "PathExists": True}

    def test_a_guest_is_given_its_address_and_lets_only_its_account_in(self, call, host):
        new(call, "vm-1", NoStart=False)
        given = {"Name": "vm-1", "Address": "192.168.77.11", "PrefixLength": 24, "Gateway": "192.168.77.1"}
        call("Set-TzarWorkerGuest", **given, **ACCOUNT)
        assert host.vm("vm-1").address == ("192.168.77.11", 24, "192.168.77.1")
        error = refusal(
            "TzarNoGuestSession", call, "Set-TzarWorkerGuest", **given, User="Administrator", Password="wrong-1"
        )
        assert "wrong-1" not in str(error)

    def test_a_pushed_file_arrives_whole_or_not_at_all(self, call, host):
        new(call, "vm-1", NoStart=False)
        content = bytes(range(256)) * 1000
        path = f"{FOLDER}\\{FLEET}\\_upload\\push-1"
        upload = {"Folder": FOLDER, "Path": path}
        for offset in range(0, len(content), 100_000):
            piece = content[offset : offset + 100_000]
            for _ in range(2):
                call("Write-TzarHostFile", Offset=offset, Base64=base64.b64encode(piece).decode(), **upload)
        refusal("TzarBadOffset", call, "Write-TzarHostFile", Offset=len(content) + 1, Base64="", **upload)
        refusal("TzarBadPath", call, "Write-TzarHostFile", Folder=FOLDER, Path=f"{FOLDER}\\x", Offset=0, Base64="")
        sent = {"Name": "vm-1", "Source": path, "Target": "C:\\games\\1.bin", **ACCOUNT}
        digest = hashlib.sha256(content).hexdigest()
        assert call("Send-TzarWorkerFile", Sha256=digest.upper(), **sent)[0]["Length"] == len(content)
        host.faults.damages_pushes = True
        refusal("TzarHashDiffers", call, "Send-TzarWorkerFile", Sha256=digest, **sent)
        assert host.files_of("vm-1").joinpath("games/1.bin").read_bytes() == content
        call("Remove-TzarHostFile", **upload)
        refusal("TzarNoFile", call, "Send-TzarWorkerFile", Sha256=digest, **sent)

    def test_a_command_runs_in_the_guest_with_its_paths(self, call, host):
        new(call, "vm-1", NoStart=False)
        program = (
            "import sys, pathlib; print(pathlib.Path(sys.argv[1]).read_text()); sys.stderr.write('e'); sys.exit(3)"
        )
        argv = ["C:\\Python\\python.exe", "-c", program, "C:\\level.txt"]
        [done] = call("Invoke-TzarWorkerCommand", Name="vm-1", Argv=argv, **ACCOUNT)
        assert (done["ExitCode"], done["TimedOut"]) == (3, False)
        assert base64.b64decode(done["Stdout"]).split(b"\n")[0].strip() == b"of the template"
        assert base64.b64decode(done["Stderr"]) == b"e"
        error = refusal("TzarNoProgram", call, "Invoke-TzarWorkerCommand", Name="vm-1", Argv=["no-such.exe"], **ACCOUNT)
        assert "no-such.exe" in str(error)

    def test_a_command_over_its_time_is_ended_while_other_lanes_work(self, call, make_call, host):
        new(call, "vm-1", NoStart=False)
        argv = [sys.executable, "-c", "import threading; threading.Event().wait(600)"]
        [done] = call("Invoke-TzarWorkerCommand", Name="vm-1", Argv=argv, TimeoutSeconds=0.3, **ACCOUNT)
        assert done["TimedOut"] is True
        assert marked(FLEET) == []

    def test_a_screen_is_two_bytes_a_pixel(self, call):
        new(call, "vm-1")
        refusal("TzarNotRunning", call, "Get-TzarWorkerScreenshot", Name="vm-1")
        call("Start-TzarWorkerVM", Name="vm-1")
        [screen] = call("Get-TzarWorkerScreenshot", Name="vm-1", Width=64, Height=48)
        pixels = base64.b64decode(screen["Rgb565"])
        assert len(pixels) == 2 * 64 * 48
        assert (pixels[:2], pixels[-2:]) == (b"\x00\x00", (0b11111_000000_11111).to_bytes(2, "little"))


@pytest.fixture
def agents(make_host, make_call):
    """A host whose guests run an agent in this mode, and how it is called."""

    def agents(mode="work", **given):
        argv = (sys.executable, "-c", AGENT, mode)
        host = make_host(agent_argv=argv, agent_home="C:\\ProgramData\\tzar", **given)
        return host, make_call(host)

    return agents


def is_ready(host, name):
    """Whether the agent has said so: before, it heeds no request."""
    console = host.files_of(name).parents[1] / "guests" / f"{host.vm(name).id}.log"
    return console.exists() and b"ready" in console.read_bytes()


class TestAgents:
    def test_a_vm_runs_while_its_agent_does_and_a_stop_asks_it(self, agents):
        host, call = agents()
        new(call, "vm-1", NoStart=False)
        wait_until(lambda: is_ready(host, "vm-1"), "the agent is ready")
        assert len(marked(FLEET, "vm-1")) == 1
        assert call("Stop-TzarWorkerVM", Name="vm-1")[0]["State"] == "Off"
        assert marked(FLEET) == []

    def test_an_agent_that_heeds_nothing_still_runs_until_it_is_turned_off(self, agents):
        host, call = agents("deaf")
        new(call, "vm-1", NoStart=False)
        wait_until(lambda: is_ready(host, "vm-1"), "the agent is ready")
        error = refusal("TzarStillRuns", call, "Stop-TzarWorkerVM", Name="vm-1", TimeoutSeconds=0.2)
        assert "0.2 s" in str(error)
        assert status(call)["State"] == "Running"
        assert call("Stop-TzarWorkerVM", Name="vm-1", TurnOff=True)[0]["State"] == "Off"
        assert marked(FLEET) == []

    def test_a_vm_whose_agent_died_is_off(self, agents):
        host, call = agents()
        new(call, "vm-1", NoStart=False)
        host.turn_off_vm("vm-1")
        assert (status(call)["State"], marked(FLEET)) == ("Off", [])

    def test_a_stop_that_waits_holds_up_no_other_lane(self, agents, make_call):
        host, call = agents("deaf")
        new(call, "vm-1", NoStart=False)
        wait_until(lambda: is_ready(host, "vm-1"), "the agent is ready")
        looks = make_call(host)
        with pytest.raises(HyperVError, match="did not end within 1 s"):
            call("Stop-TzarWorkerVM", timeout_s=1.0, Name="vm-1", TimeoutSeconds=600)
        assert status(looks)["State"] == "Running"

    @pytest.mark.parametrize("end", [FakeHost.close, lambda host: host._file_lock.release()], ids=["closed", "killed"])
    def test_a_host_and_its_guests_outlive_the_process_that_had_it(self, agents, make_call, end):
        host, call = agents()
        new(call, "vm-1", NoStart=False)
        call("Checkpoint-TzarWorkerVM", Name="vm-1", CheckpointName="clean")
        new(call, "vm-2")
        host.add_foreign("other")
        wait_until(lambda: is_ready(host, "vm-1"), "the agent is ready")
        before, pids = call("Get-TzarWorkerVM"), marked(FLEET)
        end(host)
        next_host, next_call = agents()
        assert [unaged(row) for row in next_call("Get-TzarWorkerVM")] == [unaged(row) for row in before]
        assert marked(FLEET) == pids
        next_call("Restore-TzarWorkerVM", Name="vm-1", CheckpointName="clean", Incarnation=9)
        assert not set(pids) & set(marked(FLEET))
        host.guests.let_go()
        next_call("Stop-TzarWorkerVM", Name="vm-1", TurnOff=True)
        assert marked(FLEET) == []
        assert next_host.files_of("vm-2").joinpath("level.txt").exists()

    def test_a_boot_and_a_copy_that_were_cut_short_are_cleared_away_by_the_next_process(self, agents, tmp_path):
        host, call = agents()
        new(call, "vm-1")
        saved = (tmp_path / "host" / "host.json").read_bytes()
        call("Start-TzarWorkerVM", Name="vm-1")
        call("Checkpoint-TzarWorkerVM", Name="vm-1", CheckpointName="clean")
        host._file_lock.release()
        (tmp_path / "host" / "host.json").write_bytes(saved)
        _, next_call = agents()
        assert (status(next_call)["State"], status(next_call)["Checkpoints"], marked(FLEET)) == ("Off", [], [])
        assert len(list((tmp_path / "host" / "disks").iterdir())) == 2
        host.guests.let_go()


def unaged(row):
    return {name: value for name, value in row.items() if name not in ("UptimeSeconds", "DiskBytes")}


def test_a_host_is_prepared_once_and_its_checks_say_what_is_missing(call, host):
    wanted = {"SwitchName": "inner", "HostAddress": "192.168.77.1", "Port": 5555, "BlobPort": 5556}

    def checks(**given):
        return {row["Name"]: row for row in call("Test-TzarHost", **{**wanted, **given})}

    before = checks(Template=TEMPLATE, Folder=FOLDER, Count=2, Time=time.time() - 60)
    assert [name for name, row in before.items() if row["Ok"] is False] == ["clock", "switch"]
    assert before["switch"]["Cure"] == (
        ".\\Initialize-TzarHost.ps1 -SwitchName 'inner' -HostAddress 192.168.77.1 -PrefixLength 24"
        " -Port 5555 -BlobPort 5556"
    )

    def prepare():
        rows = call("Initialize-TzarHost", Fleet=None, Nat=True, Folder=FOLDER, **wanted)
        return {row["Name"]: row["Found"] for row in rows}

    assert set(prepare().values()) == {"made"}
    assert set(prepare().values()) == {"there"}
    after = checks(Template=TEMPLATE, Folder=FOLDER, Count=2, Time=time.time(), GpuPartition=True)
    assert all(row["Ok"] for row in after.values())
    assert checks(SupervisorIsElsewhere=True)["nat"]["Ok"] is True
    assert checks(Count=900)["memory"]["Ok"] is False


def test_two_hosts_do_not_share_a_folder_and_somebody_elses_is_not_taken(host, tmp_path):
    with pytest.raises(DriverError, match="another process has this one"):
        FakeHost(tmp_path / "host")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "file").write_bytes(b"theirs")
    with pytest.raises(DriverError, match="was not made by a fake host"):
        FakeHost(tmp_path / "theirs")
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == ["file"]
