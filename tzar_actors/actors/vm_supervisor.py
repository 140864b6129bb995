"""Owns one VmActor: says how its VM comes back after a failure, and replaces the actor itself when it dies."""

from collections.abc import Iterable
from typing import Any, assert_never

import pykka

from tzar_actors.actors.base import MachineActor
from tzar_actors.actors.board import VmRow
from tzar_actors.actors.evidence import EvidenceAnswer, EvidenceCall, Heard
from tzar_actors.actors.messages import (
    FailureJudged,
    HostTrouble,
    SetDesired,
    TimerRang,
    VmActorDied,
    VmBlamed,
    VmHasCome,
    VmHasFailed,
    VmHasSettled,
    VmIsAskedTo,
    VmIsBack,
    VmIsQuarantined,
    VmRecover,
    VmReset,
)
from tzar_actors.actors.vm_actor import VmActor
from tzar_actors.actors.wiring import HostWiring, Wiring
from tzar_actors.client.protocol import PowerVerb
from tzar_actors.core.dispatch_events import VmAway
from tzar_actors.core.host import VmFell, VmLeft
from tzar_actors.core.restart import Failed, Restart
from tzar_actors.core.supervise import (
    HostFailed,
    Quarantine,
    Recover,
    Rung,
    SuperviseCommand,
    SuperviseEvent,
    Supervision,
    VmCame,
    VmExcused,
    VmFailed,
    VmReleased,
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
        self._wanted = desired  # by the fleet; in quarantine the VM is off nevertheless
        self._desired = desired
        rungs = (Rung.RESTART, Rung.RESTORE, Rung.RECREATE) if host.checkpoint else (Rung.RESTART, Rung.RECREATE)
        self._clean_rung = Rung.RESTORE if host.checkpoint else Rung.RECREATE
        self._supervision = Supervision(wiring.intensity, rungs, wiring.probation_s)
        self._actor_deaths = wiring.intensity
        self._generation = 0
        self._actor: pykka.ActorRef[VmActor] | None = None
        self._rung: Rung | None = None
        self._word: VmReset | None = None  # a person's, which an actor that dies may leave undone
        self._word_is_for = 0  # the first incarnation that may show that it is done
        self._heard = Heard()
        self._place = ""  # of the evidence of the last quarantine

    def on_start(self) -> None:
        """Pykka's hook."""
        self._start_actor()

    def on_failure(self, *error: Any) -> None:
        """Pykka's hook: its VM would be nobody's now. The process ends, and its restart is the way back."""
        raise SystemExit(f"the supervisor of VM {self._vm} failed: {error[1]}")

    def decide(self, message: Any) -> Iterable[SuperviseCommand]:
        """See `MachineActor`."""
        match message:
            case VmBlamed() | VmReset():
                self._tell_actor(message)
            case SetDesired(desired):
                self._want(desired)
            case VmIsAskedTo(verb):
                return self._asked_to(verb)
            case VmHasFailed(_, _, cause):
                self._host.actor.tell(VmFell(self.loop.now(), self._vm, cause))  # who knows whether others fail as well
            case FailureJudged(cause, False):
                return self._step(VmFailed(self.loop.now(), self._wiring.chance.draw(), cause))
            case FailureJudged(_, True, needs_more):
                return self._step(VmExcused(self._wiring.chance.draw(), needs_more))
            case HostTrouble(since):
                return self._step(HostFailed(since))
            case EvidenceAnswer(files, lacks):
                self._wiring.log.emit(catalogue.VmEvidence(self._vm, self._place, files, lacks))
            case VmHasCome():
                if self._row.incarnation >= self._word_is_for:
                    self._word = None
                if self._supervision.quarantines:
                    self._wiring.fleet.tell(VmIsBack(self._vm))
                return self._step(VmCame())
            case VmHasSettled():
                return self._step(VmSettled())
            case VmActorDied(generation, error):
                if generation == self._generation:
                    self._actor_died(error)
            case TimerRang("probation"):
                return self._release()
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
            case Quarantine(reason, for_s, evidence):
                self._row.state, self._row.detail = "quarantined", reason
                self._gather(reason, evidence)  # before it is turned off
                causes = "; ".join(evidence)
                self._wiring.log.emit(catalogue.VmQuarantined(self._vm, reason, for_s, causes, self._place))
                self.set_timer("probation", for_s)
                self._desired = Desired.OFF  # also for an actor that takes this one's place
                self._tell_actor(SetDesired(Desired.OFF))
                self._wiring.fleet.tell(VmIsQuarantined(self._vm))
            case _:
                assert_never(command)

    def _gather(self, reason: str, causes: tuple[str, ...]) -> None:
        """Has a lane keep what shows how the VM is: of one VM the lanes do one call after the other."""
        wiring, now = self._wiring, self.loop.now()
        self._place = ""
        if wiring.evidence is None or wiring.shortage(needs_spool=False) is not None:
            return
        wall = wiring.wall()
        place = wiring.evidence.place(self._vm, self._row.incarnation, wall)
        texts = {
            "reason.txt": "\n".join([reason, "", "Its failures before, oldest first:", *causes, ""]),
            "messages.txt": "\n".join([*self._heard.lines(now, wall), ""]),
        }
        self._place = str(place)
        limit_s = wiring.call_limits.limit_s("evidence")
        self._host.lanes.tell(EvidenceCall(self.actor_ref, self._vm, limit_s, wiring.evidence, place, texts))

    def _want(self, desired: Desired) -> None:
        self._wanted = self._desired = desired
        self._tell_actor(SetDesired(desired))

    def _asked_to(self, verb: PowerVerb) -> tuple[SuperviseCommand, ...]:
        """A person's word: it counts as no failure, and waits for no delay."""
        if verb == "stop":
            self._want(Desired.OFF)
            return ()
        if verb == "reset" or (verb == "restart" and not self._supervision.in_quarantine):
            by = Rung.RESTART if verb == "restart" else self._clean_rung
            self._word = VmReset(self._vm, f"a person asked for a {verb}", by)
            # A boot that is under way is a restart as well; a reset it is not.
            self._word_is_for = self._row.incarnation + (verb == "reset" or self._row.state != "booting")
            self._tell_actor(self._word)
        if self._supervision.in_quarantine:
            self.cancel_timer("probation")
            self._wanted = Desired.RUNNING
            return self._release()
        if self._wanted is not Desired.RUNNING:
            self._want(Desired.RUNNING)
        return ()

    def _release(self) -> tuple[SuperviseCommand, ...]:
        """Its time in quarantine is over, unless the fleet wants it off anyway."""
        if self._wanted is not Desired.RUNNING:
            return ()
        self._row.state = "off"  # of which its actor may write again what is so
        self._desired = Desired.RUNNING
        self._wiring.log.emit(catalogue.VmReleased(self._vm))
        self._tell_actor(SetDesired(Desired.RUNNING))
        return self._step(VmReleased())

    def _step(self, event: SuperviseEvent) -> tuple[SuperviseCommand, ...]:
        self._supervision, commands = self._supervision.step(event)
        return commands

    def _tell_actor(self, message: Any) -> None:
        if self._actor is not None and self._actor.is_alive():
            self._actor.tell(message)

    def _start_actor(self) -> None:
        self._actor = VmActor.start(
            self._wiring, self._host, self._vm, self._row, self._heard, self.actor_ref, self._generation, self._desired
        )
        if self._word is not None:
            self._tell_actor(self._word)

    def _actor_died(self, error: str) -> None:
        self._wiring.log.emit(catalogue.ActorFailed(f"VmActor {self._vm}", error))
        # Its mail is lost, a result perhaps among it. Its successor learns of its agent what is played there still.
        self._wiring.dispatcher.tell(VmAway(self._vm))
        self._host.actor.tell(VmLeft(self.loop.now(), self._vm))  # whatever it waited for
        self._generation += 1
        self._actor_deaths, (decision,) = self._actor_deaths.step(Failed(self.loop.now(), self._wiring.chance.draw()))
        if not isinstance(decision, Restart):
            raise SystemExit(f"the actor of VM {self._vm} failed {len(decision.failures)} times: {error}")
        self.set_timer("actor", decision.after_s)
