"""A fleet on a Hyper-V host of the lab: clones of a template whose agents dial in, and a host that fails under them."""

import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "hyperv"))  # tests are no package

from lab import needs_lab, winrm_server
from lab_fleet import (
    PATIENCE_S,
    accounts,
    count,
    events,
    host_for_fleet,
    is_ready,
    remove_vms,
    settings_of,
    traces,
    until,
)
from lab_guests import crash

import tzar_actors
from tzar_actors.client.fleet import game_seeds

pytestmark = needs_lab
GAMES = 200
VMS = 8
LATE = 40  # games that wait for the gate, so that there is something to play when all has happened
EVALUATOR = """
from pathlib import Path
from threading import Event

GATE = Path(__file__).with_name("gate")


def play(genome, params, game):
    while genome[0] == 1 and not GATE.exists():
        game.progress("waits for the gate")
        Event().wait(0.05)
    Event().wait(0.1)
    return float(sum(genome) % 1000 + game.seed % 7)
"""


@pytest.fixture
def host(tmp_path):
    with host_for_fleet(tmp_path / "lab") as host:
        yield host


@pytest.fixture
def server(host, tmp_path):
    with winrm_server(host, tmp_path) as server:
        yield server


@pytest.fixture
def before(host):
    return traces(host)


@pytest.fixture
def fleet(host, server, before, tmp_path, monkeypatch):
    for name, text in accounts().items():
        monkeypatch.setenv(name, text)
    game = tmp_path / "lab_game.py"
    game.write_text(EVALUATOR)
    config = settings_of(host, tmp_path / "state", server.endpoint, game, VMS, {"checkpoint": "parked"}, {})
    with tzar_actors.launch(config) as fleet:
        yield fleet


@pytest.mark.promise(1, "exactly one outcome")
@pytest.mark.promise(4, "ladder")
@pytest.mark.promise(5, "host faults burn nothing")
def test_each_game_has_one_outcome_whatever_its_vms_and_their_host_do_and_nothing_is_left(
    host, server, before, fleet, tmp_path
):
    genomes = [bytes([number >= GAMES - LATE, number]) for number in range(GAMES)]
    futures = [fleet.submit(genome, seed=3, key=f"game-{number}") for number, genome in enumerate(genomes)]
    told = Counter()
    for number, future in enumerate(futures):
        future.add_done_callback(lambda _, number=number: told.update([number]))

    until(lambda: len(told) >= 20, "20 games are played")
    crash(host, "tzar-02")
    fall_and_come_back(fleet, lambda: crash(host, "tzar-03"), "tzar-03", "restart")
    fall_and_come_back(fleet, lambda: crash(host, "tzar-03"), "tzar-03", "restore")
    until(lambda: is_ready(fleet, "tzar-02"), "tzar-02 is back")
    server.set_faults(power_loss_s=5)
    until(lambda: count(fleet, "host_down"), "the host is down")
    until(lambda: count(fleet, "host_up"), "the host is up")
    until(lambda: all(is_ready(fleet, vm) for vm in names()), "all VMs are back")
    (tmp_path / "gate").touch()

    results = [future.result(PATIENCE_S) for future in futures]
    assert [result.outcome for result in results] == ["scored"] * GAMES
    [seed] = game_seeds(3, 1)
    assert [result.fitness for result in results] == [float(sum(genome) % 1000 + seed % 7) for genome in genomes]
    assert told == Counter(range(GAMES))
    until(lambda: count(fleet, "evaluation_ended") >= GAMES, "the log tells of all games")
    ended = Counter(event["key"] for event in events(fleet) if event["event"] == "evaluation_ended")
    assert ended == Counter(f"game-{number}" for number in range(GAMES))
    # The host's fall moved no VM up its ladder.
    rungs = [(event["vm"], event["rung"]) for event in events(fleet) if event["event"] == "vm_recovering"]
    assert [climbed for climbed in rungs if climbed[1] != "restart"] == [("tzar-03", "restore")]
    assert count(fleet, "vm_quarantined") == 0

    settings, state_dir = fleet.settings, fleet.state_dir
    fleet.close()
    remove_vms(settings, state_dir, names())
    assert traces(host) ^ before == set()


def fall_and_come_back(fleet, fall, vm, rung):
    until(lambda: is_ready(fleet, vm), f"{vm} is there to fall")
    falls = count(fleet, "vm_recovering", vm=vm, rung=rung)
    comings = count(fleet, "vm_ready", vm=vm)
    fall()
    until(lambda: count(fleet, "vm_recovering", vm=vm, rung=rung) > falls, f"{vm} is brought back by a {rung}")
    until(lambda: count(fleet, "vm_ready", vm=vm) > comings, f"{vm} is back")


def names():
    return [f"tzar-{number:02d}" for number in range(1, VMS + 1)]
