"""`tzar demo` from its launch to its last line: a fleet in a temporary folder, the campaign, the chart and the log."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from time import time
from typing import Any

import psutil
from rich.console import Console

from tzar_actors.demo.campaign import Campaign, Plan, Report
from tzar_actors.demo.chart import write_chart
from tzar_actors.demo.fleet import Fleet
from tzar_actors.demo.kill import end_process
from tzar_actors.demo.show import Show, describe

__all__ = ["Launch", "Options", "Summary", "first_game_at", "run"]

Launch = Callable[[Path], AbstractContextManager[Fleet]]

EVALUATOR = "tzar_actors.demo.health_gathering:play"
TIME_LIMIT_S, STALL_S = 60, 20  # a game takes a fifth of a second; a VM that starves beside three others far longer


@dataclass(frozen=True, slots=True)
class Options:
    """What the person who typed `tzar demo` wants.

    Args:
        vms: VMs of the fleet, all on this machine.
        plan: what they play.
        chart: the chart's file; the log comes to lie beside it as `events.jsonl`.
        keep: leave the fleet's state folder as well.
        driver: what creates and powers the VMs.
    """

    vms: int
    plan: Plan
    chart: Path
    keep: bool = False
    driver: str = "local"

    @property
    def log(self) -> Path:
        """Where the log is left."""
        return self.chart.parent / "events.jsonl"


@dataclass(frozen=True, slots=True)
class Summary:
    """What `--json` prints. Seconds count from the start of this process."""

    submitted: int
    outcomes: dict[str, int]
    killed: dict[str, str] | None
    champion: float | None
    random: float | None
    seconds: float
    first_game_s: float | None

    def json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @property
    def is_whole(self) -> bool:
        """Whether each evaluation was scored."""
        return self.outcomes == {"scored": self.submitted}


def run(options: Options, launch: Launch, console: Console) -> Summary:
    """Runs the demo, and leaves only the chart and the log behind.

    Args:
        options: how.
        launch: starts a fleet from a configuration file; its context ends it.
        console: where a person reads how it goes.

    Returns:
        What came of it.

    Raises:
        TzarError: the fleet did not come up, was lost for good, or scored nothing.
        OSError: the chart or the log cannot be written.
    """
    started_at = psutil.Process().create_time()
    options.chart.parent.mkdir(parents=True, exist_ok=True)  # better refused before the games than after them
    with _folder(options, console) as folder:
        config, log = folder / "demo.toml", folder / "events.jsonl"
        config.write_text(configuration(options.vms, folder / "state", log, options.driver), encoding="utf-8")
        try:
            report = _campaign(options, launch, config, console)
        finally:
            # Above all when it failed: the log says why.
            if log.exists():
                shutil.copyfile(log, options.log)
                console.print(f"log: {options.log}", soft_wrap=True)
        begun_at = first_game_at(log)
    write_chart(report, options.chart)
    console.print(f"chart: {options.chart}", soft_wrap=True)
    return Summary(
        submitted=report.submitted,
        outcomes=dict(sorted(report.outcomes.items())),
        killed=asdict(report.killed) if report.killed else None,
        champion=report.champion,
        random=report.random,
        seconds=round(time() - started_at, 3),
        first_game_s=None if begun_at is None else round(begun_at - started_at, 3),
    )


def configuration(vms: int, state_dir: Path, log: Path, driver: str = "local") -> str:
    """The TOML of the demo's fleet. `driver` is one whose VMs are processes of this machine."""
    # TOML's basic strings are JSON's, Windows' backslashes included.
    return f"""\
[fleet]
name = "demo"
state_dir = {json.dumps(str(state_dir))}
on_trainer_exit = "stop"
durability = "process"

[evaluator]
kind = "python"
target = "{EVALUATOR}"
time_limit_s = {TIME_LIMIT_S}
stall_s = {STALL_S}

[[hosts]]
name = "local"
driver = "{driver}"
vms = {vms}
boots_at_a_time = {vms}

[log]
file = {json.dumps(str(log))}
level = "DEBUG"
"""


def first_game_at(log: Path) -> float | None:
    """When the first attempt of a log began, in seconds since 1970; None: none did."""
    if not log.exists():
        return None
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            event: dict[str, Any] = json.loads(line)
            if event.get("event") == "attempt_started":
                return datetime.fromisoformat(event["t"]).timestamp()
    return None


def _campaign(options: Options, launch: Launch, config: Path, console: Console) -> Report:
    with Show(console, options.plan.generations) as show, launch(config) as fleet:
        report = Campaign(fleet, options.plan, show, end_process).run()
    describe(report, console)
    return report


@contextlib.contextmanager
def _folder(options: Options, console: Console) -> Iterator[Path]:
    """A temporary folder for the fleet, in which its processes' temporary files lie as well."""
    folder = Path(tempfile.mkdtemp(prefix="tzar-demo-"))
    (folder / "tmp").mkdir()
    names = ("TMPDIR", "TEMP", "TMP")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, str(folder / "tmp")))
    try:
        yield folder
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if options.keep:
            console.print(f"the fleet's folder: {folder}", soft_wrap=True)
        else:
            _remove(folder, console)


def _remove(folder: Path, console: Console) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        console.print(f"[yellow]{folder} could not be removed[/]: {error}. Remove it by hand.")
