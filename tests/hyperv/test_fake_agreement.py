"""The fake host and the real engine, asked the same: they answer in the same shapes and refuse with the same errors."""

import base64
import contextlib
import hashlib
import time
import uuid

import pytest
from lab import make_host, needs_lab

from hyperv.fake import FakeHost
from hyperv.fake.declared import read_functions
from hyperv.fake.functions import HANDLERS
from hyperv.local_channel import LocalChannel
from hyperv.messages import Request, definition, read_reply
from hyperv.program import Program, shipped_functions

pytestmark = needs_lab

PATIENCE_S = 120.0
FLEET, OTHER_FLEET = "f" * 32, "e" * 32
FOLDER = "C:\\tzar\\vms"
UPLOAD = f"{FOLDER}\\{FLEET}\\_upload\\a"
ODD = "it's $(a) [x] \u65e5"
SPEAKING = ["a program that the guest has, and that says something"]
NEW = {"Template": "C:\\tzar\\template.vhdx", "Folder": FOLDER, "SwitchName": "tzar", "NoStart": True}
ACCOUNT = {"User": "Administrator", "Password": "Password1!"}
GUEST = {"Name": "vm-1", **ACCOUNT}
SENT = {**GUEST, "Source": UPLOAD, "Target": "C:\\games\\a.bin", "Sha256": hashlib.sha256(b"abc").hexdigest()}
HOST = {"SwitchName": "inner", "HostAddress": "192.168.78.1", "Port": 5555, "BlobPort": 5556}

# What is asked, in this order: a function and its parameters; or what somebody does to the host meanwhile.
STEPS = [
    ("Get-TzarWorkerVM", {}),
    ("Get-TzarRemains", {"Folder": FOLDER}),
    ("New-TzarWorkerVM", {**NEW, "Name": ["vm-1"]}),
    ("New-TzarWorkerVM", {**NEW, "Name": ["vm-1", ODD, "vm-2", "vm-2"]}),
    ("New-TzarWorkerVM", {**NEW, "Name": "single"}),
    ("New-TzarWorkerVM", {**NEW, "Count": 2, "Prefix": "many"}),
    ("New-TzarWorkerVM", {**NEW, "Name": ["x"], "WhatIf": True}),
    ("Get-TzarWorkerVM", {}),
    ("Get-TzarWorkerVM", {"Name": ODD}),
    ("Get-TzarWorkerVM", {"Name": "nobody"}),
    ("Get-TzarWorkerVM", {"Fleet": OTHER_FLEET}),
    # refused before anything is made
    ("New-TzarWorkerVM", {**NEW, "Name": ["x"], "MemoryMB": 131072}),
    ("New-TzarWorkerVM", {**NEW, "Name": ["x"], "DiskMB": 67108864}),
    ("New-TzarWorkerVM", {**NEW, "Name": ["x"], "SwitchName": "no"}),
    ("New-TzarWorkerVM", {**NEW, "Name": ["x"], "Template": "C:\\no.vhdx"}),
    ("New-TzarWorkerVM", {**NEW, "Name": ["x"], "Template": "C:\\[no].vhdx"}),
    ("New-TzarWorkerVM", {**NEW, "Name": ["x"], "Folder": "tzar"}),
    ("New-TzarWorkerVM", {**NEW, "Name": ["x"], "MinimumMemoryMB": 512}),
    ("New-TzarWorkerVM", {**NEW, "Name": ["x"], "DynamicMemory": True, "MaximumMemoryMB": 2048}),
    ("New-TzarWorkerVM", {**NEW, "Name": [" x"]}),
    ("New-TzarWorkerVM", {**NEW, "Name": ["theirs"]}),
    ("Start-TzarWorkerVM", {"Name": "theirs"}),
    ("Start-TzarWorkerVM", {"Name": "vm-1", "Fleet": OTHER_FLEET}),
    ("Start-TzarWorkerVM", {"Name": "nobody"}),
    # not bound
    ("Get-TzarWorkerVM", {"Nope": 1}),
    ("Get-TzarWorkerVM", {"Fleet": None}),
    ("Get-TzarWorkerVM", {"Fleet": "short"}),
    ("Get-TzarWorkerVM", {"Name": ["a", "b"]}),
    ("Get-TzarWorkerVM", {"Name": ""}),
    ("Start-TzarWorkerVM", {}),
    ("Start-TzarWorkerVM", {"Name": ""}),
    ("Start-TzarWorkerVM", {"Name": "vm-1", "Incarnation": "abc"}),
    ("Start-TzarWorkerVM", {"Name": "vm-1", "Incarnation": -1}),
    ("Start-TzarWorkerVM", {"Name": "vm-1", "Incarnation": 10**12}),
    ("Stop-TzarWorkerVM", {"Name": "vm-1", "TurnOff": "yes"}),
    ("Stop-TzarWorkerVM", {"Name": "vm-1", "TimeoutSeconds": 3601}),
    ("Checkpoint-TzarWorkerVM", {"Name": "vm-1", "CheckpointName": ""}),
    ("Checkpoint-TzarWorkerVM", {"Name": "vm-1", "CheckpointName": "x" * 101}),
    ("Invoke-TzarWorkerCommand", {**GUEST, "Argv": []}),
    ("Invoke-TzarWorkerCommand", {**GUEST, "Argv": ["x"], "User": ""}),
    ("New-TzarWorkerVM", {**NEW, "Name": ["a"], "Count": 2}),
    ("New-TzarWorkerVM", {**NEW, "Name": ["a"], "Prefix": "b"}),
    ("New-TzarWorkerVM", {**NEW, "Name": []}),
    ("New-TzarWorkerVM", {**NEW, "Name": [""]}),
    ("New-TzarWorkerVM", NEW),
    ("New-TzarWorkerVM", {**NEW, "Name": ["x"], "SecureBoot": "Maybe"}),
    ("New-TzarWorkerVM", {**NEW, "Name": ["x"], "MemoryMB": 33}),
    ("New-TzarWorkerVM", {**NEW, "Name": ["x"], "Generation": 3}),
    ("Copy-TzarIdentity", {"Name": "vm-1", "Document": "", "Target": "C:\\x"}),
    ("Copy-TzarIdentity", {"Name": "vm-1", "Document": "x", "Target": "x"}),
    ("Get-Date", {}),
    # off
    ("Copy-TzarIdentity", {"Name": "vm-1", "Document": "hello", "Target": "C:\\tzar\\identity.json"}),
    ("Set-TzarWorkerGuest", GUEST),
    ("Get-TzarWorkerLog", {**GUEST, "Path": "C:\\tzar\\identity.json"}),
    ("Invoke-TzarWorkerCommand", {**GUEST, "Argv": ["x"]}),
    ("Get-TzarWorkerScreenshot", {"Name": "vm-1", "Width": 16, "Height": 16}),
    ("Stop-TzarWorkerVM", {"Name": "vm-1"}),
    ("Checkpoint-TzarWorkerVM", {"Name": "vm-1", "CheckpointName": "cold"}),
    # running
    ("Start-TzarWorkerVM", {"Name": "vm-1", "Incarnation": 3, "WhatIf": True}),
    ("Start-TzarWorkerVM", {"Name": "vm-1", "Incarnation": 3}),
    ("Start-TzarWorkerVM", {"Name": "vm-1", "Incarnation": 3}),
    ("Start-TzarWorkerVM", {"Name": "vm-1", "Incarnation": 4}),
    "the guest of vm-1 answers",
    ("Get-TzarWorkerVM", {"Name": "vm-1"}),
    ("Copy-TzarIdentity", {"Name": "vm-1", "Document": "hello", "Target": "C:\\tzar\\identity.json"}),
    ("Set-TzarWorkerGuest", {**GUEST, "Address": "192.168.77.11", "PrefixLength": 24, "FromHostClock": True}),
    ("Set-TzarWorkerGuest", {**GUEST, "Time": 1e9, "TestPath": "C:\\tzar\\identity.json"}),
    ("Set-TzarWorkerGuest", {**GUEST, "TestPath": "C:\\tzar\\other.json"}),
    ("Set-TzarWorkerGuest", {**GUEST, "Address": "192.168.77.11"}),
    ("Set-TzarWorkerGuest", {**GUEST, "Password": "wrong"}),
    ("Get-TzarWorkerLog", {**GUEST, "Path": "C:\\tzar\\identity.json", "LimitBytes": 3}),
    ("Get-TzarWorkerLog", {**GUEST, "Path": "C:\\tzar\\other.json"}),
    ("Get-TzarWorkerLog", {**GUEST, "Path": "C:\\tzar\\other.json", "Password": "wrong"}),
    ("Get-TzarWorkerLog", {**GUEST, "Path": "other.json"}),
    ("Invoke-TzarWorkerCommand", {**GUEST, "Argv": SPEAKING}),
    ("Invoke-TzarWorkerCommand", {**GUEST, "Argv": ["no-such.exe"]}),
    (
        "Write-TzarHostFile",
        {"Folder": FOLDER, "Path": UPLOAD, "Offset": 0, "Base64": base64.b64encode(b"abc").decode()},
    ),
    ("Write-TzarHostFile", {"Folder": FOLDER, "Path": UPLOAD, "Offset": 9, "Base64": ""}),
    ("Write-TzarHostFile", {"Folder": FOLDER, "Path": UPLOAD, "Offset": 0, "Base64": "!!!"}),
    ("Write-TzarHostFile", {"Folder": FOLDER, "Path": f"{FOLDER}\\x", "Offset": 0, "Base64": ""}),
    ("Write-TzarHostFile", {"Folder": FOLDER, "Path": UPLOAD, "Offset": 2**60, "Base64": ""}),
    ("Send-TzarWorkerFile", SENT),
    ("Send-TzarWorkerFile", {**SENT, "Sha256": "0" * 64}),
    ("Send-TzarWorkerFile", {**SENT, "Source": "C:\\nope"}),
    ("Clear-TzarUpload", {"Folder": FOLDER}),
    ("Remove-TzarHostFile", {"Folder": FOLDER, "Path": UPLOAD}),
    ("Remove-TzarHostFile", {"Folder": FOLDER, "Path": UPLOAD}),
    ("Clear-TzarUpload", {"Folder": FOLDER}),
    ("Clear-TzarUpload", {"Folder": "x"}),
    ("Clear-TzarUpload", {"Folder": FOLDER, "OlderThanSeconds": 0}),
    (
        "Write-TzarHostFile",
        {"Folder": FOLDER, "Path": UPLOAD, "Offset": 0, "Base64": base64.b64encode(b"abc").decode()},
    ),
    "what was uploaded grows old",
    ("Clear-TzarUpload", {"Folder": FOLDER, "WhatIf": True}),
    ("Clear-TzarUpload", {"Folder": FOLDER}),
    ("Clear-TzarUpload", {"Folder": FOLDER}),
    ("Get-TzarWorkerScreenshot", {"Name": "vm-1", "Width": 16, "Height": 16}),
    ("Checkpoint-TzarWorkerVM", {"Name": "vm-1", "CheckpointName": "clean"}),
    ("Checkpoint-TzarWorkerVM", {"Name": "vm-1", "CheckpointName": "clean"}),
    ("Checkpoint-TzarWorkerVM", {"Name": "vm-1", "CheckpointName": "clean", "SkipExisting": True}),
    ("Restore-TzarWorkerVM", {"Name": "vm-1", "CheckpointName": "gone", "Incarnation": 4}),
    ("Restore-TzarWorkerVM", {"Name": "vm-1", "CheckpointName": "clean", "Incarnation": 4}),
    ("Get-TzarWorkerVM", {"Name": "vm-1"}),
    ("Remove-TzarWorkerVM", {"Name": "vm-1"}),
    "the guest of vm-1 answers",
    ("Stop-TzarWorkerVM", {"Name": "vm-1", "TimeoutSeconds": 60}),
    ("Restart-TzarWorkerVM", {"Name": "vm-1", "TurnOff": True}),
    ("Stop-TzarWorkerVM", {"Name": "vm-1", "TurnOff": True}),
    # faults
    "the disk is full",
    ("New-TzarWorkerVM", {**NEW, "Name": ["x"]}),
    ("Checkpoint-TzarWorkerVM", {"Name": "vm-1", "CheckpointName": "full"}),
    "the service is stopped",
    ("Get-TzarWorkerVM", {}),
    "the account has no rights",
    ("Get-TzarWorkerVM", {}),
    "vm-2 never answers",
    ("Start-TzarWorkerVM", {"Name": "vm-2"}),
    ("Copy-TzarIdentity", {"Name": "vm-2", "Document": "hello", "Target": "C:\\x"}),
    ("Get-TzarWorkerLog", {**GUEST, "Name": "vm-2", "Path": "C:\\x"}),
    ("Stop-TzarWorkerVM", {"Name": "vm-2"}),
    ("Get-TzarWorkerVM", {"Name": "vm-2"}),
    ("Stop-TzarWorkerVM", {"Name": "vm-2", "TurnOff": True}),
    "all is well",
    "the template is writable",
    ("New-TzarWorkerVM", {**NEW, "Name": ["x"]}),
    ("Start-TzarWorkerVM", {"Name": "vm-1"}),
    "the template is changed",
    ("Start-TzarWorkerVM", {"Name": "vm-1"}),
    ("Restore-TzarWorkerVM", {"Name": "vm-1", "CheckpointName": "clean"}),
    # the host
    ("Test-TzarHost", {**HOST, "Folder": FOLDER, "Template": NEW["Template"], "Time": 1e9}),
    ("Initialize-TzarHost", {**HOST, "Fleet": None, "Nat": True, "Folder": "C:\\other"}),
    ("Initialize-TzarHost", {**HOST, "Fleet": None, "Nat": True, "Folder": "C:\\other"}),
    ("Initialize-TzarHost", {**HOST, "Fleet": None, "SwitchName": "[a]", "Folder": FOLDER}),
    ("Initialize-TzarHost", {**HOST, "Fleet": None, "HostAddress": "nope", "Folder": FOLDER}),
    ("Test-TzarHost", {**HOST, "SupervisorIsElsewhere": True, "Folder": FOLDER, "GpuPartition": True}),
    ("Test-TzarHost", {**HOST, "Count": 900}),
    # the end
    ("Remove-TzarWorkerVM", {"Name": "vm-1", "WhatIf": True}),
    *(
        ("Remove-TzarWorkerVM", {"Name": name, "Folder": FOLDER, "Force": True})
        for name in ("vm-1", "vm-1", ODD, "vm-2", "single", "many-01", "many-02")
    ),
    ("Get-TzarWorkerVM", {}),
    ("Get-TzarRemains", {"Folder": FOLDER}),
]
# Sent to the engine beside the others: how it reads their parameters.
DECLARED = """function Get-Declared {
    [CmdletBinding()]
    param()
    foreach ($command in @(Get-Command -CommandType Function -Name '*-Tzar*')) {
        foreach ($parameter in $command.Parameters.Values) {
            $how = @($parameter.Attributes | Where-Object { $_ -is [Management.Automation.ParameterAttribute] })[0]
            [pscustomobject]@{
                Function = $command.Name; Name = $parameter.Name; Type = $parameter.ParameterType.Name
                Mandatory = [bool] $how.Mandatory; Set = "$($how.ParameterSetName)"
                Checks = @($parameter.Attributes | ForEach-Object { $_.GetType().Name }) -like 'Validate*'
            }
        }
    }
}
"""
COMMON = {
    *("Verbose", "Debug", "ErrorAction", "WarningAction", "InformationAction", "ErrorVariable", "WarningVariable"),
    *("InformationVariable", "OutVariable", "OutBuffer", "PipelineVariable", "ProgressAction", "WhatIf", "Confirm"),
}
TYPES = {"int": "Int32", "long": "Int64", "double": "Double", "string": "String", "string[]": "String[]"}
ASKED = [n for n, step in enumerate(STEPS) if not isinstance(step, str)]


class World:
    """A host that is asked by one channel. `speaking`: what stands for SPEAKING in its guests."""

    def __init__(self, channel, program, events, speaking):
        self._channel = channel
        self._speaking = speaking
        self._events = {**events, "the guest of vm-1 answers": self._await_guest}
        channel.send(program.first_line, PATIENCE_S)
        channel.send(definition("first", program.sources), PATIENCE_S)
        assert self._reply("first").error is None

    def ask(self, function, given):
        operation = uuid.uuid4().hex
        if given.get("Argv") is SPEAKING:
            given = {**given, "Argv": self._speaking}
        request = Request.make(operation, function, {"Fleet": FLEET, **given})
        self._channel.send(request.line, PATIENCE_S)
        return self._reply(operation)

    def run(self):
        """What came of each step that asks."""
        outcomes = {}
        for number, step in enumerate(STEPS):
            if isinstance(step, str):
                self._events[step]()
            else:
                outcomes[number] = outcome(self.ask(*step))
        return outcomes

    def _await_guest(self):
        deadline = time.monotonic() + PATIENCE_S
        given = {"Name": "vm-1", "Document": "hello", "Target": "C:\\here"}
        while self.ask("Copy-TzarIdentity", given).error is not None:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def _reply(self, operation):
        while (line := self._channel.receive(PATIENCE_S)) is not None:
            reply = read_reply(line)
            if reply is not None and reply.operation == operation:
                return reply
        raise AssertionError("no reply came in time")


def outcome(reply):
    """The shape of an answer, or what programs read of an error."""
    if reply.error is None:
        return shape(list(reply.value)), len(reply.said)
    return {name: reply.error[name] for name in ("code", "id", "category", "exception", "hresult", "cmdlet")}


def shape(value):
    match value:
        case {"Ok": _, "Name": name}:  # a check; what of Windows itself could not be found out has no answer in the lab
            return name, sorted(value)
        case dict():
            return {key: shape(inner) for key, inner in sorted(value.items())}
        case list():
            return [shape(inner) for inner in value]
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case _:
            return type(value).__name__


@pytest.fixture(scope="module")
def of_the_fake(tmp_path_factory):
    host = FakeHost(tmp_path_factory.mktemp("fake") / "host")
    template = NEW["Template"]

    def faults(**given):
        for name in ("disk_full", "service_stopped", "access_denied"):
            setattr(host.faults, name, given.get(name, False))
        host.faults.never_heartbeat = given.get("never_heartbeat", set())

    def change():
        host.change_template(template)
        host.set_read_only(template, True)

    with contextlib.closing(host):
        host.add_template(template)
        host.add_switch("tzar")
        host.add_foreign("theirs")
        program = Program(shipped_functions())
        events = {
            "the disk is full": lambda: faults(disk_full=True),
            "the service is stopped": lambda: faults(service_stopped=True),
            "the account has no rights": lambda: faults(access_denied=True),
            "vm-2 never answers": lambda: faults(never_heartbeat={"vm-2"}),
            "all is well": faults,
            "the template is writable": lambda: host.set_read_only(template, False),
            "the template is changed": change,
            "what was uploaded grows old": lambda: setattr(host.drive.find(UPLOAD), "written_at", time.time() - 3600),
        }
        yield World(host.open(program, PATIENCE_S), program, events, ["python.exe", "-c", "print(1)"]).run()


@pytest.fixture(scope="module")
def of_the_engine(tmp_path_factory):
    host = make_host(tmp_path_factory.mktemp("lab"), template=True)
    template = NEW["Template"]
    host.run(
        "$null = New-VMSwitch tzar -SwitchType Internal;"
        "$null = Hyper-V\\New-VM -Name theirs -MemoryStartupBytes 1GB -NoVHD"
    )
    program = Program((*shipped_functions(), DECLARED))
    events = {
        "the disk is full": lambda: host.set_faults(disk_full=True),
        "the service is stopped": lambda: host.set_faults(vmms="stopped"),
        "the account has no rights": lambda: host.set_faults(access="denied"),
        "vm-2 never answers": lambda: host.set_faults(boot={"never_heartbeat": ["vm-2"]}),
        "all is well": host.set_faults,
        "the template is writable": lambda: host.run(f"Set-ItemProperty {template} IsReadOnly $false"),
        "what was uploaded grows old": lambda: host.run(
            f"(Get-Item -LiteralPath '{UPLOAD}').LastWriteTimeUtc = [datetime]::UtcNow.AddHours(-1)"
        ),
        "the template is changed": lambda: host.run(
            f"Hyper-V\\Mount-VHD {template}; Hyper-V\\Dismount-VHD {template};"
            f" Set-ItemProperty {template} IsReadOnly $true"
        ),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PATH", "TZAR_HYPERV_STATE", "TZAR_SIM_PYTHON"):
            patch.setenv(name, host.environment[name])
        with contextlib.closing(_Closing(LocalChannel(program))) as channel:
            world = World(channel, program, events, ["cmd.exe", "/c", "echo", "1"])
            yield {**world.run(), "declared": world.ask("Get-Declared", {"Fleet": None}).value}


class _Closing:
    def __init__(self, channel):
        self.send, self.receive = channel.send, channel.receive
        self.close = lambda: channel.close(PATIENCE_S)


@pytest.mark.parametrize("number", ASKED, ids=lambda number: f"{number}-{STEPS[number][0]}")
def test_the_fake_answers_as_the_engine_does(number, of_the_fake, of_the_engine):
    assert of_the_fake[number] == of_the_engine[number], STEPS[number]


def test_the_fake_reads_the_parameters_of_the_functions_as_the_engine_does(of_the_engine):
    ours = {}
    for source in shipped_functions():
        for name, function in read_functions(source).items():
            if function is None:
                continue
            for one in function.parameters.values():
                kind = TYPES.get(one.type, "SwitchParameter")
                checks = sorted(f"{check}Attribute" for check, _ in one.checks)
                ours[name, one.name] = (kind, one.is_mandatory, one.in_set or "__AllParameterSets", checks)
    theirs = {
        (row["Function"], row["Name"]): (row["Type"], row["Mandatory"], row["Set"], sorted(row["Checks"]))
        for row in of_the_engine["declared"]
    }
    assert {function for function, _ in ours} == set(HANDLERS)
    assert ours == {key: theirs[key] for key in ours}
    extra = {name for function, name in theirs if function in HANDLERS and (function, name) not in ours}
    assert extra <= COMMON
