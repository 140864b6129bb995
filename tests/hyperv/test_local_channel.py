"""A PowerShell on this machine: what it is started with, and that it ends with whoever started it."""

import signal
import subprocess
import sys
import threading

import psutil
import pytest
from lab import LAB, needs_lab, wait_until

import hyperv.program
from hyperv import local_channel
from hyperv.errors import HyperVError
from hyperv.lane import Lane
from hyperv.local_channel import LocalChannel
from hyperv.program import Program

PATIENCE_S = 60.0
STARTER = """
from hyperv.local_channel import LocalChannel
from hyperv.lane import Lane
from hyperv.program import Program
lane = Lane("hv01", lambda program, timeout_s: LocalChannel(program), Program(("function Get-Pid { $PID }",)))
print(*lane.call("Get-Pid", {}, 60.0), flush=True)
input()
"""


def test_the_command_line_is_short_and_leaves_standard_input_alone():
    arguments = Program(("x" * 1_000_000,)).arguments
    assert len(" ".join(("powershell.exe", *arguments))) < 8191
    assert all(argument.isascii() and " " not in argument for argument in arguments)
    assert "$input" not in hyperv.program._BOOTSTRAP.lower()


@needs_lab
def test_the_loop_is_what_windows_powershell_reads():
    loop = hyperv.program._HERE / "loop.ps1"
    done = subprocess.run(
        [str(LAB / "pwsh"), "--check51", str(loop)], capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert loop.read_bytes().isascii()
    assert "$input" not in loop.read_text(encoding="ascii").lower()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has its PowerShell")
def test_a_machine_without_powershell_says_so(local_lane, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HyperVError, match="there is no Windows PowerShell on this machine") as raised:
        local_lane().call("Get-Nothing", {}, PATIENCE_S)
    assert raised.value.unreachable


@needs_lab
def test_functions_that_cannot_be_defined_are_told_and_leave_no_process(on_host, closing):
    before = children()
    broken = Program(("function Get-X {",))
    lane = closing(Lane("hv01", lambda program, timeout_s: LocalChannel(program), broken))
    with pytest.raises(HyperVError, match=r"Get-X: its functions cannot be defined: .*Missing closing"):
        lane.call("Get-X", {}, PATIENCE_S)
    wait_until(lambda: children() == before, "its PowerShell has ended")


def test_powershell_7_does_not_hand_on_its_modules_nor_anybody_the_accounts(monkeypatch):
    kept = {"PATH": "x", "TZAR_HYPERV_STATE": "y"}
    others = {"PSModulePath": "7", "TZAR_HYPERV_HV01_USER": "me", "TZAR_HYPERV_HV01_PASSWORD": "s3cret"}
    monkeypatch.setattr(local_channel.os, "environ", kept | others)
    assert local_channel._environment() == kept


@needs_lab
def test_closing_ends_a_call_that_is_at_work(local_lane, on_host, tmp_path):
    lane, errors = local_lane(), []
    mark = on_host.folder / "host" / "C" / tmp_path.name

    def work():
        try:
            lane.call("Add-Mark", {"Path": rf"C:\{mark.name}", "Seconds": PATIENCE_S}, PATIENCE_S)
        except HyperVError as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    wait_until(mark.exists, "the call is at work")
    lane.close()
    thread.join(PATIENCE_S)
    assert "Add-Mark: the host lost it" in str(errors[0])


@needs_lab
def test_a_supervisor_that_is_killed_leaves_no_powershell_behind(on_host):
    with subprocess.Popen(
        [sys.executable, "-c", STARTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=on_host.environment,
        text=True,
    ) as starter:
        powershell = psutil.Process(int(starter.stdout.readline()))
        starter.send_signal(signal.SIGKILL)
        starter.wait(PATIENCE_S)
    wait_until(lambda: ended(powershell), "its PowerShell has ended")


def children():
    return {child.pid for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE}


def ended(process):
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
