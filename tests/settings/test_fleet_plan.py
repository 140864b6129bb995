"""What follows from the settings of all hosts together."""

import pytest

from tzar_actors.fleet_plan import longest_boot_s
from tzar_actors.settings import Settings


@pytest.mark.parametrize(
    ("driver", "of_recovery", "of_host", "longest"),
    [("local", 60.0, 300.0, 60.0), ("hyperv-fake", 60.0, 300.0, 300.0), ("hyperv", 60.0, 300.0, 300.0),
     ("hyperv", 500.0, 300.0, 500.0)],
)  # fmt: skip
def test_a_call_is_not_given_up_before_its_driver_gives_its_guest_up(driver, of_recovery, of_host, longest, tmp_path):
    hosts = [{"name": "a"}, {"name": "b", "driver": driver, "hyperv": {"boot_timeout_s": of_host}}]
    given = {"hosts": hosts, "recovery": {"boot_timeout_s": of_recovery}}
    assert longest_boot_s(Settings.from_mapping(given, folder=tmp_path, source="a test")) == longest
