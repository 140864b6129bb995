"""The local driver: a VM is a process tree on this machine, with a folder of its own.

It isolates nothing, and it is a real driver otherwise: its VMs have disks made from a template, checkpoints, and marks
by which they are known after any crash. They outlive the supervisor, and the next one adopts them.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from tzar_actors.drivers import processes
from tzar_actors.drivers.base import Execution, PowerState, VmStatus
from tzar_actors.drivers.environment import without_credentials
from tzar_actors.drivers.vm_folders import IDENTITY, VmFolders, VmRecord, explained
from tzar_actors.errors import DriverError
from tzar_agent.protocol.identity import Identity
from tzar_agent.tree import FLEET_MARK, VM_MARK, end_marked

__all__ = ["LocalDriver"]

_CONSOLE = "console.log"
_CONSOLE_LIMIT_BYTES = 1024 * 1024
_CONSOLE_TAIL_BYTES = 4 * 1024  # of the console, in an error
_END_S = 10.0  # a process that was ended at once and is still there then hangs in the system
_POLL_S = 0.005


class LocalDriver:
    """Runs the VMs of one fleet on this machine.

    Args:
        host: the host's name, for errors.
        fleet: the fleet's id: the mark of its folders and processes.
        folder: where the VMs lie; it is made when it is missing.
        template: a folder that each VM's disk is a copy of; None: disks start empty.
        agent_argv: the agent's command; `--home` and the VM's disk are appended.
        env: environment variables that the agents get beside this process's own. An agent's working folder is its
            disk, so paths in them must be absolute.
        boot_timeout_s: seconds that an agent may take from its start until it has its identity.

    Raises:
        DriverError: `folder` cannot be made.
    """

    def __init__(
        self,
        host: str,
        fleet: str,
        folder: Path,
        template: Path | None = None,
        agent_argv: Sequence[str] = (sys.executable, "-m", "tzar_agent", "run"),
        env: Mapping[str, str] | None = None,
        boot_timeout_s: float = 30.0,
    ) -> None:
        self._host = host
        self._fleet = fleet
        self._folders = VmFolders(host, fleet, folder.absolute())
        self._template = template
        self._agent_argv = tuple(agent_argv)
        self._env = dict(env or {})
        self._boot_timeout_s = boot_timeout_s
        self._children: dict[str, subprocess.Popen[bytes]] = {}  # what this process started itself, to be reaped by it

    def create(self, vm: str) -> str:
        """Makes the VM's folder from the template; a half-made one of ours is made anew. Returns its machine id."""
        with self._explained("it cannot be created", vm):
            return self._folders.make(vm, self._template).machine_id

    def start(self, vm: str, identity: Identity) -> None:
        """Ends what is left of an earlier boot, starts the agent, and ends when the agent has taken the identity.

        Raises:
            DriverError: the VM runs or is absent, or the agent ended, or it took too long; it is off again then.
        """
        with self._explained("it cannot be started", vm):
            self._boot(self._require_off(vm, "started"), identity)

    def stop(self, vm: str, timeout_s: float) -> None:
        """Asks the agent to end and waits for it, `timeout_s` seconds at most; then nothing of the VM is left."""
        with self._explained("it cannot be stopped", vm):
            agent = self._running_agent(vm)
            if agent is not None:
                processes.ask_to_end(agent)
                if not processes.wait_for_end(agent, timeout_s):
                    raise self._error(f"it was asked to stop and still runs after {timeout_s:g} s", vm, "Kill it")
            self._end_leftovers(vm)

    def kill(self, vm: str) -> None:
        """Ends the agent, then everything that bears the VM's mark."""
        with self._explained("it cannot be killed", vm):
            agent = self._running_agent(vm)
            if agent is not None:
                processes.end(agent)  # first, since it would start anew what is ended before it
                if not processes.wait_for_end(agent, _END_S):
                    raise self._error(
                        f"process {agent.pid} was killed and is still there after {_END_S:g} s",
                        vm,
                        "It waits inside the system, mostly for a disk: look after that, or restart the machine",
                    )
            self._end_leftovers(vm)

    def checkpoint(self, vm: str, name: str) -> None:
        """Copies the disk. Of a running VM this is what its disk would hold after a loss of power, never its memory."""
        with self._explained(f"checkpoint {name} cannot be made", vm):
            self._require(vm)
            self._folders.add_checkpoint(vm, name)

    def restore(self, vm: str, name: str, identity: Identity) -> None:
        """Kills the VM, puts the disk of the checkpoint in place of its own, and starts it with `identity`.

        Raises:
            DriverError: there is no such checkpoint (nothing changed), or as `start` raises.
        """
        with self._explained(f"checkpoint {name} cannot be restored", vm):
            record = self._require(vm)
            self._folders.require_checkpoint(vm, name)
            self.kill(vm)
            self._folders.put_back(vm, name)
            self._boot(record, identity)

    def remove(self, vm: str) -> None:
        """Removes the VM's folder, and ends what is left of its processes."""
        with self._explained("it cannot be removed", vm):
            if self._folders.find(vm) is not None:
                self._require_off(vm, "removed")
            self._end_leftovers(vm)
            self._folders.remove(vm)

    def status(self) -> Mapping[str, VmStatus]:
        """What the folder and the process table say, in one pass: two small files a VM are read."""
        for child in list(self._children.values()):
            child.poll()
        with explained("its VMs cannot be listed", self._host):
            return {record.vm: _status(record, checkpoints) for record, checkpoints in self._folders.read_all()}

    def push(self, vm: str, source: Path, target: str) -> None:
        """Copies a file to `target`, a path relative to the running VM's disk, and reads it back to verify it."""
        with self._explained(f"{source} cannot be pushed to {target}", vm):
            self._require_running(vm, "push to")
            disk = self._folders.disk(vm).resolve()
            place = (disk / target).resolve()
            if disk not in place.parents:
                raise self._error(f"{target} is no path inside its disk", vm, "Name one relative to the disk's top")
            place.parent.mkdir(parents=True, exist_ok=True)
            new = place.with_name(f".{place.name}.pushed")
            shutil.copyfile(source, new)
            wanted, got = _sha256(source), _sha256(new)
            if got != wanted:
                new.unlink()
                raise self._error(
                    f"{source} has SHA-256 {wanted}, and {got} arrived at {target}",
                    vm,
                    "Push it again when nothing writes to it; look after the disk if that does not help",
                )
            new.replace(place)

    def execute(self, vm: str, argv: Sequence[str], timeout_s: float) -> Execution:
        """Runs a command in the running VM's disk; of each output the last MiB is kept.

        After `timeout_s` seconds it is ended with all it started.
        """
        with self._explained(f"{argv[0]} cannot be run", vm):
            record = self._require_running(vm, "execute in")
            env = self._marked_env(vm, record.incarnation)
            return processes.run_marked(argv, self._folders.disk(vm), env, self._fleet, vm, timeout_s)

    def screenshot(self, vm: str) -> bytes:
        """Raises: a process tree has no screen."""
        raise self._error("a local VM has no screen", vm, "Look at the agent's log, or at console.log in its folder")

    def logs(self, vm: str, limit_bytes: int) -> Mapping[str, bytes]:
        """The agent's log, and what it and its evaluator wrote to the console."""
        with self._explained("its logs cannot be read", vm):
            if self._folders.find(vm) is None:
                return {}
            files = (self._folders.path(vm) / _CONSOLE, self._folders.disk(vm) / "agent.log")
            return {file.name: _end_of(file, limit_bytes) for file in files if file.exists()}

    def close(self) -> None:
        """Lets go of the agents, which run on."""
        for child in self._children.values():
            processes.let_go(child)
        self._children.clear()

    def _boot(self, record: VmRecord, identity: Identity) -> None:
        vm = record.vm
        self._end_leftovers(vm)
        disk, console = self._folders.disk(vm), self._folders.path(vm) / _CONSOLE
        if console.exists() and console.stat().st_size > _CONSOLE_LIMIT_BYTES:
            console.unlink()
        said_before = console.stat().st_size if console.exists() else 0
        document = disk / IDENTITY
        _write_secret(document, identity.to_json(), beside=disk.with_name("identity.new"))
        booted = False
        try:
            argv = [*self._agent_argv, "--home", str(disk)]
            child = processes.spawn(argv, disk, self._marked_env(vm, identity.incarnation), console)
            self._children[vm] = child
            self._folders.write(replace(record, incarnation=identity.incarnation, agent=processes.identify(child.pid)))
            self._await_taken(vm, child, document, console, said_before)
            booted = True
        finally:
            if not booted:
                document.unlink(missing_ok=True)
                self.kill(vm)

    def _await_taken(
        self, vm: str, child: "subprocess.Popen[bytes]", document: Path, console: Path, said_before: int
    ) -> None:
        deadline = time.monotonic() + self._boot_timeout_s
        while document.exists():
            exit_code = child.poll()
            if exit_code is not None:
                what = f"its agent ended with exit code {exit_code} before it took its identity"
            elif time.monotonic() >= deadline:
                what = f"its agent did not take its identity within {self._boot_timeout_s:g} s"
            else:
                time.sleep(_POLL_S)
                continue
            said = _tail(console, said_before)
            raise self._error(f"{what}; its console: {said or 'empty'}", vm, f"See {console}")

    def _marked_env(self, vm: str, incarnation: int) -> dict[str, str]:
        marks = {FLEET_MARK: self._fleet, VM_MARK: vm, "TZAR_INCARNATION": str(incarnation)}
        return {**without_credentials(os.environ), **self._env, **marks}

    def _running_agent(self, vm: str) -> processes.Process | None:
        record = self._folders.find(vm)
        return record.agent if record is not None and _is_running(record) else None

    def _end_leftovers(self, vm: str) -> None:
        end_marked(self._fleet, vm)
        child = self._children.get(vm)
        if child is not None and child.poll() is not None:
            del self._children[vm]

    def _require(self, vm: str) -> VmRecord:
        record = self._folders.find(vm)
        if record is None:
            raise self._error("there is no such VM", vm, "Create it")
        return record

    def _require_off(self, vm: str, done: str) -> VmRecord:
        record = self._require(vm)
        if _is_running(record):
            raise self._error(f"it cannot be {done} while it runs", vm, "Stop or kill it before")
        return record

    def _require_running(self, vm: str, verb: str) -> VmRecord:
        record = self._require(vm)
        if not _is_running(record):
            raise self._error(f"one cannot {verb} a VM that is off", vm, "Start it before")
        return record

    def _explained(self, what: str, vm: str) -> AbstractContextManager[None]:
        return explained(what, self._host, vm)

    def _error(self, what: str, vm: str, cure: str) -> DriverError:
        return DriverError(what, host=self._host, vm=vm, cure=cure)


def _is_running(record: VmRecord) -> bool:
    return record.agent is not None and processes.is_alive(record.agent)


def _status(record: VmRecord, checkpoints: tuple[str, ...]) -> VmStatus:
    is_running = _is_running(record)
    return VmStatus(
        power=PowerState.RUNNING if is_running else PowerState.OFF,
        machine_id=record.machine_id,
        incarnation=record.incarnation,
        checkpoints=checkpoints,
        detail=f"pid {record.agent.pid}" if is_running and record.agent is not None else "",
    )


def _write_secret(place: Path, text: str, beside: Path) -> None:
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    beside.replace(place)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _end_of(file: Path, limit_bytes: int) -> bytes:
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - limit_bytes))
        return stream.read(limit_bytes)


def _tail(console: Path, start: int) -> str:
    with console.open("rb") as stream:
        stream.seek(max(start, console.stat().st_size - _CONSOLE_TAIL_BYTES))
        return stream.read().decode("utf-8", "replace").strip()
