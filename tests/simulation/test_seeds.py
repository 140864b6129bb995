"""Hundreds of short worlds, each with a seed of its own: no law breaks in any."""

from dataclasses import replace

import pytest

from tzar_actors.simulation.faults import PROFILES, Faults


def stories(world):
    return [story for asked in world.laws.keys.values() for game in asked.ended.games for story in game.attempts]


@pytest.mark.parametrize("seed", range(20))
def test_a_world_without_faults_scores_everything(seed, run_world):
    world = run_world(seed, Faults(), minutes=30.0)
    assert set(world.laws.outcomes) == {"scored"}
    assert world.lives == 1


@pytest.mark.parametrize("seed", range(60))
def test_a_world_with_light_faults_is_lawful(seed, run_world):
    run_world(seed, PROFILES["light"].scaled(4.0), vms=4, minutes=12.0)


@pytest.mark.promise(1, "exactly one outcome")
@pytest.mark.promise(2, "a crash is never a low fitness")
@pytest.mark.promise(3, "blame")
@pytest.mark.parametrize("seed", range(120))
def test_a_small_world_with_heavy_faults_is_lawful(seed, run_world):
    run_world(seed, PROFILES["heavy"].scaled(3.0), vms=1 + seed % 5, minutes=15.0)


@pytest.mark.promise(4, "ladder")
@pytest.mark.parametrize("seed", range(40))
def test_a_world_of_three_hosts_with_heavy_faults_is_lawful(seed, run_world):
    run_world(seed, PROFILES["heavy"].scaled(2.0), vms=9, hosts=3, minutes=10.0)


@pytest.mark.promise(6, "nothing accepted is lost")
@pytest.mark.parametrize("seed", range(24))
def test_a_supervisor_that_is_killed_all_the_time_loses_nothing(seed, run_world):
    world = run_world(seed, Faults(supervisor_kill_h=60.0, vm_crash_h=2.0, trainer_death_h=5.0), vms=3, minutes=12.0)
    assert world.lives > 2


@pytest.mark.promise(6, "nothing accepted is lost")
@pytest.mark.promise(8, "bounded")
@pytest.mark.parametrize("seed", range(24))
def test_a_full_disk_refuses_new_work_plays_what_was_accepted_and_goes_on_when_there_is_room(seed, run_world):
    faults = Faults(disk_full_h=10.0, supervisor_kill_h=10.0 * (seed % 2), trainer_death_h=6.0 * (seed % 3))
    world = run_world(seed, faults, vms=3, minutes=30.0)
    assert set(world.laws.outcomes) == {"scored"}
    short = world.surroundings.counts["disk full"] + world.surroundings.counts["disk low"]
    assert short == 0 or sum(trainer.refused for trainer in world.trainers) > 0 or world.lives > 1
    assert world.surroundings.disk.spent <= world.surroundings.counts["disk full"]


@pytest.mark.promise(4, "ladder")
@pytest.mark.parametrize("seed", range(16))
def test_what_people_do_by_hand_lasts_is_answered_once_and_is_nobodys_failure(seed, run_world):
    world = run_world(seed, Faults(by_hand_h=20.0), vms=1 + seed % 5, hosts=1 + seed % 2)
    assert set(world.laws.outcomes) == {"scored"}
    assert world.persons.told["done"] > 0
    assert all(story.status in ("scored", "excused") for story in stories(world))


@pytest.mark.promise(4, "ladder")
@pytest.mark.promise(6, "nothing accepted is lost")
@pytest.mark.parametrize("seed", range(30))
def test_people_who_power_vms_while_these_are_struck_lose_nothing(seed, run_world):
    faults = Faults(by_hand_h=20.0, struck_by_hand=0.3, host_unreachable_h=6.0 * (seed % 2))
    world = run_world(seed, faults, vms=1 + seed % 5, hosts=1 + seed % 2)
    assert set(world.laws.outcomes) == {"scored"}


@pytest.mark.parametrize("seed", range(40))
def test_a_world_with_heavy_faults_and_people_is_lawful(seed, run_world):
    faults = replace(PROFILES["persons"].scaled(3.0), by_hand_h=10.0)
    run_world(seed, faults, vms=1 + seed % 5, hosts=1 + seed % 2, minutes=15.0)
