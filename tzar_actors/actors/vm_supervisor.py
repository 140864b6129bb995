"""Owns one VmActor: says how its VM comes back after a failure, and replaces the actor itself when it dies."""

from collections.abc import Iterable
from typing import Any, assert_never

import pykka

from tzar_actors.actors.base import MachineActor
from tzar_actors.actors.board import VmRow
from tzar_actors.actors.messages import (
    SetDesired,
    TimerRang,
    VmActorDied,
    VmHasFailed,
    VmHasSettled,
    VmIsQuarantined,
    VmRecover,
)
from tzar_actors.actors.vm_actor import VmActor
from tzar_actors.actors.wiring import HostWiring, Wiring
from tzar_actors.core.dispatch_events import VmGone
from tzar_actors.core.restart import Failed, Restart
from tzar_actors.core.supervise import (
    Quarantine,
    Recover,
    Rung,
    SuperviseCommand,
    Supervision,
    VmFailed,
    VmSettled,
)
from tzar_actors.core.vm_table import Desired
from tzar_actors.events import catalogue

__all__ = ["VmSupervisor"]


class VmSupervisor(MachineActor[SuperviseCommand]):
    """The supervisor of one VM.

    Args:
        wiring: the supervisor's parts.
        host: the host's part of them.
        vm: the VM's name.
        row: where its state is shown; its incarnation is the journal's last.
        desired: the state to begin with.
    """

    def __init__(self, wiring: Wiring, host: HostWiring, vm: str, row: VmRow, desired: Desired) -> None:
        super().__init__(wiring.loop, wiring.journal)
        self._wiring = wiring
        self._host = host
        self._vm = vm
        self._row = row
        self._desired = desired
        rungs = (Rung.RESTART, Rung.RESTORE, Rung.RECREATE) if host.checkpoint else (Rung.RESTART, Rung.RECREATE)
        self._supervision = Supervision(wiring.intensity, rungs)
        self._actor_deaths = wiring.intensity
        self._generation = 0
        self._actor: pykka.ActorRef[VmActor] | None = None
        self._rung: Rung | None = None

    def on_start(self) -> None:
        """Pykka's hook."""
        self._start_actor()

    def on_failure(self, *error: Any) -> None:
        """Pykka's hook: its VM would be nobody's now. The process ends, and its restart is the way back."""
        raise SystemExit(f"the supervisor of VM {self._vm} failed: {error[1]}")

    def decide(self, message: Any) -> Iterable[SuperviseCommand]:
        """See `MachineActor`."""
        match message:
            case SetDesired(desired):
                self._desired = desired
                self._tell_actor(message)
            case VmHasFailed(_, _, cause):
                return self._step(VmFailed(self.loop.now(), self._wiring.chance.draw(), cause))
            case VmHasSettled():
                return self._step(VmSettled())
            case VmActorDied(generation, error):
                if generation == self._generation:
                    self._actor_died(error)
            case TimerRang("actor"):
                self._start_actor()
            case TimerRang("recover"):
                if self._rung is not None:
                    self._tell_actor(VmRecover(self._rung))
            case _:
                raise TypeError(f"the supervisor of VM {self._vm} cannot handle {message!r}")
        return ()

    def carry_out(self, command: SuperviseCommand) -> None:
        """See `MachineActor`."""
        match command:
            case Recover(rung, after_s):
                self._rung = rung
                self._wiring.log.emit(catalogue.VmRecovering(self._vm, rung.value, after_s))
                self.set_timer("recover", after_s)
            case Quarantine(reason):
                self._row.state, self._row.detail = "quarantined", reason
                self._wiring.log.emit(catalogue.VmQuarantined(self._vm, reason))
                self._desired = Desired.OFF  # also for an actor that takes this one's place
                self._tell_actor(SetDesired(Desired.OFF))
                self._wiring.fleet.tell(VmIsQuarantined(self._vm))
            case _:
                assert_never(command)

    def _step(self, event: VmFailed | VmSettled) -> tuple[SuperviseCommand, ...]:
        self._supervision, commands = self._supervision.step(event)
        return commands

    def _tell_actor(self, message: Any) -> None:
        if self._actor is not None and self._actor.is_alive():
            self._actor.tell(message)

    def _start_actor(self) -> None:
        self._actor = VmActor.start(
            self._wiring, self._host, self._vm, self._row, self.actor_ref, self._generation, self._desired
        )

    def _actor_died(self, error: str) -> None:
        self._wiring.log.emit(catalogue.ActorFailed(f"VmActor {self._vm}", error))
        # Its mail is lost, a result perhaps among it: what it played is played again.
        self._wiring.dispatcher.tell(VmGone(self.loop.now(), self._vm, f"its actor failed: {error}"))
        self._generation += 1
        self._actor_deaths, (decision,) = self._actor_deaths.step(Failed(self.loop.now(), self._wiring.chance.draw()))
        if not isinstance(decision, Restart):
            raise SystemExit(f"the actor of VM {self._vm} failed {len(decision.failures)} times: {error}")
        self.set_timer("actor", decision.after_s)
