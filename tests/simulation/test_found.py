"""What simulated worlds have found in the product: each once, so that it is not lost again."""

import pytest

from tzar_actors.simulation.faults import PROFILES, Faults


def statuses(world):
    return [story.status for asked in world.laws.keys.values() for game in asked.ended.games for story in game.attempts]


def test_an_agent_that_cannot_play_costs_no_other_game_an_attempt(run_world):
    world = run_world(3, Faults(agent_fault=0.1))
    ended = statuses(world)
    assert ended.count("agent_fault") > 3
    assert "lost" not in ended, "the next game was given to a VM that was being given up"


def test_a_lost_result_of_an_adopted_game_does_not_keep_its_vm_waiting_for_ever(run_world):
    run_world(2, Faults(message_lost=0.2, supervisor_kill_h=6.0), minutes=90.0)


def test_a_hello_of_an_agent_that_fell_silent_is_not_believed_when_its_host_can_be_asked_again(run_world):
    run_world(83, PROFILES["heavy"].scaled(3.0), vms=4, minutes=15.0)


@pytest.mark.promise(5, "host faults burn nothing")
@pytest.mark.parametrize("seed", range(12))
def test_driver_calls_that_never_end_leave_no_vm_alone(seed, run_world):
    world = run_world(seed, Faults(driver_hang=0.2, vm_crash_h=4.0), minutes=60.0)
    assert world.surroundings.counts["driver hang"] > 0


@pytest.mark.parametrize("seed", range(4))
def test_calls_that_hang_far_more_often_than_lanes_are_replaced_end_nothing(seed, run_world):
    run_world(seed, Faults(driver_hang=0.5, vm_crash_h=8.0), minutes=120.0)


@pytest.mark.promise(5, "host faults burn nothing")
@pytest.mark.parametrize("seed", range(8))
def test_hosts_that_never_answer_for_their_status_lose_no_vm(seed, run_world):
    faults = Faults(status_hang=0.02, vm_crash_h=6.0, supervisor_kill_h=2.0, driver_lie=0.05)
    world = run_world(seed, faults, vms=4, hosts=2, minutes=60.0)
    assert world.surroundings.counts["status hang"] > 2


@pytest.mark.parametrize("seed", [9, 18, 28, 31])
def test_an_order_that_was_given_back_just_before_its_connection_broke_counts_for_nothing(seed, run_world):
    run_world(seed, Faults(struck_ahead=0.01), minutes=1.0, is_short=True)


@pytest.mark.parametrize("seed", [3, 8, 77])
def test_nothing_is_ordered_behind_a_game_that_has_lasted_long_already(seed, run_world):
    run_world(seed, PROFILES["heavy"].scaled(3.0), minutes=10.0, is_short=True)
