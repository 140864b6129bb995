"""What the Hyper-V driver's calls cost, in the lab (docs/hyperv.md says what that is): figures of a simulated host.

- `verb_ms`: a status verb on an open lane over WinRM, of a host without VMs; `verb_16_ms`: of one with 16.
- `bare_ms`: the same line, echoed by a PowerShell that does nothing else, asked by pywinrm alone. `verb_ratio` is
  the first over this one. They are measured in turn, in several rounds; medians.
- `run_ps_ms`: the same question by pywinrm's `run_ps`, which starts a PowerShell for each, as is usual.
- `clone16_s`: 16 VMs cloned from a template, booted, and given an identity that their agents took, where the network
  gives guests their addresses; `clone16_addresses_s`: where the driver does, by a session in each. With another
  number of `--vms` the names have that one, and there is no floor.
- `idle_calls_per_min`: what a supervisor with nothing to play asks of its host.
"""

import base64
import contextlib
import functools
import ipaddress
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
import winrm
import zmq
from rich.console import Console
from winrm.protocol import Protocol

# The lab is the tests' own. This folder goes last, also behind the package's own, which is on no path where it is
# installed to be edited: in this folder, this file has the name of the package.
HERE = Path(__file__).resolve().parent
others = [entry for entry in sys.path if Path(entry).resolve() != HERE]
sys.path[:] = [str(HERE.parent / "tests" / "hyperv"), *others, str(HERE.parent), str(HERE)]

from figures import Figure, table  # noqa: E402 - as above
from lab import LAB, PASSWORD, USER, Host, WinRmServer, make_host, winrm_server  # noqa: E402 - as above
from lab_guests import GUEST_ACCOUNT, agent_argv, disk_of, install_agent  # noqa: E402 - as above

import tzar_actors  # noqa: E402 - as above
from hyperv.credentials import Credentials  # noqa: E402 - as above
from hyperv.driver import HyperVDriver  # noqa: E402 - as above
from hyperv.lanes import Lanes  # noqa: E402 - as above
from hyperv.messages import Request, Secret  # noqa: E402 - as above
from hyperv.opening import lanes_by_winrm  # noqa: E402 - as above
from hyperv.plans import Addresses, GuestPlan, VmPlan  # noqa: E402 - as above
from tzar_actors.drivers.choice import make_driver  # noqa: E402 - as above
from tzar_agent.protocol.identity import Identity  # noqa: E402 - as above

__all__ = ["main"]

FLEET = "be" * 16
CALLS = 40  # of each kind in a round
RUN_PS_CALLS = 3
DELIVERED = "ProgramData/tzar-agent/identity.json"  # on the disk of a VM
RANGE = (ipaddress.IPv4Address("192.168.77.11"), ipaddress.IPv4Address("192.168.77.99"), 24)
PATIENCE_S = 120.0
FLOORS = {"verb_ratio": 2.5, "clone16_s": 15.0, "idle_calls_per_min": 12.5}
QUESTION = Request.make("0" * 32, "Get-TzarWorkerVM", {"Fleet": FLEET}).line
ECHO = """
$reader = New-Object IO.StreamReader([Console]::OpenStandardInput(), [Text.Encoding]::ASCII)
while ($null -ne ($line = $reader.ReadLine())) { [Console]::Out.WriteLine($line); [Console]::Out.Flush() }
"""


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often verb and bare line are measured.")] = 5,
    vms: Annotated[int, typer.Option(min=1, max=64, help="How many VMs are cloned.")] = 16,
    idle_s: Annotated[float, typer.Option(min=5.0, help="How long the idle supervisor is watched.")] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object on the last line.")] = False,
) -> None:
    """Measures the Hyper-V driver on a host of the lab."""
    if not (LAB / "pwsh").exists():
        Console(stderr=True).print(f"[red]The Hyper-V lab is not at {LAB}: TZAR_HYPERV_LAB names it.[/red]")
        raise typer.Exit(1)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        host = make_host(Path(folder) / "lab", template=True)
        install_agent(host, agent_argv())
        host.run("$null = Hyper-V\\New-VMSwitch tzar -SwitchType Internal")
        server = stack.enter_context(winrm_server(host, Path(folder)))
        found = measure_calls(server, rounds)
        up_s, found[f"verb_{vms}_ms"] = measure_clones(host, server, vms, rounds)
        found[f"clone{vms}_s"] = up_s
        found[f"clone{vms}_addresses_s"], _ = measure_clones(host, server, vms, 1, Addresses(*RANGE))
        found["idle_calls_per_min"] = measure_idle(host, server, Path(folder), idle_s)
    figures = [Figure(name, value, FLOORS.get(name)) for name, value in found.items()]
    Console().print(table("The Hyper-V driver in the lab", figures))
    if as_json:
        print(json.dumps({name: float(f"{value:.4g}") for name, value in found.items()}))


def measure_calls(server: WinRmServer, rounds: int) -> dict[str, float]:
    """The verb beside the bare line, and one call of `run_ps` beside both."""
    session = winrm.Session(server.endpoint, auth=(USER, PASSWORD), transport="ntlm")
    with contextlib.closing(open_lanes(server)) as lanes, bare_echo(server) as echo:
        verb = functools.partial(lanes.status, "Get-TzarWorkerVM", {"Fleet": FLEET}, PATIENCE_S)
        for call in (verb, echo):
            milliseconds(call, CALLS)  # until both are warm
        pairs = [(milliseconds(verb, CALLS), milliseconds(echo, CALLS)) for _ in range(rounds)]
        run_ps = milliseconds(lambda: session.run_ps("Hyper-V\\Get-VM"), RUN_PS_CALLS)
    return {
        "verb_ms": statistics.median(verb_ms for verb_ms, _ in pairs),
        "bare_ms": statistics.median(bare_ms for _, bare_ms in pairs),
        "verb_ratio": statistics.median(verb_ms / bare_ms for verb_ms, bare_ms in pairs),
        "run_ps_ms": run_ps,
    }


def measure_clones(
    host: Host, server: WinRmServer, count: int, rounds: int, addresses: Addresses | None = None
) -> tuple[float, float]:
    """Seconds for VMs from nothing until each has taken its identity, and milliseconds for a status of them.

    They are removed afterwards.
    """
    user, password = GUEST_ACCOUNT
    guests = GuestPlan(lambda: Credentials(user, Secret(password)), addresses=addresses, boot_timeout_s=PATIENCE_S)
    plan = VmPlan(host.template or "", r"C:\tzar\vms", "tzar", memory=1024)
    lanes = open_lanes(server)
    driver = HyperVDriver("lab", FLEET, lanes, plan, guests)
    vms = [f"tzar-{number:02d}" for number in range(1, count + 1)]
    with contextlib.closing(driver), ThreadPoolExecutor(count) as pool:
        driver.status()  # its lane is open, as that of a supervisor that has just begun is
        began = time.monotonic()
        list(pool.map(lambda vm: bring_up(driver, vm), vms))
        delivered = [disk_of(host, vm) / DELIVERED for vm in vms]
        until(lambda: not any(file.exists() for file in delivered), "all agents have taken their identities", 0.02)
        seconds = time.monotonic() - began
        verb = functools.partial(lanes.status, "Get-TzarWorkerVM", {"Fleet": FLEET}, PATIENCE_S)
        with_vms = statistics.median(milliseconds(verb, CALLS) for _ in range(rounds))
        for vm in vms:
            driver.kill(vm)
            driver.remove(vm)
    return seconds, with_vms


def measure_idle(host: Host, server: WinRmServer, folder: Path, idle_s: float) -> float:
    """Status calls a minute of a supervisor whose two VMs have nothing to play."""
    for name, (user, password) in {"LAB": (USER, PASSWORD), "GUEST": GUEST_ACCOUNT}.items():
        os.environ[f"TZAR_HYPERV_{name}_USER"] = user
        os.environ[f"TZAR_HYPERV_{name}_PASSWORD"] = password
    with contextlib.closing(open_lanes(server)) as lanes:
        lanes.status("Get-TzarWorkerVM", {"Fleet": FLEET}, PATIENCE_S)
        before = server.counts()["requests"]
        for _ in range(CALLS):
            lanes.status("Get-TzarWorkerVM", {"Fleet": FLEET}, PATIENCE_S)
        a_call = (server.counts()["requests"] - before) / CALLS
    hyperv = {"address": "127.0.0.1", "port": urlsplit(server.endpoint).port, "template": host.template}
    config: dict[str, Any] = {
        "fleet": {"state_dir": str(folder / "state"), "on_trainer_exit": "stop"},
        "hosts": [{"name": "lab", "driver": "hyperv", "vms": 2, "advertise": "127.0.0.1", "hyperv": hyperv}],
    }
    with tzar_actors.launch(config, evaluator="seeded_game:play") as fleet:
        until(lambda: all(row.state == "idle" for row in fleet.status().vms), "both VMs are idle")
        before, began = server.counts()["requests"], time.monotonic()
        Event().wait(idle_s)
        calls = (server.counts()["requests"] - before) / a_call
        a_minute = calls * 60.0 / (time.monotonic() - began)
        settings = fleet.settings
    with contextlib.closing(sqlite3.connect(settings.state_dir / "journal.sqlite")) as journal:
        [mark] = journal.execute("SELECT value FROM meta WHERE name = 'fleet'").fetchone()
    with contextlib.closing(make_driver(settings.hosts[0], mark, settings.state_dir)) as driver:
        for vm in driver.status():
            driver.kill(vm)
            driver.remove(vm)
    return a_minute


def open_lanes(server: WinRmServer) -> Lanes:
    """Lanes as a supervisor has them."""
    return lanes_by_winrm("lab", 3, server.endpoint, lambda: Credentials(USER, Secret(PASSWORD)))


def bring_up(driver: HyperVDriver, vm: str) -> None:
    """One VM, as a supervisor makes it."""
    driver.create(vm)
    public, secret = (key.decode() for key in zmq.curve_keypair())
    driver.start(
        vm,
        Identity(
            fleet=FLEET,
            vm=vm,
            incarnation=1,
            endpoint="tcp://127.0.0.1:9",
            server_key=public,
            public_key=public,
            secret_key=secret,
            entropy=os.urandom(32).hex(),
            time=time.time(),
            orphan_s=None,
        ),
    )


@contextlib.contextmanager
def bare_echo(server: WinRmServer) -> Iterator[Callable[[], None]]:
    """Sends the verb's own line to a PowerShell that gives it back, and waits for it."""
    protocol = Protocol(server.endpoint, transport="ntlm", username=USER, password=PASSWORD)
    shell = protocol.open_shell(codepage=65001)
    try:
        encoded = base64.b64encode(ECHO.encode("utf-16-le")).decode()
        command = protocol.run_command(
            shell, "powershell", ["-NoProfile", "-EncodedCommand", encoded], console_mode_stdin=False
        )

        def echo() -> None:
            protocol.send_command_input(shell, command, QUESTION + b"\n")
            back = b""
            while b"\n" not in back:
                back += protocol.get_command_output_raw(shell, command)[0]
            assert back.strip() == QUESTION

        yield echo
        protocol.cleanup_command(shell, command)
    finally:
        protocol.close_shell(shell)


def milliseconds(call: Callable[[], object], count: int) -> float:
    """The median of so many calls, in milliseconds."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1000.0)
    return statistics.median(times)


def until(holds: Callable[[], bool], what: str, pause_s: float = 0.1) -> None:
    """Waits for a condition, with a bound."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE_S:g} s for this: {what}")
        Event().wait(pause_s)


if __name__ == "__main__":
    typer.run(main)
