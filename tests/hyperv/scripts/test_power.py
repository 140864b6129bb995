"""Start, Stop, Restart, Remove and Get: by the mark, with the template looked at, and seen to the end."""

import json
import os
import signal
import time

import pytest


def test_a_start_writes_the_incarnation_and_returns_when_the_vm_runs(host):
    host.make()
    (started,) = host.on("Start-TzarWorkerVM", Incarnation=5)
    assert (started["State"], started["Incarnation"]) == ("Running", 5)
    assert host.vms()["tzar-01"]["Incarnation"] == 5


def test_a_start_that_is_asked_for_twice_is_done_once(host, refused):
    host.make()
    host.on("Start-TzarWorkerVM", Incarnation=5)
    before = host.raw()["state.json"]
    host.on("Start-TzarWorkerVM", Incarnation=5)
    host.on("Start-TzarWorkerVM")
    with refused("TzarNotOff", "incarnation 5"):
        host.on("Start-TzarWorkerVM", Incarnation=6)
    assert host.raw()["state.json"] == before


def test_a_start_without_a_number_counts_on(host):
    host.make()
    host.on("Start-TzarWorkerVM", Incarnation=5)
    host.on("Stop-TzarWorkerVM", "-TurnOff")
    (started,) = host.on("Start-TzarWorkerVM")
    assert started["Incarnation"] == 6


# Hyper-V's module remembers for five seconds, but for what it was made to forget. The lab's remembers nothing, and has
# no Enable-VMEventing: a function of that name is found before it.
REMEMBERING = r"""
$script:asked = @()
$script:forgot = $false
function script:Hyper-V\Enable-VMEventing {
    [CmdletBinding(SupportsShouldProcess)] param([switch] $Force)
    $script:forgot = -not $WhatIfPreference
}
function script:Hyper-V\Get-VM {
    [CmdletBinding()] param([guid] $Id)
    $script:asked += $script:forgot
    $script:forgot = $false
    & (Get-Command -Name Get-VM -Module Hyper-V -CommandType Function, Cmdlet) @PSBoundParameters
}
$script:TzarForgets = $null
"""


@pytest.mark.parametrize("preference", ["", "$WhatIfPreference = $true\n"], ids=["", "what if"])
def test_each_look_at_a_vm_makes_the_module_read_anew(host, preference):
    host.make()
    host.boot()
    host.on("Checkpoint-TzarWorkerVM", CheckpointName="parked")
    host.run(REMEMBERING)
    try:
        for verb in (
            "Get-TzarWorkerVM",
            "Stop-TzarWorkerVM -TurnOff",
            "Start-TzarWorkerVM",
            "Restore-TzarWorkerVM -CheckpointName parked",
        ):
            if preference and verb.startswith("Get"):
                continue  # it changes nothing, and knows no such preference
            host.run("$script:asked = @()")
            host.run(f"{preference}{verb} -Fleet {host.fleet} -Name tzar-01")
            asked = host.run("$script:asked")
            assert asked
            assert all(asked), verb
    finally:
        host.restart_shell()


def test_a_saved_vm_is_booted_without_its_old_memory(host):
    host.make()
    host.boot()
    host.run("Save-VM tzar-01")
    host.on("Start-TzarWorkerVM")

    def log():
        return host.run("[TzarLab.GuestFolder]::Read((Get-VM tzar-01).VMId, 'console.log')")[0]

    host.until(lambda: log().count("boot of tzar-01") == 2, "the second boot")
    assert "resumed" not in log()
    assert host.vms()["tzar-01"]["Incarnation"] == 2


@pytest.mark.parametrize("verb", ["Start-TzarWorkerVM", "Restart-TzarWorkerVM"])
def test_nothing_boots_on_a_template_that_is_writable_or_gone(host, refused, verb):
    host.make()
    host.protect_template(is_on=False)
    with refused("TzarTemplateWritable"):
        host.on(verb)
    host.run(f"Move-Item '{host.template}' C:\\tzar\\elsewhere.vhdx")
    with refused("TzarTemplateMissing"):
        host.on(verb)
    assert (host.vms()["tzar-01"]["State"], host.vms()["tzar-01"]["Incarnation"]) == ("Off", 0)


def test_nothing_boots_on_a_template_that_was_written_to(host, refused):
    host.make()
    host.write_to_template()
    with refused(
        "TzarTemplateChanged",
        host.template,
        "parent written",
        "clone made",
        "Remove-TzarWorkerVM, then New-TzarWorkerVM",
    ):
        host.on("Start-TzarWorkerVM")
    assert host.vms()["tzar-01"]["Incarnation"] == 0
    # A clone that never ran is made anew by the next try; one that did is people's decision.
    with refused("TzarTemplateChanged"):
        host.make()
    assert host.vms() == {}
    (made,) = host.make()
    host.on("Start-TzarWorkerVM")
    assert made["Incarnation"] == 0


def test_nothing_boots_without_its_disk(host, refused):
    host.make()
    host.run(f"Remove-Item '{host.folder}\\{host.fleet}\\tzar-01\\tzar-01.vhdx'")
    with refused("TzarDiskMissing"):
        host.on("Start-TzarWorkerVM")


def test_too_little_memory_at_the_start_is_hyper_vs_own_error(host):
    host.make()
    host.run("Set-VMMemory tzar-01 -StartupBytes 100GB")
    with pytest.raises(Exception, match="0x8007000E") as caught:
        host.on("Start-TzarWorkerVM")
    assert (caught.value.id, caught.value.cmdlet) == (
        "OutOfMemory,Microsoft.HyperV.PowerShell.Commands.StartVM",
        "Start-VM",
    )


def test_a_stop_asks_the_guest_and_sees_it_off(host):
    host.make()
    host.boot()
    (stopped,) = host.on("Stop-TzarWorkerVM", TimeoutSeconds=30)
    assert stopped["State"] == "Off"
    assert host.on("Stop-TzarWorkerVM", TimeoutSeconds=0) == [stopped]


def test_a_vm_that_does_not_shut_down_in_time_is_said_to_run(host, refused):
    host.make()
    host.boot()
    # A frozen guest hears nothing: its VM goes on.
    pid = json.loads((host.state / "state.json").read_text())["Vms"][0]["GuestPid"]
    os.kill(pid, signal.SIGSTOP)
    with refused("TzarStillRuns", "Running 0.3 s after an attempt to ask the worker VM to shut down"):
        host.on("Stop-TzarWorkerVM", TimeoutSeconds=0.3)
    (stopped,) = host.on("Stop-TzarWorkerVM", "-TurnOff")
    assert stopped["State"] == "Off"


def test_a_guest_that_does_not_answer_cannot_be_asked(host, refused):
    host.make()
    host.set_faults({"boot": {"never_heartbeat": ["tzar-01"]}})
    host.on("Start-TzarWorkerVM")
    with refused("TzarNoHeartbeat", "Turn it off"):
        host.on("Stop-TzarWorkerVM", TimeoutSeconds=5)
    assert host.vms()["tzar-01"]["State"] == "Running"


def test_a_restart_is_a_new_incarnation_of_the_same_vm(host):
    (made,) = host.make(NoStart=False)
    (again,) = host.on("Restart-TzarWorkerVM", "-TurnOff", Incarnation=9)
    assert again == made | {"Incarnation": 9}


def test_a_removal_leaves_nothing_of_the_vm(host):
    host.make(Count=2)
    host.on("Start-TzarWorkerVM")
    host.on("Checkpoint-TzarWorkerVM", CheckpointName="warm")
    host.on("Checkpoint-TzarWorkerVM", CheckpointName="later")
    host.on("Stop-TzarWorkerVM", "-TurnOff")
    host.on("Remove-TzarWorkerVM")
    assert host.vms().keys() == {"tzar-02"}
    assert all(r"\tzar-02" in path for path in host.files())
    host.on("Remove-TzarWorkerVM")
    host.on("Remove-TzarWorkerVM", name="tzar-02")
    assert host.is_clean()
    assert not (host.state / "host" / "C" / "tzar" / "vms" / host.fleet).exists()


def test_a_running_vm_is_removed_only_by_force(host, refused):
    host.make(NoStart=False)
    with refused("TzarNotOff", "Running"):
        host.on("Remove-TzarWorkerVM")
    host.on("Remove-TzarWorkerVM", "-Force")
    assert host.is_clean()


def test_a_vm_that_people_moved_elsewhere_is_not_removed(host, refused):
    host.make()
    path = json.loads((host.state / "state.json").read_text())
    path["Vms"][0]["Path"] = r"D:\somewhere\tzar-01"
    (host.state / "state.json").write_text(json.dumps(path))
    with refused("TzarForeignFolder", r"D:\somewhere\tzar-01"):
        host.on("Remove-TzarWorkerVM")
    assert len(host.files()) == 4


def test_absent_is_said_of_verbs_that_need_a_vm(host, refused):
    for verb in ("Start-TzarWorkerVM", "Stop-TzarWorkerVM", "Restart-TzarWorkerVM"):
        with refused("TzarNoSuchVM", "'tzar-01'"):
            host.on(verb)


def test_the_status_tells_all_of_each_vm(host):
    host.make(Count=2)
    host.boot()
    host.on("Checkpoint-TzarWorkerVM", CheckpointName="one")
    host.on("Checkpoint-TzarWorkerVM", CheckpointName="two [2]")
    vms = host.vms()
    running, off = vms["tzar-01"], vms["tzar-02"]
    assert [checkpoint["Name"] for checkpoint in running["Checkpoints"]] == ["one", "two [2]"]
    assert running["Checkpoints"][0]["CreatedAt"] < running["Checkpoints"][1]["CreatedAt"]
    assert (running["State"], running["Heartbeat"], running["MemoryAssignedBytes"]) == (
        "Running",
        "OkApplicationsHealthy",
        1 << 30,
    )
    assert running["UptimeSeconds"] > 0
    assert running["DiskBytes"] > off["DiskBytes"] > 0
    assert (off["State"], off["Heartbeat"], off["UptimeSeconds"], off["Checkpoints"]) == ("Off", "", 0, [])
    assert running["ParentPath"] == off["ParentPath"] == host.template
    (one,) = host.on("Get-TzarWorkerVM", name="tzar-02")
    assert one == off


def test_the_status_is_as_few_calls_for_many_vms_as_for_one(host):
    def seconds():
        started = time.monotonic()
        host.vms()
        return time.monotonic() - started

    slow = {"slow": dict.fromkeys(("Get-VM", "Get-VMSnapshot", "Get-VHD", "Get-VMHardDiskDrive"), 0.2)}
    host.make()
    host.set_faults(slow)
    of_one = seconds()
    host.set_faults({})
    host.make(Count=8)
    host.set_faults(slow)
    assert len(host.vms()) == 8
    # One call more for each VM would be 1.4 s.
    assert seconds() < of_one + 0.9


def test_a_vm_that_is_removed_while_the_status_is_asked_for_is_left_out(host):
    host.make(Count=3)
    (left,) = host.run(
        "$seen = @(Get-TzarMarkedVM); Remove-VM tzar-02 -Force; "
        "$list = Get-TzarCheckpointList -Among $seen; ($list.VMs | ForEach-Object { $_.Mark.Name }) -join ' '"
    )
    assert left == "tzar-01 tzar-03"
    host.fail_once("Get-VMSnapshot")
    with pytest.raises(Exception, match="made up"):
        host.vms()


# As Hyper-V's module has it: the id is a general one, and the type says it.
SERVER = r"""
class ServerConnectionException : System.Exception { ServerConnectionException([string] $text) : base($text) { } }
function script:Hyper-V\Get-VM {
    [CmdletBinding()] param([guid] $Id)
    $cause = [ServerConnectionException]::new('Verweigert.')
    $what = [System.InvalidOperationException]::new('Das geht nicht.', $cause)
    $PSCmdlet.ThrowTerminatingError([System.Management.Automation.ErrorRecord]::new($what, 'Unspecified', 0, $null))
}
"""
# As it is said to an account of neither group, among others.
NOT_FOUND = r"""
function script:Hyper-V\Get-VM {
    [CmdletBinding()] param([guid] $Id)
    $what = [System.InvalidOperationException]::new('Nicht gefunden.')
    $PSCmdlet.ThrowTerminatingError([System.Management.Automation.ErrorRecord]::new($what, 'ObjectNotFound', 13, $null))
}
"""


@pytest.mark.parametrize(
    ("module", "groups", "code"),
    [
        (SERVER, "", "TzarNoRights"),
        (NOT_FOUND, "function script:Get-TzarGroup { @() }", "TzarNoRights"),
        (NOT_FOUND, "function script:Get-TzarGroup { 'S-1-5-32-578' }", "TzarNoService"),
        (NOT_FOUND, "function script:Get-TzarGroup { throw 'it cannot be read' }", "TzarNoService"),
    ],
)
def test_an_account_that_is_not_let_in_is_told_apart_from_a_service_that_does_not_run(
    host, refused, module, groups, code
):
    host.run(module + groups)
    try:
        with refused(code):
            host.call("Get-TzarWorkerVM", Fleet=host.fleet)
    finally:
        host.restart_shell()


def test_a_host_that_cannot_be_asked_is_an_error_and_not_an_empty_list(host):
    host.make()
    host.set_faults({"vmms": "stopped"})
    with pytest.raises(Exception, match="Virtual Machine Management service"):
        host.vms()
    host.set_faults({"access": "denied"})
    with pytest.raises(Exception, match="required permission"):
        host.vms()
