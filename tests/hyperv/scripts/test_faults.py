"""Failures in the middle, crashes in the middle, and -WhatIf: nothing half made, and a second run completes."""

import json
import re

import pytest


def cmdlets_of(host, function):
    """The cmdlets that can be made to fail among those that a function may call, by itself or through others."""
    text = "\n".join(path.read_text() for path in sorted(host.functions.glob("*.ps1")))
    bodies = dict(re.findall(r"^function (\S+) \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL))
    reached, todo = {function}, [function]
    while todo:
        # Where a command may stand: messages name functions as well.
        calls = re.findall(r"(?:^\s*|[({=|;,]\s*)([A-Z]\w+-Tzar\w+)", bodies[todo.pop()], re.MULTILINE)
        for name in set(calls) & bodies.keys() - reached:
            reached.add(name)
            todo.append(name)
    pattern = r"(?:Hyper-V\\)([A-Z]\w+-\w+)|\b([A-Z][a-z]+-(?:Net(?!Tzar)\w+|Cim\w+|Volume))\b"
    return sorted({one or other for name in reached for one, other in re.findall(pattern, bodies[name])})


def error_of(act):
    try:
        act()
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller looks at it
        return error
    return None


def each_failing_once(host, function, begin, act, check):
    """Lets each cmdlet fail once in `act`, after `begin`: its error must come out, and then `check` must hold."""
    failed = []
    for cmdlet in cmdlets_of(host, function):
        begin()
        host.fail_once(cmdlet)
        error = error_of(act)
        was_called = host.has_failed(cmdlet)
        host.set_faults({})
        if was_called:
            assert error is not None, f"{cmdlet} failed, and nobody said so"
            assert "made up for the test" in str(error), f"{cmdlet}: {error}"
            check(cmdlet)
            failed.append(cmdlet)
        else:
            assert error is None, f"{cmdlet} did not fail: {error}"
    return failed


def test_a_vm_that_fails_in_the_middle_leaves_nothing_half_made(host):
    def begin():
        host.on("Remove-TzarWorkerVM", "-Force")

    def nothing_is_left(cmdlet):
        # One that cannot be started was made to the end.
        assert host.is_clean() or cmdlet == "Start-VM", f"{cmdlet} left something: {host.files()}"
        (made,) = host.make("-GpuPartition", NoStart=False)
        assert made["State"] == "Running"

    failed = each_failing_once(
        host, "New-TzarWorkerVM", begin, lambda: host.make("-GpuPartition", NoStart=False), nothing_is_left
    )
    assert set(failed) >= {
        *(
            "Get-VM",
            "Get-VMSwitch",
            "Get-VMHost",
            "Get-Volume",
            "New-VHD",
            "Test-VHD",
            "New-VM",
            "Set-VM",
            "Set-VMVideo",
        ),
        *(
            "Get-VMIntegrationService",
            "Enable-VMIntegrationService",
            "Add-VMGpuPartitionAdapter",
            "Get-VMFirmware",
            "Start-VM",
        ),
    }


def test_what_was_made_is_found_again_when_it_could_not_be_removed_either(host):
    host.set_faults({one: {"times": 1, "message": one, "id": "MadeUp"} for one in ("Set-VMVideo", "Remove-VM")})
    with pytest.raises(Exception, match="Set-VMVideo"):
        host.make()
    assert host.vms()["tzar-01"]["Incarnation"] == 0
    host.make()
    host.set_faults({one: {"times": 1, "message": one, "id": "MadeUp"} for one in ("Set-VM", "Remove-VM")})
    with pytest.raises(Exception, match="Set-VM"):
        host.make(Name="tzar-02")
    assert host.vms().keys() == {"tzar-01"}
    host.make(Count=2)
    assert host.call("Get-TzarRemains", Fleet=host.fleet, Folder=host.folder) == []


def test_the_vms_before_the_one_that_fails_stay_and_the_rest_follows(host):
    host.make(Count=2)
    host.run("$null = New-Item -ItemType Directory -Path C:\\tzar\\vms\\" + host.fleet + "\\tzar-04")
    host.run(
        "$null = New-VM tzar-04 -NoVHD -Path C:\\tzar\\vms\\" + host.fleet + "; Rename-VM tzar-04 -NewName stranger"
    )
    with pytest.raises(Exception, match=r"TzarForeignVM|was not touched"):
        host.make(Count=5)
    assert host.vms().keys() == {"tzar-01", "tzar-02", "tzar-03"}
    host.run("Remove-VM stranger -Force")
    host.make(Count=5)
    assert len(host.vms()) == 5


@pytest.mark.parametrize(
    ("cmdlet", "name"),
    [("New-VHD", "tzar-01"), ("Set-VM", "tzar-01"), ("Set-VM", "odd one"), ("Set-VMVideo", "tzar-01")],
)
def test_what_a_crash_left_is_found_and_made_anew(host, cmdlet, name):
    host.set_faults({"hang": [cmdlet]})
    where = f"-Template {host.template} -Folder {host.folder} -SwitchName fleet"
    host.shell.send(f"New-TzarWorkerVM -Fleet {host.fleet} -Name '{name}' {where} -NoStart")
    place = host.state / "host" / "C" / "tzar" / "vms" / host.fleet

    def is_reached():
        notes = [vm["Settings"]["Notes"] for vm in json.loads((host.state / "state.json").read_text())["Vms"]]
        if cmdlet == "New-VHD":
            return [path for path in place.glob("*/worker.json") if path.read_text().endswith("}")]
        return len(notes) == 1 and bool(notes[0]) == (cmdlet == "Set-VMVideo")

    host.until(is_reached, f"{cmdlet} to be reached")
    host.restart_shell()
    host.set_faults({})
    remains = host.call("Get-TzarRemains", Fleet=host.fleet, Folder=host.folder)
    assert [one["Name"] for one in remains] == ([] if cmdlet == "Set-VMVideo" else [name])
    if name == "odd one":
        host.on("Remove-TzarWorkerVM", name=name, Folder=host.folder)
        assert host.is_clean()
    (made,) = host.make(Name=name)
    assert host.vms()[name]["Id"] == made["Id"]
    assert host.call("Get-TzarRemains", Fleet=host.fleet, Folder=host.folder) == []
    host.on("Remove-TzarWorkerVM", name=name)
    assert host.is_clean()


def test_a_vm_in_our_folder_that_is_not_what_a_crash_left_is_not_touched(host, refused):
    # Its Notes were emptied, and it runs: whose it is now, only people know.
    host.make(NoStart=False)
    host.run("Set-VM tzar-01 -Notes ''; Rename-VM tzar-01 -NewName mine")
    before = host.raw()["state.json"]
    with refused("TzarForeignVM", "'mine'", "It was not touched"):
        host.make()
    with refused("TzarForeignVM"):
        host.on("Remove-TzarWorkerVM", Folder=host.folder)
    assert host.raw()["state.json"] == before


def is_off(host):
    if not host.run("@(Get-VM | Where-Object Name -eq tzar-01).Count")[0]:
        host.make()
        host.on("Checkpoint-TzarWorkerVM", CheckpointName="one")
    host.on("Stop-TzarWorkerVM", "-TurnOff")
    host.run(
        f"Set-VM tzar-01 -Notes ('tzar-actors fleet={host.fleet} vm=tzar-01 incarnation=1' + [char] 10 + "
        f"'tzar-actors parent={host.template}')"
    )


def is_running(host):
    is_off(host)
    host.on("Start-TzarWorkerVM")


VERBS = {
    "Start-TzarWorkerVM": (is_off, {"Incarnation": 5}, ["Get-VM", "Set-VM", "Start-VM", "Test-VHD"]),
    "Stop-TzarWorkerVM -TurnOff": (is_running, {}, ["Get-VM", "Stop-VM"]),
    "Restart-TzarWorkerVM -TurnOff": (is_running, {}, ["Get-VM", "Set-VM", "Start-VM", "Stop-VM", "Test-VHD"]),
    "Restore-TzarWorkerVM": (
        is_off,
        {"CheckpointName": "one"},
        ["Get-VM", "Get-VMSnapshot", "Restore-VMSnapshot", "Set-VM", "Start-VM", "Test-VHD"],
    ),
    "Remove-TzarWorkerVM -Force": (is_running, {}, ["Get-VM", "Remove-VM", "Stop-VM"]),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_that_fails_in_the_middle_can_be_asked_again(host, verb):
    begin, parameters, expected = VERBS[verb]

    def act():
        host.on(verb, **parameters)

    def again(cmdlet):
        act()
        if verb.startswith("Remove"):
            assert host.is_clean(), cmdlet
        else:
            assert host.vms()["tzar-01"]["State"] == ("Off" if verb.startswith("Stop") else "Running"), cmdlet

    failed = each_failing_once(host, verb.split()[0], lambda: begin(host), act, again)
    assert set(failed) >= set(expected)


def test_a_checkpoint_that_fails_is_not_there(host):
    host.make()

    def begin():
        host.run("Get-VMSnapshot tzar-01 | Remove-VMSnapshot; Set-VM tzar-01 -CheckpointType Production")

    def is_not_there(cmdlet):
        assert host.vms()["tzar-01"]["Checkpoints"] == [], cmdlet

    failed = each_failing_once(
        host,
        "Checkpoint-TzarWorkerVM",
        begin,
        lambda: host.on("Checkpoint-TzarWorkerVM", CheckpointName="x"),
        is_not_there,
    )
    assert failed == ["Checkpoint-VM", "Get-VM", "Get-VMSnapshot", "Set-VM"]


def test_a_host_that_fails_to_be_prepared_is_prepared_by_the_next_run(host):
    def prepare():
        return host.call(
            "Initialize-TzarHost", "-Nat", SwitchName="tzar", HostAddress="192.168.77.1", Port=5555, Folder=host.folder
        )

    def again(cmdlet):
        assert len(prepare()) == 5
        assert {part["Found"] for part in prepare()} == {"there"}, cmdlet

    failed = each_failing_once(host, "Initialize-TzarHost", host.renew, prepare, again)
    assert {"New-VMSwitch", "Get-NetAdapter", "New-NetIPAddress", "New-NetNat", "New-NetFirewallRule"} <= set(failed)


def test_a_full_disk_leaves_nothing_half_made(host, refused):
    host.make()
    before = host.files()
    host.set_faults({"disk_full": True})
    # The volume says so before anything is made; a disk that fills up meanwhile is Hyper-V's error.
    with refused("TzarNotEnoughDisk", "0 MB free"):
        host.make(Name="tzar-02")
    with pytest.raises(Exception, match="0x80070070"):
        host.on("Checkpoint-TzarWorkerVM", CheckpointName="x")
    assert host.files() == before


def test_what_if_changes_nothing(host):
    host.make()
    host.on("Start-TzarWorkerVM")
    host.on("Checkpoint-TzarWorkerVM", CheckpointName="one")
    user = {"User": "Administrator", "Password": "Password1!"}
    upload = {"Fleet": host.fleet, "Folder": host.folder, "Path": rf"{host.folder}\{host.fleet}\_upload\x"}
    host.call("Write-TzarHostFile", **upload, Offset=0, Base64="eA==")
    age = "ForEach-Object { $_.LastWriteTimeUtc = [datetime]::UtcNow.AddHours(-1) }"
    host.run(f"Get-ChildItem -LiteralPath '{upload['Path']}' | {age}")
    acts = {
        "New-TzarWorkerVM": lambda: host.make("-WhatIf", Count=4, NoStart=False),
        "Start-TzarWorkerVM": lambda: host.on("Start-TzarWorkerVM", "-WhatIf"),
        "Stop-TzarWorkerVM": lambda: [
            host.on("Stop-TzarWorkerVM", "-WhatIf"),
            host.on("Stop-TzarWorkerVM", "-TurnOff", "-WhatIf"),
        ],
        "Restart-TzarWorkerVM": lambda: host.on("Restart-TzarWorkerVM", "-WhatIf"),
        "Checkpoint-TzarWorkerVM": lambda: host.on("Checkpoint-TzarWorkerVM", "-WhatIf", CheckpointName="two"),
        "Restore-TzarWorkerVM": lambda: host.on("Restore-TzarWorkerVM", "-WhatIf", CheckpointName="one"),
        "Remove-TzarWorkerVM": lambda: host.on("Remove-TzarWorkerVM", "-Force", "-WhatIf"),
        "Copy-TzarIdentity": lambda: host.on("Copy-TzarIdentity", "-WhatIf", Document="{}", Target=r"C:\x\y.json"),
        "Invoke-TzarWorkerCommand": lambda: host.on(
            "Invoke-TzarWorkerCommand", "-WhatIf", **user, Argv=["cmd.exe", "/c", "mkdir C:\\made"]
        ),
        "Send-TzarWorkerFile": lambda: host.on(
            "Send-TzarWorkerFile", "-WhatIf", **user, Source=host.template, Target=r"C:\x", Sha256="0" * 64
        ),
        "Set-TzarWorkerGuest": lambda: host.on(
            "Set-TzarWorkerGuest", "-WhatIf", **user, Address="192.168.77.10", PrefixLength=24, Time=1.0
        ),
        "Write-TzarHostFile": lambda: host.call("Write-TzarHostFile", "-WhatIf", **upload, Offset=0, Base64="eA=="),
        "Remove-TzarHostFile": lambda: host.call("Remove-TzarHostFile", "-WhatIf", **upload),
        "Clear-TzarUpload": lambda: host.call(
            "Clear-TzarUpload", "-WhatIf", **{name: upload[name] for name in ("Fleet", "Folder")}
        ),
        "Initialize-TzarHost": lambda: host.call(
            "Initialize-TzarHost",
            "-Nat",
            "-WhatIf",
            SwitchName="tzar",
            HostAddress="10.9.9.1",
            Port=5555,
            Folder=r"C:\tzar\new",
        ),
    }
    assert set(acts) == changing_functions(host)
    before = host.raw()
    for name, act in acts.items():
        act()
        assert changes(before, host.raw()) == set(), name
    # The same again for VMs that are off, where Start has something to do.
    host.on("Stop-TzarWorkerVM", "-TurnOff")
    before = host.raw()
    for verb in ("Start-TzarWorkerVM", "Restart-TzarWorkerVM"):
        host.on(verb, "-WhatIf")
    host.on("Restore-TzarWorkerVM", "-WhatIf", CheckpointName="one")
    assert changes(before, host.raw()) == set()


def changing_functions(host):
    """The functions that people or the driver call and that change something: those with ShouldProcess."""
    return {
        match[1]
        for path in host.functions.glob("*.ps1")
        for match in re.finditer(
            r"^function (\S+) \{(?:(?!^function).)*?\[CmdletBinding\(SupportsShouldProcess",
            path.read_text(),
            re.MULTILINE | re.DOTALL,
        )
    }


def changes(before, after):
    """What of a host differs, but for what a guest that runs writes itself."""
    own = re.compile(r"disks/[^/]+(/|$)")
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key) and not own.match(key)}
