"""The fleet that the benches of kills, of soaking and of memory start: its settings, and what it left behind."""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import psutil
from faults import supervisors
from rich.console import Console
from work import BenchError

import tzar_actors
from tzar_actors.client.launcher import LaunchedFleet
from tzar_agent.tree import FLEET_MARK, marked

__all__ = ["Rig", "finish", "rig"]

_BOOT_S = 60.0
_END_S = 30.0
_LOOK_EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class Rig:
    """A fleet that runs.

    Args:
        fleet: it.
        id: the fleet's id: its mark.
        vms: how many VMs it has.
    """

    fleet: LaunchedFleet
    id: str
    vms: int

    @property
    def log(self) -> Path:
        """Its log of events."""
        return self.fleet.settings.log_file

    def await_idle(self, within_s: float = _BOOT_S) -> None:
        """Returns when every VM has an idle agent.

        Raises:
            BenchError: that took longer.
        """
        deadline = time.monotonic() + within_s
        while (idle := sum(vm.state == "idle" for vm in self.fleet.status().vms)) < self.vms:
            if time.monotonic() > deadline:
                raise BenchError(f"only {idle} of {self.vms} VMs have an idle agent after {within_s:.0f} s")
            Event().wait(_LOOK_EVERY_S)


@contextmanager
def rig(folder: Path, vms: int, sections: dict[str, Any], *, keep: bool = False) -> Iterator[Rig]:
    """A fleet of local VMs in a new folder beneath `folder`, with all VMs idle.

    The state folder is removed afterwards, unless there was an error; what is kept is told on stderr.

    Args:
        folder: where the state folder is made.
        vms: how many VMs.
        sections: of the settings, without `fleet.state_dir` and `hosts`.
        keep: leave the state folder where it is.

    Raises:
        BenchError: the VMs did not come up, or processes of the fleet were left when it had ended.
    """
    folder.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="tzar-bench-", dir=folder))
    settings = {
        **sections,
        "fleet": {"name": "bench", "on_trainer_exit": "stop", **sections.get("fleet", {}), "state_dir": str(home)},
        "hosts": [{"vms": vms, "boots_at_a_time": vms}],
    }
    # Where Python is told to keep no bytecode, each agent would compile itself at each boot: no fleet runs like that.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    fleet = tzar_actors.launch(settings)
    if not isinstance(fleet, LaunchedFleet):
        raise BenchError(f"{home} is new, and a supervisor runs there already")
    running = None
    try:
        with fleet:
            running = Rig(fleet, _id_of(fleet), vms)
            running.await_idle()
            yield running
        _require_nothing_left(running)
    except BaseException:
        _tell_kept(home)
        raise
    if keep:
        _tell_kept(home)
        return
    shutil.rmtree(home, ignore_errors=True)


def finish(lost: int, doubled: int, wrong: int, as_json: bool, found: dict[str, Any]) -> int:
    """Prints the last line, if it is wanted.

    Returns:
        The exit code: 1 when something was lost, doubled or wrong.
    """
    if as_json:
        sys.stdout.flush()
        print(json.dumps(found))
    return 1 if lost or doubled or wrong else 0


def _tell_kept(home: Path) -> None:
    Console(stderr=True).print(f"The fleet's log, journal and folders are in {home}", soft_wrap=True)


def _id_of(fleet: tzar_actors.Fleet) -> str:
    deadline = time.monotonic() + _BOOT_S
    while time.monotonic() < deadline:
        for vm in fleet.status().vms:
            if vm.pid is not None:
                return psutil.Process(vm.pid).environ()[FLEET_MARK]
        Event().wait(_LOOK_EVERY_S)
    raise BenchError(f"no VM has an agent after {_BOOT_S:.0f} s")


def _require_nothing_left(running: Rig) -> None:
    deadline = time.monotonic() + _END_S
    while left := [*marked(running.id), *(process.pid for process in supervisors())]:
        if time.monotonic() > deadline:
            raise BenchError(f"processes of the fleet are left {_END_S:.0f} s after its end: {left}")
        Event().wait(_LOOK_EVERY_S)
