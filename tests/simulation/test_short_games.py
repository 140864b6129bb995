"""Worlds whose games last milliseconds, so that orders go ahead: what waits counts for nothing and is not forgotten."""

from dataclasses import replace

import pytest

from tzar_actors.simulation.faults import PROFILES, Faults


@pytest.mark.parametrize("seed", range(6))
def test_what_waits_behind_a_long_game_is_called_back_and_scores_elsewhere(seed, run_world):
    world = run_world(seed, Faults(), minutes=1.0, is_short=True)
    assert set(world.laws.outcomes) == {"scored"}
    assert world.laws.ahead.called > 20, "none was called back: these worlds show nothing"
    called_back = world.laws.ahead.only_waited
    played_in = [
        (game.attempts[-1].vm, story.vm)
        for asked in world.laws.keys.values()
        for game in asked.ended.games
        for story in game.attempts
        if story.attempt in called_back
    ]
    assert len(played_in) == len(called_back)
    assert all(there != here for there, here in played_in)


@pytest.mark.promise(3, "blame")
@pytest.mark.promise(6, "nothing accepted is lost")
@pytest.mark.parametrize("seed", range(60))
def test_whatever_befalls_a_vm_where_orders_wait_none_is_lost_and_none_counts(seed, run_world):
    world = run_world(seed, Faults(struck_ahead=0.01), minutes=1.0, is_short=True)
    assert world.laws.ahead.sent > 50
    assert set(world.laws.outcomes) == {"scored"}


@pytest.mark.parametrize("seed", range(10))
def test_people_who_power_vms_where_orders_wait_lose_nothing(seed, run_world):
    faults = Faults(by_hand_h=120.0, struck_by_hand=0.3)
    world = run_world(seed, faults, vms=1 + seed % 5, minutes=1.0, is_short=True)
    assert set(world.laws.outcomes) == {"scored"}


@pytest.mark.parametrize("seed", range(50))
def test_a_world_of_short_games_with_heavy_faults_is_lawful(seed, run_world):
    faults = replace(PROFILES["heavy"].scaled(3.0), struck_ahead=0.005)
    run_world(seed, faults, vms=1 + seed % 5, minutes=10.0, is_short=True)
