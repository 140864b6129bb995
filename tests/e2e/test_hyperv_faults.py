"""Faults of a Hyper-V host and of the way to it, under a fleet that plays: what is told, and that nothing is lost."""

import re
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "hyperv"))  # tests are no package

from lab import needs_lab
from lab_fleet import World, accounts, host_for_fleet, is_ready, until

pytestmark = needs_lab


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """One fleet for all tests here: each leaves its host as it was."""
    folder = tmp_path_factory.mktemp("faults")
    with pytest.MonkeyPatch.context() as patch, host_for_fleet(folder / "lab") as host, ExitStack() as stack:
        for name, text in accounts().items():
            patch.setenv(name, text)
        world = World(folder, host)
        stack.callback(world.hang_up)
        stack.enter_context(world.running("state", {}, {"call_timeout_s": 20.0}))
        yield world


def host_falls_and_comes_back(world, log, lift):
    """The host is told to be down, with what is met there and the cure; after `lift` it is told to be up."""
    until(lambda: log.count("host_down"), "the host is down")
    shown = world.fleet.status().hosts["hv01"]
    lift()
    until(lambda: log.count("host_up"), "the host is up")
    [reason] = log.texts("host_down", "reason")
    assert shown == reason
    return reason


def all_is_said(world):
    """Whoever met a fault has asked again and was answered: the lanes are silent for longer than they wait in between.

    Otherwise the next fault would befall the same call, which gives up in the end.
    """
    seen = [world.server.counts()["requests"], time.monotonic()]

    def is_silent():
        if (requests := world.server.counts()["requests"]) != seen[0]:
            seen[:] = requests, time.monotonic()
        return time.monotonic() - seen[1] > 1.5

    until(is_silent, "the lanes are silent")


@pytest.mark.parametrize("fault", ["drop", "refuse", "unauthorized"])
def test_a_connection_that_breaks_now_and_then_is_noticed_by_nobody(world, fault):
    times = 1 if fault == "unauthorized" else 3
    with world.playing() as log:
        world.server.set_faults(**{fault: times})
        until(lambda: not world.server.faults()[fault], "it has befallen so many requests")
        all_is_said(world)
    log.no_vm_failed()
    assert log.count("host_down") == log.count("driver_failed") == 0


@pytest.mark.parametrize(
    ("fault", "met"), [("drop", "the connection broke"), ("refuse", "WinRM answered with HTTP status 500")]
)
def test_a_host_whose_connections_all_break_is_down_and_its_vms_play_on(world, fault, met):
    with world.playing() as log:
        world.server.set_faults(**{fault: 10_000})
        reason = host_falls_and_comes_back(world, log, lambda: world.server.set_faults(**{fault: 0}))
        assert f"host hv01: Get-TzarWorkerVM: {met}. Look whether the host is up and WinRM runs there" in reason
    log.no_vm_failed()


def test_a_host_that_nobody_answers_for_is_down_and_its_vms_play_on(world):
    with world.playing() as log:
        world.hang_up()
        reason = host_falls_and_comes_back(world, log, world.listen)
        assert re.search(r"host hv01: Get-TzarWorkerVM: nobody listens at http://127\S+\. Look whether", reason)
    log.no_vm_failed()


def test_a_restart_of_winrm_is_noticed_by_nobody(world):
    with world.playing() as log:
        opened = world.server.counts()["shells_opened"]
        world.server.set_faults(reboot=True)
        until(lambda: world.server.counts()["shells_opened"] > opened, "a shell is opened anew")
    log.no_vm_failed()
    assert log.count("host_down") == log.count("driver_failed") == 0


def test_a_receive_that_hangs_is_given_up_and_told(world):
    with world.playing() as log:
        world.server.set_faults(hang_receive=True)
        reason = host_falls_and_comes_back(world, log, lambda: world.server.set_faults(hang_receive=False))
        assert "host hv01: Get-TzarWorkerVM: WinRM did not answer" in reason
        assert "Look whether the host is up and WinRM runs there" in reason
    log.no_vm_failed()
    assert log.count("lane_abandoned") == 0


def test_a_cmdlet_that_hangs_is_ended_and_told_and_its_vm_boots_again(world):
    with world.playing() as log:
        world.host.set_faults(boot={"delay_s": 0.1}, hang=["Start-VM"])
        world.fleet.power("tzar-01", "restart")
        until(lambda: log.count("vm_failed", vm="tzar-01"), "its boot has failed")
        world.host.set_faults(boot={"delay_s": 0.1})
        until(lambda: log.count("vm_ready", vm="tzar-01"), "it is back")
        [error] = [each["error"] for each in log if each["event"] == "driver_failed" and each["verb"] == "start"]
        assert re.match(
            r"VM tzar-01 on hv01: Start-TzarWorkerVM: it did not end within \d+ s\. It was ended\. Look", error
        )
    log.nothing_was_burnt()
    assert log.count("host_down") == log.count("lane_abandoned") == 0


@pytest.mark.promise(5, "host faults burn nothing")
def test_a_host_that_loses_its_power_in_the_middle_of_games_burns_nothing(world):
    with world.playing() as log:
        world.server.set_faults(power_loss_s=6.0)
        reason = host_falls_and_comes_back(world, log, lambda: None)
        assert "host hv01: Get-TzarWorkerVM: " in reason
        assert "Look whether the host is up" in reason
        until(lambda: all(is_ready(world.fleet, vm) for vm in world.vms), "both VMs are back")
    log.nothing_was_burnt()
    for result in log.results:
        for game in result.games:
            assert {attempt.status for attempt in game.attempts} <= {"scored", "excused"}
