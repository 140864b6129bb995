"""The command as people run it: a process of its own, in a folder with a small game in it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

PATIENCE_S = 60.0
GAME = '''
def play(genome, params, game):
    """The genome's first byte; a raise for a genome that begins with 0."""
    if genome[0] == 0:
        raise ValueError("a bad genome")
    return float(genome[0]) + params.get("extra", 0)
'''
CONFIG = """
[fleet]
state_dir = "state"
[evaluator]
kind = "python"
target = "cli_game:play"
max_attempts = 2
[limits]
genome_mib = 1
[[hosts]]
name = "here"
vms = 2
"""

Done: TypeAlias = "subprocess.CompletedProcess[str]"
Tzar: TypeAlias = Callable[..., Done]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cli_game.py").write_text(GAME, encoding="utf-8")
    (tmp_path / "fleet.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "one.genome").write_bytes(b"\x01" * 10)
    (tmp_path / "two.genome").write_bytes(b"\x02" * 10)
    return tmp_path


@pytest.fixture
def tzar(folder: Path) -> Tzar:
    """Runs the command to its end."""

    def run(*argv: str) -> Done:
        return subprocess.run(
            [sys.executable, "-m", "tzar_actors", *argv],
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=PATIENCE_S,
            check=False,
        )

    return run
