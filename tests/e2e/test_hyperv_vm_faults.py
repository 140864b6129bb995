"""Faults that VMs of a Hyper-V host meet when they are made and booted, in a fleet that plays."""

import json
import re
import stat
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "hyperv"))  # tests are no package

from lab import needs_lab
from lab_fleet import World, accounts, host_for_fleet, is_ready, state_of, until

pytestmark = needs_lab
BOOTS = {"delay_s": 0.1}
ODD = "it's $(throw 1) [x]* `u \u00fc\u65e5"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """One fleet for all tests here, each of which leaves its host as it was.

    Its folder and its switch have odd names, and so have VMs that others made there.
    """
    folder = tmp_path_factory.mktemp("faults")
    with pytest.MonkeyPatch.context() as patch, host_for_fleet(folder / "lab") as host, ExitStack() as stack:
        for name, text in accounts().items():
            patch.setenv(name, text)
        quoted = ODD.replace("'", "''")
        host.run(
            f"$null = Hyper-V\\New-VMSwitch '{quoted}' -SwitchType Internal;"
            f"$null = Hyper-V\\New-VM '{quoted}' -NoVHD; $null = Hyper-V\\New-VM 'tzar-*' -NoVHD"
        )
        others = vms_of(host)
        world = World(folder, host)
        stack.callback(world.hang_up)
        hyperv = {"folder": "C:\\vms of 'tzar' $(throw 1) \u00fc", "switch": ODD}
        with world.running("state", hyperv, {"call_timeout_s": 20.0}):
            yield world
        assert vms_of(host) == others


def vms_of(host):
    document = json.loads((host.folder / "state.json").read_text(encoding="utf-8"))
    return sorted((vm["Name"], vm["Id"]) for vm in document["Vms"])


def template_of(host):
    return host.folder / "host" / "C" / "tzar" / "template.vhdx"


class Memory:
    """The host has too little."""

    error = r"New-TzarWorkerVM: 1 x 512 MB = 512 MB of memory do not fit: .*\. Free memory on the host"

    def begin(self, host):
        (host.folder / "host.json").write_text(json.dumps({"memory_bytes": 3000 << 20}), encoding="utf-8")

    def end(self, host):
        (host.folder / "host.json").unlink()


class Disk:
    """The host's disk is full."""

    error = r"New-TzarWorkerVM: 1 x .* do not fit in C:.*: 0 MB free .*\. Free space on the host's disk"

    def begin(self, host):
        host.set_faults(boot=BOOTS, disk_full=True)

    def end(self, host):
        host.set_faults(boot=BOOTS)


class Switch:
    """The switch has another name."""

    error = r"New-TzarWorkerVM: There is no virtual switch '.*'.* once the switch is there: tzar host init"

    def begin(self, host):
        host.run("Hyper-V\\Get-VMSwitch | Where-Object Name -ne tzar | Hyper-V\\Rename-VMSwitch -NewName away")

    def end(self, host):
        quoted = ODD.replace("'", "''")
        host.run(f"Hyper-V\\Rename-VMSwitch away -NewName '{quoted}'")


class MissingTemplate:
    """The template was moved."""

    error = r"New-TzarWorkerVM: There is no template 'C:\\tzar\\template\.vhdx'.* once the template is as it should be"

    def begin(self, host):
        template_of(host).rename(template_of(host).with_name("away.vhdx"))

    def end(self, host):
        template_of(host).with_name("away.vhdx").rename(template_of(host))


class MovedParent(MissingTemplate):
    """The same, when a clone of it is to boot."""

    error = r"Start-TzarWorkerVM: There is no template .* once the template is as it should be"


class WritableTemplate:
    """Somebody took its protection away."""

    error = r"New-TzarWorkerVM: The template .* is writable: .* once the template is as it should be"

    def begin(self, host):
        template_of(host).chmod(template_of(host).stat().st_mode | stat.S_IWUSR)

    def end(self, host):
        template_of(host).chmod(template_of(host).stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))


class Cmdlet:
    """A cmdlet fails for a reason that Windows has a number for."""

    def __init__(self, cmdlet, number, cure):
        self.cmdlet, self.number = cmdlet, number
        self.error = rf"{cmdlet}: .*{number}.*\. {cure}"

    def begin(self, host):
        failure = {"message": f"It cannot be done ({self.number}).", "id": "MadeUp"}
        host.set_faults(boot=BOOTS, **{self.cmdlet: failure})

    def end(self, host):
        host.set_faults(boot=BOOTS)


REFUSALS = {
    "not enough memory to make it": (Memory(), "reset"),
    "not enough memory to start it": (Cmdlet("Start-VM", "0x8007000E", "Free memory on the host"), "restart"),
    "disk full": (Disk(), "reset"),
    "no switch": (Switch(), "reset"),
    "missing template": (MissingTemplate(), "reset"),
    "moved parent": (MovedParent(), "restart"),
    "writable template": (WritableTemplate(), "reset"),
    "file in use": (Cmdlet("New-VHD", "0x80070020", "It is tried again. If it lasts, find out what holds"), "reset"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_the_host_refuses_or_lacks_is_told_and_blames_no_vm(world, name):
    fault, verb = REFUSALS[name]
    with world.playing() as log:
        fault.begin(world.host)
        world.fleet.power("tzar-01", verb)
        until(lambda: log.count("driver_failed", vm="tzar-01"), "it is refused")
        [error, *_] = log.texts("driver_failed", "error")
        detail = next(row.detail for row in world.fleet.status().vms if row.vm == "tzar-01")
        fault.end(world.host)
        until(lambda: is_ready(world.fleet, "tzar-01"), "it is back")
    assert re.match(r"VM tzar-01 on hv01: " + fault.error, error), error
    assert "VM tzar-01 on hv01: " in detail
    assert log.count("vm_failed") == log.count("vm_recovering") == log.count("vm_quarantined") == 0
    assert log.count("host_down") == 0


@pytest.mark.promise(4, "ladder")
def test_clones_whose_parent_was_written_to_are_told_and_made_anew(world):
    with world.playing() as log:
        for vm in world.vms:
            world.fleet.power(vm, "stop")
        until(lambda: {state_of(world.fleet, vm) for vm in world.vms} == {"off"}, "both are off")
        path = world.host.template
        world.host.run(
            f"Set-ItemProperty '{path}' IsReadOnly $false; Mount-VHD '{path}'; Dismount-VHD '{path}';"
            f"Set-ItemProperty '{path}' IsReadOnly $true"
        )
        for vm in world.vms:
            world.fleet.power(vm, "start")
        until(lambda: all(is_ready(world.fleet, vm) for vm in world.vms), "both are made anew")
        errors = log.texts("driver_failed", "error")
        assert {error[:15] for error in errors} == {"VM tzar-01 on h", "VM tzar-02 on h"}
        for error in errors:
            assert "Start-TzarWorkerVM: The parent disk 'C:\\tzar\\template.vhdx' has changed since" in error
    rungs = {(each["vm"], each["rung"]) for each in log if each["event"] == "vm_recovering"}
    assert rungs == {(vm, rung) for vm in world.vms for rung in ("restart", "recreate")}
    assert log.count("vm_quarantined") == 0


def test_a_name_that_is_taken_costs_that_vm_its_ladder_and_no_other_one_anything(world):
    with world.playing() as log:
        world.host.run("$null = Hyper-V\\New-VM tzar-01 -NoVHD")
        world.fleet.power("tzar-01", "reset")
        until(lambda: log.count("vm_quarantined", vm="tzar-01"), "it is in quarantine")
        for error in log.texts("driver_failed", "error"):
            assert "VM tzar-01 on hv01: New-TzarWorkerVM: it was not made by this fleet" in error
            assert "Rename it, or remove it by hand" in error
        assert state_of(world.fleet, "tzar-02") == "playing"
        assert log.count("vm_failed", vm="tzar-02") == 0
        assert [name for name, _ in vms_of(world.host)].count("tzar-01") == 1, "the other one was not touched"
        world.host.run("Hyper-V\\Remove-VM tzar-01 -Force")
        world.fleet.power("tzar-01", "start")
        until(lambda: is_ready(world.fleet, "tzar-01"), "it is back")
    assert log.count("host_down") == 0
