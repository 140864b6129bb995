"""What the fake has beyond the contract: faults, and a listener who runs the guests."""

import pytest

from tzar_actors.drivers.base import PowerState
from tzar_actors.drivers.fake import FakeDriver
from tzar_actors.errors import DriverError


@pytest.fixture
def heard():
    return []


@pytest.fixture
def driver(heard):
    driver = FakeDriver(
        "fake-1",
        on_start=lambda vm, identity: heard.append(("start", vm, identity.incarnation)),
        on_stop=lambda vm: heard.append(("stop", vm)),
    )
    driver.create("vm-1")
    return driver


def test_the_listener_hears_of_each_boot_and_each_end(driver, heard, identity):
    driver.start("vm-1", identity(1))
    driver.checkpoint("vm-1", "clean")
    driver.restore("vm-1", "clean", identity(2))
    driver.stop("vm-1", timeout_s=1)
    driver.kill("vm-1")
    assert heard == [("start", "vm-1", 1), ("stop", "vm-1"), ("start", "vm-1", 2), ("stop", "vm-1")]


def test_an_injected_error_is_raised_once_and_the_verb_does_nothing(driver, heard, identity):
    driver.fail_next("start", DriverError("the switch is gone", host="fake-1", vm="vm-1"))
    with pytest.raises(DriverError, match="the switch is gone"):
        driver.start("vm-1", identity(1))
    assert heard == []
    driver.start("vm-1", identity(2))
    assert heard == [("start", "vm-1", 2)]


def test_injected_errors_are_raised_in_their_order(driver):
    for what in ("first", "second"):
        driver.fail_next("status", DriverError(what, host="fake-1"))
    for what in ("first", "second"):
        with pytest.raises(DriverError, match=what):
            driver.status()
    assert list(driver.status()) == ["vm-1"]


def test_a_vm_that_goes_off_by_itself_is_off(driver, heard, identity):
    driver.start("vm-1", identity(1))
    driver.power_off("vm-1")
    assert driver.status()["vm-1"].power is PowerState.OFF
    assert heard[-1] == ("stop", "vm-1")


def test_a_vm_that_vanished_is_absent_and_comes_back_as_another_machine(driver, heard, identity):
    before = driver.status()["vm-1"].machine_id
    driver.start("vm-1", identity(1))
    driver.vanish("vm-1")
    assert dict(driver.status()) == {}
    assert heard[-1] == ("stop", "vm-1")
    assert driver.create("vm-1") != before


def test_a_vm_that_reboots_by_itself_runs_on_with_a_guest_that_has_no_identity(driver, heard, identity):
    driver.start("vm-1", identity(1))
    driver.reboot("vm-1")
    assert driver.status()["vm-1"].power is PowerState.RUNNING
    assert heard == [("start", "vm-1", 1), ("stop", "vm-1")]


def test_nothing_can_be_done_on_a_host_that_is_unreachable_and_its_vms_run_on(driver, identity):
    driver.start("vm-1", identity(1))
    driver.unreachable = True
    for use in (driver.status, lambda: driver.kill("vm-1"), lambda: driver.create("vm-2")):
        with pytest.raises(DriverError) as raised:
            use()
        assert raised.value.unreachable
    driver.unreachable = False
    assert driver.status()["vm-1"].power is PowerState.RUNNING


def test_a_screen_is_what_the_fake_was_given(identity):
    driver = FakeDriver("fake-1", screen=b"png")
    driver.create("vm-1")
    driver.start("vm-1", identity(1))
    assert driver.screenshot("vm-1") == b"png"
