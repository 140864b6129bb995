"""New-TzarWorkerVM: what a correct worker VM is, what is refused before anything is made, and names of every kind."""

import json

import pytest

ODD_NAMES = [
    "with blanks and 'quotes'",
    'double "quotes" too',
    "$(Remove-Item C:\\tzar -Recurse) $env:PATH `n",
    "brackets [1] * ? [ab]",
    "Ärger mit Umlauten 中文 \U0001f3ae",
    "vm=x incarnation=7",
    "TZAR-01",
    "con",
    "a;b|c&d<e>f/g\\h",
]


def state_of(host, name="tzar-01"):
    """The VM as the lab keeps it."""
    (vm,) = [vm for vm in json.loads((host.state / "state.json").read_text())["Vms"] if vm["Name"] == name]
    return vm


def test_a_worker_vm_has_the_settings_that_the_design_asks_for(host):
    host.make(Processors=3, VideoWidth=1600, VideoHeight=900)
    vm = state_of(host)
    settings = vm["Settings"]
    assert (vm["State"], vm["Generation"]) == ("Off", 2)
    assert settings["Notes"].splitlines() == [
        f"tzar-actors fleet={host.fleet} vm=tzar-01 incarnation=0",
        f"tzar-actors parent={host.template}",
    ]
    assert (settings["Processor"]["Count"], settings["Memory"]["Startup"], settings["Memory"]["Dynamic"]) == (
        3,
        1 << 30,
        False,
    )
    assert (settings["CheckpointType"], settings["AutomaticCheckpoints"]) == ("Standard", False)
    assert (settings["StartAction"], settings["StopAction"]) == ("Nothing", "TurnOff")
    assert (settings["Firmware"]["SecureBoot"], settings["Firmware"]["Template"]) == (True, "MicrosoftWindows")
    assert (settings["Video"]["Type"], settings["Video"]["Width"], settings["Video"]["Height"]) == ("Single", 1600, 900)
    assert settings["Adapters"][0]["SwitchName"] == "fleet"
    assert "Guest Service Interface" not in settings["DisabledServices"]
    assert settings["Gpus"] == []
    place = rf"{host.folder}\{host.fleet}\tzar-01"
    assert (vm["Path"], settings["Drives"][0]["Path"]) == (place, rf"{place}\tzar-01.vhdx")
    (disk,) = host.run(
        f"Get-VHD '{place}\\tzar-01.vhdx' | Select-Object ParentPath, @{{ n = 'Type'; e = {{ \"$($_.VhdType)\" }} }}"
    )
    assert disk == {"ParentPath": host.template, "Type": "Differencing"}


def test_a_vm_can_be_of_generation_1_with_dynamic_memory(host):
    host.make("-DynamicMemory", Generation=1, MinimumMemoryMB=512, MaximumMemoryMB=2048)
    vm = state_of(host)
    memory = vm["Settings"]["Memory"]
    assert vm["Generation"] == 1
    assert (memory["Dynamic"], memory["Minimum"], memory["Startup"], memory["Maximum"]) == (
        True,
        512 << 20,
        1 << 30,
        2 << 30,
    )
    host.on("Start-TzarWorkerVM")


def test_secure_boot_can_be_off(host):
    host.make(SecureBoot="Off")
    assert state_of(host)["Settings"]["Firmware"]["SecureBoot"] is False


def test_a_vm_can_have_a_part_of_the_gpu_with_room_for_it(host):
    host.make("-GpuPartition")
    host.make("-GpuPartition")
    settings = state_of(host)["Settings"]
    assert len(settings["Gpus"]) == 1
    assert (settings["GuestControlledCacheTypes"], settings["LowMmio"], settings["HighMmio"]) == (
        True,
        1 << 30,
        32 << 30,
    )


def test_sixteen_vms_are_made_in_one_call(host):
    made = host.make(Count=16, MemoryMB=512)
    assert [vm["Name"] for vm in made] == [f"tzar-{n:02}" for n in range(1, 17)]
    assert {(vm["State"], vm["Incarnation"]) for vm in made} == {("Off", 0)}
    assert len({vm["Id"] for vm in made}) == 16


def test_what_is_made_is_started_unless_one_says_otherwise(host):
    made = host.make(Count=2, NoStart=False)
    assert {(vm["State"], vm["Incarnation"]) for vm in made} == {("Running", 1)}


def test_a_second_run_makes_only_what_is_missing(host):
    before = {vm["Name"]: vm["Id"] for vm in host.make(Count=2)}
    after = {vm["Name"]: vm["Id"] for vm in host.make(Count=3)}
    assert after.keys() == {"tzar-01", "tzar-02", "tzar-03"}
    assert before.items() <= after.items()
    complete = host.raw()
    host.make(Count=3)
    assert host.raw() == complete


def test_a_second_run_mends_the_settings_of_a_vm_that_is_off(host):
    host.make()
    host.run(
        "Set-VM tzar-01 -CheckpointType Production -AutomaticCheckpointsEnabled $true -ProcessorCount 1; "
        "Set-VM tzar-01 -AutomaticStopAction Save"
    )
    host.run("Disable-VMIntegrationService -VMName tzar-01 -Name 'Guest Service Interface'")
    host.run("Disconnect-VMNetworkAdapter -VMName tzar-01")
    host.make()
    settings = state_of(host)["Settings"]
    assert (settings["CheckpointType"], settings["AutomaticCheckpoints"], settings["Processor"]["Count"]) == (
        "Standard",
        False,
        2,
    )
    assert (settings["StopAction"], settings["Adapters"][0]["SwitchName"]) == ("TurnOff", "fleet")
    assert "Guest Service Interface" not in settings["DisabledServices"]


def test_the_notes_that_people_wrote_are_kept(host):
    host.make()
    host.run('$vm = Get-VM tzar-01; Set-VM $vm -Notes ("bought in May`r`n" + $vm.Notes + "`r`n`r`nask Ann before")')
    host.make()
    host.on("Start-TzarWorkerVM", Incarnation=4)
    notes = state_of(host)["Settings"]["Notes"].splitlines()
    assert notes[0] == f"tzar-actors fleet={host.fleet} vm=tzar-01 incarnation=4"
    assert notes[2:] == ["bought in May", "", "ask Ann before"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_of_any_kind_is_only_a_name(host, name):
    host.make(Name="tzar-01")
    neighbours = host.raw()["state.json"]
    (made,) = host.make(Name=name, NoStart=False)
    assert (made["Name"], made["State"]) == (name, "Running")
    assert state_of(host, name)["Id"] == made["Id"]
    assert host.vms().keys() == {"tzar-01", name}
    (same,) = host.make(Name=name)
    assert same["Id"] == made["Id"]
    host.on("Stop-TzarWorkerVM", "-TurnOff", name=name)
    host.on("Remove-TzarWorkerVM", name=name)
    assert host.vms().keys() == {"tzar-01"}
    assert json.loads(host.raw()["state.json"])["Vms"] == json.loads(neighbours)["Vms"]


def test_names_that_differ_in_little_have_places_of_their_own(host):
    names = ["a b", "a  b", "A b", "a_b", "a-b", "ä", "a\u0308"]
    places = {host.call("Get-TzarPlace", Name=name)[0].lower() for name in names}
    assert len(places) == len(names)


@pytest.mark.parametrize("name", ["", " a", "a ", "a\nb", "x" * 101])
def test_a_name_that_no_vm_can_bear_is_refused(host, name):
    before = host.raw()
    with pytest.raises(Exception, match=r"cannot be a VM's name|Cannot bind|Cannot validate"):
        host.make(Name=[name])
    assert host.raw() == before


def test_too_little_memory_is_refused_with_the_arithmetic(host, refused):
    host.make(Count=2)
    host.run(
        "$null = New-VM other -MemoryStartupBytes 4GB -NewVHDPath C:\\tzar\\o.vhdx -NewVHDSizeBytes 1GB; Start-VM other"
    )
    before = host.raw()
    with refused(
        "TzarNotEnoughMemory",
        "5 x 16384 MB = 81920 MB of memory do not fit",
        "65536 MB - 4096 MB in reserve - 2048 MB of 2 fleet VMs - 4096 MB of 1 other VMs = 55296 MB are free",
        "3 would fit",
    ):
        host.make(Name=[f"big-{n}" for n in range(5)], MemoryMB=16384, ReserveMemoryMB=4096)
    assert host.raw() == before


def test_too_little_disk_is_refused_with_the_arithmetic(host, refused):
    host.make()
    before = host.raw()
    # A disk of 2 TB, of which Windows and the template have their part; the VM that is there will grow to 2048 MB.
    with refused(
        "TzarNotEnoughDisk",
        "2 x (999000 MB of disk + 1024 MB for a checkpoint with memory) = 2000048 MB",
        "1 would fit",
        "VMs of the fleet may still write",
    ):
        host.make(Count=3, DiskMB=999000)
    assert host.raw() == before


def test_a_missing_template_is_refused(host, refused):
    with refused("TzarTemplateMissing", r"C:\tzar\none.vhdx"):
        host.make(Template=r"C:\tzar\none.vhdx")
    assert host.is_clean()


def test_a_writable_template_is_refused(host, refused):
    host.protect_template(is_on=False)
    with refused("TzarTemplateWritable", "IsReadOnly -Value $true"):
        host.make()
    assert host.is_clean()


def test_a_template_under_somebodys_checkpoint_is_refused(host, refused):
    host.protect_template(is_on=False)
    host.run(f"$null = New-VM maker -Generation 2 -VHDPath '{host.template}'; Checkpoint-VM maker -SnapshotName before")
    host.protect_template(is_on=True)
    with refused("TzarTemplateHasCheckpoints", "'before' of VM 'maker'"):
        host.make()
    (leaf,) = host.run("(Get-VMHardDiskDrive maker).Path")
    host.run(f"Set-ItemProperty '{leaf}' -Name IsReadOnly -Value $true")
    with refused("TzarTemplateHasCheckpoints", "the disk of a checkpoint"):
        host.make(Template=leaf)


def test_a_missing_switch_is_refused_by_its_name(host, refused):
    with refused("TzarNoSwitch", "'[f]leet'", "there are: 'fleet'"):
        host.make(SwitchName="[f]leet")
    assert host.is_clean()


def test_a_path_with_wildcards_or_steps_upwards_is_refused(host, refused):
    for folder in (r"C:\tzar\[a]", r"C:\tzar\..\x", "tzar", r"C:\a*"):
        with refused("TzarBadPath"):
            host.make(Folder=folder)
    assert host.is_clean()


def test_memory_that_does_not_rise_is_refused(host, refused):
    with refused("TzarBadMemory", "2048, 1024, 1024 MB"):
        host.make("-DynamicMemory", MinimumMemoryMB=2048)
    with refused("TzarBadMemory", "needs -DynamicMemory"):
        host.make(MaximumMemoryMB=2048)


def test_a_name_that_is_another_vms_is_refused_and_that_vm_is_left_alone(host, refused):
    host.run("$null = New-VM TZAR-01 -NoVHD -MemoryStartupBytes 512MB; Set-VM TZAR-01 -Notes 'not yours'")
    before = host.raw()
    with refused("TzarForeignVM", "it bears no mark", "It was not touched"):
        host.make()
    assert host.raw() == before


def test_a_vm_of_another_fleet_is_a_foreign_one(host, refused):
    host.make(Fleet="cd" * 16)
    before = host.raw()
    with refused("TzarForeignVM", "cd" * 16):
        host.make()
    for verb in ("Start-TzarWorkerVM", "Stop-TzarWorkerVM", "Restart-TzarWorkerVM", "Remove-TzarWorkerVM"):
        with refused("TzarForeignVM"):
            host.on(verb)
    assert host.vms() == {}
    assert host.raw() == before


def test_a_copy_of_a_vm_with_its_mark_is_noticed_and_neither_is_touched(host, refused):
    host.make()
    host.run("$vm = Get-VM tzar-01; $null = New-VM copy -NoVHD; Set-VM copy -Notes $vm.Notes")
    before = host.raw()
    for verb in ("Start-TzarWorkerVM", "Remove-TzarWorkerVM"):
        with refused("TzarTwoVMs"):
            host.on(verb)
    assert host.raw() == before


def test_a_vm_that_people_renamed_is_still_ours(host):
    (made,) = host.make()
    host.run("Rename-VM tzar-01 -NewName 'my favourite'")
    assert host.vms()["tzar-01"]["Id"] == made["Id"]
    assert "my favourite" in host.vms()["tzar-01"]["Detail"]
    (started,) = host.on("Start-TzarWorkerVM")
    assert started["Id"] == made["Id"]


def test_a_mark_in_the_middle_of_a_line_is_no_mark(host):
    host.run(f"$null = New-VM x -NoVHD; Set-VM x -Notes 'see tzar-actors fleet={host.fleet} vm=x incarnation=1'")
    assert host.vms() == {}
