"""The functions that prepare a host and look whether it can carry a fleet."""

import ipaddress
import re
import time
from collections.abc import Callable

from hyperv.fake.binding import Given
from hyperv.fake.budgets import require_disk, require_memory
from hyperv.fake.call import Call, Row
from hyperv.fake.hypervisor import Hypervisor
from hyperv.fake.machines import FakeSwitch
from hyperv.fake.marks import place_of, require_path
from hyperv.fake.records import ScriptError, tzar_error
from hyperv.fake.templates import require_cloneable

__all__ = ["initialize_host", "test_host"]

_QUOTAS = {
    "MaxEnvelopeSizekb": 500,
    "MaxShellsPerUser": 30,
    "MaxProcessesPerShell": 25,
    "MaxMemoryPerShellMB": 1024,
    "MaxConcurrentOperationsPerUser": 1500,
}


def initialize_host(host: Hypervisor, given: Given, call: Call) -> list[Row]:
    """Initialize-TzarHost."""
    name, address, prefix = given["SwitchName"], given["HostAddress"], given["PrefixLength"]
    if re.search(r'[\[\]*?`"\x00-\x1f]', name):
        raise tzar_error(
            "TzarBadName",
            f"'{name}' cannot be the name of the switch: the firewall takes brackets, quotes, * and ? for patterns. "
            "Choose another.",
            category="InvalidArgument",
            target=name,
        )
    require_path(given["Folder"], "The folder")
    network = _network(address, prefix)
    switch = _switch(host, name)
    if switch is not None and switch.type != "Internal":
        raise tzar_error(
            "TzarWrongSwitch",
            f"There is a switch '{name}' of type {switch.type}, not Internal; it was not touched. Choose another name, "
            "or use it as it is: then this script is not needed.",
            target=name,
        )
    if given.what_if:
        return []
    rows = [_part("switch", switch is None, f"{name}, the host's adapter is {_adapter(name)}")]
    if switch is None:
        switch = host.state.switches[name] = FakeSwitch(name)
    had = switch.addresses.get(address)
    switch.addresses[address] = prefix
    rows.append(_part("address", had is None, f"{address}/{prefix}", is_changed=had != prefix))
    if given["Nat"]:
        rows.append(_part("nat", network not in host.state.nats.values(), network))
        if network not in host.state.nats.values():
            host.state.nats[f"tzar-actors-{name}"] = network
    rule, before = (_ports(given), _adapter(name)), host.state.rules.get(name)
    host.state.rules[name] = rule
    ports = ", ".join(map(str, rule[0]))
    rows.append(_part("firewall", before is None, f"TCP {ports} on '{rule[1]}'", is_changed=before != rule))
    rows.append(_part("folder", not host.drive.has_folder(given["Folder"]), given["Folder"]))
    host.drive.make_folder(given["Folder"])
    return rows


def test_host(host: Hypervisor, given: Given, call: Call) -> list[Row]:
    """Test-TzarHost, on a host whose Windows is in order."""
    rows = [
        _check("powershell", "5.1.20348.2700", "5.1"),
        _check("windows", "10.0.20348", "10.0.17763 (Windows Server 2019, Windows 10 1809) or later"),
        _check("module", "2.0.0.0", "Hyper-V 2.0.0.0 or later"),
        _check("rights", "S-1-5-32-544", "a member of Administrators (S-1-5-32-544) or Hyper-V Administrators"),
    ]
    if given["Time"]:
        skew = round(time.time() - given["Time"], 1)
        rows.append(_check("clock", f"{skew} s from the supervisor's", "at most 5 s", abs(skew) <= 5, "w32tm /resync"))
    rows += [_check(f"quota {name}", str(value), f"{value} or more") for name, value in _QUOTAS.items()]
    rows.append(
        _tried("hyper-v", "Hyper-V answers", lambda: f"{len(host.all_vms())} VMs, {host.facts.memory_mb} MB of memory")
    )
    if given["SwitchName"]:
        rows += _network_checks(host, given)
    if given["Template"]:
        rows.append(_template_check(host, given["Template"], given["Generation"]))
    rows += _budget_checks(host, given)
    if given["GpuPartition"]:
        rows.append(_check("gpu", "1: fake", "a GPU that can be partitioned"))
    return rows


def _network_checks(host: Hypervisor, given: Given) -> list[Row]:
    name, address, prefix = given["SwitchName"], given["HostAddress"], given["PrefixLength"]
    switch = _switch(host, name)
    cure = _cure(given)
    found = switch.type if switch is not None else "there is none"
    rows = [_check("switch", found, f"a switch '{name}'", switch is not None, cure)]
    if switch is not None and switch.type == "Private":
        way = "a way from the guests to the supervisor"
        rows.append(_check("address", "a private switch", way, False, "Use an internal or external switch."))
    if switch is None or switch.type != "Internal":
        return rows
    if address:
        has = [f"{one}/{length}" for one, length in switch.addresses.items()]
        wanted = f"{address}/{prefix}"
        rows.append(_check("address", ", ".join(has), wanted, wanted in has, cure))
    if given["SupervisorIsElsewhere"]:
        networks = list(host.state.nats.values())
        is_good = _network(address, prefix) in networks if address else bool(networks)
        wanted = "NAT for the guests, since the supervisor is not on this host"
        rows.append(_check("nat", ", ".join(networks), wanted, is_good, cure))
    elif given["Port"]:
        rule, wanted_rule = host.state.rules.get(name), (_ports(given), _adapter(name))
        ports = ", ".join(map(str, wanted_rule[0]))
        found = f"TCP {', '.join(map(str, rule[0]))} on {rule[1]}" if rule else "no rule"
        rows.append(_check("firewall", found, f"TCP {ports} let in on the switch alone", rule == wanted_rule, cure))
    return rows


def _cure(given: Given) -> str:
    name, address, prefix = given["SwitchName"].replace("'", "''"), given["HostAddress"], given["PrefixLength"]
    parts = [f".\\Initialize-TzarHost.ps1 -SwitchName '{name}'"]
    parts += [f"-HostAddress {address} -PrefixLength {prefix}"] if address else []
    parts += [f"-{port} {given[port]}" for port in ("Port", "BlobPort") if given[port]]
    return " ".join([*parts, *(["-Nat"] if given["SupervisorIsElsewhere"] else [])])


def _template_check(host: Hypervisor, template: str, generation: int) -> Row:
    def look() -> str:
        require_cloneable(host, template, generation)
        return template

    return _tried("template", "a disk, read-only, without checkpoints, its own parents in order", look)


def _budget_checks(host: Hypervisor, given: Given) -> list[Row]:
    fleet, folder, count = given["Fleet"], given["Folder"], given["Count"]
    memory_mb, disk_mb = given["MemoryMB"], given["DiskMB"]

    def places() -> list[str]:
        marks = [vm.mark for vm in host.all_vms()]
        return [place_of(mark.name) for mark in marks if mark is not None and mark.fleet == fleet]

    def memory() -> str:
        more = max(0, count - len(places()))
        require_memory(host, more, memory_mb, given["ReserveMemoryMB"])
        return f"room for {more} more"

    def disk() -> str:
        require_path(folder, "The folder")
        more = max(0, count - len(places()))
        require_disk(host, more, disk_mb, memory_mb, given["ReserveDiskMB"], folder, fleet, places())
        return f"room for {more} more in {folder}"

    rows = [_tried("memory", f"room for {count} VMs of {memory_mb} MB", memory)]
    return [*rows, _tried("disk", f"room for {count} VMs of {disk_mb} MB", disk)] if folder else rows


def _tried(name: str, wanted: str, look: Callable[[], str]) -> Row:
    try:
        return _check(name, look(), wanted)
    except ScriptError as error:
        return _check(name, error.record.message, wanted, False, "As said there.")


def _check(name: str, found: str, wanted: str, is_good: bool = True, cure: str = "") -> Row:
    return {"Name": name, "Ok": is_good, "Found": found, "Wanted": wanted, "Cure": "" if is_good else cure}


def _part(name: str, is_made: bool, detail: str, *, is_changed: bool = False) -> Row:
    return {"Name": name, "Found": "made" if is_made else "changed" if is_changed else "there", "Detail": detail}


def _switch(host: Hypervisor, name: str) -> FakeSwitch | None:
    return next((one for one in host.state.switches.values() if one.name.casefold() == name.casefold()), None)


def _adapter(switch: str) -> str:
    return f"vEthernet ({switch})"


def _ports(given: Given) -> tuple[int, ...]:
    return (given["Port"], given["BlobPort"]) if given["BlobPort"] else (given["Port"],)


def _network(address: str, prefix: int) -> str:
    try:
        return str(ipaddress.IPv4Network(f"{address}/{prefix}", strict=False))
    except ValueError:
        raise tzar_error(
            "TzarBadAddress",
            f"'{address}' is no IPv4 address. Write it as 192.168.77.1.",
            category="InvalidArgument",
            target=address,
        ) from None
