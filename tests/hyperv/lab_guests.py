"""What runs in the guests of the lab's hosts, and a look at their disks from outside."""

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab import Host

__all__ = ["AGENT", "GUEST_ACCOUNT", "HOME", "agent_argv", "crash", "disk_of", "guest_pids", "install_agent"]

GUEST_ACCOUNT = ("Administrator", "Password1!")
HOME = r"C:\ProgramData\tzar-agent"
AGENT = Path(__file__).parent.parent.parent / "agent"


def agent_argv() -> list[str]:
    """The real agent's command, without its home."""
    return [sys.executable, "-m", "tzar_agent", "run"]


def install_agent(host: Host, argv: Sequence[str]) -> None:
    """Puts a program into the host's template that each guest starts when it boots, with `--home` and the agent's home.

    Args:
        host: a host with a template from which nothing was cloned yet.
        argv: of this machine.
    """
    disk = _content(host, _on_host(host, host.template or ""))
    folder = disk / "Program Files" / "tzar-agent"
    folder.mkdir()
    (folder / "agent.exe").write_bytes(b"")
    stands_for = {"argv": [*argv], "env": {"PYTHONPATH": str(AGENT)}}
    (folder / "agent.exe.lab.json").write_text(json.dumps(stands_for), encoding="utf-8")
    system = disk / ".lab" / "system.json"
    document = json.loads(system.read_text(encoding="utf-8"))
    document["tasks"]["\\tzar-agent"] = {
        "principal": {"user": "SYSTEM", "logon_type": "ServiceAccount"},
        "triggers": [{"type": "startup"}],
        "actions": [{"execute": r"C:\Program Files\tzar-agent\agent.exe", "arguments": f"--home {HOME}"}],
        "settings": {"execution_time_limit": "PT0S"},
    }
    system.write_text(json.dumps(document), encoding="utf-8")


def disk_of(host: Host, vm: str) -> Path:
    """The folder that is the disk of the VM of this name in Hyper-V."""
    return _content(host, _on_host(host, _vm(host, vm)["Settings"]["Drives"][0]["Path"]))


def guest_pids(host: Host, vm: str) -> list[int]:
    """The processes of the VM's guest that are alive."""
    try:
        record = (host.folder / "guests" / _vm(host, vm)["Id"] / "pids").read_text(encoding="utf-8")
    except (FileNotFoundError, LookupError):
        return []
    return [pid for pid in map(int, record.split()) if _is_alive(pid)]


def crash(host: Host, vm: str) -> None:
    """The VM goes off by itself."""
    for pid in guest_pids(host, vm):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _vm(host: Host, vm: str) -> dict[str, Any]:
    document = json.loads((host.folder / "state.json").read_text(encoding="utf-8"))
    return next((found for found in document["Vms"] if found["Name"] == vm), {}) or _raise(LookupError(vm))


def _raise(error: Exception) -> Any:
    raise error


def _on_host(host: Host, path: str) -> Path:
    return host.folder / "host" / "C" / path[3:].replace("\\", "/")


def _content(host: Host, disk: Path) -> Path:
    return host.folder / "disks" / json.loads(disk.read_text(encoding="utf-8").partition("\n")[2])["Content"]


def _is_alive(pid: int) -> bool:
    """Not a zombie: those are reaped late."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
