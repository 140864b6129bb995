"""The documents' blocks of commands and snippets, and a shell in which somebody types lines of the command `tzar`."""

import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PATIENCE_S", "ROOT", "TZAR", "Session", "Snippet", "run", "snippets"]

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
TZAR = [sys.executable, "-m", "tzar_actors"]


@dataclass(frozen=True)
class Snippet:
    """A fenced block (`kind`: its language) or a run of indented lines (`kind`: "indented")."""

    kind: str
    text: str

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


def snippets(document: str) -> list[Snippet]:
    text = (ROOT / document).read_text(encoding="utf-8")
    fenced = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    found = [Snippet(match[1], match[2]) for match in fenced.finditer(text)]
    indented = re.compile(r"^\n((?:    .*\n)+)", re.MULTILINE)
    for match in indented.finditer(fenced.sub("\n", text)):
        found.append(Snippet("indented", re.sub("^    ", "", match[1], flags=re.MULTILINE)))
    return found


def run(
    argv: list[str], folder: Path, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Runs a command to its end, in place of this process's environment in another; fails when it fails."""
    done = subprocess.run(
        argv,
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, f"{argv} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done


class Session:
    """A shell in which somebody types lines; a supervisor goes on in the background until the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.supervisors: list[subprocess.Popen[bytes]] = []
        self.said: dict[str, str] = {}

    def type(self, line: str) -> None:
        argv = shlex.split(line, comments=True)
        assert argv[0] == "tzar", f"nobody knows how to try this line: {line}"
        argv = [*TZAR, *argv[1:]]
        if argv[3] == "supervise":
            self._supervise(argv)
        else:
            self.said[line] = run(argv, self.folder).stdout

    def _supervise(self, argv: list[str]) -> None:
        process = subprocess.Popen(
            argv,
            cwd=self.folder,
            stderr=subprocess.PIPE,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self.supervisors.append(process)
        is_ready = threading.Event()
        pipe = process.stderr
        assert pipe is not None

        def read() -> None:
            with pipe:
                for line in pipe:
                    if line.startswith(b"ready on "):
                        is_ready.set()

        threading.Thread(target=read, daemon=True).start()
        assert is_ready.wait(PATIENCE_S), f"{argv} was not ready in time"

    def end(self) -> list[int]:
        """Interrupts what goes on, and returns the exit codes."""
        codes = []
        for process in self.supervisors:
            if process.poll() is None:
                process.send_signal(signal.CTRL_BREAK_EVENT if sys.platform == "win32" else signal.SIGTERM)
            codes.append(process.wait(PATIENCE_S))
        self.supervisors.clear()
        return codes
