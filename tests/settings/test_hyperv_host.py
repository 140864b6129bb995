"""The settings of a Hyper-V host, and the driver that is made of them."""

import pytest

from hyperv.driver import HyperVDriver
from tzar_actors.drivers.choice import make_driver
from tzar_actors.errors import ConfigError
from tzar_actors.settings import Settings

FLEET = "ab" * 16


def settings(vms=4, base=None, **hyperv):
    mapping = {"hosts": [{"name": "hv01", "driver": "hyperv", "vms": vms, "hyperv": hyperv}]}
    return Settings.from_mapping(mapping, folder=base)


@pytest.fixture
def accounts(monkeypatch):
    for name in ("HV01", "GUEST"):
        monkeypatch.setenv(f"TZAR_HYPERV_{name}_USER", "Administrator")
        monkeypatch.setenv(f"TZAR_HYPERV_{name}_PASSWORD", "hush")


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"transport": "basic"}, 'transport is "basic", which sends the password as it is; allowed: with https = true'),
        ({"host_address": "192.168.77"}, '"192.168.77" is not an IPv4 address'),
        ({"guest_addresses": "192.168.77.11"}, 'guest_addresses is "192.168.77.11"; allowed: "dhcp", or'),
        ({"guest_addresses": "192.168.77.9-192.168.77.2"}, "allowed: a range that rises within 192.168.77.0/24"),
        ({"guest_addresses": "10.0.0.2-10.0.0.9"}, "allowed: a range that rises within 192.168.77.0/24"),
        ({"guest_addresses": "192.168.77.1-192.168.77.9"}, "host_address 192.168.77.1 is one of guest_addresses"),
        ({"dynamic_memory": True, "minimum_memory_mb": 8192}, "are 8192, 4096 and 4096; allowed: three that rise"),
        ({"memory_mb": 4097}, "4097 is not allowed; allowed: an even integer of at least 32"),
        (
            {"address": "hv01:5986"},
            '"hv01:5986" is not a host\'s name or address; allowed: hv01.example.net or 10.0.0.5',
        ),
        ({"address": "http://hv01"}, '"http://hv01" is not a host\'s name or address'),
        ({"agent_home": "C:/ProgramData/tzar-agent"}, '"C:/ProgramData/tzar-agent" is not a full path of Windows'),
        ({"agent_home": r"\\server\share\agent"}, "is not a full path of Windows"),
        ({"agent_home": "tzar-agent"}, '"tzar-agent" is not a full path of Windows'),
        ({"folder": r"D:\tzar\..\x"}, "without wildcards and steps upwards"),
        ({"folder": "D:\\"}, "is not a full path of Windows"),
        ({"template": r"D:\t[1].vhdx"}, "is not a full path of Windows"),
        (
            {"address": "hv01", "folder": r"\\srv\share\vms"},
            "which the host cannot open for an account that comes by ntlm",
        ),
        ({"checkpoint": "x" * 101}, "allowed: a text of 100 characters at most"),
        ({"stop_timeout_s": 3601.0}, "allowed: a number above 0, 3600 at most"),
        ({"winrm_options": {"password": "x"}}, "password does not belong there"),
        ({"vms": 9, "guest_addresses": "192.168.77.11-192.168.77.14"}, "allowed: at least as many addresses as VMs"),
    ],
)
def test_values_that_do_not_fit_together_are_refused_with_what_is_allowed(given, complaint):
    with pytest.raises(ConfigError) as raised:
        settings(**given)
    assert complaint in str(raised.value)


def test_hosts_and_paths_are_taken_as_windows_has_them():
    for address in ("hv01", "hv01.example.net", "HV_01", "10.0.0.5", "fe80::1"):
        assert settings(address=address).hosts[0].hyperv.address == address
    paths = {"template": r"\\server\share\t.vhdx", "folder": r"D:\tzar vms\ä", "agent_home": "c:\\agent\\"}
    host = settings(**paths).hosts[0].hyperv
    assert {name: getattr(host, name) for name in paths} == paths


def test_guests_without_names_to_ask_for_are_told_an_address(tmp_path):
    def fleet(driver, advertise, **hyperv):
        host = {"name": "hv01", "driver": driver, "advertise": advertise, "hyperv": hyperv}
        return Settings.from_mapping({"hosts": [host]}).hosts[0].advertise

    with pytest.raises(ConfigError, match=r"advertise is .supervisor\.lan., and guests that are given their addresses"):
        fleet("hyperv", "supervisor.lan")
    assert fleet("hyperv", "10.0.0.5") == "10.0.0.5"
    assert fleet("hyperv", "supervisor.lan", guest_addresses="dhcp") == "supervisor.lan"
    assert fleet("local", "localhost") == "localhost"


def test_files_are_taken_from_the_folder_of_the_configuration(tmp_path):
    [host] = settings(base=tmp_path, ca_file="ca.pem", credentials_file="keys.toml").hosts
    assert (host.hyperv.ca_file, host.hyperv.credentials_file) == (tmp_path / "ca.pem", tmp_path / "keys.toml")


def test_dhcp_needs_no_range():
    assert settings(vms=1000, guest_addresses="dhcp").hosts[0].hyperv.guest_range is None


@pytest.mark.parametrize("address", [None, "hv01.example.net"])
def test_a_driver_is_made_and_nothing_is_asked_of_the_host(tmp_path, accounts, address):
    [host] = settings(address=address, checkpoint="parked", nat=True).hosts
    driver = make_driver(host, FLEET, tmp_path)
    assert isinstance(driver, HyperVDriver)
    assert "hush" not in repr(vars(driver))
    driver.close()


def test_credentials_that_are_not_there_are_missed_before_anything_starts(tmp_path, accounts, monkeypatch):
    monkeypatch.delenv("TZAR_HYPERV_GUEST_PASSWORD")
    [host] = settings(address="hv01.example.net").hosts
    with pytest.raises(ConfigError, match="TZAR_HYPERV_GUEST_USER is set and TZAR_HYPERV_GUEST_PASSWORD is not"):
        make_driver(host, FLEET, tmp_path)
