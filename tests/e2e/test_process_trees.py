"""A real game, ViZDoom, whose engine is a process of its own and survives a killed parent: after any kill nothing of
the attempt is alive, found by its mark in the whole process table.
"""

import importlib.util
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from tzar_agent.protocol.messages import Progress
from tzar_agent.tree import end_marked, marked

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("vizdoom") is None, reason="vizdoom is not installed"),
    pytest.mark.skipif(sys.platform == "win32", reason="the headless engine needs Linux"),
]

sys.path.insert(0, str(Path(__file__).parents[1] / "agent"))

GAME = """
import os, time
import vizdoom

def play(genome, params, game):
    doom = vizdoom.DoomGame()
    doom.load_config(os.path.join(vizdoom.scenarios_path, "basic.cfg"))
    doom.set_window_visible(False)
    doom.set_mode(vizdoom.Mode.PLAYER)
    doom.set_seed(game.seed % 2**31)
    doom.init()
    doom.new_episode()
    steps = 0
    while params.get("forever") or not doom.is_episode_finished():
        if doom.is_episode_finished():
            doom.new_episode()
        doom.make_action([0, 0, 1], 4)
        steps += 1
        game.progress(f"step {steps}")
    reward = doom.get_total_reward()
    doom.close()
    return reward
"""


@pytest.fixture
def doom(tmp_path):
    from fake_supervisor import fake_supervisor, python_evaluator

    with fake_supervisor(tmp_path / "home") as supervisor:
        supervisor.evaluator = python_evaluator(tmp_path, GAME)
        supervisor.identify()
        supervisor.start_agent()
        supervisor.welcome()
        yield supervisor


def by_name(fleet):
    """The marked processes by name, as the whole process table shows them: the agent's own scan is not asked."""
    found = {}
    for process in psutil.process_iter():
        try:
            if process.environ().get("TZAR_FLEET") == fleet and process.status() != psutil.STATUS_ZOMBIE:
                found.setdefault(process.name(), []).append(process.pid)
        except psutil.Error:
            continue
    return found


def begin_endless_game(doom, attempt="a1", **limits):
    doom.play(attempt, params={"forever": True}, **limits)
    doom.expect(Progress, lambda p: p.attempt == attempt and p.count >= 1)
    (engine,) = by_name(doom.fleet)["vizdoom"]
    (child,) = {p.pid for p in psutil.Process(engine).parents()} & set(marked(doom.fleet)) - {doom.agents[-1].pid}
    return engine, child


def is_alive(pid):
    # A container's first process may reap nobody, so that orphans stay as zombies: these are not alive.
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def alive(fleet):
    return sorted(pid for pids in by_name(fleet).values() for pid in pids)


def test_a_whole_game_is_scored_and_its_engine_is_gone(doom):
    doom.play("a1", seed=3)
    result = doom.result("a1")
    assert result.status == "scored", result
    assert -400 < result.fitness < 100
    assert "vizdoom" not in by_name(doom.fleet)


def test_the_time_limit_ends_the_engine_with_its_game(doom):
    engine, child = begin_endless_game(doom, time_limit_s=4.0)
    assert doom.result("a1").status == "timed_out"
    assert not is_alive(engine)
    assert not is_alive(child)
    assert "vizdoom" not in by_name(doom.fleet)


def test_a_killed_evaluator_takes_its_engine_along_and_the_next_game_plays(doom):
    engine, child = begin_endless_game(doom)
    os.kill(child, signal.SIGKILL)
    result = doom.result("a1")
    assert result.status == "fault"
    assert result.reason == "the evaluator was ended by signal SIGKILL without a result"
    assert result.evidence.exit_code == -9
    assert not is_alive(engine)
    doom.play("a2", seed=3)
    assert doom.result("a2").status == "scored"
    assert "vizdoom" not in by_name(doom.fleet)


def test_a_new_agent_ends_what_a_killed_one_left(doom):
    engine, _ = begin_endless_game(doom)
    doom.agents[0].kill()
    doom.agents[0].wait()
    assert is_alive(engine)  # it survives: this is why there are marks
    doom.identify(incarnation=2)
    agent = doom.start_agent()
    assert doom.welcome().playing is None
    assert not is_alive(engine)
    agent.terminate()
    agent.wait(15)
    assert alive(doom.fleet) == []


def test_a_driver_ends_what_a_killed_agent_left(doom):
    engine, _ = begin_endless_game(doom)
    doom.agents[0].kill()
    doom.agents[0].wait()
    assert end_marked(doom.fleet, doom.vm) >= 1
    assert not is_alive(engine)
    assert alive(doom.fleet) == []
