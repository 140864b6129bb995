"""docs/hyperv.md: its commands are typed on a simulated Hyper-V host, its keys set in the file that they have written.

What differs from a real host is said here alone: addresses, ports, passwords, and fewer and smaller VMs.
"""

import datetime
import ipaddress
import json
import os
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

sys.path.insert(0, str(Path(__file__).parent))  # tests are no package
sys.path.insert(0, str(Path(__file__).parents[1] / "hyperv"))

from lab import LAB, PASSWORD, USER, make_host, needs_lab, winrm_server
from lab_guests import GUEST_ACCOUNT, HOME, agent_argv, install_agent
from typed import PATIENCE_S, ROOT, TZAR, Session, run, snippets

import tzar_actors
from hyperv.credentials import Credentials, find_credentials
from hyperv.messages import Secret

PAGE = "docs/hyperv.md"
ACCOUNTS = {"hv01": (USER, PASSWORD), "guest": GUEST_ACCOUNT}
TRIED_ELSEWHERE = {
    "tzar demo --driver hyperv-fake": "test_a_small_demo_runs_to_its_end, in a smaller size",
}
# Cmdlets and programs of Windows that the lab does not have; the page marks each of their lines.
NOT_IN_LAB = {
    "Install-WindowsFeature",
    "Enable-WindowsOptionalFeature",
    "Add-LocalGroupMember",
    "Enable-PSRemoting",
    "Set-Item WSMan:",
    "$certificate = New-SelfSignedCertificate",
    "New-Item -Path WSMan:",
    "New-NetFirewallRule -Name winrm-https",  # in the lab it would do no more than be kept
    "icacls",
}
KEYRING = """
import json
from pathlib import Path

from keyring.backend import KeyringBackend

FILE = Path(__file__).with_name("entries.json")


class Keyring(KeyringBackend):
    priority = 1

    def _entries(self):
        return json.loads(FILE.read_text()) if FILE.exists() else {}

    def get_password(self, service, username):
        return self._entries().get(f"{service} {username}")

    def set_password(self, service, username, password):
        FILE.write_text(json.dumps(self._entries() | {f"{service} {username}": password}))
"""


def lines_of(kind):
    return [line for each in snippets(PAGE) if each.kind == kind for line in each.lines]


def tzar_lines():
    return [line for line in lines_of("indented") if line.startswith("tzar ") and line not in TRIED_ELSEWHERE]


def is_in_lab(line):
    return not any(line.startswith(begin) for begin in NOT_IN_LAB)


def configured(text, *layers):
    """The text of a configuration with the keys of `layers` set in the lines where it has them; a later layer wins."""
    wanted = {}
    for layer in layers:
        for section, keys in layer.items():
            tables = keys if isinstance(keys, list) else [keys]
            for key, value in tables[0].items():
                if isinstance(value, dict):
                    wanted.update({(f"{section}.{key}", inner): given for inner, given in value.items()})
                else:
                    wanted[section, key] = value
    lines, section = [], ""
    for line in text.splitlines():
        if header := re.match(r"\[+([\w.]+)\]+$", line):
            section = header[1]
        key = re.match(r"(?:# )?(\w+) = ", line)
        if key and (section, key[1]) in wanted:
            lines.append(f"{key[1]} = {json.dumps(wanted.pop((section, key[1])))}")
        else:
            lines.append(line)
    assert wanted == {}, "keys that the file of `tzar config init` does not have"
    return "\n".join(lines) + "\n"


def the_pages_keys(is_elsewhere):
    """Its keys for a supervisor on another machine, or on the host itself."""
    found = [tomllib.loads(each.text) for each in snippets(PAGE) if each.kind == "toml"]
    [keys] = [each for each in found if "hosts" in each and ("address" in each["hosts"][0]["hyperv"]) is is_elsewhere]
    return keys


def free_ports():
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return {"port": one.getsockname()[1], "blob_port": other.getsockname()[1]}


def for_the_lab():
    """What differs in the lab: addresses of networks, and fewer and smaller VMs by fewer lanes, so that it is quick."""
    return {
        "fleet": {"listen": "127.0.0.1", **free_ports()},
        "hosts": [{"vms": 2, "hyperv": {"memory_mb": 512, "lanes": 1}}],
    }


def reached_at(server, **more):
    """What leads by WinRM to the lab, and its agents to the supervisor."""
    hyperv = {"address": "127.0.0.1", "port": urlsplit(server.endpoint).port, **more}
    return {"hosts": [{"advertise": "127.0.0.1", "hyperv": hyperv}]}


def write_credentials(folder):
    """The page's file of credentials, with the lab's accounts in it."""
    [tables] = [tomllib.loads(each.text) for each in snippets(PAGE) if each.kind == "toml" and "[guest]" in each.text]
    assert set(tables) == set(ACCOUNTS)
    text = ""
    for name, table in tables.items():
        values = dict(zip(table, ACCOUNTS[name], strict=True))
        text += f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
    path = folder / "credentials.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def bare_host(tmp_path_factory):
    """A host with a template whose guests run the real agent, and have the README's game in its folder."""
    host = make_host(tmp_path_factory.mktemp("page"), template=True)
    install_agent(host, agent_argv())
    [game] = [each for each in snippets("README.md") if each.text.startswith("# my_game.py")]
    (windows,) = (host.folder / "disks").glob("*/Windows")
    home = windows.parent / HOME[3:].replace("\\", "/")
    home.mkdir(parents=True, exist_ok=True)
    (home / "my_game.py").write_text(game.text, encoding="utf-8")
    host.set_faults(boot={"delay_s": 0.1})
    return host


@pytest.fixture(scope="module")
def server(bare_host, tmp_path_factory):
    with winrm_server(bare_host, tmp_path_factory.mktemp("winrm")) as server:
        yield server


@pytest.fixture
def work(tmp_path):
    """The supervisor's machine: a folder with two genomes."""
    for number, name in enumerate(("a.genome", "b.genome")):
        (tmp_path / name).write_bytes(bytes([40 + number]) * 100)
    return tmp_path


@pytest.fixture
def configure(work):
    """Runs the page's `tzar config init`, and sets the page's keys and others in what it has written."""

    def configure(is_elsewhere, *others):
        [line] = [line for line in tzar_lines() if line.startswith("tzar config init")]
        run([*TZAR, *shlex.split(line)[1:]], work)
        keys = the_pages_keys(is_elsewhere)
        path = work / "fleet.toml"
        path.write_text(configured(path.read_text(encoding="utf-8"), keys, for_the_lab(), *others), encoding="utf-8")

    return configure


def initialize(folder, environment=None):
    """What the page's `tzar host init` says."""
    [line] = [line for line in tzar_lines() if line.startswith("tzar host init")]
    return run([*TZAR, *shlex.split(line)[1:]], folder, environment).stdout


def checks(folder, environment=None):
    """What the page's `tzar host check` finds, by name: None for what could not be found out.

    Guests of the lab are processes of this machine: the supervisor listens on its loopback address, which is told.
    """
    [line] = [line for line in tzar_lines() if line.startswith("tzar host check")]
    argv = [*TZAR, *shlex.split(line)[1:], "--json"]
    done = subprocess.run(
        argv, cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 1, done.stderr
    found = {each["name"]: each["ok"] for each in map(json.loads, done.stdout.splitlines())}
    assert found.pop("listen") is False
    return found


def test_each_line_that_the_lab_cannot_try_is_marked():
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    blocks = [each for each in snippets(PAGE) if each.kind in ("powershell", "sh")]
    for each in blocks:
        before, found, _ = text.partition(f"\n\n```{each.kind}\n{each.text}")
        assert found
        paragraph = before.rpartition("\n\n")[2]
        assert ("not tried)*" in paragraph) is not all(map(is_in_lab, each.lines)), each.text


def test_every_command_that_the_page_has_is_one_that_a_test_types():
    others = [line for line in lines_of("indented") if not line.startswith(("tzar ", "pip install"))]
    assert others == []
    assert all(line in lines_of("indented") for line in TRIED_ELSEWHERE)
    assert all(any(line.startswith(begin) for line in lines_of("powershell")) for begin in NOT_IN_LAB)


@needs_lab
def test_all_powershell_of_the_page_is_what_windows_powershell_reads(tmp_path):
    script = tmp_path / "page.ps1"
    script.write_text("\n".join(lines_of("powershell")) + "\n", encoding="ascii")
    done = subprocess.run(
        [LAB / "pwsh", "--check51", script], capture_output=True, encoding="utf-8", timeout=PATIENCE_S, check=False
    )
    unknown = {each for each in done.stdout.splitlines() if not any(name.split()[-1] in each for name in NOT_IN_LAB)}
    assert unknown == set(), done.stdout


@needs_lab
def test_the_scripts_by_hand_make_power_and_remove_vms(tmp_path):
    host = make_host(tmp_path / "lab", template=True)
    host.set_faults(boot={"delay_s": 0.0})
    shutil.copytree(ROOT / "hyperv" / "scripts", host.folder / "host" / "C" / "tzar" / "scripts")
    # What asks a guest to shut down needs one that answers; a person would have waited as long.
    deaf = ".\\Get-TzarWorkerVM.ps1 | Where-Object { $_.Heartbeat -notlike 'Ok*' }"
    wait = f"while (@({deaf}).Count) {{ Start-Sleep -Milliseconds 100 }}"
    lines = [line for line in lines_of("powershell") if is_in_lab(line) and "certificate" not in line.lower()]
    protect, *others = lines
    assert protect.startswith("Set-ItemProperty C:\\tzar\\template.vhdx")
    typed = ["$ErrorActionPreference = 'Stop'", "Set-ItemProperty C:\\tzar\\template.vhdx IsReadOnly $false", protect]
    for line in others:
        typed += [wait, line] if "Stop-Tzar" in line else [line]
        if line.startswith(".\\New-"):
            typed.append('"VMs: $(@(Hyper-V\\Get-VM).Count)"')
    said = host.run("\n".join([*typed, '"VMs: $(@(Hyper-V\\Get-VM).Count)"']))
    assert re.findall(r"VMs: (\d+)", said) == ["0", "4", "0"]
    assert re.findall(r"^Name +: (\w+)", said, re.MULTILINE).count("switch") >= 1
    assert re.findall(r"^(tzar-\d\d) +Running", said, re.MULTILINE) == ["tzar-01", "tzar-02", "tzar-03", "tzar-04"]


@needs_lab
def test_the_fleet_of_a_supervisor_elsewhere_is_prepared_played_handled_and_removed(bare_host, server, work, configure):
    configure(True, reached_at(server))
    credentials = write_credentials(work)
    credentials.chmod(0o644)
    with pytest.raises(AssertionError, match="others can read the file of credentials"):
        initialize(work)
    [chmod] = [line for line in lines_of("sh") if line.startswith("chmod")]
    run(["bash", "-c", chmod], work)

    session = Session(work)
    try:
        for line in tzar_lines():
            if line.startswith("tzar config init"):
                continue
            if line.startswith("tzar host check"):
                assert False not in checks(work).values()
                continue
            if line.startswith("tzar vm stop --all"):
                assert session.end() == [0]
            if line.startswith("tzar vm status"):
                until_all_are_idle(work)
            session.type(line)
    finally:
        session.end()
    said = {line.partition(" -c ")[0]: text for line, text in session.said.items()}
    assert "switch made" in said["tzar host init"]
    assert "nat made" in said["tzar host init"]
    assert said["tzar evaluate a.genome b.genome"].count("scored") == 2
    assert "tzar-02" in said["tzar status"]
    assert said["tzar vm exec tzar-01"].strip()
    assert (work / "tzar-01.png").read_bytes().startswith(b"\x89PNG")
    assert "2" in bare_host.run("(Get-VMSwitch).Count + (Get-NetNat | Measure-Object).Count")
    assert bare_host.run("@(Hyper-V\\Get-VM).Count").strip() == "0"


@needs_lab
def test_a_supervisor_on_the_host_itself_prepares_and_checks_it_without_an_account_of_it(bare_host, work, configure):
    configure(False)
    path = write_credentials(work)
    path.write_text(path.read_text(encoding="utf-8").partition("[guest]")[2].join(("[guest]", "")), encoding="utf-8")
    path.chmod(0o600)
    assert "firewall" in initialize(work, bare_host.environment)
    found = checks(work, bare_host.environment)
    assert False not in found.values()
    assert found["firewall"] is True


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_what_is_read_into_the_environment_is_found_there():
    lines = [line for line in lines_of("sh") if not line.startswith(("keyring ", "chmod "))]
    show = "import json, os; print(json.dumps(dict(os.environ)))"
    done = subprocess.run(
        ["bash", "-c", "\n".join([*lines, f"exec {shlex.join([sys.executable, '-c', show])}"])],
        input="of the host\nof the guests\n",
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE_S,
        check=True,
    )
    environment = json.loads(done.stdout)
    assert find_credentials("hv01", environment=environment) == Credentials(r"HV01\fleet", Secret("of the host"))
    assert find_credentials("guest", environment=environment) == Credentials("Administrator", Secret("of the guests"))


def test_what_is_put_into_the_keyring_is_found_there(tmp_path):
    (tmp_path / "page_keyring.py").write_text(KEYRING, encoding="utf-8")
    lines = [line for line in lines_of("sh") if line.startswith("keyring ")]
    assert [line.split()[-1] for line in lines] == list(ACCOUNTS)
    look = f"from hyperv.credentials import find_credentials as find; print([find(n) for n in {list(ACCOUNTS)}])"
    path = os.pathsep.join([str(tmp_path), str(ROOT), *sys.path])  # bench/ has a module of the package's name
    environment = os.environ | {"PYTHON_KEYRING_BACKEND": "page_keyring.Keyring", "PYTHONPATH": path}
    for line in lines:
        argv = [sys.executable, "-m", *shlex.split(line)]
        entry = f"me@{line.split()[-1]}:secret"
        subprocess.run(argv, env=environment, input=entry, text=True, timeout=PATIENCE_S, check=True)
    said = run([sys.executable, "-c", look], tmp_path, environment).stdout
    assert re.findall(r"user='(\S+)'", said) == [f"me@{name}" for name in ACCOUNTS]
    assert "secret" not in said


@needs_lab
def test_the_certificate_that_the_page_writes_is_one_that_the_supervisor_trusts(
    bare_host, work, configure, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("tls")
    certificate = self_signed(folder)
    raw = ", ".join(str(byte) for byte in certificate.public_bytes(serialization.Encoding.DER))
    lines = [line for line in lines_of("powershell") if line.startswith(("$text = ", "Set-Content hv01.pem"))]
    assert len(lines) == 2
    given = f"cd C:\\tzar; $certificate = [pscustomobject]@{{ RawData = [byte[]] ({raw}) }}"
    bare_host.run("\n".join([given, *lines]))
    shutil.copy(bare_host.folder / "host" / "C" / "tzar" / "hv01.pem", work)
    ssl.create_default_context(cafile=work / "hv01.pem")

    write_credentials(work).chmod(0o600)
    with winrm_server(bare_host, folder, tls=(folder / "server.pem", folder / "server.key")) as server:
        configure(True, reached_at(server, https=True, ca_file="hv01.pem"))
        initialize(work)
        found = checks(work)
    assert (found["hyper-v"], found["switch"]) == (True, True)


def self_signed(folder):
    """A certificate as Windows makes one for itself: of no authority, and valid for a year."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hv01.example.net")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))  # in place of the host's name, which nobody knows here
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "server.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate


def until_all_are_idle(folder):
    deadline = time.monotonic() + PATIENCE_S
    with tzar_actors.connect(folder / ".tzar" / "tzar") as fleet:
        while any(vm.state != "idle" for vm in fleet.status().vms):
            assert time.monotonic() < deadline, f"VMs were not ready in time: {fleet.status().vms}"
            Event().wait(0.1)
