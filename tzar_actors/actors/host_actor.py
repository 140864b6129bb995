"""One host: steps its machine, and tells the VMs' actors and supervisors what it decided."""

from collections.abc import Iterable
from typing import Any, assert_never

from tzar_actors.actors.base import MachineActor
from tzar_actors.actors.messages import AskHost, BootAdmitted, FailureJudged, HostTrouble, TimerRang
from tzar_actors.actors.wiring import HostWiring, Wiring
from tzar_actors.core import host as core
from tzar_actors.core.dispatch_events import HostBack, HostFell
from tzar_actors.events import catalogue

__all__ = ["HostActor"]


class HostActor(MachineActor[core.HostCommand]):
    """The actor around `core.host.Host`.

    Args:
        wiring: the supervisor's parts.
        host: the host's part of them.
    """

    def __init__(self, wiring: Wiring, host: HostWiring) -> None:
        super().__init__(wiring.loop, wiring.journal)
        self._wiring = wiring
        self._host = host
        self._machine = core.Host(len(host.vms), host.boots_at_a_time, wiring.burst_s)
        wiring.board.hosts[host.name] = ""

    def on_failure(self, *error: Any) -> None:
        """Pykka's hook: no VM of the host would boot any more. The process ends, and its restart is the way back."""
        raise SystemExit(f"the actor of host {self._host.name} failed: {error[1]}")

    def decide(self, message: Any) -> Iterable[core.HostCommand]:
        """See `MachineActor`."""
        match message:
            case TimerRang(name):
                return self._machine.step(core.HostTimerFired(self.loop.now(), name))  # type: ignore[arg-type]  # only the machine's own timers are set
            case (
                core.HostAnswered()
                | core.CallsStuck()
                | core.BootAsked()
                | core.BootRefused()
                | core.VmCame()
                | core.VmFell()
                | core.VmLeft()
            ):
                return self._machine.step(message)
            case _:
                raise TypeError(f"the actor of host {self._host.name} cannot handle {message!r}")

    def carry_out(self, command: core.HostCommand) -> None:
        """See `MachineActor`."""
        wiring, name = self._wiring, self._host.name
        match command:
            case core.Admit(vm):
                actor = wiring.vm_actors.get(vm)
                if actor is not None and actor.is_alive():  # else its supervisor says that it does not boot
                    actor.tell(BootAdmitted())
            case core.CountFailure(vm, cause):
                self._tell_supervisor(vm, FailureJudged(cause, is_excused=False))
            case core.ExcuseFailure(vm, cause, needs_more):
                self._tell_supervisor(vm, FailureJudged(cause, is_excused=True, needs_more=needs_more))
            case core.OpenBreaker(reason, since):
                wiring.board.hosts[name] = reason
                wiring.log.emit(catalogue.HostDown(name, reason))
                wiring.dispatcher.tell(HostFell(frozenset(self._host.vms), since))
                for vm in self._host.vms:
                    self._tell_supervisor(vm, HostTrouble(since))
            case core.CloseBreaker(down_s):
                wiring.board.hosts[name] = ""
                wiring.log.emit(catalogue.HostUp(name, down_s))
                wiring.dispatcher.tell(HostBack(frozenset(self._host.vms)))
            case core.AskHost():
                wiring.fleet.tell(AskHost(name))
            case core.SetHostTimer(timer, after_s):
                self.set_timer(timer, after_s)
            case _:
                assert_never(command)

    def _tell_supervisor(self, vm: str, message: FailureJudged | HostTrouble) -> None:
        supervisor = self._wiring.supervisors.get(vm)
        if supervisor is not None and supervisor.is_alive():
            supervisor.tell(message)
