"""A simulated Hyper-V host of the lab with the functions loaded in one PowerShell; each test finds it as new."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
SCRIPTS = ROOT / "hyperv" / "scripts"
LAB = Path(os.environ.get("TZAR_HYPERV_LAB") or ROOT.parent / "shared" / "hyperv-lab")
PATIENCE_S = 60.0
FLEET = "ab" * 16

TEMPLATE = r"C:\tzar\template.vhdx"
FOLDER = r"C:\tzar\vms"

# A line is base64 of a script's text, and its answer a line of base64 of JSON.
SHELL = r"""
$ProgressPreference = 'SilentlyContinue'
Set-StrictMode -Version Latest
while ($null -ne ($line = [Console]::In.ReadLine())) {
    $text = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($line))
    try { $reply = @{ value = @(. ([scriptblock]::Create($text)) 3>$null 4>$null 6>$null); error = $null } }
    catch {
        $where = $_.InvocationInfo
        $cmdlet = if ($where -and $where.MyCommand) { $where.MyCommand.Name } else { '' }
        $problem = @{ id = "$($_.FullyQualifiedErrorId)"; message = $_.Exception.Message; cmdlet = $cmdlet }
        $reply = @{ value = @(); error = $problem }
    }
    $json = [Text.Encoding]::UTF8.GetBytes((ConvertTo-Json -InputObject $reply -Depth 6 -Compress))
    [Console]::Out.WriteLine('REPLY:' + [Convert]::ToBase64String($json))
}
"""

SETUP = rf"""
$null = New-Item -ItemType Directory C:\tzar
$null = New-VHD {TEMPLATE} -SizeBytes 40GB
Install-LabWindows {TEMPLATE}
Set-ItemProperty {TEMPLATE} -Name IsReadOnly -Value $true
$null = New-VMSwitch -Name fleet -SwitchType Internal
"""


class ScriptError(Exception):
    """What PowerShell threw. `code`: our own reason, without what PowerShell appends; empty for others' errors."""

    def __init__(self, error: dict[str, str]) -> None:
        super().__init__(error["message"])
        self.id = error["id"]
        self.code = self.id.split(",")[0] if self.id.startswith("Tzar") else ""
        self.cmdlet = error["cmdlet"]


class Shell:
    """One PowerShell of the lab on the host in this folder, with the functions defined."""

    def __init__(self, state: Path) -> None:
        encoded = base64.b64encode(SHELL.encode("utf-16-le")).decode()
        self.process = subprocess.Popen(
            [LAB / "pwsh", "-NoProfile", "-NonInteractive", "-EncodedCommand", encoded],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TZAR_HYPERV_STATE": str(state), "TZAR_SIM_PYTHON": sys.executable},
            text=True,
        )
        for path in sorted((SCRIPTS / "functions").glob("*.ps1")):
            assert self.run(path.read_text(encoding="ascii")) == []

    def send(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(base64.b64encode(text.encode()).decode() + "\n")
        self.process.stdin.flush()

    def receive(self) -> list[Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("REPLY:"):
                reply = json.loads(base64.b64decode(line[6:]))
                if reply["error"]:
                    raise ScriptError(reply["error"])
                return list(reply["value"])
        raise AssertionError("the lab's PowerShell has ended")

    def run(self, text: str) -> list[Any]:
        self.send(text)
        return self.receive()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


def quote(value: object) -> str:
    """A value as PowerShell writes it, of the kinds that JSON has."""
    match value:
        case bool():
            return "$true" if value else "$false"
        case int() | float():
            return repr(value)
        case list():
            return "@(" + ", ".join(quote(one) for one in value) + ")"
        case _:
            return "'" + str(value).replace("'", "''") + "'"


class LabHost:
    """A host with a template and the switch `fleet`. What the tests do to it is undone by `renew`."""

    fleet = FLEET
    template = TEMPLATE
    folder = FOLDER
    functions = SCRIPTS / "functions"

    def __init__(self, folder: Path) -> None:
        self.state = folder / "host"
        self._pristine = folder / "pristine"
        self.state.mkdir()
        self.shell = Shell(self.state)
        self.shell.run(SETUP)
        shutil.copytree(SCRIPTS, self.state / "host" / "C" / "scripts")
        shutil.copytree(self.state, self._pristine, symlinks=True)
        # What VMs run until a test needs a guest that answers: the lab's own take a second of a processor to boot.
        self._idle = folder / "idle.py"
        self._idle.write_text("import signal\n\nsignal.pause()\n")
        self.renew()

    def renew(self) -> None:
        (self.state / "faults.json").unlink(missing_ok=True)
        self.run("Get-VM | Where-Object { $_.State -ne 'Off' } | Stop-VM -TurnOff -Force")
        # Files of the pristine host, but for what no test writes to: the template's content and the scripts.
        for folder in ("", "disks", "host/C"):
            for path in (self.state / folder).iterdir():
                if path.is_file():
                    path.unlink()
                elif not (self._pristine / folder / path.name).exists():
                    shutil.rmtree(path)
            for path in (self._pristine / folder).iterdir():
                if path.is_file():
                    shutil.copy2(path, self.state / folder / path.name)
        shutil.rmtree(self.state / "host" / "C" / "tzar")
        shutil.copytree(self._pristine / "host" / "C" / "tzar", self.state / "host" / "C" / "tzar")
        self.set_faults({})
        self._run_in_guests(self._idle)

    def _run_in_guests(self, program: Path | None) -> None:
        value = f"'{program}'" if program else "$null"
        self.run(f"[Environment]::SetEnvironmentVariable('TZAR_LAB_GUEST_PY', {value})")

    def restart_shell(self) -> None:
        """Ends PowerShell in the middle of what it does, and starts another."""
        self.shell.close()
        self.shell = Shell(self.state)
        self._run_in_guests(self._idle)

    def close(self) -> None:
        try:
            self.renew()
        finally:
            self.shell.close()

    def run(self, text: str) -> list[Any]:
        return self.shell.run(text)

    def call(self, function: str, *switches: str, **parameters: object) -> list[Any]:
        given = " ".join(f"-{name}:{quote(value)}" for name, value in parameters.items())
        return self.run(f"{function} {given} {' '.join(switches)}")

    def make(self, *switches: str, **parameters: object) -> list[Any]:
        """New-TzarWorkerVM with what most tests have in common; the VMs are left off unless `NoStart=False`."""
        if "Name" not in parameters and "Count" not in parameters:
            parameters["Name"] = "tzar-01"
        common: dict[str, object] = {
            "Fleet": FLEET,
            "Template": TEMPLATE,
            "Folder": FOLDER,
            "SwitchName": "fleet",
            "MemoryMB": 1024,
            "NoStart": True,
        }
        return self.call("New-TzarWorkerVM", *switches, **(common | parameters))

    def on(self, verb: str, *switches: str, name: str = "tzar-01", **parameters: object) -> list[Any]:
        """A verb on one VM of the fleet."""
        return self.call(verb, *switches, Fleet=FLEET, Name=name, **parameters)

    def vms(self) -> dict[str, dict[str, Any]]:
        return {vm["Name"]: vm for vm in self.call("Get-TzarWorkerVM", Fleet=FLEET)}

    def protect_template(self, *, is_on: bool) -> None:
        self.run(f"Set-ItemProperty '{TEMPLATE}' -Name IsReadOnly -Value {quote(is_on)}")

    def write_to_template(self) -> None:
        """As somebody who mounts it and looks around: its clones are orphans from then on."""
        self.protect_template(is_on=False)
        self.run(f"Mount-VHD '{TEMPLATE}'; Dismount-VHD '{TEMPLATE}'")
        self.protect_template(is_on=True)

    def set_faults(self, faults: dict[str, Any]) -> None:
        (self.state / "faults.json").write_text(json.dumps({"boot": {"delay_s": 0.05}} | faults))

    def fail_once(self, cmdlet: str, message: str = "made up for the test") -> None:
        self.set_faults({cmdlet: {"times": 1, "message": message, "id": "MadeUp"}})

    def has_failed(self, cmdlet: str) -> bool:
        return bool(json.loads((self.state / "faults.json").read_text())[cmdlet]["times"] == 0)

    def until(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, f"waited in vain: {what}"
            time.sleep(0.02)

    def boot(self, name: str = "tzar-01") -> None:
        """Starts a VM of the fleet and waits until its guest answers. From then on all guests are the lab's own."""
        self._run_in_guests(None)
        self.on("Start-TzarWorkerVM", name=name)
        self.until(lambda: self.vms()[name]["Heartbeat"].startswith("Ok"), "the guest's heartbeat")

    def files(self) -> list[str]:
        """What lies below C:\\tzar, but for folders and the template."""
        tzar = self.state / "host" / "C" / "tzar"
        found = (path for path in tzar.rglob("*") if path.is_file() and path.name != "template.vhdx")
        return sorted(str(path.relative_to(tzar)).replace("/", "\\") for path in found)

    def raw(self) -> dict[str, str]:
        """Everything that a host is, to be compared."""
        parts = {}
        for name in ("state.json", "net.json"):
            path = self.state / name
            parts[name] = path.read_text() if path.exists() else ""
        for top in ("host", "disks"):
            for path in sorted((self.state / top).rglob("*")):
                digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "a folder"
                parts[str(path.relative_to(self.state))] = digest
        return parts

    def is_clean(self) -> bool:
        """Whether no VM is left, no file, and no disk but the template's."""
        vms = self.run("@(Hyper-V\\Get-VM).Count")
        disks = [path for path in (self.state / "disks").iterdir() if path.is_dir()]
        return vms == [0] and self.files() == [] and len(disks) == 1


@pytest.fixture(scope="session")
def lab() -> Path:
    if not (LAB / "pwsh").exists():
        pytest.skip("the Hyper-V lab is not here; TZAR_HYPERV_LAB names its folder")
    if sys.platform != "linux":
        pytest.skip("the Hyper-V lab runs on Linux")
    return LAB


@pytest.fixture(scope="session")
def only_host(lab: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabHost]:
    host = LabHost(tmp_path_factory.mktemp("hyperv"))
    yield host
    host.close()


@pytest.fixture(scope="module")
def guest(only_host: LabHost) -> Iterator[LabHost]:
    """The host with one VM whose guest answers: for the tests of a module that do it no harm."""
    only_host.make(Name="tzar-01")
    only_host.boot()
    yield only_host
    only_host.renew()


@pytest.fixture
def host(only_host: LabHost) -> Iterator[LabHost]:
    yield only_host
    only_host.renew()


@pytest.fixture
def refused() -> Callable[..., Any]:
    """`with refused("TzarNoSuchVM") as caught`: what is in it must throw with that code."""

    class Refused:
        def __init__(self, code: str, *words: str) -> None:
            self.code, self.words = code, words
            self.error: ScriptError

        def __enter__(self) -> "Refused":
            return self

        def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
            assert error is not None, f"it was not refused with {self.code}"
            if not isinstance(error, ScriptError):
                return False
            self.error = error
            assert error.code == self.code, f"{error.id}: {error}"
            for word in self.words:
                assert word in str(error), f"{word!r} is not in: {error}"
            return True

    return Refused
