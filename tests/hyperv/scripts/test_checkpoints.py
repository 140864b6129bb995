"""Checkpoint and Restore: with memory, by exact names, under a new incarnation; a missing one is an error."""

import json


def test_a_checkpoint_of_a_running_vm_holds_its_memory_and_of_one_that_is_off_its_disk(host):
    host.make(Count=2)
    host.on("Start-TzarWorkerVM")
    (warm,) = host.on("Checkpoint-TzarWorkerVM", CheckpointName="parked")
    (cold,) = host.on("Checkpoint-TzarWorkerVM", name="tzar-02", CheckpointName="parked")
    assert (warm["WithMemory"], cold["WithMemory"]) == (True, False)
    assert host.vms()["tzar-01"]["State"] == "Running"


def test_a_restored_vm_runs_under_the_new_incarnation(host):
    (made,) = host.make()
    host.on("Start-TzarWorkerVM")
    host.on("Checkpoint-TzarWorkerVM", CheckpointName="parked")
    host.on("Restart-TzarWorkerVM", "-TurnOff", Incarnation=7)
    (restored,) = host.on("Restore-TzarWorkerVM", CheckpointName="parked", Incarnation=8)
    assert restored == {"Name": "tzar-01", "Id": made["Id"], "State": "Running", "Incarnation": 8}
    assert host.vms()["tzar-01"]["Incarnation"] == 8
    host.on("Stop-TzarWorkerVM", "-TurnOff")
    (again,) = host.on("Restore-TzarWorkerVM", CheckpointName="parked")
    assert (again["State"], again["Incarnation"]) == ("Running", 9)


def test_a_cold_checkpoint_is_booted_after_its_restore(host):
    host.make()
    host.on("Checkpoint-TzarWorkerVM", CheckpointName="fresh")
    host.on("Start-TzarWorkerVM")
    (restored,) = host.on("Restore-TzarWorkerVM", CheckpointName="fresh")
    assert restored["State"] == "Running"


def test_a_missing_checkpoint_is_an_error_and_nothing_happens(host, refused):
    host.make()
    host.on("Start-TzarWorkerVM")
    host.on("Checkpoint-TzarWorkerVM", CheckpointName="parked [1]")
    before = host.raw()["state.json"]
    for name in ("parked *", "parked 1", "PARKED [1]", ""):
        with refused("TzarNoCheckpoint", "it has: 'parked [1]'") if name else refused("", "empty string"):
            host.on("Restore-TzarWorkerVM", CheckpointName=name)
    assert host.raw()["state.json"] == before
    host.on("Restore-TzarWorkerVM", CheckpointName="parked [1]")


def test_a_name_that_is_taken_is_an_error(host, refused):
    host.make()
    host.on("Checkpoint-TzarWorkerVM", CheckpointName="parked")
    before = host.raw()
    with refused("TzarCheckpointExists", "'parked'"):
        host.on("Checkpoint-TzarWorkerVM", CheckpointName="parked")
    (there,) = host.on("Checkpoint-TzarWorkerVM", "-SkipExisting", CheckpointName="parked")
    assert there["CheckpointName"] == "parked"
    assert host.raw() == before


def test_people_who_set_production_checkpoints_get_one_with_memory_all_the_same(host):
    host.make()
    host.boot()
    host.run("Set-VM tzar-01 -CheckpointType Production")
    (made,) = host.on("Checkpoint-TzarWorkerVM", CheckpointName="parked")
    assert made["WithMemory"] is True


def test_nothing_is_restored_onto_a_template_that_changed(host, refused):
    host.make()
    host.on("Checkpoint-TzarWorkerVM", CheckpointName="fresh")
    host.write_to_template()
    before = host.raw()["state.json"]
    with refused("TzarTemplateChanged"):
        host.on("Restore-TzarWorkerVM", CheckpointName="fresh")
    host.protect_template(is_on=False)
    with refused("TzarTemplateWritable"):
        host.on("Restore-TzarWorkerVM", CheckpointName="fresh")
    assert json.loads(host.raw()["state.json"])["Vms"] == json.loads(before)["Vms"]
