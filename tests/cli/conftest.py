"""The command as people run it: a process of its own, in a folder with a small game in it."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
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


@pytest.fixture
def supervise(folder: Path) -> "Iterator[Callable[[], subprocess.Popen[bytes]]]":
    """Starts a supervisor and waits until it is ready; it is interrupted at the end."""
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-m", "tzar_actors", "supervise", "-c", "fleet.toml"],
            cwd=folder,
            stderr=subprocess.PIPE,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        processes.append(process)
        is_ready = threading.Event()

        def read() -> None:
            with process.stderr:
                for line in process.stderr:
                    if line.startswith(b"ready on "):
                        is_ready.set()

        threading.Thread(target=read, daemon=True).start()
        assert is_ready.wait(PATIENCE_S)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.CTRL_BREAK_EVENT if sys.platform == "win32" else signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


@pytest.fixture
def supervisor(supervise: "Callable[[], subprocess.Popen[bytes]]") -> "subprocess.Popen[bytes]":
    """A supervisor that is ready."""
    return supervise()
