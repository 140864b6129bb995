"""Hosts of the lab, and lanes to them over both transports."""

import contextlib
import functools
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `lab`, which the tests here share: tests are no package

from lab import NO_WINRM, PASSWORD, USER, Relay, make_host, winrm_server

from hyperv.credentials import Credentials
from hyperv.lane import Lane
from hyperv.local_channel import LocalChannel
from hyperv.messages import Secret
from hyperv.program import Program

FUNCTIONS = Path(__file__).parent / "functions.ps1"


@pytest.fixture(scope="session")
def host(tmp_path_factory):
    """A host without VMs. Its faults are the tests' to take back."""
    return make_host(tmp_path_factory.mktemp("host"))


@pytest.fixture
def server(host, tmp_path):
    with winrm_server(host, tmp_path) as server:
        yield server


@pytest.fixture(scope="module")
def shared_server(host, tmp_path_factory):
    """For tests that leave it as it was."""
    with winrm_server(host, tmp_path_factory.mktemp("winrm")) as server:
        yield server


@pytest.fixture
def relay(server):
    relay = Relay(server.endpoint)
    yield relay
    relay.close()


@pytest.fixture(scope="session")
def reach():
    """How a host is reached: the lab's account, unless another is given."""
    pytest.importorskip("winrm", reason=NO_WINRM)
    from hyperv.winrm_connection import WinRm

    def reach(endpoint, user=USER, password=PASSWORD, **given):
        return WinRm(endpoint, lambda: Credentials(user, Secret(password)), **given)

    return reach


@pytest.fixture(scope="session")
def program():
    """The loop with the functions of the tests."""
    return Program((FUNCTIONS.read_text(encoding="ascii"),))


@pytest.fixture
def closing():
    """Closes at the end what a test has made."""
    with contextlib.ExitStack() as stack:
        yield lambda made: stack.enter_context(contextlib.closing(made))


@pytest.fixture
def open_lane(reach, program, closing):
    """A lane over WinRM to an endpoint."""
    from hyperv.winrm_channel import WinRmChannel  # `reach` has looked whether it can be

    def open_lane(endpoint, account=None, **given):
        opener = functools.partial(WinRmChannel, reach(endpoint, **(account or {})))
        return closing(Lane("hv01", opener, program, **given))

    return open_lane


@pytest.fixture
def on_host(host, monkeypatch):
    """This process is on the host: PowerShell started here works there."""
    for name in ("PATH", "TZAR_HYPERV_STATE"):
        monkeypatch.setenv(name, host.environment[name])
    return host


@pytest.fixture
def local_lane(on_host, program, closing):
    def local_lane(**given):
        return closing(Lane("hv01", lambda program, timeout_s: LocalChannel(program), program, **given))

    return local_lane
