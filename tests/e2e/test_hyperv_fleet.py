"""A fleet on a Hyper-V host of the lab: clones of a template whose agents dial in, and a host that fails under them."""

import contextlib
import json
import os
import sqlite3
import sys
import time
from collections import Counter
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "hyperv"))  # tests are no package

from lab import PASSWORD, USER, make_host, needs_lab, winrm_server
from lab_guests import GUEST_ACCOUNT, agent_argv, crash, install_agent

import tzar_actors
from tzar_actors.client.fleet import game_seeds
from tzar_actors.drivers.choice import make_driver
from tzar_actors.events.reading import read

pytestmark = needs_lab
GAMES = 200
VMS = 8
LATE = 40  # games that wait for the gate, so that there is something to play when all has happened
PATIENCE_S = 100.0
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


def until(condition, what):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S:g} s for this: {what}"
        Event().wait(0.05)


@pytest.fixture
def host(tmp_path):
    host = make_host(tmp_path / "lab", template=True)
    install_agent(host, agent_argv())
    host.run("$null = Hyper-V\\New-VMSwitch tzar -SwitchType Internal")
    host.set_faults(boot={"delay_s": 0.1})
    yield host
    until(lambda: not processes_of(host), "nothing of the host runs any more")


@pytest.fixture
def server(host, tmp_path):
    with winrm_server(host, tmp_path) as server:
        yield server


@pytest.fixture
def before(host):
    return traces(host)


@pytest.fixture
def fleet(host, server, before, tmp_path, monkeypatch):
    for name, (user, password) in {"HV01": (USER, PASSWORD), "GUEST": GUEST_ACCOUNT}.items():
        monkeypatch.setenv(f"TZAR_HYPERV_{name}_USER", user)
        monkeypatch.setenv(f"TZAR_HYPERV_{name}_PASSWORD", password)
    (tmp_path / "lab_game.py").write_text(EVALUATOR)
    config = {
        "fleet": {"state_dir": str(tmp_path / "state"), "on_trainer_exit": "stop", "share_blobs": False},
        "evaluator": {"kind": "python", "target": "lab_game:play", "path": [str(tmp_path)], "max_attempts": 20},
        "hosts": [
            {
                "name": "hv01",
                "driver": "hyperv",
                "vms": VMS,
                "boots_at_a_time": VMS,
                "advertise": "127.0.0.1",
                "hyperv": {
                    "address": "127.0.0.1",
                    "port": urlsplit(server.endpoint).port,
                    "template": host.template,
                    "memory_mb": 512,
                    "checkpoint": "parked",
                },
            }
        ],
        "recovery": {"restarts": 1, "first_delay_s": 0.1, "longest_delay_s": 1.0, "boot_timeout_s": PATIENCE_S},
    }
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
    until(lambda: ready(fleet, "tzar-02"), "tzar-02 is back")
    server.set_faults(power_loss_s=5)
    until(lambda: count(fleet, "host_down"), "the host is down")
    until(lambda: count(fleet, "host_up"), "the host is up")
    until(lambda: all(ready(fleet, vm) for vm in names()), "all VMs are back")
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
    with contextlib.closing(sqlite3.connect(state_dir / "journal.sqlite")) as journal:
        [mark] = journal.execute("SELECT value FROM meta WHERE name = 'fleet'").fetchone()
    driver = make_driver(settings.hosts[0], mark, state_dir)
    try:
        assert sorted(driver.status()) == names()
        for vm in driver.status():
            driver.kill(vm)
            driver.remove(vm)
        assert driver.status() == {}
    finally:
        driver.close()
    assert traces(host) ^ before == set()


def fall_and_come_back(fleet, fall, vm, rung):
    until(lambda: ready(fleet, vm), f"{vm} is there to fall")
    falls = count(fleet, "vm_recovering", vm=vm, rung=rung)
    comings = count(fleet, "vm_ready", vm=vm)
    fall()
    until(lambda: count(fleet, "vm_recovering", vm=vm, rung=rung) > falls, f"{vm} is brought back by a {rung}")
    until(lambda: count(fleet, "vm_ready", vm=vm) > comings, f"{vm} is back")


def names():
    return [f"tzar-{number:02d}" for number in range(1, VMS + 1)]


def ready(fleet, vm):
    return next(row.state for row in fleet.status().vms if row.vm == vm) in ("idle", "playing")


def events(fleet):
    return list(read(fleet.state_dir / "events.jsonl"))


def count(fleet, event, **fields):
    return sum(each["event"] == event and fields.items() <= each.items() for each in events(fleet))


def traces(host):
    """What there is on the host: its VMs and switches, and all files but those that say what goes on."""
    document = json.loads((host.folder / "state.json").read_text(encoding="utf-8"))
    things = {f"{kind} {each['Id']}" for kind in ("Vms", "Switches") for each in document[kind]}
    passing = {"state.json", "state.lock", "net.json", "net.lock", "faults.json"}
    files = (path for path in host.folder.rglob("*") if path.is_file() and "Temp" not in path.parts)
    return things | {str(path.relative_to(host.folder)) for path in files if path.name not in passing}


def processes_of(host):
    """The processes that work on the host and are alive: ended ones are reaped late."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_its = str(host.folder) in process.environ().values() and process.pid != os.getpid()
            if is_its and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
