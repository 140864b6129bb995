"""The local driver with the agent it is made for, though without a supervisor that answers."""

import os
import signal
import sys

import psutil
import pytest
import zmq

from tzar_actors.drivers.base import PowerState
from tzar_actors.drivers.local import LocalDriver
from tzar_agent.protocol.identity import Identity
from tzar_agent.tree import marked


@pytest.fixture
def driver(fleet, folder):
    driver = LocalDriver("local-1", fleet, folder)
    driver.create("vm-1")
    yield driver
    driver.close()


@pytest.fixture
def identity(fleet):
    def identity(incarnation):
        public, secret = (key.decode("ascii") for key in zmq.curve_keypair())
        return Identity(
            fleet=fleet,
            vm="vm-1",
            incarnation=incarnation,
            endpoint="tcp://127.0.0.1:9",
            server_key=public,
            public_key=public,
            secret_key=secret,
            entropy="00" * 32,
            time=1.0,
            orphan_s=None,
        )

    return identity


def test_the_agent_takes_its_identity_and_ends_when_it_is_asked_to(driver, identity, folder, fleet):
    driver.start("vm-1", identity(1))
    assert driver.status()["vm-1"].power is PowerState.RUNNING
    assert not (folder / "vm-1" / "disk" / "identity.json").exists()
    driver.stop("vm-1", timeout_s=10)
    assert driver.status()["vm-1"].power is PowerState.OFF
    assert marked(fleet) == []


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_an_agent_that_was_killed_is_off_and_starts_again_on_its_disk(driver, identity, fleet, wait_until):
    driver.start("vm-1", identity(1))
    (agent,) = marked(fleet, "vm-1")
    os.kill(agent, signal.SIGKILL)
    wait_until(lambda: driver.status()["vm-1"].power is PowerState.OFF)
    driver.start("vm-1", identity(2))
    assert driver.status()["vm-1"].incarnation == 2
    assert not psutil.pid_exists(agent)


def test_no_checkpoint_holds_a_key_of_the_vm(driver, identity, folder):
    mine = identity(1)
    driver.start("vm-1", mine)
    driver.checkpoint("vm-1", "clean")
    driver.kill("vm-1")
    held = [path.read_bytes() for path in (folder / "vm-1").rglob("*") if path.is_file()]
    assert held
    assert not any(mine.secret_key.encode() in content for content in held)
    driver.restore("vm-1", "clean", identity(2))
    assert driver.status()["vm-1"].incarnation == 2
