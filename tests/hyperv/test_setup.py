"""A host is prepared and checked as its settings say, in the lab."""

import pytest
from lab import needs_lab

from tzar_actors.drivers.choice import make_setup
from tzar_actors.errors import ConfigError, DriverError
from tzar_actors.settings import Settings

pytestmark = needs_lab
FLEET = "0" * 32


@pytest.fixture
def setup(on_host, closing):
    """What prepares the host that this process is on."""

    def setup(ports=(7077, 7078), vms=2, listen="192.168.77.1", advertise=None, **hyperv):
        host = {"name": "hv01", "driver": "hyperv", "vms": vms, "hyperv": {"folder": r"C:\tzar\vms", **hyperv}}
        settings = Settings.from_mapping({"fleet": {"listen": listen}, "hosts": [host | {"advertise": advertise}]})
        return closing(make_setup(settings.hosts[0], settings, FLEET, ports))

    return setup


def test_a_host_is_prepared_once(setup):
    parts = ["switch", "address", "firewall", "folder"]
    made = setup().initialize()
    assert [(part.name, part.state) for part in made] == [(name, "made") for name in parts]
    assert [(part.name, part.state) for part in setup().initialize()] == [(name, "there") for name in parts]


def test_a_prepared_host_is_in_order_but_for_the_template_that_is_not_there(setup):
    setup().initialize()
    checks = {check.name: check for check in setup().check()}
    assert {name for name, check in checks.items() if check.ok is False} == {"template"}
    assert "There is no template" in checks["template"].found
    assert checks["template"].cure
    assert {"reached", "clock", "switch", "address", "firewall", "memory", "disk"} <= {
        name for name, check in checks.items() if check.ok
    }


@pytest.mark.parametrize(
    ("listen", "advertise", "is_reached"),
    [
        ("127.0.0.1", None, False),
        ("127.0.0.1", "192.168.1.10", False),
        ("0.0.0.0", None, False),
        ("0.0.0.0", "localhost", False),
        ("0.0.0.0", "fleet.example.net", True),
        ("192.168.77.1", None, True),
        ("::1", None, False),
    ],
)
def test_a_supervisor_that_no_guest_reaches_is_told_with_the_address_to_listen_on(setup, listen, advertise, is_reached):
    checks = setup(listen=listen, advertise=advertise, guest_addresses="dhcp").check()
    [found] = [check for check in checks if check.name == "listen"]
    assert found.ok is is_reached
    assert ('listen = "192.168.77.1"' in found.cure) is not is_reached


def test_what_does_not_fit_is_told_with_the_arithmetic(setup):
    checks = {check.name: check for check in setup(vms=200).check()}
    assert checks["memory"].ok is False
    assert "200 x 4096 MB" in checks["memory"].found


def test_ports_that_nobody_has_chosen_yet_are_asked_for_before_anything_is_made(setup):
    with pytest.raises(DriverError, match=r"Set port and blob_port in \[fleet\], or start the supervisor once"):
        setup(ports=(0, 7078)).initialize()


def test_a_host_that_refuses_the_account_is_an_error_and_no_check(setup, shared_server, monkeypatch):
    monkeypatch.setenv("TZAR_HYPERV_HV01_USER", "Administrator")
    monkeypatch.setenv("TZAR_HYPERV_HV01_PASSWORD", "wrong")
    with pytest.raises(DriverError, match="refused the credentials"):
        setup(address="127.0.0.1", port=int(shared_server.endpoint.rsplit(":", 1)[1].split("/")[0])).check()


def test_a_host_without_an_account_is_an_error_before_it_is_asked(setup):
    with pytest.raises(ConfigError, match="there are no credentials of hv01"):
        setup(address="hv01.example.net")
