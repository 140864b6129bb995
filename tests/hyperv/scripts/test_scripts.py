"""The scripts that people run by hand, and what holds for every PowerShell file of the project."""

import re
import subprocess

import pytest

FILES = "hyperv/scripts/*.ps1, hyperv/scripts/functions/*.ps1"
VERBS = ("New", "Remove", "Start", "Stop", "Restart", "Get", "Checkpoint", "Restore")
SCRIPTS = sorted([*(f"{verb}-TzarWorkerVM" for verb in VERBS), "Initialize-TzarHost", "Test-TzarHost"])
APPROVED = {
    *(
        "Assert",
        "Checkpoint",
        "Clear",
        "Complete",
        "ConvertTo",
        "Copy",
        "Enable",
        "Find",
        "Format",
        "Get",
        "Initialize",
        "Invoke",
        "New",
    ),
    *(
        "Open",
        "Remove",
        "Request",
        "Restart",
        "Restore",
        "Select",
        "Send",
        "Set",
        "Start",
        "Stop",
        "Test",
        "Wait",
        "Write",
    ),
}


@pytest.fixture(scope="module")
def files(lab, request):
    folder = request.config.rootpath / "hyperv" / "scripts"
    found = sorted([*folder.glob("*.ps1"), *folder.glob("functions/*.ps1")])
    assert len(found) > 20
    return found


def by_hand(host, script, arguments=""):
    return host.run(rf"& C:\scripts\{script}.ps1 {arguments}")


def test_every_file_is_one_that_windows_powershell_reads_as_it_is_meant(files, lab):
    done = subprocess.run([lab / "pwsh", "--check51", *files], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    for path in files:
        assert path.read_bytes().isascii(), path


def test_cmdlets_of_hyper_v_are_called_by_their_module(files):
    # PowerCLI has the same names; Get-VMHost of one is not Get-VMHost of the other.
    for path in files:
        code = re.sub(r"<#.*?#>|#[^\n]*|\"[^\"\n]*\"|'[^'\n]*'", "", path.read_text(), flags=re.DOTALL)
        bare = re.findall(r"(?<![\\\w-])[A-Z][a-z]+-(?:VM(?!File\b.*Tzar)\w*|VHD)\b", code)
        assert bare == [], path.name


def test_the_state_of_a_vm_is_never_one_that_the_module_remembers(files):
    for path in files:
        code = path.read_text()
        if path.name == "Marks.ps1":
            code = code.replace("Hyper-V\\Get-VM @PSBoundParameters", "", 1)
        asked = re.findall(r".*Hyper-V\\Get-VM\b.*", code)
        assert [line for line in asked if ").Count) VMs," not in line] == [], path.name


def test_what_fails_in_a_module_of_functions_stops_as_well(files):
    # Cmdlets of the network are functions of another module: they do not see the caller's $ErrorActionPreference.
    for path in files:
        for line in path.read_text().splitlines():
            if re.search(
                r"\b[A-Z][a-z]+-(Net(IP|Nat|Adapter|Route|Firewall)\w*|Cim\w+|Volume)\b", line.split("#")[0]
            ) and not line.strip().startswith("Remove-NetNat -InputObject"):
                assert "-ErrorAction Stop" in line or line.rstrip().endswith("`"), f"{path.name}: {line.strip()}"


def test_functions_have_approved_verbs_help_and_one_public_name_a_script(files):
    functions = {
        name: path for path in files for name in re.findall(r"^function (\S+) \{", path.read_text(), re.MULTILINE)
    }
    assert {name.split("-")[0] for name in functions} <= APPROVED
    assert all("-Tzar" in name for name in functions), "a name without ours may be somebody else's"
    for path in files:
        for match in re.finditer(r"^function (\S+) \{\n(.*)", path.read_text(), re.MULTILINE):
            assert match[2].strip() == "<#", f"{match[1]} has no help"
    scripts = sorted(path.stem for path in files if path.parent.name == "scripts")
    assert scripts == SCRIPTS
    assert set(scripts) <= functions.keys()


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_takes_what_its_function_takes(host, script):
    ask = '(Get-Command {0}).Parameters.Values | ForEach-Object {{ "$($_.Name) $($_.ParameterType.Name)" }}'
    of_function = set(host.run(ask.format(script)))
    of_script = set(host.run(ask.format(rf"C:\scripts\{script}.ps1")))
    if script.endswith("WorkerVM") and not script.startswith(("New", "Get")):
        of_script = of_script - {"Name String[]"} | {"Name String"}  # it does them one after the other
    if script == "Checkpoint-TzarWorkerVM":
        of_function -= {"SkipExisting SwitchParameter"}  # by hand it is always so
    assert of_script == of_function


def test_a_script_explains_every_parameter(files):
    for path in files:
        if path.parent.name != "scripts":
            continue
        text = path.read_text()
        help_text, code = text[: text.index("#>")], text[text.index("param(") :]
        parameters = re.findall(r"\] \$(\w+)", code[: code.index("\n)")])
        assert sorted(re.findall(r"\.PARAMETER (\w+)", help_text)) == sorted(parameters), path.name
        assert ".SYNOPSIS" in help_text
        assert ".EXAMPLE" in help_text


def test_a_fleet_is_made_kept_and_removed_by_hand(host):
    assert len(by_hand(host, "Initialize-TzarHost", "-Port 5555")) == 4
    make = rf"-Count 2 -Template {host.template} -MemoryMB 1024"
    by_hand(host, "New-TzarWorkerVM", make + " -WhatIf")
    assert by_hand(host, "Get-TzarWorkerVM") == []
    made = by_hand(host, "New-TzarWorkerVM", make)
    assert [(vm["Name"], vm["State"], vm["Incarnation"]) for vm in made] == [
        ("tzar-01", "Running", 1),
        ("tzar-02", "Running", 1),
    ]
    assert by_hand(host, "New-TzarWorkerVM", make) == made
    assert (
        len(
            host.run(
                r"& C:\scripts\Get-TzarWorkerVM.ps1 | & C:\scripts\Checkpoint-TzarWorkerVM.ps1 -CheckpointName parked"
            )
        )
        == 2
    )
    assert len(by_hand(host, "Checkpoint-TzarWorkerVM", "tzar-01, tzar-02 -CheckpointName parked")) == 2
    assert [vm["Incarnation"] for vm in by_hand(host, "Restart-TzarWorkerVM", "tzar-01, tzar-02 -TurnOff")] == [2, 2]
    assert [vm["Incarnation"] for vm in by_hand(host, "Restore-TzarWorkerVM", "tzar-02 -CheckpointName parked")] == [3]
    stopped = host.run(r"& C:\scripts\Get-TzarWorkerVM.ps1 | & C:\scripts\Stop-TzarWorkerVM.ps1 -TurnOff")
    assert {vm["State"] for vm in stopped} == {"Off"}
    assert by_hand(host, "Start-TzarWorkerVM", "tzar-01")[0]["State"] == "Running"
    (one,) = by_hand(host, "Get-TzarWorkerVM", "tzar-02")
    assert (one["State"], [checkpoint["Name"] for checkpoint in one["Checkpoints"]]) == ("Off", ["parked"])
    checks = by_hand(
        host, "Test-TzarHost", "-SwitchName tzar -HostAddress 192.168.77.1 -Port 5555 -Count 2 -MemoryMB 1024"
    )
    assert [check for check in checks if check["Ok"] is False] == []
    for _ in range(2):
        assert by_hand(host, "Remove-TzarWorkerVM", "tzar-01, tzar-02 -Force") == []
    assert host.is_clean()


def test_a_script_ends_with_an_error_that_other_programs_see(host):
    # As `powershell -File` is run by people's own programs.
    host.make()
    with pytest.raises(Exception, match="There is no VM 'none'") as caught:
        by_hand(host, "Stop-TzarWorkerVM", "none")
    assert caught.value.code == "TzarNoSuchVM"


def test_what_if_of_every_script_changes_nothing(host):
    make = rf"-Count 2 -Template {host.template} -MemoryMB 1024 -SwitchName fleet"
    by_hand(host, "New-TzarWorkerVM", make)
    by_hand(host, "Checkpoint-TzarWorkerVM", "tzar-01 -CheckpointName one")
    before = host.raw()
    for script, arguments in {
        "New-TzarWorkerVM": make.replace("2", "3", 1),
        "Start-TzarWorkerVM": "tzar-01",
        "Stop-TzarWorkerVM": "tzar-01, tzar-02 -TurnOff",
        "Restart-TzarWorkerVM": "tzar-01",
        "Checkpoint-TzarWorkerVM": "tzar-02 -CheckpointName one",
        "Restore-TzarWorkerVM": "tzar-01 -CheckpointName one",
        "Remove-TzarWorkerVM": "tzar-01 -Force",
        "Initialize-TzarHost": "-Port 5555 -Nat",
    }.items():
        by_hand(host, script, arguments + " -WhatIf")
        assert host.raw() == before, script
