"""The subjects of the drivers' contract: each real driver and its fake, with what the suite needs of its VMs.

To put another driver under the contract, write its subject and add it to `SUBJECTS`. What a VM can run differs, so a
subject says with which argv a file is read, or a tree of processes started, in its VMs.
"""

import functools
import ipaddress
import json
import secrets
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "hyperv"))  # tests are no package

from lab import PASSWORD, USER, make_host, needs_lab, winrm_server
from lab_guests import GUEST_ACCOUNT, HOME, crash, disk_of, guest_pids, install_agent

from hyperv.credentials import Credentials
from hyperv.driver import HyperVDriver
from hyperv.fake import FakeHost
from hyperv.lanes import Lanes
from hyperv.local_channel import LocalChannel
from hyperv.messages import Secret
from hyperv.plans import Addresses, GuestPlan, VmPlan
from hyperv.program import Program, shipped_functions
from tzar_actors.drivers.base import Execution
from tzar_actors.drivers.fake import FakeDriver
from tzar_actors.drivers.local import LocalDriver
from tzar_agent.protocol.identity import Identity, IdentityError
from tzar_agent.tree import end_marked, marked

STANDIN = Path(__file__).parent.parent / "drivers" / "standin_agent.py"
STANDIN_GUEST = Path(__file__).parent.parent / "hyperv" / "standin_guest.py"
LAB_PATIENCE_S = 60.0


class FakeSubject:
    """The fake, with programs that do what the suite's argv ask for."""

    takes_within_s = 0.0

    def __init__(self, tmp_path: Path) -> None:
        self.fleet = "contract"
        self._tree_lives = False
        self._delivered: dict[str, Identity] = {}
        self.driver = FakeDriver(
            "fake-1",
            template={"template.txt": b"of the template"},
            programs={"read": self._read, "speak": self._speak, "tree": self._tree},
            on_start=self._delivered.__setitem__,
        )

    def identity(self, vm: str, incarnation: int) -> Identity:
        return make_identity(self.fleet, vm, incarnation)

    def delivered(self, vm: str) -> Identity | None:
        """The identity that the guest holds, once nothing of it lies where it was delivered."""
        return self._delivered.get(vm)

    def crash(self, vm: str) -> None:
        self.driver.power_off(vm)

    def make_deaf(self, vm: str) -> None:
        """From now on, the VM heeds no `stop`. Called before it starts."""
        self.driver.vms[vm].heeds_stop = False

    def add_foreign(self, vm: str) -> None:
        self.driver.add_foreign(vm)
        self.driver.vms[vm].files["theirs"] = b"theirs"

    def foreign_is_whole(self, vm: str) -> bool:
        return not self.driver.vms[vm].is_ours and self.driver.vms[vm].files == {"theirs": b"theirs"}

    def lose_host(self) -> None:
        self.driver.unreachable = True

    def read(self, path: str) -> list[str]:
        """Writes the file to stdout; exit code 1 when there is none."""
        return ["read", path]

    def speak(self, out: str, err: str, code: int) -> list[str]:
        return ["speak", out, err, str(code)]

    def tree(self) -> list[str]:
        """Starts a child in a group of its own, and never ends."""
        return ["tree"]

    def tree_lives(self) -> bool:
        return self._tree_lives

    def runs_anything(self, vm: str) -> bool:
        return self.driver.vms[vm].is_running if vm in self.driver.vms else False

    def end(self) -> None:
        self.driver.close()

    @staticmethod
    def _read(files, argv, timeout_s):
        return Execution(0, files[argv[1]], b"") if argv[1] in files else Execution(1, b"", b"no such file")

    @staticmethod
    def _speak(files, argv, timeout_s):
        return Execution(int(argv[3]), argv[1].encode(), argv[2].encode())

    def _tree(self, files, argv, timeout_s):
        return Execution(-9, b"started", b"", timed_out=True)


class LocalSubject:
    """The local driver with an agent that does nothing but take its identity."""

    takes_within_s = 0.0

    def __init__(self, tmp_path: Path) -> None:
        self.fleet = f"contract-{secrets.token_hex(4)}"
        self._folder = tmp_path / "vms"
        self._template = tmp_path / "template"
        self._template.mkdir()
        (self._template / "template.txt").write_bytes(b"of the template")
        self.driver = self._driver("work")

    def _driver(self, mode: str) -> LocalDriver:
        return LocalDriver(
            "local-1", self.fleet, self._folder, self._template, agent_argv=(sys.executable, str(STANDIN), mode)
        )

    def identity(self, vm: str, incarnation: int) -> Identity:
        return make_identity(self.fleet, vm, incarnation)

    def delivered(self, vm: str) -> Identity | None:
        disk = self._folder / vm / "disk"
        if (disk / "identity.json").exists():
            return None
        try:
            return Identity.from_json((disk / "taken").read_text(encoding="utf-8"))
        except (FileNotFoundError, IdentityError):
            return None

    def crash(self, vm: str) -> None:
        (pid,) = marked(self.fleet, vm)
        psutil.Process(pid).kill()
        wait_until(lambda: not marked(self.fleet, vm))

    def make_deaf(self, vm: str) -> None:
        self.driver.close()
        self.driver = self._driver("deaf")

    def add_foreign(self, vm: str) -> None:
        (self._folder / vm).mkdir(parents=True)
        (self._folder / vm / "theirs").write_bytes(b"theirs")

    def foreign_is_whole(self, vm: str) -> bool:
        (file,) = (self._folder / vm).iterdir()
        return file.read_bytes() == b"theirs"

    def lose_host(self) -> None:
        self._folder.rename(self._folder.with_name("elsewhere"))

    def read(self, path: str) -> list[str]:
        program = "import pathlib, sys; sys.stdout.buffer.write(pathlib.Path(sys.argv[1]).read_bytes())"
        return [sys.executable, "-c", program, path]

    def speak(self, out: str, err: str, code: int) -> list[str]:
        program = "import sys; a = sys.argv; sys.stdout.write(a[1]); sys.stderr.write(a[2]); sys.exit(int(a[3]))"
        return [sys.executable, "-c", program, out, err, str(code)]

    def tree(self) -> list[str]:
        child = "import threading; threading.Event().wait(600)"
        program = (
            "import subprocess, sys, threading; "
            f"subprocess.Popen([sys.executable, '-c', {child!r}, 'of the tree'], start_new_session=True); "
            "print('started', end='', flush=True); "
            "threading.Event().wait(600)"
        )
        return [sys.executable, "-c", program, "of the tree"]

    def tree_lives(self) -> bool:
        return any("of the tree" in psutil.Process(pid).cmdline() for pid in marked(self.fleet))

    def runs_anything(self, vm: str) -> bool:
        return bool(marked(self.fleet, vm))

    def end(self) -> None:
        self.driver.close()
        end_marked(self.fleet)


class HyperVFakeSubject:
    """The Hyper-V driver on a host that is made up, whose guests run the same agent as those of the lab."""

    takes_within_s = 30.0

    def __init__(self, tmp_path: Path) -> None:
        self.fleet = secrets.token_hex(16)
        self._deafness = tmp_path / "deaf"
        home = tmp_path / "template" / "ProgramData" / "tzar-agent"
        home.mkdir(parents=True)
        (home / "template.txt").write_bytes(b"of the template")
        agent = (sys.executable, str(STANDIN_GUEST), str(self._deafness))
        plan = VmPlan(r"C:\tzar\template.vhdx", r"D:\tzar", "tzar", memory=512)
        self._host = FakeHost(tmp_path / "host", agent_argv=agent, agent_home=HOME)
        self._host.add_template(plan.template, tmp_path / "template")
        self._host.add_switch(plan.switch)
        account = Credentials(self._host.facts.guest_user, Secret(self._host.facts.guest_password))
        first, last = (ipaddress.IPv4Address(f"192.168.77.{number}") for number in (11, 250))
        self.driver = HyperVDriver(
            "fake-1",
            self.fleet,
            Lanes("fake-1", self._host.open, Program(shipped_functions()), count=1),
            plan,
            GuestPlan(lambda: account, HOME, Addresses(first, last, 24)),
        )

    def identity(self, vm: str, incarnation: int) -> Identity:
        return make_identity(self.fleet, vm, incarnation)

    def delivered(self, vm: str) -> Identity | None:
        home = self._host.files_of(vm) / "ProgramData" / "tzar-agent"
        if (home / "identity.json").exists():
            return None
        try:
            taken = Identity.from_json((home / "taken").read_text(encoding="utf-8"))
        except (FileNotFoundError, IdentityError):
            return None
        assert taken.machine_id == self._host.vm(vm).id
        return replace(taken, machine_id=None)

    def crash(self, vm: str) -> None:
        (pid,) = marked(self.fleet, vm)
        psutil.Process(pid).kill()

    def make_deaf(self, vm: str) -> None:
        self._deafness.touch()

    def add_foreign(self, vm: str) -> None:
        self._foreign = replace(self._host.add_foreign(vm))

    def foreign_is_whole(self, vm: str) -> bool:
        return self._host.vm(vm) == self._foreign

    def lose_host(self) -> None:
        self._host.faults.is_down = True

    def read(self, path: str) -> list[str]:
        return ["python.exe", *LocalSubject.read(self, path)[1:]]

    def speak(self, out: str, err: str, code: int) -> list[str]:
        return ["python.exe", *LocalSubject.speak(self, out, err, code)[1:]]

    def tree(self) -> list[str]:
        return ["python.exe", *LocalSubject.tree(self)[1:]]

    def tree_lives(self) -> bool:
        return any("of the tree" in psutil.Process(pid).cmdline() for pid in marked(self.fleet))

    def runs_anything(self, vm: str) -> bool:
        return bool(marked(self.fleet, vm))

    def end(self) -> None:
        self.driver.close()
        self._host.remove()


class HyperVLab:
    """A host of the Hyper-V lab that all tests share, and lanes to it over one transport.

    Args:
        folder: made.
    """

    def __init__(self, folder: Path) -> None:
        self.host = make_host(folder, template=True)
        self.deafness = folder / "deaf"
        self.clear_faults()
        install_agent(self.host, [sys.executable, str(STANDIN_GUEST), str(self.deafness)])
        self._add_to_template(HOME, "template.txt", b"of the template")
        self._add_to_template(r"C:\Windows\System32", "python.exe", b"")  # stands for this machine's Python
        self.host.run("$null = Hyper-V\\New-VMSwitch tzar -SwitchType Internal")
        self.program = Program((*shipped_functions(), FOREIGN_FUNCTIONS))

    def _add_to_template(self, folder: str, name: str, content: bytes) -> None:
        (windows,) = (self.host.folder / "disks").glob("*/Windows")
        place = windows.parent / folder[3:].replace("\\", "/")
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)

    def set_faults(self, **faults) -> None:
        self.host.set_faults(boot={"delay_s": 0.0}, **faults)

    def clear_faults(self) -> None:
        self.set_faults()
        self.deafness.unlink(missing_ok=True)

    def vm(self, name: str):
        """What the host's own records say of a VM; None: there is none."""
        document = json.loads((self.host.folder / "state.json").read_text(encoding="utf-8"))
        return next((vm for vm in document["Vms"] if vm["Name"] == name), None)


FOREIGN_FUNCTIONS = r"""
function New-Foreign { param([string] $Name) $null = Hyper-V\New-VM -Name $Name -NoVHD }
function Remove-Foreign { param([string] $Name) Hyper-V\Remove-VM -Name $Name -Force }
"""


class HyperVSubject:
    """The Hyper-V driver on a host of the lab, whose guests run an agent that does nothing but take its identity."""

    takes_within_s = 30.0

    def __init__(self, lab: HyperVLab, lanes: Lanes) -> None:
        self.fleet = secrets.token_hex(16)
        self._lab = lab
        self._lanes = lanes
        self._foreign: dict[str, object] = {}
        user, password = GUEST_ACCOUNT
        self.driver = HyperVDriver(
            "hv01",
            self.fleet,
            KeptOpen(lanes),
            VmPlan(lab.host.template or "", r"C:\tzar\vms", "tzar", memory=512),
            GuestPlan(lambda: Credentials(user, Secret(password)), HOME),
        )

    def identity(self, vm: str, incarnation: int) -> Identity:
        return make_identity(self.fleet, vm, incarnation)

    def delivered(self, vm: str) -> Identity | None:
        home = disk_of(self._lab.host, vm) / HOME[3:].replace("\\", "/")
        if (home / "identity.json").exists():
            return None
        try:
            taken = Identity.from_json((home / "taken").read_text(encoding="utf-8"))
        except (FileNotFoundError, IdentityError):
            return None
        assert taken.machine_id == self._lab.vm(vm)["Id"]
        return replace(taken, machine_id=None)

    def crash(self, vm: str) -> None:
        crash(self._lab.host, vm)
        wait_until(lambda: not guest_pids(self._lab.host, vm))

    def make_deaf(self, vm: str) -> None:
        self._lab.deafness.touch()
        self._lab.set_faults(guest={"shutdown_grace_s": 60})  # Windows would wait for it, too

    def add_foreign(self, vm: str) -> None:
        self._lanes.call("New-Foreign", {"Name": vm}, LAB_PATIENCE_S)
        self._foreign[vm] = self._lab.vm(vm)

    def foreign_is_whole(self, vm: str) -> bool:
        return self._lab.vm(vm) == self._foreign[vm]

    def lose_host(self) -> None:
        self._lab.set_faults(vmms="stopped")

    def read(self, path: str) -> list[str]:
        return ["python.exe", *LocalSubject.read(self, path)[1:]]

    def speak(self, out: str, err: str, code: int) -> list[str]:
        return ["python.exe", *LocalSubject.speak(self, out, err, code)[1:]]

    def tree(self) -> list[str]:
        return ["python.exe", *LocalSubject.tree(self)[1:]]

    def tree_lives(self) -> bool:
        return any("of the tree" in psutil.Process(pid).cmdline() for pid in guest_pids(self._lab.host, "vm-1"))

    def runs_anything(self, vm: str) -> bool:
        return bool(guest_pids(self._lab.host, vm))

    def end(self) -> None:
        self._lab.clear_faults()
        for vm in self.driver.status():
            self.driver.kill(vm)
            self.driver.remove(vm)
        for vm in self._foreign:
            self._lanes.call("Remove-Foreign", {"Name": vm}, LAB_PATIENCE_S)


class KeptOpen:
    """Lanes that outlive the driver that closes them."""

    def __init__(self, lanes: Lanes) -> None:
        self.call, self.status = lanes.call, lanes.status

    def close(self) -> None:
        return


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    return HyperVLab(tmp_path_factory.mktemp("hyperv"))


@pytest.fixture(scope="session")
def lanes_by_winrm(lab, tmp_path_factory):
    with winrm_server(lab.host, tmp_path_factory.mktemp("winrm")) as server:
        from hyperv.winrm_channel import WinRmChannel
        from hyperv.winrm_connection import WinRm  # without pywinrm only this is skipped

        reach = WinRm(server.endpoint, lambda: Credentials(USER, Secret(PASSWORD)))
        lanes = Lanes("hv01", functools.partial(WinRmChannel, reach), lab.program, count=1)
        yield lanes
        lanes.close()


@pytest.fixture(scope="session")
def lanes_here(lab):
    def open_channel(program, timeout_s):
        with pytest.MonkeyPatch.context() as patch:
            for name in ("PATH", "TZAR_HYPERV_STATE", "TZAR_SIM_PYTHON"):
                patch.setenv(name, lab.host.environment[name])
            return LocalChannel(program)

    lanes = Lanes("hv01", open_channel, lab.program, count=1)
    yield lanes
    lanes.close()


SUBJECTS = {"fake": FakeSubject, "local": LocalSubject, "hyperv-fake": HyperVFakeSubject}
HYPERV = {"hyperv-winrm": "lanes_by_winrm", "hyperv-local": "lanes_here"}


@pytest.fixture(params=[*SUBJECTS, *(pytest.param(name, marks=needs_lab) for name in HYPERV)])
def subject(request, tmp_path):
    if request.param in SUBJECTS:
        subject = SUBJECTS[request.param](tmp_path)
    else:
        subject = HyperVSubject(request.getfixturevalue("lab"), request.getfixturevalue(HYPERV[request.param]))
    yield subject
    subject.end()


def make_identity(fleet: str, vm: str, incarnation: int) -> Identity:
    return Identity(
        fleet=fleet,
        vm=vm,
        incarnation=incarnation,
        endpoint="tcp://127.0.0.1:9",
        server_key="s" * 40,
        public_key="p" * 40,
        secret_key="x" * 40,
        entropy="00" * 32,
        time=1.0,
        orphan_s=None,
    )


def wait_until(is_so, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.005)  # between two looks, not instead of one
