"""The game whose fitness and duration follow from genome and seed."""

import os
import subprocess
import sys
from pathlib import Path

import seeded_game

from tzar_agent import Game
from tzar_agent.tree import VM_MARK

BENCH = Path(__file__).parents[2] / "bench"
CRASHING = """
import os, sys
sys.path.insert(0, {bench!r})
import subprocess, seeded_game
from tzar_agent import Game
if len(sys.argv) == 1:  # the agent
    child = subprocess.Popen([sys.executable, __file__, "child"], env={{**os.environ, {mark!r}: {vm!r}}})
    child.wait()
else:
    params = {{"shortest_s": 0.01, "longest_s": 0.01, "crash_share": 1.0, "crash_seed": 1}}
    seeded_game.play(b"genome", params, Game("1.1", 0, 5, lambda count, note: None))
"""


def params(**changed):
    return {"shortest_s": 0.01, "longest_s": 0.03, "crash_share": 0.0, "crash_seed": 1, **changed}


def test_the_fitness_follows_from_genome_and_seed_alone():
    reports = []
    game = Game("1.1", 0, 5, lambda count, note: reports.append(count))
    other = Game("9.9", 1, 5, lambda count, note: None)
    first, second = seeded_game.play(b"genome", params(), game), seeded_game.play(b"genome", params(), other)
    assert first.fitness == second.fitness == seeded_game.fitness_of(b"genome", 5)
    assert seeded_game.fitness_of(b"genome", 6) != first.fitness != seeded_game.fitness_of(b"other", 5)
    assert reports


def test_durations_are_spread_over_the_whole_span():
    seconds = [seeded_game.seconds_of(b"genome", seed, 1.0, 3.0) for seed in range(200)]
    assert 1.0 <= min(seconds) < 1.1
    assert 2.9 < max(seconds) <= 3.0
    assert 1.8 < sum(seconds) / len(seconds) < 2.2


def agent_ends_with(tmp_path, vm_of_the_game):
    script = tmp_path / "agent.py"
    script.write_text(CRASHING.format(bench=str(BENCH), mark=VM_MARK, vm=vm_of_the_game))
    environ = {**os.environ, VM_MARK: "vm-1"}
    return subprocess.run([sys.executable, str(script)], env=environ, timeout=60, check=False).returncode


def test_a_crash_ends_the_agent_of_the_games_own_vm(tmp_path):
    assert agent_ends_with(tmp_path, "vm-1") != 0


def test_a_crash_ends_no_process_that_is_not_this_vms_agent(tmp_path):
    assert agent_ends_with(tmp_path, "vm-2") == 0
