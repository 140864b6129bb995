"""Fleets of two VMs that play a small game of this folder, and are gone when the test is over."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tzar_actors

PATIENCE_S = 60.0
GAME = '''
import pathlib
import time

FOLDER = pathlib.Path(__file__).parent


def play(genome, params, game):
    """The genome's first byte; it waits until there is a file of the name params["wait"]."""
    (FOLDER / f"began-{genome[0]}").touch()
    while "wait" in params and not (FOLDER / params["wait"]).exists():
        game.progress()
        time.sleep(0.01)
    with (FOLDER / "played").open("a") as played:
        played.write(f"{genome[0]}\\n")
    return float(genome[0])
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "client_game.py").write_text(GAME, encoding="utf-8")
    return tmp_path


def config_in(folder: Path) -> dict[str, Any]:
    return {
        "fleet": {"state_dir": str(folder / "state"), "drain_grace_s": 1.0, "durability": "process"},
        "evaluator": {"kind": "python", "target": "client_game:play", "path": [str(folder)]},
        "limits": {"genome_mib": 1},
        "hosts": [{"name": "here", "vms": 2}],
    }


@pytest.fixture
def config(folder: Path) -> dict[str, Any]:
    return config_in(folder)


@pytest.fixture(scope="module")
def shared_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tzar_actors.Fleet]:
    """One fleet for all tests of a module that neither wait in games nor count what was played."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "client_game.py").write_text(GAME, encoding="utf-8")
    with tzar_actors.launch(config_in(folder)) as fleet:
        yield fleet


@pytest.fixture
def fleet(config: dict[str, Any]) -> Iterator[tzar_actors.LaunchedFleet]:
    """A fleet that was launched; what is still open at the end is let go."""
    fleet = tzar_actors.launch(config)
    assert isinstance(fleet, tzar_actors.LaunchedFleet)
    yield fleet
    fleet._end("stop")


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, "it did not come to that"
            time.sleep(0.01)  # between two looks at processes of their own

    return wait
