"""The functions that list, power, checkpoint and restore VMs that are there."""

import time
import uuid
from dataclasses import replace

from hyperv.fake.binding import Given
from hyperv.fake.call import Call, Row, summary
from hyperv.fake.drive import HostFile
from hyperv.fake.hypervisor import Hypervisor
from hyperv.fake.machines import FakeCheckpoint, FakeVm
from hyperv.fake.marks import is_place_of, write_mark
from hyperv.fake.records import tzar_error
from hyperv.fake.templates import require_bootable, require_chain, require_template

__all__ = ["checkpoint_vm", "list_vms", "restart_vm", "restore_vm", "start_vm", "stop_vm", "wait_until_off"]

_MB = 2**20
_POLL_S = 0.02


def list_vms(host: Hypervisor, given: Given, call: Call) -> list[Row]:
    """Get-TzarWorkerVM."""
    rows = []
    for vm in host.all_vms():
        mark = vm.mark
        if mark is None or mark.fleet != given["Fleet"] or given["Name"] not in ("", mark.name):
            continue
        is_on = vm.state == "Running"
        files = host.drive.files_under(vm.path) if is_place_of(vm.path, mark.fleet) else ()
        renamed = "" if vm.name == mark.name else f"; people named it '{vm.name}'"
        rows.append(
            {
                "Name": mark.name,
                "Id": vm.id,
                "State": vm.state,
                "Heartbeat": "" if not is_on else "OkApplicationsHealthy" if host.answers(vm) else "NoContact",
                "UptimeSeconds": round(time.monotonic() - vm.started_at, 3) if is_on else 0,
                "MemoryAssignedBytes": vm.memory_mb * _MB if is_on else 0,
                "MemoryDemandBytes": 0,
                "Incarnation": mark.incarnation,
                "Checkpoints": [
                    {"Name": one.name, "Id": one.id, "CreatedAt": round(one.created_at, 3)} for one in vm.checkpoints
                ],
                "DiskBytes": sum(file.size for file in files),
                "ParentPath": mark.parent,
                "Detail": f"Operating normally{renamed}",
            }
        )
    return rows


def start_vm(host: Hypervisor, given: Given, call: Call) -> list[Row]:
    """Start-TzarWorkerVM."""
    vm, mark = host.require(given["Fleet"], given["Name"])
    incarnation = given["Incarnation"]
    if vm.state == "Running" and incarnation in (0, mark.incarnation):
        return summary(vm)
    if vm.state not in ("Off", "Saved"):
        raise tzar_error(
            "TzarNotOff",
            f"The VM '{mark.name}' is {vm.state} (incarnation {mark.incarnation}): it can be started only when it is "
            "off. Stop it before.",
            target=mark.name,
        )
    require_bootable(host, vm)
    if given.what_if:
        return []
    _write_incarnation(vm, incarnation)
    host.boot(vm)
    return summary(vm)


def stop_vm(host: Hypervisor, given: Given, call: Call) -> list[Row]:
    """Stop-TzarWorkerVM."""
    vm, mark = host.require(given["Fleet"], given["Name"])
    if vm.state == "Off":
        return summary(vm)
    if given.what_if:
        return []
    if given["TurnOff"] or vm.state == "Saved":
        host.turn_off(vm)
    elif host.answers(vm):
        host.guests.ask_to_end(vm.id)
    else:
        raise tzar_error(
            "TzarNoHeartbeat",
            f"The guest of '{mark.name}' cannot be asked to shut down (InitiateShutdown returned 32768): it does not "
            "answer. Turn it off: Stop-TzarWorkerVM -TurnOff.",
            target=mark.name,
        )
    wait_until_off(host, vm, mark.name, given["TimeoutSeconds"], call)
    return summary(vm)


def wait_until_off(host: Hypervisor, vm: FakeVm, name: str, timeout_s: float, call: Call) -> None:
    """Wait-TzarOff: throws TzarStillRuns."""
    deadline = time.monotonic() + timeout_s
    while True:
        host.all_vms()
        if vm.state == "Off":
            return
        if (left_s := deadline - time.monotonic()) <= 0:
            raise tzar_error(
                "TzarStillRuns",
                f"The VM '{name}' is {vm.state} {timeout_s:g} s after an attempt to ask the worker VM to shut down. "
                "Turn it off: Stop-TzarWorkerVM -TurnOff.",
                category="OperationTimeout",
                target=name,
            )
        call.pause(min(_POLL_S, left_s))


def restart_vm(host: Hypervisor, given: Given, call: Call) -> list[Row]:
    """Restart-TzarWorkerVM."""
    _, mark = host.require(given["Fleet"], given["Name"])
    if mark.parent:
        require_template(host, mark.parent)
    if given.what_if:
        return []
    stop_vm(host, given, call)
    return start_vm(host, given, call)


def checkpoint_vm(host: Hypervisor, given: Given, call: Call) -> list[Row]:
    """Checkpoint-TzarWorkerVM."""
    vm, mark = host.require(given["Fleet"], given["Name"])
    name = given["CheckpointName"]
    if (there := _newest(vm, name)) is not None:
        made_at = time.strftime("%m/%d/%Y %H:%M:%S", time.localtime(there.created_at))
        if given["SkipExisting"]:
            call.said.append(f"'{mark.name}' has a checkpoint '{name}' of {made_at}; no other was made.")
            return _checkpoint_row(mark.name, there)
        raise tzar_error(
            "TzarCheckpointExists",
            f"The VM '{mark.name}' has a checkpoint '{name}' of {made_at} already. Choose another name, or remove that "
            "one.",
            category="ResourceExists",
            target=mark.name,
        )
    if given.what_if:
        return []
    is_on = vm.state == "Running"
    disk = host.disk_of(vm)
    path = f"{vm.path}\\{uuid.uuid4()}.avhdx"
    copy = replace(disk, content=host.copy_content(disk.content, path, "Checkpoint-VM", call.ended))
    host.drive.put(HostFile(path, disk=copy))
    made = FakeCheckpoint(name, copy, vm.notes, is_on)
    vm.checkpoints.append(made)
    return _checkpoint_row(mark.name, made)


def restore_vm(host: Hypervisor, given: Given, call: Call) -> list[Row]:
    """Restore-TzarWorkerVM."""
    vm, mark = host.require(given["Fleet"], given["Name"])
    checkpoint = _newest(vm, given["CheckpointName"])
    if checkpoint is None:
        names = ", ".join(f"'{one.name}'" for one in vm.checkpoints) or "none"
        raise tzar_error(
            "TzarNoCheckpoint",
            f"The VM '{mark.name}' has no checkpoint '{given['CheckpointName']}' (it has: {names}); it was left as it "
            "is. Restore one that it has, or make it anew.",
            category="ObjectNotFound",
            target=mark.name,
        )
    if mark.parent:
        require_template(host, mark.parent)
    if vm.state != "Running":
        require_chain(host, vm.disk, mark.parent, mark.name)
    if given.what_if:
        return []
    host.turn_off(vm)
    content = host.copy_content(checkpoint.disk.content, vm.disk, "Restore-VMSnapshot", call.ended)
    before = host.drive.find(vm.disk)
    host.drive.put(HostFile(vm.disk, disk=replace(checkpoint.disk, content=content)))
    host.drop([before] if before is not None else [])
    vm.notes = checkpoint.notes
    _write_incarnation(vm, given["Incarnation"] or mark.incarnation + 1)
    host.boot(vm)
    if checkpoint.with_memory:  # its guest goes on at the time of the checkpoint
        vm.clock_off_s = checkpoint.created_at - time.time()
    return summary(vm)


def _write_incarnation(vm: FakeVm, incarnation: int) -> None:
    mark = vm.mark
    assert mark is not None
    vm.notes = write_mark(vm.notes, replace(mark, incarnation=incarnation or mark.incarnation + 1))


def _newest(vm: FakeVm, name: str) -> FakeCheckpoint | None:
    return next((one for one in reversed(vm.checkpoints) if one.name == name), None)


def _checkpoint_row(name: str, checkpoint: FakeCheckpoint) -> list[Row]:
    return [
        {
            "Name": name,
            "CheckpointName": checkpoint.name,
            "Id": checkpoint.id,
            "CreatedAt": round(checkpoint.created_at, 3),
            "WithMemory": checkpoint.with_memory,
        }
    ]
