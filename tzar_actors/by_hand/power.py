"""Makes, powers and removes a fleet's VMs while no supervisor runs, and keeps its journal as a supervisor would.

A VM is booted under a new incarnation that is committed before, with the keys and the port of the state folder: its
agent dials until a supervisor comes, which adopts it.
"""

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self, TypeAlias, TypeVar, assert_never

from tzar_actors.actors.boots import BootOffice
from tzar_actors.actors.wiring import Chance
from tzar_actors.by_hand.reach import Reach
from tzar_actors.client.fleet import ACCESS_FILE
from tzar_actors.core.records import Record, VmHeldRecord, VmRecord, VmRemovedRecord
from tzar_actors.drivers.base import PowerState, VmStatus
from tzar_actors.errors import DriverError
from tzar_actors.events import catalogue
from tzar_actors.events.log import EventLog
from tzar_actors.gateway.addresses import reachable, tcp
from tzar_actors.gateway.keys import TrainerAccess, load_or_make_keys
from tzar_actors.journal.journal import Journal
from tzar_actors.settings import Settings
from tzar_actors.state_folder import JOURNAL_FILE, held, ports
from tzar_agent.protocol.identity import Identity

__all__ = ["ByHand", "Done", "Verb"]

Verb: TypeAlias = Literal["create", "start", "stop", "restart", "reset", "remove"]

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Done:
    """How a verb ended for one VM: `text` says what was done, or why it was not."""

    vm: str
    host: str
    verb: str
    ok: bool
    text: str
    incarnation: int | None = None


class ByHand:
    """Holds the state folder in a supervisor's place. It is a context manager.

    Args:
        settings: the fleet's.

    Raises:
        LockedError: a supervisor, or somebody else, holds the folder. Raised on entering, as are errors of the journal.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = ExitStack()
        self._status: dict[str, Mapping[str, VmStatus] | DriverError] = {}
        self._status_lock = threading.Lock()
        self._offices: dict[str, BootOffice] = {}

    def __enter__(self) -> Self:
        state_dir = self._settings.state_dir
        state_dir.mkdir(parents=True, exist_ok=True)
        with self._stack:  # what was opened is closed again when the next thing cannot be
            self._stack.enter_context(held(state_dir))
            # The journal belongs to one thread, and VMs are powered by several.
            self._clerk = self._stack.enter_context(ThreadPoolExecutor(1, "tzar-clerk"))
            durability = self._settings.fleet.durability
            self._journal = self._by_clerk(
                lambda: Journal(state_dir / JOURNAL_FILE, durability, lambda: uuid.uuid4().hex)
            )
            self._stack.callback(self._by_clerk, self._journal.close)
            self._log = EventLog(self._settings)
            self._stack.callback(self._log.close)
            self.reach = self._stack.enter_context(Reach(self._settings))
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def each(self, verb: Verb, vms: Mapping[str, str], timeout_s: float) -> Iterator[Done]:
        """Does it to every one of `vms`, given with their hosts; of a host as many at a time as it may boot.

        Args:
            verb: what to do.
            vms: to which VMs.
            timeout_s: seconds that a VM has to shut down before it is turned off.

        Yields:
            how each ended, as it ends. An error of one keeps none of the others. Whoever stops iterating (Ctrl+C)
                waits for those that are under way, and the rest are left as they are.
        """
        with ExitStack() as stack:
            width = {host: self.reach.plans[host].host.boots_at_a_time for host in vms.values()}
            pools = {host: stack.enter_context(ThreadPoolExecutor(most)) for host, most in width.items()}
            for pool in pools.values():
                stack.callback(pool.shutdown, wait=False, cancel_futures=True)  # the stack waits for each later
            futures: dict[Future[Done], str] = {
                pools[host].submit(self._do, verb, vm, host, timeout_s): vm for vm, host in vms.items()
            }
            for future in as_completed(futures):
                self._log.flush()
                yield future.result()

    def _do(self, verb: Verb, vm: str, host: str, timeout_s: float) -> Done:
        incarnation: int | None = None
        try:
            match verb:
                case "create":
                    text = self._create(vm, host)
                case "start":
                    text, incarnation = self._start(vm, host)
                case "stop":
                    text = self._stop(vm, host, timeout_s)
                case "restart":
                    text, incarnation = self._restart(vm, host)
                case "reset":
                    text, incarnation = self._reset(vm, host)
                case "remove":
                    text = self._remove(vm, host)
                case _:
                    assert_never(verb)
        except DriverError as error:
            self._log.emit(catalogue.DriverFailed(vm, host, verb, str(error)))
            return Done(vm, host, verb, ok=False, text=str(error))
        return Done(vm, host, verb, ok=True, text=text, incarnation=incarnation)

    def _create(self, vm: str, host: str) -> str:
        was_there = self._seen(vm, host) is not None
        machine_id = self.reach.driver(host).create(vm)
        self._keep(VmRecord(vm, host, machine_id))
        if was_there:
            return f"is there already, {machine_id}"
        self._log.emit(catalogue.VmCreated(vm, host, machine_id))
        return f"made, {machine_id}"

    def _start(self, vm: str, host: str) -> tuple[str, int]:
        seen = self._seen(vm, host)
        if seen is not None and seen.power is PowerState.RUNNING:
            self._keep(VmHeldRecord(vm, host, is_held=False))
            return f"runs already, incarnation {seen.incarnation}", seen.incarnation
        if seen is None:
            self._create(vm, host)
        return self._boot(vm, host, "started")

    def _stop(self, vm: str, host: str, timeout_s: float) -> str:
        self._keep(VmHeldRecord(vm, host, is_held=True))
        seen = self._seen(vm, host)
        if seen is None:
            return "is not there, and is not started until a person does"
        driver = self.reach.driver(host)
        was = ""
        try:
            driver.stop(vm, timeout_s)
        except DriverError as error:
            if error.busy or error.unreachable:
                raise
            was = f", since it did not stop: {error.what}"
            driver.kill(vm)
        if seen.power is PowerState.OFF:
            return "is off already, and stays so until a person starts it"
        self._log.emit(catalogue.VmStopped(vm))
        return f"{'turned off' if was else 'stopped'}{was}; it stays off until a person starts it"

    def _restart(self, vm: str, host: str) -> tuple[str, int]:
        if self._seen(vm, host) is None:
            self._create(vm, host)
        else:
            self.reach.driver(host).kill(vm)
        return self._boot(vm, host, "restarted")

    def _reset(self, vm: str, host: str) -> tuple[str, int]:
        driver = self.reach.driver(host)
        if self._seen(vm, host) is not None:
            driver.kill(vm)
            if checkpoint := self.reach.plans[host].checkpoint:
                return self._boot(vm, host, f"reset to its checkpoint {checkpoint}", checkpoint)
            driver.remove(vm)
            self._keep(VmRemovedRecord(vm))
        machine_id = driver.create(vm)
        self._keep(VmRecord(vm, host, machine_id))
        return self._boot(vm, host, "reset with a new disk")

    def _remove(self, vm: str, host: str) -> str:
        was_there = self._seen(vm, host) is not None
        self.reach.driver(host).remove(vm)
        # Who removes it lets go of it: it is made anew when a supervisor wants it.
        self._keep(VmRemovedRecord(vm), VmHeldRecord(vm, host, is_held=False))
        if not was_there:
            return "is not there"
        self._log.emit(catalogue.VmRemoved(vm))
        return "removed, with its disk and its checkpoints"

    def _boot(self, vm: str, host: str, done: str, checkpoint: str = "") -> tuple[str, int]:
        seen = self._seen(vm, host)
        identity = self._by_clerk(lambda: self._new_incarnation(vm, host, seen))
        began = time.monotonic()
        if checkpoint:
            self.reach.driver(host).restore(vm, checkpoint, identity)
        else:
            self.reach.driver(host).start(vm, identity)
        number = identity.incarnation
        self._log.emit(catalogue.VmStarted(vm, host, number, time.monotonic() - began))
        return f"{done}, incarnation {number}", number

    def _seen(self, vm: str, host: str) -> VmStatus | None:
        """What its host said when it was asked first; asked once, however many VMs it has.

        Raises:
            DriverError: it could not be asked.
        """
        with self._status_lock:
            if host not in self._status:
                try:
                    self._status[host] = self.reach.driver(host).status()
                except DriverError as error:
                    self._status[host] = error
            status = self._status[host]
        if isinstance(status, DriverError):
            raise status
        return status.get(vm)

    def _by_clerk(self, do: Callable[[], Answer]) -> Answer:
        return self._clerk.submit(do).result()

    def _keep(self, *records: Record) -> None:
        def commit() -> None:
            for record in records:
                self._journal.append(record)
            self._journal.commit()

        self._by_clerk(commit)

    def _new_incarnation(self, vm: str, host: str, seen: VmStatus | None) -> Identity:
        """Committed, and with it that the VM is wanted. One that was made just now is not what was `seen`."""
        known = self._journal.vms().get(vm)
        number = max(seen.incarnation if seen is not None else 0, known.incarnation if known is not None else 0) + 1
        machine_id = (known.machine_id if known is not None else None) or (seen.machine_id if seen is not None else "")
        record, identity = self._office(host).issue(vm, number, machine_id)
        self._journal.append(record)
        self._journal.append(VmHeldRecord(vm, host, is_held=False))
        self._journal.commit()
        return identity

    def _office(self, host: str) -> BootOffice:
        if host not in self._offices:
            plan, server_key, endpoint = self.reach.plans[host], *self._server()
            self._offices[host] = BootOffice(
                self._journal.fleet, host, plan.dialled(endpoint), plan.orphan_s, server_key, Chance(), time.time
            )
        return self._offices[host]

    def _server(self) -> tuple[str, str]:
        """The supervisor's public key, and where it will listen. A port that was never chosen is chosen and kept."""
        state_dir, listen = self._settings.state_dir, self._settings.fleet.listen
        server, trainer = load_or_make_keys(state_dir)
        control, blob = ports(self._settings)
        if not control:
            free = _free_ports(listen)
            control, blob = free[0], blob or free[1]
            here, blobs = reachable(tcp(listen, control)), reachable(tcp(listen, blob))
            access = TrainerAccess(here, blobs, server.public, trainer.public, trainer.secret, os.getpid())
            access.save(state_dir / ACCESS_FILE)
        return server.public, tcp(listen, control)


def _free_ports(listen: str) -> tuple[int, int]:
    family = socket.AF_INET6 if ":" in listen else socket.AF_INET
    with socket.socket(family) as one, socket.socket(family) as another:
        one.bind((listen, 0))
        another.bind((listen, 0))
        return one.getsockname()[1], another.getsockname()[1]
