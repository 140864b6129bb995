"""`tzar host init` and `tzar host check` of Hyper-V hosts: of the lab, over both transports, and of a made-up one."""

import socket
from urllib.parse import urlsplit

import pytest
from lab import PASSWORD, USER, make_host, needs_lab, winrm_server
from lab_guests import GUEST_ACCOUNT

from tzar_actors.by_hand.setups import check, initialize
from tzar_actors.errors import ConfigError, DriverError
from tzar_actors.settings import Settings

PARTS = ["switch", "address", "nat", "firewall", "folder"]
NETWORK = {"SwitchName": "tzar", "HostAddress": "192.168.77.1", "PrefixLength": 24, "Folder": r"C:\tzar\vms"}


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """The settings of a fleet with one Hyper-V host, and the accounts that they need in the environment."""
    for name, (user, password) in {"HV01": (USER, PASSWORD), "GUEST": GUEST_ACCOUNT}.items():
        monkeypatch.setenv(f"TZAR_HYPERV_{name}_USER", user)
        monkeypatch.setenv(f"TZAR_HYPERV_{name}_PASSWORD", password)

    def settings(driver="hyperv", **hyperv):
        host = {"name": "hv01", "driver": driver, "vms": 2, "hyperv": {"nat": True, "memory_mb": 512, **hyperv}}
        fleet = {"state_dir": "state", "listen": "192.168.77.1", "port": 5555, "blob_port": 5556}
        return Settings.from_mapping({"fleet": fleet, "hosts": [host]}, folder=tmp_path, source="a test")

    return settings


@pytest.fixture(scope="module")
def fresh_host(tmp_path_factory):
    """A host with a template; of the tests that share it, the first prepares it."""
    return make_host(tmp_path_factory.mktemp("setup"), template=True)


def states(settings):
    parts = initialize(settings, settings.hosts[0])
    assert [part.name for part in parts] == PARTS
    assert all(part.detail for part in parts)
    return {part.state for part in parts}


def found(settings):
    return {each.name: each.ok for each in check(settings, settings.hosts[0])}


@needs_lab
def test_a_fresh_host_that_lacks_its_network_is_good_once_it_was_prepared(fresh_host, settings, tmp_path, monkeypatch):
    with winrm_server(fresh_host, tmp_path) as server:
        remote = settings(address="127.0.0.1", port=urlsplit(server.endpoint).port)
        before = check(remote, remote.hosts[0])
        assert [each.name for each in before if each.ok is False] == ["switch"]
        [cure] = [each.cure for each in before if each.ok is False]
        assert cure.startswith("tzar host init hv01; or on the host: .\\Initialize-TzarHost.ps1 -SwitchName 'tzar'")
        assert states(remote) == {"made"}
        assert states(remote) == {"there"}
        after = found(remote)
    assert False not in after.values()

    for name in ("PATH", "TZAR_HYPERV_STATE"):
        monkeypatch.setenv(name, fresh_host.environment[name])
    monkeypatch.delenv("TZAR_HYPERV_HV01_PASSWORD")  # nobody signs in to the machine that this is
    monkeypatch.delenv("TZAR_HYPERV_HV01_USER")
    here = settings()
    assert states(here) == {"there"}
    assert found(here)["firewall"] is True


@needs_lab
def test_a_host_that_refuses_the_password_is_one_check_that_failed_and_shows_no_password(
    fresh_host, settings, tmp_path, monkeypatch
):
    monkeypatch.setenv("TZAR_HYPERV_HV01_PASSWORD", "not that one")
    with winrm_server(fresh_host, tmp_path) as server:
        [reach] = check(remote := settings(address="127.0.0.1", port=urlsplit(server.endpoint).port), remote.hosts[0])
    assert (reach.name, reach.ok) == ("reach", False)
    assert "password" in reach.cure
    assert "not that one" not in repr(reach)


def test_a_host_where_nobody_listens_is_one_check_that_failed(settings):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    remote = settings(address="127.0.0.1", port=port)
    [reach] = check(remote, remote.hosts[0])
    assert (reach.name, reach.ok) == ("reach", False)
    assert "tzar host check" in reach.cure
    with pytest.raises(DriverError, match="nobody listens") as caught:
        initialize(remote, remote.hosts[0])
    assert caught.value.unreachable


def test_an_account_that_is_nowhere_is_told_before_the_host_is_asked(settings, monkeypatch):
    monkeypatch.delenv("TZAR_HYPERV_HV01_USER")
    with pytest.raises(ConfigError, match="TZAR_HYPERV_HV01_USER is not"):
        check(remote := settings(address="127.0.0.1"), remote.hosts[0])


def test_a_made_up_host_is_prepared_and_checked_as_a_real_one(settings):
    made_up = settings("hyperv-fake")
    before = found(made_up)
    assert {name for name, is_good in before.items() if not is_good} == {"address", "firewall"}
    by_tzar = [each.cure for each in check(made_up, made_up.hosts[0]) if each.ok is False]
    assert all(cure.startswith("tzar host init hv01; or") for cure in by_tzar)
    assert states(made_up) == {"made", "there"}  # a made-up host has the switch
    assert states(made_up) == {"there"}
    assert set(found(made_up).values()) == {True}
