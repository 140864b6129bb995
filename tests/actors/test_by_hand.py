"""What a person has done to a VM beside its supervisor: it is nobody's failure, and a stop lasts."""

import pytest
from fleet_world import FleetWorld

from tzar_actors.actors.messages import Shut, TrainerSaid
from tzar_actors.client.protocol import AskPower, PowerAnswer
from tzar_actors.events import catalogue


@pytest.fixture
def ask(world, monkeypatch):
    """Asks, and returns the refusal."""
    answers = []
    monkeypatch.setattr(world.gateway, "tell", lambda trainer, message: answers.append((trainer, message)))

    def ask(verb, vm="vm-1"):
        number = len(answers)
        world.wiring.fleet.tell(TrainerSaid("person", AskPower(number, vm, verb)))
        world.run_until(lambda: len(answers) > number)
        trainer, answer = answers[number]
        assert (trainer, type(answer), answer.request) == ("person", PowerAnswer, number)
        return answer.refusal

    return ask


def is_here(world, vm="vm-1"):
    return world.row(vm).state in ("idle", "playing")


def no_failure(world):
    return not world.of(catalogue.VmFailed) and not world.of(catalogue.VmRecovering)


@pytest.mark.promise(4, "ladder")
def test_a_vm_that_a_person_stopped_stays_off_and_its_game_is_played_elsewhere(world, ask):
    world.start(vms=2)
    world.submit("g")
    (vm,) = world.gateway.playing
    assert ask("stop", vm) == ""
    world.run_until(lambda: world.row(vm).state == "off")
    world.run(3600.0)
    assert not world.driver.vms[vm].is_running
    assert world.row(vm).is_held
    (other,) = world.gateway.playing
    world.finish(other)
    assert world.outcomes() == {"g": "scored"}
    assert no_failure(world)


def test_a_vm_that_a_person_stopped_is_started_by_the_next_word(world, ask):
    world.start(vms=2)
    ask("stop")
    world.run_until(lambda: world.row("vm-1").state == "off")
    ask("start")
    world.run_until(lambda: is_here(world))
    assert (world.row("vm-1").incarnation, world.row("vm-1").is_held) == (2, False)
    assert no_failure(world)


@pytest.mark.promise(6, "nothing accepted is lost")
def test_a_stop_outlives_the_supervisor_until_the_vm_is_started_again(world, ask, tmp_path):
    world.start(vms=2)
    ask("stop")
    world.close()
    again = FleetWorld(tmp_path)
    try:
        again.start(vms=2)
        again.run_until(lambda: is_here(again, "vm-2"))
        again.run(60.0)
        assert "vm-1" not in again.driver.vms
        assert (again.row("vm-1").state, again.row("vm-1").is_held) == ("off", True)
        assert again.of(catalogue.VmHeld) == [catalogue.VmHeld("vm-1")]
        again.gateway.tell = lambda trainer, message: None
        again.wiring.fleet.tell(TrainerSaid("person", AskPower(1, "vm-1", "start")))
        again.run_until(lambda: is_here(again))
        assert not again.journal.vms()["vm-1"].is_held
    finally:
        again.close()


def test_a_restart_gives_another_incarnation_on_the_same_disk(world, ask):
    world.start(vms=1)
    world.driver.vms["vm-1"].files["kept"] = b"1"
    machine = world.driver.vms["vm-1"].machine_id
    assert ask("restart") == ""
    world.run_until(lambda: is_here(world) and world.row("vm-1").incarnation == 2)
    assert world.driver.vms["vm-1"].files == {"kept": b"1"}
    assert world.driver.vms["vm-1"].machine_id == machine
    assert no_failure(world)


def test_a_reset_gives_the_vm_a_new_disk_where_there_is_no_checkpoint(world, ask):
    world.start(vms=1)
    machine = world.driver.vms["vm-1"].machine_id
    ask("reset")
    world.run_until(lambda: is_here(world) and world.row("vm-1").incarnation == 2)
    assert world.driver.vms["vm-1"].machine_id != machine
    assert no_failure(world)


def test_a_reset_restores_the_checkpoint_where_there_is_one(world, ask):
    world.start(vms=1, checkpoint="clean")
    machine = world.driver.vms["vm-1"].machine_id
    world.driver.checkpoint("vm-1", "clean")
    world.driver.vms["vm-1"].files["new"] = b"1"
    ask("reset")
    world.run_until(lambda: is_here(world) and world.row("vm-1").incarnation == 2)
    assert (world.driver.vms["vm-1"].machine_id, world.driver.vms["vm-1"].files) == (machine, {})
    assert no_failure(world)


def test_a_reset_of_a_vm_that_was_stopped_starts_it_with_a_new_disk(world, ask):
    world.start(vms=1)
    machine = world.driver.vms["vm-1"].machine_id
    ask("stop")
    world.run_until(lambda: world.row("vm-1").state == "off")
    ask("reset")
    world.run_until(lambda: is_here(world))
    assert world.driver.vms["vm-1"].machine_id != machine


@pytest.mark.parametrize("verb", ["restart", "reset"])
def test_a_word_that_comes_while_its_vm_actor_is_being_replaced_is_not_lost(world, ask, verb):
    world.start(vms=1)
    machine = world.driver.vms["vm-1"].machine_id
    world.wiring.vm_actors["vm-1"].tell("what no actor can handle")
    world.run_until(lambda: world.of(catalogue.ActorFailed))
    assert ask(verb) == ""
    world.run_until(lambda: is_here(world) and world.row("vm-1").incarnation == 2)
    assert (world.driver.vms["vm-1"].machine_id == machine) == (verb == "restart")
    assert no_failure(world)


def test_a_word_that_is_done_is_not_done_again_by_the_next_vm_actor(world, ask):
    world.start(vms=1)
    ask("reset")
    world.run_until(lambda: is_here(world) and world.row("vm-1").incarnation == 2)
    world.wiring.vm_actors["vm-1"].tell("what no actor can handle")
    world.run_until(lambda: world.of(catalogue.ActorFailed))
    world.run(60.0)
    assert (is_here(world), world.row("vm-1").incarnation) == (True, 2)


def test_a_vm_that_was_stopped_and_started_while_its_host_could_not_be_asked_plays_again(world, ask):
    world.start(vms=1)
    world.driver.unreachable = True
    world.run_until(lambda: world.of(catalogue.HostDown))
    ask("stop")
    ask("start")
    world.driver.unreachable = False
    world.run_until(lambda: is_here(world) and world.row("vm-1").incarnation == 2)
    world.submit("g")
    world.run_until(lambda: world.gateway.playing)
    assert no_failure(world)


@pytest.mark.promise(4, "ladder")
def test_a_person_lets_a_vm_out_of_quarantine_at_once(world, ask):
    world.start(vms=2, restarts=1, probation_s=100_000.0)
    world.comes = lambda vm: vm != "vm-1"
    world.crash("vm-1")
    world.run_until(lambda: world.of(catalogue.VmQuarantined), within_s=5000.0)
    world.comes = lambda vm: True
    ask("start")
    world.run_until(lambda: is_here(world))
    assert len(world.of(catalogue.VmReleased)) == 1


def test_a_vm_that_is_stopped_in_quarantine_gets_no_trial(world, ask):
    world.start(vms=2, restarts=1, probation_s=100.0)
    world.comes = lambda vm: vm != "vm-1"
    world.crash("vm-1")
    world.run_until(lambda: world.of(catalogue.VmQuarantined), within_s=5000.0)
    ask("stop")
    world.run(1000.0)
    assert not world.of(catalogue.VmReleased)
    world.comes = lambda vm: True
    ask("start")
    world.run_until(lambda: is_here(world))


def test_a_failed_vm_that_a_person_restarts_does_not_wait_for_its_delay(world, ask):
    world.start(vms=2, restarts=20)
    for _ in range(9):  # after which the next delay is a long one
        world.crash("vm-1")
        world.run_until(lambda: not is_here(world))
        world.run_until(lambda: is_here(world))
    world.crash("vm-1")
    world.run_until(lambda: world.row("vm-1").state == "failed")
    began = world.clock.now
    ask("restart")
    world.run_until(lambda: is_here(world))
    assert world.clock.now - began < 5.0


def test_what_cannot_be_done_is_refused_with_the_reason(world, ask):
    world.start(vms=1)
    assert ask("stop", "vm-9") == "this fleet's configuration has no such VM"
    world.wiring.fleet.tell(Shut("stop", "a test"))
    assert ask("start") == "the supervisor is ending"
    assert not world.journal.vms()["vm-1"].is_held
