"""What follows from the settings of all hosts together."""

import pytest

from tzar_actors.fleet_plan import host_plans, longest_boot_s, longest_stop_s
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


def test_a_guest_is_given_the_time_to_stop_that_its_host_s_driver_needs(tmp_path):
    hosts = [{"name": "a"}, {"name": "b", "driver": "hyperv"}]
    hosts += [{"name": "c", "driver": "hyperv-fake", "hyperv": {"stop_timeout_s": 5.0}}]
    settings = Settings.from_mapping({"hosts": hosts}, folder=tmp_path, source="a test")
    assert [plan.stop_timeout_s for plan in host_plans(settings)] == [10.0, 60.0, 5.0]
    assert longest_stop_s(settings) == 60.0
    assert longest_stop_s(Settings()) == 10.0
