"""Initialize-TzarHost and Test-TzarHost."""

import pytest

NETWORK = {"SwitchName": "tzar", "HostAddress": "192.168.77.1", "Port": 5555, "BlobPort": 5556}


def initialize(host, *switches, **more):
    parts = host.call("Initialize-TzarHost", *switches, **(NETWORK | {"Folder": host.folder} | more))
    return {part["Name"]: part["Found"] for part in parts}


def check(host, *switches, **more):
    return {one["Name"]: one for one in host.call("Test-TzarHost", *switches, **more)}


def test_a_host_is_prepared_once(host):
    assert initialize(host, "-Nat") == dict.fromkeys(("switch", "address", "nat", "firewall", "folder"), "made")
    before = host.raw()
    assert initialize(host, "-Nat") == dict.fromkeys(("switch", "address", "nat", "firewall", "folder"), "there")
    assert host.raw() == before
    (alias,) = host.run("(Get-NetFirewallRule -Name tzar-actors-tzar | Get-NetFirewallInterfaceFilter).InterfaceAlias")
    assert alias == "vEthernet (tzar)", "the rule holds on the switch alone"


def test_what_differs_is_changed_and_what_people_made_is_kept(host):
    initialize(host, "-Nat")
    host.run("$null = New-NetIPAddress -InterfaceAlias 'vEthernet (tzar)' -IPAddress 10.1.1.1 -PrefixLength 24")
    changed = initialize(host, "-Nat", PrefixLength=25, Port=7777)
    assert changed == {"switch": "there", "address": "changed", "nat": "made", "firewall": "changed", "folder": "there"}
    addresses = host.run(
        "Get-NetIPAddress -InterfaceAlias 'vEthernet (tzar)' | "
        'ForEach-Object { "$($_.IPAddress)/$($_.PrefixLength)" } | Sort-Object'
    )
    assert addresses == ["10.1.1.1/24", "192.168.77.1/25"]
    assert host.run("Get-NetNat | ForEach-Object InternalIPInterfaceAddressPrefix") == ["192.168.77.0/25"]
    assert host.run("(Get-NetFirewallRule -Name tzar-actors-tzar | Get-NetFirewallPortFilter).LocalPort") == [
        "7777",
        "5556",
    ]


def test_a_switch_of_another_kind_is_not_touched(host, refused):
    host.run("$null = New-VMSwitch -Name tzar -SwitchType Private")
    before = host.raw()
    with refused("TzarWrongSwitch", "Private"):
        initialize(host)
    for more in ({"SwitchName": "a[1]"}, {"HostAddress": "192.168.77"}, {"HostAddress": "::1"}, {"Folder": "x"}):
        with refused(
            {"SwitchName": "TzarBadName", "HostAddress": "TzarBadAddress", "Folder": "TzarBadPath"}[next(iter(more))]
        ):
            initialize(host, **more)
    assert host.raw() == before


def test_networks_are_reckoned_by_their_prefix(host):
    for address, prefix, network in (
        ("192.168.77.130", 24, "192.168.77.0/24"),
        ("192.168.77.130", 25, "192.168.77.128/25"),
        ("10.20.30.40", 12, "10.16.0.0/12"),
    ):
        assert host.call("Get-TzarNetwork", Address=address, PrefixLength=prefix) == [network]


def test_a_host_that_is_ready_passes_every_check_that_can_be_made(host):
    initialize(host, "-Nat")
    asked = NETWORK | {"Folder": host.folder, "Template": host.template, "Count": 8, "MemoryMB": 1024}
    (now,) = host.run("ConvertTo-TzarUnixTime -Time ([datetime]::UtcNow)")
    checks = check(host, "-GpuPartition", **asked, Time=now)
    assert {name for name, one in checks.items() if one["Ok"]} >= {
        *(
            "powershell",
            "windows",
            "module",
            "hyper-v",
            "clock",
            "switch",
            "address",
            "firewall",
            "template",
            "memory",
            "disk",
            "gpu",
        )
    }
    assert [one for one in checks.values() if one["Ok"] is False] == []
    # The lab tells neither the account's groups nor WinRM's quotas: what cannot be seen is not said to be well.
    unseen = {name: one for name, one in checks.items() if one["Ok"] is None}
    assert {name.split()[0] for name in unseen} == {"rights", "quota"}
    assert all(one["Found"] and one["Cure"] for one in unseen.values())
    assert check(host, "-SupervisorIsElsewhere", **asked)["nat"]["Ok"] is True


def test_each_check_that_fails_says_what_was_found_and_the_cure(host):
    host.protect_template(is_on=False)
    (now,) = host.run("ConvertTo-TzarUnixTime -Time ([datetime]::UtcNow)")
    asked = NETWORK | {
        "Folder": r"C:\tzar\new\deep",
        "Template": host.template,
        "Count": 99,
        "MemoryMB": 1024,
        "DiskMB": 99999,
    }
    checks = check(host, **asked, Time=now - 60)
    assert {name for name, one in checks.items() if one["Ok"] is False} == {
        "clock",
        "switch",
        "template",
        "memory",
        "disk",
    }
    assert all(one["Cure"] for one in checks.values() if one["Ok"] is False)
    assert "99 x 1024 MB" in checks["memory"]["Found"]
    assert checks["clock"]["Found"].startswith("6")
    host.run("$null = New-VMSwitch -Name tzar -SwitchType Internal")
    checks = check(host, "-SupervisorIsElsewhere", **NETWORK)
    assert {name for name, one in checks.items() if one["Ok"] is False} == {"address", "nat"}
    assert checks["address"]["Found"].startswith("169.254.")
    assert checks["address"]["Cure"].startswith(r".\Initialize-TzarHost.ps1")
    script = r".\Initialize-TzarHost.ps1 -SwitchName 'tzar' -HostAddress 192.168.77.1 -PrefixLength 24"
    assert checks["nat"]["Cure"] == f"{script} -Port 5555 -BlobPort 5556 -Nat"
    assert check(host, **NETWORK)["firewall"]["Ok"] is False


def test_a_host_without_hyper_v_is_told_so_by_every_check_that_needs_it(host):
    host.set_faults({"vmms": "stopped"})
    checks = check(host, Template=host.template, **NETWORK)
    assert {name for name, one in checks.items() if one["Ok"] is False} == {"hyper-v", "switch", "template", "memory"}
    assert "Initialize" not in checks["switch"]["Cure"], "a switch would not help"


def test_the_vms_that_are_there_are_among_those_that_are_asked_for(host):
    host.make(Count=4, MemoryMB=8192)
    asked = {"Fleet": host.fleet, "MemoryMB": 8192, "Folder": host.folder}
    assert check(host, Count=7, **asked)["memory"]["Found"] == "room for 3 more"
    assert check(host, Count=9, **asked)["memory"]["Ok"] is False
    assert check(host, Count=3, **asked)["disk"]["Ok"] is True


OLDER = r"""
function script:Get-Command {
    param($Module, [string[]] $Name, $ErrorAction)
    foreach ($one in $Name) { if ($one -in $script:has) { Microsoft.PowerShell.Core\Get-Command -Name "Find-Gpu" } }
}
function script:Find-Gpu { [CmdletBinding()] param() [pscustomobject]@{ Name = 'a GPU' } }
"""


def test_the_gpu_of_an_older_windows_is_asked_for_by_its_older_name(host):
    try:
        for has, ok, found in (
            ("Get-VMPartitionableGpu", True, "1: a GPU"),
            ("nothing", False, "has no Get-VMHostPartitionableGpu"),
        ):
            host.run(OLDER + f"$script:has = '{has}'")
            gpu = check(host, "-GpuPartition")["gpu"]
            assert gpu["Ok"] is ok
            assert found in gpu["Found"]
    finally:
        host.restart_shell()


@pytest.mark.parametrize(
    ("groups", "here", "by_network"),
    [(["S-1-5-32-544"], True, True), (["S-1-5-32-578"], True, None), ([], False, False)],
)
def test_who_comes_by_the_network_must_be_an_administrator(host, groups, here, by_network):
    listed = ", ".join(f"'{group}'" for group in groups)
    host.run(f"function script:Get-TzarGroup {{ @({listed}) }}")
    try:
        assert check(host)["rights"]["Ok"] is here
        rights = check(host, "-SupervisorIsElsewhere")["rights"]
        assert rights["Ok"] is by_network
        assert ("S-1-5-32-544" in rights["Cure"]) == (by_network is not True)
    finally:
        host.restart_shell()


# An adapter that was just made: listed, and not yet one of IP's.
NEW_ADAPTER = r"""
$script:refused = 0
function script:New-NetIPAddress {
    [CmdletBinding()] param($InterfaceIndex, $IPAddress, $PrefixLength)
    $script:refused++
    if ($script:refused -gt $script:refusals.Count) {
        Remove-Item -LiteralPath Function:New-NetIPAddress
        return New-NetIPAddress @PSBoundParameters
    }
    $id = "Windows System Error $($script:refusals[$script:refused - 1])"
    $what = [System.InvalidOperationException]::new('Element nicht gefunden.')
    $PSCmdlet.ThrowTerminatingError([System.Management.Automation.ErrorRecord]::new($what, $id, 13, $null))
}
"""


def test_an_adapter_that_was_just_made_gets_its_address_a_little_later(host, refused):
    try:
        host.run(NEW_ADAPTER + "$script:refusals = @(87, 1168)")
        assert initialize(host)["address"] == "made"
        assert check(host, **NETWORK)["address"]["Ok"] is True
        host.run(NEW_ADAPTER + "$script:refusals = @(5)")
        with refused("", "Element nicht gefunden"):
            initialize(host, HostAddress="192.168.77.2")
        assert host.run("$script:refused") == [1]
    finally:
        host.restart_shell()
