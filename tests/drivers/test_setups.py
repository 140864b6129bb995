"""How the hosts of drivers that need little are prepared and checked."""

import sys

import pytest

from tzar_actors.drivers.setups import FolderSetup, LocalSetup
from tzar_actors.errors import DriverError

ENDLESS = 2**62


@pytest.fixture
def local(tmp_path):
    def local(vms=2, template=None, python=sys.executable, reserve_bytes=1):
        return LocalSetup("here", tmp_path / "state" / "vms", vms, template, python, reserve_bytes)

    return local


def by_name(setup):
    return {check.name: check for check in setup.check()}


def test_a_local_host_that_has_all_it_needs_is_in_order(local, tmp_path):
    checks = by_name(local())
    assert [(name, check.ok, check.cure) for name, check in checks.items()] == [
        ("folder", True, ""),
        ("disk", True, ""),
        ("agent", True, ""),
    ]
    assert checks["agent"].found.startswith("tzar-agent ")
    assert list(tmp_path.iterdir()) == [], "a check changes nothing"


def test_what_is_made_is_there_the_next_time(local, tmp_path):
    folder = tmp_path / "state" / "vms"
    assert [(part.name, part.state) for part in local().initialize()] == [("folder", "made")]
    assert folder.is_dir()
    assert [(part.state, part.detail) for part in local().initialize()] == [("there", str(folder))]


def test_a_folder_that_cannot_be_made_is_told_with_what_to_do(local, tmp_path):
    (tmp_path / "state").write_text("a file")
    with pytest.raises(DriverError, match="its folder cannot be made"):
        local().initialize()
    folder = by_name(local())["folder"]
    assert folder.ok is False
    assert str(tmp_path / "state") in folder.found
    assert "right to write" in folder.cure


def test_a_disk_with_too_little_room_is_told_with_what_there_is(local):
    disk = by_name(local(reserve_bytes=ENDLESS))["disk"]
    assert disk.ok is False
    assert "MiB free" in disk.found
    assert "Free space" in disk.cure


def test_each_vm_that_is_not_there_needs_room_for_a_copy_of_the_template(local, tmp_path):
    template = tmp_path / "template"
    template.mkdir()
    with (template / "disk").open("wb") as file:
        file.truncate(3 * 1024 * 1024)  # of nothing but a length
    (tmp_path / "state" / "vms" / "tzar-01").mkdir(parents=True)
    checks = by_name(local(vms=5, template=template, reserve_bytes=1024 * 1024))
    assert checks["template"].ok
    assert checks["disk"].wanted == "13 MiB free"


def test_a_template_that_is_not_there_is_told(local, tmp_path):
    template = by_name(local(template=tmp_path / "none"))["template"]
    assert template.ok is False
    assert str(tmp_path / "none") in template.found
    assert "template" in template.cure


def test_a_python_without_the_agent_is_told_with_how_to_install_it(local, tmp_path):
    bare = tmp_path / "bare"
    if sys.platform == "win32":
        pytest.skip("a script stands for a Python here")
    bare.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'tzar_agent'\" >&2\nexit 1\n")
    bare.chmod(0o755)
    agent = by_name(local(python=str(bare)))["agent"]
    assert (agent.ok, agent.found) == (False, "ModuleNotFoundError: No module named 'tzar_agent'")
    assert agent.cure == f"Install it there: {bare} -m pip install tzar-agent"
    assert by_name(local(python=str(tmp_path / "none")))["agent"].ok is False


def test_a_driver_that_needs_a_folder_alone_says_that_there_is_nothing_else_to_check(tmp_path):
    checks = by_name(FolderSetup("h", tmp_path / "vms", 1))
    assert [check.ok for check in checks.values()] == [True, True, True]
    assert "nothing to check" in checks["beyond"].found
