"""A whole fleet on a host of the lab: its settings, what it says and shows, and whether it left anything behind."""

import contextlib
import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import psutil
from lab import PASSWORD, USER, Host, WinRmServer, make_host, winrm_server
from lab_guests import GUEST_ACCOUNT, agent_argv, install_agent

import tzar_actors
from tzar_actors.drivers.choice import make_driver
from tzar_actors.events.reading import read

__all__ = [
    "PATIENCE_S",
    "Log",
    "World",
    "accounts",
    "count",
    "events",
    "host_for_fleet",
    "is_ready",
    "processes_of",
    "remove_vms",
    "settings_of",
    "state_of",
    "traces",
    "until",
]

PATIENCE_S = 100.0
GATED = """
from pathlib import Path
from threading import Event


def play(genome, params, game):
    gate = Path(__file__).with_name(genome.decode())
    while not gate.exists():
        game.progress("waits for the gate")
        Event().wait(0.05)
    return float(len(genome))
"""


def until(condition: Callable[[], Any], what: str) -> None:
    """Waits for a condition, with a bound."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S:g} s for this: {what}"
        Event().wait(0.05)


@contextlib.contextmanager
def host_for_fleet(folder: Path) -> Iterator[Host]:
    """A host whose template has the agent, and which has the switch `tzar`; in the end nothing of it runs any more."""
    host = make_host(folder, template=True)
    install_agent(host, agent_argv())
    host.run("$null = Hyper-V\\New-VMSwitch tzar -SwitchType Internal")
    host.set_faults(boot={"delay_s": 0.1})
    yield host
    until(lambda: not processes_of(host), "nothing of the host runs any more")


def settings_of(
    host: Host, state_dir: Path, endpoint: str, game: Path, vms: int, hyperv: dict[str, Any], recovery: dict[str, Any]
) -> dict[str, Any]:
    """A configuration of a fleet on the host, by WinRM, with short delays.

    Args:
        host: hv01.
        state_dir: the fleet's.
        endpoint: of the host's WinRM.
        game: a file with a function `play`.
        vms: how many.
        hyperv: what differs in its table.
        recovery: likewise.
    """
    return {
        "fleet": {"state_dir": str(state_dir), "on_trainer_exit": "stop", "share_blobs": False},
        "evaluator": {"kind": "python", "target": f"{game.stem}:play", "path": [str(game.parent)], "max_attempts": 20},
        "hosts": [
            {
                "name": "hv01",
                "driver": "hyperv",
                "vms": vms,
                "boots_at_a_time": vms,
                "advertise": "127.0.0.1",
                "hyperv": {
                    "address": "127.0.0.1",
                    "port": urlsplit(endpoint).port,
                    "template": host.template,
                    "memory_mb": 512,
                    **hyperv,
                },
            }
        ],
        "recovery": {
            "restarts": 1,
            "first_delay_s": 0.1,
            "longest_delay_s": 1.0,
            "boot_timeout_s": PATIENCE_S,
            **recovery,
        },
    }


def accounts() -> dict[str, str]:
    """The environment's variables with the accounts of the host and of its guests."""
    found = {}
    for name, (user, password) in {"HV01": (USER, PASSWORD), "GUEST": GUEST_ACCOUNT}.items():
        found |= {f"TZAR_HYPERV_{name}_USER": user, f"TZAR_HYPERV_{name}_PASSWORD": password}
    return found


def state_of(fleet: Any, vm: str) -> str:
    """The VM's state, as the status shows it."""
    return str(next(row.state for row in fleet.status().vms if row.vm == vm))


def is_ready(fleet: Any, vm: str) -> bool:
    """Whether the VM plays or could."""
    return state_of(fleet, vm) in ("idle", "playing")


def events(fleet: Any) -> list[dict[str, Any]]:
    """What its log tells."""
    return list(read(fleet.state_dir / "events.jsonl"))


def count(fleet: Any, event: str, **fields: Any) -> int:
    """How often its log tells of such an event with such fields."""
    return sum(each["event"] == event and fields.items() <= each.items() for each in events(fleet))


def remove_vms(settings: Any, state_dir: Path, vms: list[str]) -> None:
    """Removes the VMs of a fleet whose supervisor has ended; they must be just these."""
    with contextlib.closing(sqlite3.connect(state_dir / "journal.sqlite")) as journal:
        [mark] = journal.execute("SELECT value FROM meta WHERE name = 'fleet'").fetchone()
    driver = make_driver(settings.hosts[0], mark, state_dir)
    try:
        assert sorted(driver.status()) == vms
        for vm in vms:
            driver.kill(vm)
            driver.remove(vm)
        assert driver.status() == {}
    finally:
        driver.close()


def traces(host: Host) -> set[str]:
    """What there is on the host: its VMs and switches, and all files but those that say what goes on."""
    document = json.loads((host.folder / "state.json").read_text(encoding="utf-8"))
    things = {f"{kind} {each['Id']}" for kind in ("Vms", "Switches") for each in document[kind]}
    passing = {"state.json", "state.lock", "net.json", "net.lock", "faults.json", "faults.lock"}
    files = (path for path in host.folder.rglob("*") if path.is_file() and "Temp" not in path.parts)
    return things | {str(path.relative_to(host.folder)) for path in files if path.name not in passing}


def processes_of(host: Host) -> list[psutil.Process]:
    """The processes that work on the host and are alive: ended ones are reaped late."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_its = str(host.folder) in process.environ().values() and process.pid != os.getpid()
            if is_its and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


class Log:
    """What a fleet's log has told since its `since`th event.

    Args:
        fleet: whose it is.
        since: how many events there were.
    """

    def __init__(self, fleet: Any, since: int = 0) -> None:
        self._fleet, self._since = fleet, since
        self.results: list[Any] = []

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(events(self._fleet)[self._since :])

    def count(self, event: str, **fields: Any) -> int:
        """How often it tells of such an event with such fields."""
        return sum(each["event"] == event and fields.items() <= each.items() for each in self)

    def texts(self, event: str, field: str) -> list[str]:
        """A field of all such events."""
        return [each[field] for each in self if each["event"] == event]

    def nothing_was_burnt(self) -> None:
        """Fails unless no VM has climbed its ladder."""
        assert self.count("vm_quarantined") == 0
        assert [each for each in self if each["event"] == "vm_recovering" and each["rung"] != "restart"] == []

    def no_vm_failed(self) -> None:
        """Fails unless no VM has failed, and every game was played by its first attempt."""
        assert self.count("vm_failed") == self.count("vm_recovering") == self.count("vm_quarantined") == 0
        assert {len(game.attempts) for result in self.results for game in result.games} <= {1}


class World:
    """A host and its WinRM, for fleets whose games wait each for its gate.

    Args:
        folder: for files.
        host: as of `host_for_fleet`.
        vms: how many a fleet has.
        server: what `winrm_server` takes besides.
    """

    def __init__(self, folder: Path, host: Host, vms: int = 2, **server: Any) -> None:
        self.folder, self.host = folder, host
        self.vms = [f"tzar-{number:02d}" for number in range(1, vms + 1)]
        self.fleet: Any = None
        self._given = server
        self._serving = contextlib.ExitStack()
        self._rounds = 0
        self.server: WinRmServer = self._serving.enter_context(winrm_server(host, folder, **server))
        (folder / "lab_game.py").write_text(GATED)

    def hang_up(self) -> None:
        """The host's WinRM ends."""
        self._serving.close()

    def listen(self, **server: Any) -> None:
        """It is there again, on the same port."""
        self._given |= server
        port = urlsplit(self.server.endpoint).port or 0
        self.server = self._serving.enter_context(winrm_server(self.host, self.folder, port=port, **self._given))

    @contextlib.contextmanager
    def running(self, state: str, hyperv: dict[str, Any], recovery: dict[str, Any]) -> Iterator[Any]:
        """A fleet. When it has ended, its VMs are removed, and nothing of it is left, nor did a password leak.

        Args:
            state: its state folder's name.
            hyperv: as `settings_of` takes it.
            recovery: likewise.
        """
        before, state_dir = traces(self.host), self.folder / state
        game = self.folder / "lab_game.py"
        config = settings_of(self.host, state_dir, self.server.endpoint, game, len(self.vms), hyperv, recovery)
        with tzar_actors.launch(config) as self.fleet:
            yield self.fleet
            settings = self.fleet.settings
        kept = b"".join(path.read_bytes() for path in state_dir.rglob("*") if path.is_file())
        for secret in (PASSWORD, GUEST_ACCOUNT[1]):
            assert secret.encode() not in kept
        remove_vms(settings, state_dir, self.vms)
        left = traces(self.host) ^ before
        assert not left, f"left on the host, or gone from it: {sorted(left)}"
        assert self.server.counts()["shells"] == 0

    @contextlib.contextmanager
    def asked(self) -> Iterator[Log]:
        """Four games are asked for. In the end each has been told once, and has scored."""
        self._rounds += 1
        gate = self.folder / f"gate-{self._rounds}"
        keys = [f"{gate.name}-{number}" for number in range(4)]
        log = Log(self.fleet, len(events(self.fleet)))
        told: Counter[str] = Counter()
        futures = [self.fleet.submit(gate.name.encode(), key=key, seed=self._rounds) for key in keys]
        for key, future in zip(keys, futures, strict=True):
            future.add_done_callback(lambda _, key=key: told.update([key]))
        try:
            yield log
        finally:
            gate.touch()
        log.results = [future.result(PATIENCE_S) for future in futures]
        assert [result.outcome for result in log.results] == ["scored"] * 4
        assert [result.fitness for result in log.results] == [float(len(gate.name))] * 4
        until(lambda: log.count("evaluation_ended") == 4, "the log tells of all games")
        assert told == Counter(keys) == Counter(log.texts("evaluation_ended", "key"))

    @contextlib.contextmanager
    def playing(self) -> Iterator[Log]:
        """As `asked`; each VM has begun one of the games."""
        with self.asked() as log:
            until(lambda: {state_of(self.fleet, vm) for vm in self.vms} == {"playing"}, "both VMs play")
            yield log
