"""The lab that stands in for Hyper-V hosts, as fixtures. Without it the tests that need it are skipped.

It is found by TZAR_HYPERV_LAB, else beside the repository at ../shared/hyperv-lab. A host is a folder; PowerShell runs
in it as `powershell` of PATH, and WinRM in a server of its own.
"""

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

__all__ = [
    "LAB",
    "NO_WINRM",
    "PASSWORD",
    "USER",
    "Host",
    "Relay",
    "WinRmServer",
    "make_host",
    "needs_lab",
    "wait_until",
    "winrm_server",
]

LAB = Path(os.environ.get("TZAR_HYPERV_LAB") or Path(__file__).parents[3] / "shared" / "hyperv-lab")
PATIENCE_S = 60.0
USER, PASSWORD = "Administrator", f"s3cret/{os.urandom(8).hex()}"  # no other run on this machine has it

needs_lab = pytest.mark.skipif(
    not (LAB / "pwsh").exists() or not sys.platform.startswith("linux"),
    reason=f"the Hyper-V lab is not at {LAB} (TZAR_HYPERV_LAB names it), or this is not Linux",
)

NO_WINRM = 'pywinrm is not installed; pip install "tzar-actors[hyperv]" brings it'


def wait_until(holds: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Waits for a condition, with a bound."""
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline, f"waited {patience_s:g} s for this: {what}"
        time.sleep(0.01)


@dataclass(frozen=True)
class Host:
    """A simulated Hyper-V host.

    Args:
        folder: all that it is.
        bin: has `powershell`, for PATH.
        template: the path, on the host, of a disk with a guest's Windows on it; None: there is none.
    """

    folder: Path
    bin: Path
    template: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        """For a process that is to work on this host."""
        path = os.pathsep.join((str(self.bin), os.environ.get("PATH", "")))
        return os.environ | {"TZAR_HYPERV_STATE": str(self.folder), "TZAR_SIM_PYTHON": sys.executable, "PATH": path}

    def run(self, script: str) -> str:
        """Runs PowerShell on the host and returns what it prints; fails when it fails."""
        done = subprocess.run(
            [str(self.bin / "powershell"), "-NoProfile", "-NonInteractive", "-Command", script],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def set_faults(self, **faults: Any) -> None:
        """Writes faults.json: what goes wrong with cmdlets from now on; nothing given: nothing."""
        (self.folder / "faults.json").write_text(json.dumps(faults), encoding="utf-8")


def make_host(folder: Path, *, template: bool = False, **facts: Any) -> Host:
    """A host of its own.

    Args:
        folder: made.
        template: whether it gets a disk with Windows on it, C:\\tzar\\template.vhdx, read-only.
        facts: for host.json, as `memory_bytes`.
    """
    state, programs = folder / "host", folder / "bin"
    state.mkdir(parents=True)
    programs.mkdir()
    (programs / "powershell").symlink_to(LAB / "pwsh")
    if facts:
        (state / "host.json").write_text(json.dumps(facts), encoding="utf-8")
    if not template:
        return Host(state, programs)
    host = Host(state, programs, r"C:\tzar\template.vhdx")
    host.run(
        "$null = New-Item -ItemType Directory C:\\tzar;"
        "$null = Hyper-V\\New-VHD C:\\tzar\\template.vhdx -SizeBytes 40GB;"
        "Install-LabWindows C:\\tzar\\template.vhdx; Set-ItemProperty C:\\tzar\\template.vhdx IsReadOnly $true"
    )
    return host


@dataclass(frozen=True)
class WinRmServer:
    """A running WinRM server of a host.

    Args:
        endpoint: for pywinrm.
        pid: of the server's process.
        faults_url: where faults are switched on.
    """

    endpoint: str
    pid: int
    faults_url: str

    def set_faults(self, **faults: Any) -> None:
        """Switches faults of the server on, as its own text lists them."""
        request = urllib.request.Request(self.faults_url, json.dumps(faults).encode(), method="POST")
        with _opener().open(request, timeout=10) as answer:
            answer.read()

    def counts(self) -> dict[str, int]:
        """Its counters, and `shells`: how many are open."""
        document = self._document()
        return {**document["counts"], "shells": document["shells"]}

    def faults(self) -> dict[str, Any]:
        """Its faults; of those that befall so many requests, how many are to come."""
        return dict(self._document()["faults"])

    def _document(self) -> dict[str, Any]:
        with _opener().open(self.faults_url, timeout=10) as answer:
            return dict(json.load(answer))


@contextlib.contextmanager
def winrm_server(
    host: Host, scratch: Path, *, port: int = 0, tls: tuple[Path, Path] | None = None, **limits: int
) -> Iterator[WinRmServer]:
    """A WinRM server of the host while the block runs.

    Args:
        host: whose it is.
        scratch: a folder for its own files.
        port: 0: any that is free.
        tls: a certificate and its key: over HTTPS.
        limits: in place of Windows' own, as `MAX_SHELLS`.

    Without pywinrm the test that needs it is skipped.
    """
    pytest.importorskip("winrm", reason=NO_WINRM)
    ready = scratch / f"winrm-{os.urandom(4).hex()}.ready"
    start = f"import sys, winrm_server; vars(winrm_server).update({limits!r}); winrm_server.main()"
    argv = [sys.executable, "-c", start, "--state", str(host.folder), "--port", str(port)]
    argv += ["--user", USER, "--password", PASSWORD, "--ready-file", str(ready)]
    if tls:
        argv += ["--tls", *map(str, tls)]
    with subprocess.Popen(
        argv,
        env=host.environment | {"PYTHONPATH": os.pathsep.join(filter(None, [str(LAB), os.environ.get("PYTHONPATH")]))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            wait_until(lambda: process.poll() is not None or _text(ready) != "", "the WinRM server listens")
            assert process.poll() is None, "the WinRM server did not start"
            endpoint = _text(ready)
            yield WinRmServer(endpoint, process.pid, endpoint.removesuffix("wsman") + "faults")
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()


class Relay:
    """Passes connections on to a WinRM server, and can lose one of its answers: the server has done what was asked.

    Args:
        endpoint: the server's.
    """

    def __init__(self, endpoint: str) -> None:
        self._target = (host_and_port := endpoint.split("/")[2].rsplit(":", 1))[0], int(host_and_port[1])
        self._lock = threading.Lock()
        self._answers_until_loss: int | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = endpoint.replace(":".join(host_and_port), f"127.0.0.1:{self._listener.getsockname()[1]}")
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_answer(self, nth: int) -> None:
        """Of the answers that come from now on, the `nth` is lost, and its connection cut."""
        with self._lock:
            self._answers_until_loss = nth

    def has_lost(self) -> bool:
        """Whether the answer was lost."""
        with self._lock:
            return self._answers_until_loss is None

    def close(self) -> None:
        """Takes no more connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # closing alone does not wake the thread that accepts
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(self._target)
                except OSError:
                    client.close()
                    continue
                for source, target, is_answer in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._pass_on, args=(source, target, is_answer), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        with contextlib.suppress(OSError), source, target:
            while data := source.recv(1 << 16):
                if is_answer and data.startswith(b"HTTP/1.1 ") and self._loses():
                    break
                target.sendall(data)
            for end in (source, target):
                end.shutdown(socket.SHUT_RDWR)

    def _loses(self) -> bool:
        with self._lock:
            if self._answers_until_loss is None:
                return False
            self._answers_until_loss -= 1
            if self._answers_until_loss:
                return False
            self._answers_until_loss = None
            return True


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _opener() -> urllib.request.OpenerDirector:
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unverified))
