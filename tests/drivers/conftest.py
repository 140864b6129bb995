"""A local driver with stand-in agents, and the end of whatever its tests left running."""

import secrets
import sys
import time
from pathlib import Path

import pytest

from tzar_actors.drivers.local import LocalDriver
from tzar_agent.protocol.identity import Identity
from tzar_agent.tree import end_marked

STANDIN = Path(__file__).parent / "standin_agent.py"


@pytest.fixture
def fleet():
    fleet = f"drivers-{secrets.token_hex(4)}"
    yield fleet
    end_marked(fleet)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "vms"


@pytest.fixture
def make_driver(fleet, folder):
    """A driver as each start of a supervisor makes one, with agents of a mode of the stand-in."""
    made = []

    def make(mode="work", **given):
        argv = (sys.executable, str(STANDIN), mode)
        driver = LocalDriver("local-1", fleet, folder, **{"agent_argv": argv, **given})
        made.append(driver)
        return driver

    yield make
    for driver in made:
        driver.close()


@pytest.fixture
def identity(fleet):
    def identity(incarnation, vm="vm-1"):
        return Identity(
            fleet=fleet,
            vm=vm,
            incarnation=incarnation,
            endpoint="tcp://127.0.0.1:9",
            server_key="s" * 40,
            public_key="p" * 40,
            secret_key="x" * 40,
            entropy="00" * 32,
            time=1.0,
            orphan_s=None,
        )

    return identity


@pytest.fixture
def wait_until():
    def wait_until(is_so, timeout_s=10.0):
        deadline = time.monotonic() + timeout_s
        while not is_so():
            assert time.monotonic() < deadline, "it did not come about in time"
            time.sleep(0.005)  # between two looks, not instead of one

    return wait_until
