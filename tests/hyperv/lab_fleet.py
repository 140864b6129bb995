"""A whole fleet on a host of the lab: its settings, what it says and shows, and whether it left anything behind."""

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import psutil
from lab import PASSWORD, USER, Host, make_host
from lab_guests import GUEST_ACCOUNT, agent_argv, install_agent

from tzar_actors.drivers.choice import make_driver
from tzar_actors.events.reading import read

__all__ = [
    "PATIENCE_S",
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
    passing = {"state.json", "state.lock", "net.json", "net.lock", "faults.json"}
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
