"""A fleet that is started while its Hyper-V host cannot be used: what is told, and that it plays once it can."""

import datetime
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "hyperv"))  # tests are no package

from certificates import certificate
from lab import PASSWORD, USER, needs_lab
from lab_fleet import Log, World, accounts, host_for_fleet, until
from lab_guests import GUEST_ACCOUNT

from hyperv.credentials import Credentials
from hyperv.messages import Secret
from hyperv.winrm_connection import WinRm

pytestmark = needs_lab


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    with host_for_fleet(tmp_path_factory.mktemp("host") / "lab") as host:
        yield host


@pytest.fixture
def make_world(host, tmp_path, monkeypatch):
    """A host's WinRM, as it is given, for fleets of one VM."""
    for name, text in accounts().items():
        monkeypatch.setenv(name, text)
    with ExitStack() as stack:

        def make_world(**server):
            world = World(tmp_path, host, vms=1, **server)
            stack.callback(world.hang_up)
            return world

        yield make_world


def shown(world):
    """What `tzar status` shows."""
    config = world.folder / "fleet.toml"
    config.write_text(f"[fleet]\nstate_dir = '{world.fleet.state_dir}'\n", encoding="utf-8")
    argv = [sys.executable, "-m", "tzar_actors", "status", "-c", str(config)]
    done = subprocess.run(argv, capture_output=True, encoding="utf-8", timeout=60.0, check=True)
    return " ".join(done.stdout.split())


def host_is_down(world):
    """What is told of it."""
    log = Log(world.fleet)
    until(lambda: log.count("host_down"), "the host is told to be down")
    [reason] = log.texts("host_down", "reason")
    assert world.fleet.status().hosts["hv01"] == reason
    return reason


def test_a_wrong_password_is_told_with_its_cure_and_the_corrected_one_is_taken_at_once(make_world, monkeypatch):
    world = make_world()
    for name in accounts():
        monkeypatch.delenv(name)
    file = world.folder / "credentials.toml"

    def keep(password):
        text = f"[hv01]\nuser = '{USER}'\npassword = '{password}'\n"
        text += f"[guest]\nuser = '{GUEST_ACCOUNT[0]}'\npassword = '{GUEST_ACCOUNT[1]}'\n"
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")

    keep("not-the-password")
    with world.running("state", {"credentials_file": str(file)}, {}), world.asked() as log:
        reason = host_is_down(world)
        assert (
            "host hv01: Get-TzarWorkerVM: the host refused the credentials. Correct the user or the password" in reason
        )
        assert f"host hv01 has a fault: {reason}" in shown(world)
        told = "the host refused the credentials; they are shown to it again in"
        until(lambda: any(told in each for each in log.texts("driver_failed", "error")), "it is asked again")
        keep(PASSWORD)
    log.no_vm_failed()
    assert log.count("host_up") == 1


def test_an_expired_certificate_is_told_with_its_cure_and_a_new_one_is_taken(make_world, tmp_path):
    expired = certificate(tmp_path / "old", datetime.timedelta(days=-1))
    valid = certificate(tmp_path / "new", datetime.timedelta(days=30))
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(expired[0].read_bytes() + valid[0].read_bytes())
    world = make_world(tls=expired)
    with world.running("state", {"https": True, "ca_file": str(trusted)}, {}), world.asked() as log:
        reason = host_is_down(world)
        assert "host hv01: Get-TzarWorkerVM: its certificate is not trusted: certificate has expired. Renew" in reason
        world.hang_up()
        world.listen(tls=valid)
    log.no_vm_failed()
    assert log.count("host_up") == 1


def test_used_up_shells_are_back_pressure(make_world):
    world = make_world(MAX_SHELLS=4)
    with others_shells(world) as shells, world.running("state", {}, {}):
        with world.asked() as log:
            # One is left, and it is that of status: the host is seen, and nothing is made there.
            until(lambda: log.count("driver_failed", verb="create") >= 2, "the VM cannot be made")
            for error in log.texts("driver_failed", "error"):
                assert "on hv01: New-TzarWorkerVM: WinRM says: " in error
                assert "(fault 2150859173). It is tried again. If it lasts, end what else uses this account" in error
            assert any("fault 2150859173" in row.detail for row in world.fleet.status().vms)
            shells.close()
        log.no_vm_failed()
        assert log.count("host_down") == 0


def test_used_up_operations_are_back_pressure(make_world):
    world = make_world(MAX_OPERATIONS=8)
    with others_shells(world, count=1, commands=7) as shells, world.running("state", {}, {}):
        with world.asked() as log:
            reason = host_is_down(world)
            assert "host hv01: Get-TzarWorkerVM: WinRM says: " in reason
            assert "(fault 2150859174). It is tried again. If it lasts, end what else uses this account" in reason
            shells.close()
        log.no_vm_failed()
        assert log.count("host_up") == 1


@contextmanager
def others_shells(world, count=3, commands=0):
    """Shells of the same account that are not ours, until the stack that comes of it is closed."""
    reach = WinRm(world.server.endpoint, lambda: Credentials(USER, Secret(PASSWORD)))
    with ExitStack() as shells:
        for _ in range(count):
            protocol = reach.connect()
            shell = protocol.open_shell()
            shells.callback(protocol.close_shell, shell)
            for _ in range(commands):
                protocol.run_command(shell, "no-such-program")
        yield shells
