"""The drivers' fake: VMs that exist in memory alone, as strict as real ones, and the faults that one injects into them.

It has no clock, no threads and no files, so a simulated world replays exactly. Whoever runs guests in its VMs listens
to `on_start` and `on_stop`, which are called in the middle of the verb.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from tzar_actors.drivers.base import Execution, PowerState, VmStatus
from tzar_actors.errors import DriverError
from tzar_agent.protocol.identity import Identity

__all__ = ["FakeDriver", "FakeProgram", "FakeVm", "Verb"]

Files: TypeAlias = dict[str, bytes]
FakeProgram: TypeAlias = Callable[[Files, Sequence[str], float], Execution]
"""What stands for a program in a VM: it is given the VM's files, its arguments, and the time limit in seconds."""

Verb: TypeAlias = Literal[
    "create",
    "start",
    "stop",
    "kill",
    "checkpoint",
    "restore",
    "remove",
    "status",
    "push",
    "execute",
    "screenshot",
    "logs",
]


@dataclass(slots=True)
class FakeVm:
    """One VM.

    Args:
        machine_id: drawn from a count, so that it is the same in each replay.
        is_ours: whether it bears the fleet's mark.
        is_running: whether it is on.
        heeds_stop: whether it shuts down when it is asked to.
        incarnation: of the identity delivered last.
        files: what lies on its disk, by path.
        checkpoints: copies of `files` by name, oldest first.
    """

    machine_id: str
    is_ours: bool = True
    is_running: bool = False
    heeds_stop: bool = True
    incarnation: int = 0
    files: Files = field(default_factory=dict)
    checkpoints: dict[str, Files] = field(default_factory=dict)


class FakeDriver:
    """A host in memory.

    Args:
        host: the host's name, for errors.
        template: the files that a new VM has.
        programs: what `execute` can run, by its name.
        on_start: called with a VM's name and identity when it boots; the guest has the identity then.
        on_stop: called with a VM's name when it is off, whoever turned it off.
        screen: what `screenshot` returns; None: there are no screens.
    """

    def __init__(
        self,
        host: str,
        template: Mapping[str, bytes] | None = None,
        programs: Mapping[str, FakeProgram] | None = None,
        on_start: Callable[[str, Identity], object] = lambda vm, identity: None,
        on_stop: Callable[[str], object] = lambda vm: None,
        screen: bytes | None = None,
    ) -> None:
        self.vms: dict[str, FakeVm] = {}
        self.unreachable = False
        self._host = host
        self._template = dict(template or {})
        self._programs = dict(programs or {})
        self._on_start = on_start
        self._on_stop = on_stop
        self._screen = screen
        self._made = 0
        self._faults: defaultdict[Verb, deque[DriverError]] = defaultdict(deque)

    def fail_next(self, verb: Verb, error: DriverError) -> None:
        """The next call of `verb` raises `error` and does nothing; called again: the one after it as well."""
        self._faults[verb].append(error)

    def power_off(self, vm: str) -> None:
        """The VM goes off by itself, as in a crash."""
        self._turn_off(vm, self.vms[vm])

    def reboot(self, vm: str) -> None:
        """The VM boots by itself: its guest is gone, and the new one is given no identity."""
        self._on_stop(vm)

    def vanish(self, vm: str) -> None:
        """The VM is removed by somebody else."""
        self._turn_off(vm, self.vms[vm])
        del self.vms[vm]

    def add_foreign(self, vm: str, *, is_running: bool = False) -> None:
        """A VM that somebody else made, without the fleet's mark."""
        self.vms[vm] = FakeVm(self._next_machine_id(), is_ours=False, is_running=is_running)

    def create(self, vm: str) -> str:
        """Makes the VM with the template's files."""
        self._enter("create", vm)
        found = self._find(vm)
        if found is None:
            found = self.vms[vm] = FakeVm(self._next_machine_id(), files=dict(self._template))
        return found.machine_id

    def start(self, vm: str, identity: Identity) -> None:
        """Boots the VM and hands the identity to the listener."""
        self._enter("start", vm)
        found = self._require(vm)
        if found.is_running:
            raise self._error("it cannot be started while it runs", vm, "Stop or kill it before")
        self._boot(vm, found, identity)

    def stop(self, vm: str, timeout_s: float) -> None:
        """Turns the VM off, if it heeds that; else raises at once, for no time passes here."""
        self._enter("stop", vm)
        found = self._find(vm)
        if found is not None and found.is_running and not found.heeds_stop:
            raise self._error(f"it was asked to stop and still runs after {timeout_s:g} s", vm, "Kill it")
        self._turn_off(vm, found)

    def kill(self, vm: str) -> None:
        """Turns the VM off."""
        self._enter("kill", vm)
        self._turn_off(vm, self._find(vm))

    def checkpoint(self, vm: str, name: str) -> None:
        """Copies the files."""
        self._enter("checkpoint", vm)
        found = self._require(vm)
        if name in found.checkpoints:
            raise self._error(f"it has a checkpoint {name} already", vm, "Choose another name for the new one")
        found.checkpoints[name] = dict(found.files)

    def restore(self, vm: str, name: str, identity: Identity) -> None:
        """Puts the files back and boots with `identity`."""
        self._enter("restore", vm)
        found = self._require(vm)
        if name not in found.checkpoints:
            has = ", ".join(found.checkpoints) or "none"
            raise self._error(f"it has no checkpoint {name}", vm, f"Restore one that it has: {has}")
        self._turn_off(vm, found)
        found.files = dict(found.checkpoints[name])
        self._boot(vm, found, identity)

    def remove(self, vm: str) -> None:
        """Removes the VM, which must be off."""
        self._enter("remove", vm)
        found = self._find(vm)
        if found is None:
            return
        if found.is_running:
            raise self._error("it cannot be removed while it runs", vm, "Stop or kill it before")
        del self.vms[vm]

    def status(self) -> Mapping[str, VmStatus]:
        """All VMs that bear the mark."""
        self._enter("status", None)
        return {
            name: VmStatus(
                power=PowerState.RUNNING if vm.is_running else PowerState.OFF,
                machine_id=vm.machine_id,
                incarnation=vm.incarnation,
                checkpoints=tuple(vm.checkpoints),
            )
            for name, vm in sorted(self.vms.items())
            if vm.is_ours
        }

    def push(self, vm: str, source: Path, target: str) -> None:
        """Reads `source`, the one file that this fake ever touches, into the VM's files."""
        self._enter("push", vm)
        found = self._require_running(vm, "push to")
        parts = target.replace("\\", "/").split("/")
        if ".." in parts or not parts[0] or ":" in parts[0]:
            raise self._error(f"{target} is no path inside its disk", vm, "Name one relative to the disk's top")
        try:
            found.files["/".join(parts)] = source.read_bytes()
        except OSError as error:
            raise self._error(f"{source} cannot be pushed to {target}: {error.strerror}", vm, "") from error

    def execute(self, vm: str, argv: Sequence[str], timeout_s: float) -> Execution:
        """Runs one of the programs that the fake was given."""
        self._enter("execute", vm)
        found = self._require_running(vm, "execute in")
        program = self._programs.get(argv[0])
        if program is None:
            raise self._error(f"{argv[0]} cannot be run: there is no such program", vm, "")
        return program(found.files, argv, timeout_s)

    def screenshot(self, vm: str) -> bytes:
        """The screen it was given."""
        self._enter("screenshot", vm)
        self._require_running(vm, "see the screen of")
        if self._screen is None:
            raise self._error("it has no screen", vm, "")
        return self._screen

    def logs(self, vm: str, limit_bytes: int) -> Mapping[str, bytes]:
        """The files whose names end in `.log`."""
        self._enter("logs", vm)
        found = self._find(vm)
        files = found.files if found is not None else {}
        return {name: body[-limit_bytes:] for name, body in files.items() if name.endswith(".log")}

    def close(self) -> None:
        """Nothing is held open."""

    def _enter(self, verb: Verb, vm: str | None) -> None:
        if self.unreachable:
            raise DriverError("it does not answer", host=self._host, vm=vm, unreachable=True)
        if self._faults[verb]:
            raise self._faults[verb].popleft()

    def _find(self, vm: str) -> FakeVm | None:
        found = self.vms.get(vm)
        if found is not None and not found.is_ours:
            raise self._error(
                "it was not made by this fleet; it was not touched", vm, "Rename it, or remove it by hand"
            )
        return found

    def _require(self, vm: str) -> FakeVm:
        found = self._find(vm)
        if found is None:
            raise self._error("there is no such VM", vm, "Create it")
        return found

    def _require_running(self, vm: str, verb: str) -> FakeVm:
        found = self._require(vm)
        if not found.is_running:
            raise self._error(f"one cannot {verb} a VM that is off", vm, "Start it before")
        return found

    def _boot(self, vm: str, found: FakeVm, identity: Identity) -> None:
        found.is_running = True
        found.incarnation = identity.incarnation
        self._on_start(vm, identity)

    def _turn_off(self, vm: str, found: FakeVm | None) -> None:
        if found is not None and found.is_running:
            found.is_running = False
            self._on_stop(vm)

    def _next_machine_id(self) -> str:
        self._made += 1
        return f"{self._host}-{self._made}"

    def _error(self, what: str, vm: str, cure: str) -> DriverError:
        return DriverError(what, host=self._host, vm=vm, cure=cure)
