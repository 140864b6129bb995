"""`kill -9` of agents, evaluators and the supervisor in the middle of a run, at seeded points."""

import contextlib
import random
import sqlite3
import sys
import time
from collections import Counter
from pathlib import Path
from threading import Event

import psutil
import pytest

import tzar_actors
from tzar_actors.client import launcher
from tzar_actors.client.fleet import game_seeds
from tzar_actors.events.reading import read
from tzar_agent.tree import marked

HERE = Path(__file__).parent
EVALUATIONS = 200
VMS = 4
GAMES = 2
EVALUATOR = """
from threading import Event


def play(genome, params, game):
    game.progress("begun")
    Event().wait(0.02)
    return float(sum(genome) % 1000 + game.seed % 7)
"""
KILLS = ["agent"] * 7 + ["evaluator"] * 6 + ["supervisor"] * 3 + ["before"] * 2 + ["after"] * 2


def right_fitness(genome: bytes) -> float:
    scores = [sum(genome) % 1000 + seed % 7 for seed in game_seeds(3, GAMES)]
    return sum(scores) / len(scores)


@pytest.fixture(params=["local", "hyperv-fake"])
def fleet(request, tmp_path, monkeypatch):
    (tmp_path / "game_to_kill.py").write_text(EVALUATOR)
    monkeypatch.setattr(launcher, "SUPERVISOR_ARGV", (sys.executable, str(HERE / "dying_supervisor.py")))
    config = {
        "fleet": {"state_dir": str(tmp_path / "state"), "orphan_s": 30.0},
        "evaluator": {
            "kind": "python",
            "target": "game_to_kill:play",
            "path": [str(tmp_path)],
            "max_attempts": 20,
            "time_limit_s": 30.0,
        },
        "hosts": [{"vms": VMS, "driver": request.param}],
        "recovery": {"restarts": 100, "first_delay_s": 0.02, "longest_delay_s": 0.5},
        "log": {"level": "DEBUG"},
    }
    with tzar_actors.launch(config) as fleet:
        yield fleet


def fleet_id(state_dir: Path) -> str:
    with contextlib.closing(sqlite3.connect(state_dir / "journal.sqlite")) as journal:
        return journal.execute("SELECT value FROM meta WHERE name = 'fleet'").fetchone()[0]


def within(seconds: float, condition) -> bool:
    """Whether `condition` comes to hold within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        Event().wait(0.02)
    return True


def kill(victim: str, fleet, draw: random.Random) -> str | None:
    """Kills one of them; returns who it was, or None when there was none to kill just then."""
    if victim == "supervisor":
        psutil.Process(fleet.supervisor_pid).kill()
        return f"supervisor {fleet.supervisor_pid}"
    if victim in ("before", "after"):
        (fleet.state_dir / "die-at-commit").write_text(victim)
        return f"supervisor at a commit, {victim}"
    agents = [vm.pid for vm in fleet.status().vms if vm.pid is not None]
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(draw.choice(agents)) if agents else None
        if process is not None and victim == "evaluator":
            children = process.children()
            process = draw.choice(children) if children else None
        if process is not None:
            process.kill()
            return f"{victim} {process.pid}"
    return None


@pytest.mark.promise(1, "exactly one outcome")
@pytest.mark.promise(2, "a crash is never a low fitness")
@pytest.mark.promise(6, "nothing accepted is lost")
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL at a commit is POSIX's")
def test_twenty_kills_in_a_run_leave_each_outcome_once_and_right_and_no_process(fleet):
    draw = random.Random(20)
    victims = draw.sample(KILLS, len(KILLS))
    points = sorted(draw.sample(range(5, EVALUATIONS - 10), len(victims)))
    genomes = [draw.randbytes(64) for _ in range(EVALUATIONS)]
    waiting = dict(zip(points, victims, strict=True))
    outcomes = Counter()
    killed = []
    results = fleet.evaluate(genomes, games=GAMES, seed=3, generation=1)
    for count, result in enumerate(results):
        outcomes[result.index] += 1
        assert result.outcome == "scored", result
        assert result.fitness == right_fitness(genomes[result.index])
        if (victim := waiting.get(count)) is not None:
            assert within(20, lambda victim=victim: killed.append(kill(victim, fleet, draw)) or killed[-1] is not None)
    assert outcomes == Counter(range(EVALUATIONS))
    assert len([each for each in killed if each]) == len(KILLS)
    assert len(fleet.results(generation=1)) == EVALUATIONS
    commits = fleet.state_dir / "die-at-commit"
    assert within(10, lambda: not commits.exists())
    assert fleet.supervisor_starts >= 1 + 3 + 4
    fleet_mark, state_dir = fleet_id(fleet.state_dir), fleet.state_dir
    vms = [vm.vm for vm in fleet.status().vms]
    fleet.close()
    assert [process for vm in vms for process in marked(fleet_mark, vm)] == []
    with contextlib.closing(sqlite3.connect(state_dir / "journal.sqlite")) as journal:
        rows = journal.execute("SELECT count(*), count(ended), count(DISTINCT key) FROM evaluations").fetchone()
    assert rows == (EVALUATIONS, EVALUATIONS, EVALUATIONS)
    events = list(read(state_dir / "events.jsonl"))
    attempts = [event["attempt"] for event in events if event["event"] == "attempt_started"]
    assert len(attempts) == len(set(attempts)), "an attempt's id was issued twice"
    # The log is written after the commit: a kill in between takes that turn's lines, never the outcomes themselves.
    ended = Counter(event["key"] for event in events if event["event"] == "evaluation_ended")
    assert max(ended.values()) == 1
    supervisors = sum(victim not in ("agent", "evaluator") for victim in victims)
    assert len(ended) >= EVALUATIONS - supervisors * VMS


@pytest.mark.promise(6, "nothing accepted is lost")
def test_a_supervisor_that_is_killed_adopts_the_games_in_flight(fleet):
    futures = [fleet.submit(bytes([i]) * 8, games=GAMES, seed=3) for i in range(40)]
    assert within(20, lambda: all(vm.pid is not None for vm in fleet.status().vms))
    before = {vm.vm: (vm.pid, vm.incarnation) for vm in fleet.status().vms}
    epoch = fleet.status().epoch
    psutil.Process(fleet.supervisor_pid).kill()
    results = [future.result(60) for future in futures]
    assert [result.fitness for result in results] == [right_fitness(bytes([i]) * 8) for i in range(40)]
    assert fleet.status().epoch > epoch
    assert within(20, lambda: all(vm.pid is not None for vm in fleet.status().vms))
    assert {vm.vm: (vm.pid, vm.incarnation) for vm in fleet.status().vms} == before
    log = fleet.state_dir / "events.jsonl"
    assert within(20, lambda: sum(bool(event.get("adopted")) for event in read(log)) == VMS)
