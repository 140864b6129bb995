"""How hosts that need little are prepared and checked: a folder, its disk, and what the local driver runs."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tzar_actors.drivers.base import Check, Part
from tzar_actors.drivers.vm_folders import explained

__all__ = ["FolderSetup", "LocalSetup"]

_MIB: Final = 1024 * 1024
_PYTHON_S: Final = 60.0
_SAID_CHARACTERS: Final = 300  # of what a program said that failed


class FolderSetup:
    """A host whose driver needs a folder on this machine and nothing more of it.

    Args:
        host: the host's name, for errors.
        folder: where its VMs lie.
        wanted_bytes: what its disk should have free.
    """

    def __init__(self, host: str, folder: Path, wanted_bytes: int) -> None:
        self._host = host
        self._folder = folder
        self._wanted_bytes = wanted_bytes

    def initialize(self) -> Sequence[Part]:
        """Makes the folder."""
        state = "there" if self._folder.is_dir() else "made"
        with explained("its folder cannot be made", self._host):
            self._folder.mkdir(parents=True, exist_ok=True)
        return (Part("folder", state, str(self._folder)),)

    def check(self) -> Sequence[Check]:
        """The folder and its disk."""
        place = _nearest(self._folder)
        beyond = Check("beyond", True, "nothing to check: this driver needs no more of its host", "")
        return (self._folder_check(place), _disk_check(place, self._wanted_bytes), beyond)

    def close(self) -> None:
        """Nothing is held open."""

    def _folder_check(self, place: Path) -> Check:
        wanted = f"{self._folder} can be written"
        probe = place / f".tzar-check-{uuid.uuid4().hex}"
        try:
            probe.mkdir()
            probe.rmdir()
        except OSError as error:
            cure = f"Give the user that runs the supervisor the right to write in {place}, or set another state_dir"
            return Check("folder", False, f"{place}: {error.strerror}", wanted, cure)
        return Check("folder", True, "it can" if place == self._folder else f"it can be made in {place}", wanted)


class LocalSetup(FolderSetup):
    """A host of the local driver, which is this machine.

    Args:
        host: the host's name, for errors.
        folder: where its VMs lie.
        vms: how many there are to be.
        template: what each VM's disk is a copy of; None: they start empty.
        python: the Python that runs the agents.
        reserve_bytes: what is to stay free beside them.
    """

    def __init__(
        self, host: str, folder: Path, vms: int, template: Path | None, python: str, reserve_bytes: int
    ) -> None:
        super().__init__(host, folder, reserve_bytes)
        self._vms = vms
        self._template = template
        self._python = python

    def check(self) -> Sequence[Check]:
        """The folder, the template, room for a copy of it for each VM that is not there, and the agent."""
        place = _nearest(self._folder)
        missing = max(0, self._vms - _folders_in(self._folder))
        size, template = _template_check(self._template) if self._template is not None else (0, None)
        disk = _disk_check(place, self._wanted_bytes + missing * size)
        checks = (self._folder_check(place), template, disk, _agent_check(self._python))
        return tuple(check for check in checks if check is not None)


def _nearest(folder: Path) -> Path:
    """The folder, or the innermost path above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _folders_in(folder: Path) -> int:
    if not folder.is_dir():
        return 0
    with os.scandir(folder) as entries:
        return sum(1 for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _template_check(template: Path) -> tuple[int, Check]:
    """Its size in bytes, and how it is."""
    wanted = "a folder that can be read"
    errors: list[OSError] = []
    walk = os.walk(template, onerror=errors.append)
    try:
        size = sum((Path(folder) / file).lstat().st_size for folder, _, files in walk for file in files)
    except OSError as error:
        errors.append(error)
        size = 0
    if errors:
        cure = "Set [hosts.local] template to a folder that the supervisor's user may read"
        return 0, Check("template", False, f"{errors[0].filename}: {errors[0].strerror}", wanted, cure)
    return size, Check("template", True, f"{template}, {size // _MIB} MiB", wanted)


def _disk_check(place: Path, wanted_bytes: int) -> Check:
    free = shutil.disk_usage(place).free
    wanted = f"{wanted_bytes // _MIB} MiB free"
    cure = "" if free >= wanted_bytes else f"Free space on the disk of {place}, or lower the number of VMs"
    return Check("disk", free >= wanted_bytes, f"{free // _MIB} MiB free", wanted, cure)


def _agent_check(python: str) -> Check:
    wanted = f"{python} runs tzar-agent"
    cure = f"Install it there: {python} -m pip install tzar-agent"
    program = "import tzar_agent.agent; print(tzar_agent.__version__)"
    try:
        done = subprocess.run(
            [python, "-c", program],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_PYTHON_S,
            check=False,
        )
    except OSError as error:
        return Check("agent", False, f"{error.strerror}", wanted, "Set [hosts.local] python to one that is there")
    except subprocess.TimeoutExpired:
        return Check("agent", None, f"it did not end within {_PYTHON_S:g} s", wanted, "Try it again when less is done")
    if done.returncode:
        said = done.stderr.strip().rpartition("\n")[2][:_SAID_CHARACTERS]
        return Check("agent", False, said or f"it ended with code {done.returncode}", wanted, cure)
    return Check("agent", True, f"tzar-agent {done.stdout.strip()}", wanted)
