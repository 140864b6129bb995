"""Finds a fleet's VMs and reaches them by their drivers, which is safe beside a supervisor. Nothing is journalled."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tzar_actors.drivers.base import Driver, VmStatus
from tzar_actors.drivers.choice import make_driver
from tzar_actors.errors import ConfigError, DriverError
from tzar_actors.fleet_plan import HostPlan, host_plans
from tzar_actors.journal.reading import KeptFleet, kept_fleet
from tzar_actors.settings import Settings
from tzar_actors.settings.complaints import nearest
from tzar_actors.state_folder import JOURNAL_FILE

__all__ = ["Reach", "SeenVm"]


@dataclass(frozen=True, slots=True)
class SeenVm:
    """One VM, as its driver and the journal have it.

    Args:
        vm: its name.
        host: its host's name.
        power: its power state, "absent", or "unknown" when its host could not be asked.
        incarnation: of the identity delivered last; 0: none, or not known.
        machine_id: the hypervisor's id of it.
        checkpoints: their names, oldest first.
        is_held: a person stopped it, so that no supervisor starts it.
        detail: what else a person may want to see.
    """

    vm: str
    host: str
    power: str
    incarnation: int = 0
    machine_id: str = ""
    checkpoints: tuple[str, ...] = ()
    is_held: bool = False
    detail: str = ""


class Reach:
    """The VMs of one fleet. It is a context manager; leaving it lets go of the drivers, and the VMs run on.

    Args:
        settings: the fleet's.

    Raises:
        JournalError: the fleet's journal cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = ExitStack()
        self._drivers: dict[str, Driver] = {}
        self._lock = threading.Lock()  # of `_drivers`: VMs of one host are powered by several threads
        self.plans: dict[str, HostPlan] = {plan.host.name: plan for plan in host_plans(settings)}
        self.kept: KeptFleet | None = kept_fleet(settings.state_dir / JOURNAL_FILE)
        self.configured: dict[str, str] = {vm: plan.host.name for plan in self.plans.values() for vm in plan.vms}
        # The journal may know more of them, where the configuration wanted more of them before.
        known = self.kept.vms.values() if self.kept is not None else ()
        made = {vm.vm: vm.host for vm in known if vm.machine_id is not None and vm.host in self.plans}
        self._host_of: dict[str, str] = {**made, **self.configured}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def find(self, names: Iterable[str], *, are_all: bool = False, only_configured: bool = False) -> dict[str, str]:
        """The hosts' names of these VMs, by VM.

        Args:
            names: the VMs.
            are_all: all there are, in place of names.
            only_configured: those that a supervisor would have.

        Raises:
            ConfigError: a name is not that of a VM of the fleet; it names the nearest one that is.
        """
        wanted = list(dict.fromkeys(names))
        if bool(wanted) == are_all:
            raise ConfigError("which VMs? Give their names, or --all")
        known = self.configured if only_configured else self._host_of
        if not only_configured and (are_all or not set(wanted) <= set(known)):
            known = {**self._strays(), **known}
        if are_all:
            return dict(known)
        for name in wanted:
            if name not in known:
                has = f"; it has {', '.join(sorted(known))}" if len(known) <= 8 else f"; it has {len(known)}"
                raise ConfigError(f'the fleet has no VM "{name}"{nearest(name, known)}{has}')
        return {name: known[name] for name in wanted}

    def driver(self, host: str) -> Driver:
        """The driver of a host.

        Raises:
            DriverError: it cannot be had, or there is no fleet yet.
        """
        if self.kept is None:
            where = self._settings.state_dir
            raise DriverError("it has no VMs yet", host=host, cure=f"There is no fleet in {where}: tzar vm create")
        with self._lock:
            if host not in self._drivers:
                try:
                    driver = make_driver(self.plans[host].host, self.kept.id, self._settings.state_dir)
                except ConfigError as error:  # another host's may be in order
                    raise DriverError(str(error), host=host) from error
                self._stack.callback(driver.close)
                self._drivers[host] = driver
            return self._drivers[host]

    def look(self, vms: dict[str, str]) -> Iterator[SeenVm]:
        """What is known of these VMs, given with their hosts: one question a host."""
        for host in dict.fromkeys(vms.values()):
            ours = [vm for vm in vms if vms[vm] == host]
            if self.kept is None:  # without a journal there is no mark, and so nothing that bears it
                yield from (SeenVm(vm, host, "absent") for vm in ours)
                continue
            held = {vm for vm in ours if vm in self.kept.vms and self.kept.vms[vm].is_held}
            try:
                status = self.driver(host).status()
            except DriverError as error:
                yield from (SeenVm(vm, host, "unknown", is_held=vm in held, detail=str(error)) for vm in ours)
                continue
            yield from (_seen(vm, host, status.get(vm), vm in held) for vm in ours)

    def _strays(self) -> dict[str, str]:
        """The VMs that bear the fleet's mark, of all hosts that can be asked."""
        found: dict[str, str] = {}
        for host in self.plans if self.kept is not None else ():
            try:
                found |= dict.fromkeys(self.driver(host).status(), host)
            except DriverError:
                continue  # whoever looks at its VMs is told
        return found


def _seen(vm: str, host: str, status: VmStatus | None, is_held: bool) -> SeenVm:
    if status is None:
        return SeenVm(vm, host, "absent", is_held=is_held)
    return SeenVm(
        vm,
        host,
        status.power.value,
        status.incarnation,
        status.machine_id,
        status.checkpoints,
        is_held,
        status.detail,
    )
