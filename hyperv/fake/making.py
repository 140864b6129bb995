"""The functions that make and remove VMs, and find what a crash left half made."""

import json
from collections.abc import Sequence

from hyperv.fake.binding import Given
from hyperv.fake.budgets import require_disk, require_memory
from hyperv.fake.call import Call, Row, summary
from hyperv.fake.drive import Disk, HostFile
from hyperv.fake.hypervisor import Hypervisor
from hyperv.fake.machines import FakeVm
from hyperv.fake.marks import Mark, fleet_folder, is_place_of, place_of, require_name, require_path, write_mark
from hyperv.fake.power import start_vm
from hyperv.fake.records import tzar_error
from hyperv.fake.templates import require_bootable, require_cloneable

__all__ = ["list_remains", "new_vms", "remove_vm"]

_SETTINGS = (
    *("MemoryMB", "DynamicMemory", "MinimumMemoryMB", "MaximumMemoryMB", "Processors", "Generation", "SecureBoot"),
    *("SecureBootTemplate", "VideoWidth", "VideoHeight", "GpuPartition", "AutomaticStartAction", "SwitchName"),
)


def new_vms(host: Hypervisor, given: Given, call: Call) -> list[Row]:
    """New-TzarWorkerVM."""
    fleet, folder, template = given["Fleet"], given["Folder"], given["Template"]
    names: Sequence[str] = given["Name"] or [f"{given['Prefix']}-{n:02d}" for n in range(1, given["Count"] + 1)]
    for name in names:
        require_name(name)
    require_path(folder, "The folder")
    settings = {name: given[name] for name in _SETTINGS}
    _fill_in_memory(settings)
    there = {name: host.find(fleet, name) for name in names}
    missing = [name for name, vm in there.items() if vm is None]
    if missing:
        require_cloneable(host, template, given["Generation"])
        _require_switch(host, given["SwitchName"])
        require_memory(host, len(missing), given["MemoryMB"], given["ReserveMemoryMB"])
        marks = [mark for vm in host.all_vms() if (mark := vm.mark) is not None and mark.fleet == fleet]
        places = [place_of(mark.name) for mark in marks]
        sizes = (given["DiskMB"], given["MemoryMB"], given["ReserveDiskMB"])
        require_disk(host, len(missing), *sizes, folder, fleet, places)
    rows: list[Row] = []
    for name, vm in there.items():
        if given.what_if:
            continue
        if vm is None:
            vm = _clone(host, Mark(fleet, name, 0, template), folder, settings, call)
        elif vm.state == "Off":
            require_bootable(host, vm)
            _set(vm, settings)
        if given["NoStart"]:
            rows += summary(vm)
        else:
            rows += start_vm(host, Given({"Fleet": fleet, "Name": name, "Incarnation": 0}), call)
    return rows


def remove_vm(host: Hypervisor, given: Given, call: Call) -> list[Row]:
    """Remove-TzarWorkerVM."""
    fleet, name, folder = given["Fleet"], given["Name"], given["Folder"]
    vm = host.find(fleet, name)
    if vm is None:
        if folder:
            require_path(folder, "The folder")
            place = f"{fleet_folder(folder, fleet)}\\{place_of(name)}"
            if host.drive.has_folder(place) and not given.what_if:
                _remove_remains(host, fleet, place)
        return []
    if vm.state not in ("Off", "Saved") and not given["Force"]:
        raise tzar_error(
            "TzarNotOff",
            f"The VM '{name}' is {vm.state} and was not removed. Stop it before, or use -Force.",
            target=name,
        )
    if not is_place_of(vm.path, fleet):
        raise tzar_error(
            "TzarForeignFolder",
            f"The VM '{name}' lies in '{vm.path}', where this fleet did not put it; it was not removed. Remove it by "
            "hand.",
            category="PermissionDenied",
            target=name,
        )
    if not given.what_if:
        host.turn_off(vm)
        del host.vms[vm.id]
        _remove_folder(host, vm.path)
    return []


def list_remains(host: Hypervisor, given: Given, call: Call) -> list[Row]:
    """Get-TzarRemains."""
    require_path(given["Folder"], "The folder")
    vms = host.all_vms()
    rows = []
    for place in host.drive.folders_in(fleet_folder(given["Folder"], given["Fleet"])):
        note = host.note_in(place)
        inside = [vm for vm in vms if vm.path.casefold() == place.casefold()]
        if note.get("Fleet") == given["Fleet"] and not any(vm.mark for vm in inside):
            what = f"a VM without its mark, {inside[0].state}" if inside else "a folder without a VM"
            rows.append({"Name": note.get("Name", ""), "Path": place, "Detail": what})
    return rows


def _clone(host: Hypervisor, mark: Mark, folder: str, settings: dict[str, object], call: Call) -> FakeVm:
    place = place_of(mark.name)
    path = f"{fleet_folder(folder, mark.fleet)}\\{place}"
    template = host.drive.find(mark.parent)
    assert template is not None
    assert template.disk is not None
    _remove_remains(host, mark.fleet, path)
    note = {"Fleet": mark.fleet, "Name": mark.name, "Template": mark.parent}
    host.drive.put(HostFile(f"{path}\\worker.json", json.dumps(note).encode()))
    is_made = False
    try:
        disk = f"{path}\\{place}.vhdx"
        content = host.copy_content(template.disk.content, disk, "New-VHD", call.ended)
        host.drive.put(HostFile(disk, disk=Disk(content, template.path, template.disk.identity)))
        vm = FakeVm(mark.name, path, disk, 0, notes=write_mark("", mark))
        _set(vm, settings)
        is_made = True
    finally:
        if not is_made:
            _remove_folder(host, path)
    host.vms[vm.id] = vm
    return vm


def _set(vm: FakeVm, settings: dict[str, object]) -> None:
    mark, memory_mb = vm.mark, settings["MemoryMB"]
    assert mark is not None
    assert isinstance(memory_mb, int)
    vm.name, vm.memory_mb = mark.name, memory_mb
    vm.settings = dict(settings)


def _remove_remains(host: Hypervisor, fleet: str, path: str) -> None:
    """Removes what lies in the folder of a VM that was not made to the end; throws TzarForeignVM for any other."""
    for vm in host.all_vms():
        if vm.path.casefold() != path.casefold():
            continue
        if not host.is_half_made(vm, fleet):
            raise tzar_error(
                "TzarForeignVM",
                f"The VM '{vm.name}' ({vm.id}) lies in '{path}' and is not what this fleet left there half made. It "
                "was not touched. Remove it by hand.",
                category="PermissionDenied",
                target=vm.name,
            )
        del host.vms[vm.id]
    _remove_folder(host, path)


def _remove_folder(host: Hypervisor, path: str) -> None:
    host.drop(host.drive.remove_tree(path))
    host.drive.remove_if_empty(path.rpartition("\\")[0])


def _fill_in_memory(settings: dict[str, object]) -> None:
    startup, least, most = (settings[name] for name in ("MemoryMB", "MinimumMemoryMB", "MaximumMemoryMB"))
    assert isinstance(startup, int)
    assert isinstance(least, int)
    assert isinstance(most, int)
    what = ""
    if not settings["DynamicMemory"]:
        if least or most:
            what = "A minimum or maximum of memory needs -DynamicMemory. Give that as well, or neither."
    else:
        least, most = least or min(512, startup), most or startup
        settings |= {"MinimumMemoryMB": least, "MaximumMemoryMB": most}
        if not least <= startup <= most:
            what = f"Dynamic memory must rise from minimum to startup to maximum, not {least}, {startup}, {most} MB."
    if what:
        raise tzar_error("TzarBadMemory", what, category="InvalidArgument")


def _require_switch(host: Hypervisor, name: str) -> None:
    if name.casefold() not in (one.casefold() for one in host.state.switches):
        names = ", ".join(f"'{one}'" for one in host.state.switches)
        raise tzar_error(
            "TzarNoSwitch",
            f"There is no virtual switch '{name}' (there are: {names}). Make it with Initialize-TzarHost -SwitchName "
            f"'{name}'.",
            category="ObjectNotFound",
            target=name,
        )
