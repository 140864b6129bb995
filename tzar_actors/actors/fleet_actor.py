"""The root: makes the VMs' supervisors, asks the hosts, and ends the fleet in good order."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import pykka

from tzar_actors.actors.base import MachineActor
from tzar_actors.actors.board import VmRow
from tzar_actors.actors.host_actor import HostActor
from tzar_actors.actors.host_lanes import HostLanes
from tzar_actors.actors.lane_messages import HostAnswer, HostQuestion
from tzar_actors.actors.messages import (
    AskHost,
    SetDesired,
    Shut,
    TimerRang,
    TrainerCame,
    TrainerLeft,
    TrainerSaid,
    VmBlamed,
    VmCalled,
    VmIsAskedTo,
    VmIsBack,
    VmIsOff,
    VmIsQuarantined,
    VmObserved,
    VmReset,
)
from tzar_actors.actors.vm_supervisor import VmSupervisor
from tzar_actors.actors.wiring import HostWiring, Wiring
from tzar_actors.client.protocol import AskPower, PowerAnswer, Shutdown
from tzar_actors.core.dispatch_events import FleetChanged, TrainerGone
from tzar_actors.core.host import HostAnswered
from tzar_actors.core.records import VmHeldRecord
from tzar_actors.core.vm_table import Desired
from tzar_actors.drivers.base import VmStatus
from tzar_actors.events import catalogue
from tzar_actors.journal.vms import JournalledVm

__all__ = ["FleetActor"]

_ASK_EACH_S: Final = 5.0
_TELL_ALL_EACH: Final = 60  # rounds: news that is none is told as well, should anybody have missed it
_DURATIONS: Final = re.compile(r"\b\d+(\.\d+)? s\b")  # how long somebody waited, or will: no news
_STOP_WITHIN_S: Final = 60.0  # a host out of reach must not keep the supervisor from ending
_GONE: Final = "gone "  # a timer's name goes on with that of the trainer; without one: with all of an earlier start
_LOOK_EACH_S: Final = 0.1  # while it drains: whether all is played


class FleetActor(MachineActor[None]):
    """The root of all actors.

    Args:
        wiring: the supervisor's parts.
    """

    def __init__(self, wiring: Wiring) -> None:
        super().__init__(wiring.loop, wiring.journal)
        self._wiring = wiring
        self._supervisors: dict[str, pykka.ActorRef[VmSupervisor]] = wiring.supervisors
        self._host_of: dict[str, str] = {}
        self._hosts: dict[str, HostWiring] = {host.name: host for host in wiring.hosts}
        self._asked: dict[str, list[str | None]] = {}  # hosts that are being asked, and the VMs that asked since
        self._errors: dict[str, str] = {}  # what each host's last answer failed for, without durations
        self._rounds = 0
        self._told: dict[str, tuple[pykka.ActorRef[Any], VmStatus | None, bool]] = {}
        self._called_at: dict[str, float] = {}  # when a driver call of a VM ended last
        self._last: dict[str, Mapping[str, VmStatus] | None] = {}  # of hosts with nobody who waits to hear it again
        self._fleet: frozenset[str] = frozenset()  # as it is configured
        self._off_by_hand: set[str] = set()  # until a person starts them again
        self._quarantined: set[str] = set()
        self._trainers: set[str] = set()
        self._leaving: set[str] = set()
        self._stopping = False
        self._going_for_good = False

    def on_start(self) -> None:
        """Pykka's hook."""
        journalled = self.journal.vms()
        for host in self._wiring.hosts:
            host.actor = HostActor.start(self._wiring, host)
            host.lanes = HostLanes.start(self._wiring, host, min(host.boots_at_a_time, len(host.vms)))
            host.questions = HostLanes.start(self._wiring, host, None)
            for vm in host.vms:
                known = journalled.get(vm)
                is_held = known is not None and known.is_held
                if is_held:
                    self._off_by_hand.add(vm)
                    self._wiring.log.emit(catalogue.VmHeld(vm))
                self._supervise(host, vm, known, Desired.OFF if is_held else Desired.RUNNING)
        self._fleet = frozenset(self._supervisors)
        for vm, known in journalled.items():
            if vm not in self._fleet and known.machine_id is not None and known.host in self._hosts:
                # The configuration wants fewer VMs than were made: this one has to go.
                self._supervise(self._hosts[known.host], vm, known, Desired.GONE)
                self._leaving.add(vm)
        self._tell_who_plays()
        self.set_timer("ask", _ASK_EACH_S)
        self.set_timer("no trainer", self._wiring.drain_grace_s)
        self.set_timer(_GONE, self._wiring.drain_grace_s)

    def on_failure(self, *error: Any) -> None:
        """Pykka's hook: without the root nothing goes on. The process ends, and its restart is the way back."""
        raise SystemExit(f"the fleet's actor failed: {error[0].__name__}: {error[1]}")

    def decide(self, message: Any) -> Iterable[None]:
        """See `MachineActor`."""
        match message:
            case AskHost(host, vm):
                self._ask(host, vm)
            case HostAnswer():
                self._answered(message)
            case VmCalled(at, vm):
                self._called_at[vm] = at
                self._forget_what_was_told(vm)
            case TimerRang("ask"):
                self._rounds += 1
                if self._rounds % _TELL_ALL_EACH == 0:
                    self._told.clear()
                    self._last.clear()
                for host in self._hosts:
                    self._ask(host)
                self.set_timer("ask", _ASK_EACH_S)
            case TimerRang("no trainer"):
                if not self._trainers and self._wiring.on_trainer_exit == "drain":
                    self._shut(Shut("drain", "the last trainer has gone"), for_good=False)
            case TimerRang(name) if name.startswith(_GONE):
                self._wiring.dispatcher.tell(TrainerGone(self.loop.now(), name.removeprefix(_GONE) or None))
            case TimerRang("give up"):
                self._give_up()
            case TimerRang("look"):
                self._look_whether_drained()
            case TrainerCame(trainer):
                self._came(trainer)
            case TrainerLeft(trainer):
                self._left(trainer)
            case TrainerSaid(trainer, AskPower() as asked):
                self._asked_to(trainer, asked)
            case TrainerSaid(trainer, Shutdown(mode)):
                self._shut(Shut(mode, f"trainer {trainer} asked for it"), for_good=True)
            case Shut():
                self._shut(message, for_good=True)
            case VmBlamed(vm) | VmReset(vm):
                if (supervisor := self._supervisors.get(vm)) is not None:
                    supervisor.tell(message)
            case VmIsQuarantined(vm):
                self._quarantined.add(vm)
                self._tell_who_plays()
            case VmIsBack(vm):
                self._quarantined.discard(vm)
                self._tell_who_plays()
            case VmIsOff(vm):
                self._is_off(vm)
            case _:
                raise TypeError(f"the fleet's actor cannot handle {message!r}")
        return ()

    def carry_out(self, command: None) -> None:
        """See `MachineActor`: there is no machine behind the root, and so no command."""

    def _supervise(self, host: HostWiring, vm: str, known: JournalledVm | None, desired: Desired) -> None:
        row = VmRow(vm, host.name, is_held=vm in self._off_by_hand)
        if known is not None:
            row.incarnation, row.machine_id = known.incarnation, known.machine_id or ""
        if desired is not Desired.GONE:
            self._wiring.board.vms[vm] = row
        if known is not None and known.public_key is not None and known.incarnation:
            self._wiring.gateway.expect(vm, known.incarnation, known.public_key)
        self._host_of[vm] = host.name
        self._supervisors[vm] = VmSupervisor.start(self._wiring, host, vm, row, desired)

    def _tell_who_plays(self) -> None:
        """No game waits for a VM that is in quarantine, or that a person stopped."""
        fleet = self._fleet - self._quarantined - self._off_by_hand
        self._wiring.dispatcher.tell(FleetChanged(self.loop.now(), fleet))

    def _asked_to(self, trainer: str, asked: AskPower) -> None:
        """A person's word on a VM. It is journalled before it is answered: it binds the supervisors to come as well."""
        vm, verb = asked.vm, asked.verb
        desk = self._wiring.gateway.desk
        if self._stopping or vm not in self._fleet:
            what = "the supervisor is ending" if self._stopping else "this fleet's configuration has no such VM"
            desk.tell(trainer, PowerAnswer(asked.request, what))
            return
        self._wiring.log.emit(catalogue.VmAsked(vm, verb))
        is_held = verb == "stop"
        if is_held != (vm in self._off_by_hand):
            self._off_by_hand ^= {vm}
            self._wiring.board.vms[vm].is_held = is_held
            self.keep(VmHeldRecord(vm, self._host_of[vm], is_held))
            self._tell_who_plays()
        self._supervisors[vm].tell(VmIsAskedTo(verb))
        self.loop.hold(lambda: desk.tell(trainer, PowerAnswer(asked.request, "")))

    def _ask(self, host: str, vm: str | None = None) -> None:
        if host in self._asked:
            self._asked[host].append(vm)
            return
        self._asked[host] = []
        if vm is not None:
            self._forget_what_was_told(vm)  # it waits for the answer, be it the same as before
        limit_s = self._wiring.call_limits.limit_s("status")
        self._hosts[host].questions.tell(HostQuestion(self.actor_ref, self.loop.now(), limit_s))

    def _answered(self, answer: HostAnswer) -> None:
        asked_since = self._asked.pop(answer.host)
        error = "" if answer.vms is not None else answer.error
        said = _DURATIONS.sub("", error)
        if error and said != self._errors.get(answer.host):  # a host may be down for days
            self._wiring.log.emit(catalogue.DriverFailed(None, answer.host, "status", error))
        self._errors[answer.host] = said
        if error or self._wiring.board.hosts[answer.host]:  # that a host without a fault still works is no news
            self._hosts[answer.host].actor.tell(HostAnswered(self.loop.now(), error))
        if answer.host not in self._last or self._last[answer.host] != answer.vms:
            self._tell_news(answer)
        for asker in asked_since:
            self._forget_what_was_told(asker)
        if asked_since:
            self._ask(answer.host)

    def _tell_news(self, answer: HostAnswer) -> None:
        """Straight to the actors, past their supervisors, and only what is news: there may be a thousand VMs."""
        host, found, is_known = answer.host, answer.vms or {}, answer.vms is not None
        self._last[host] = answer.vms
        for vm in found:
            if vm not in self._supervisors:
                self._remove_stray(self._hosts[host], vm)
        for vm, home in self._host_of.items():
            if home != host or (actor := self._wiring.vm_actors.get(vm)) is None:
                continue
            news = (actor, found.get(vm), is_known)
            if self._told.get(vm) == news or not actor.is_alive():
                continue
            if answer.asked_at > self._called_at.get(vm, -1.0):
                self._told[vm] = news
            else:  # it does not believe what was asked before its call ended, and is to hear it again
                self._last.pop(host, None)
            actor.tell(VmObserved(answer.asked_at, news[1], is_known))

    def _forget_what_was_told(self, vm: str | None) -> None:
        if vm is not None:
            self._told.pop(vm, None)
            self._last.pop(self._host_of[vm], None)

    def _remove_stray(self, host: HostWiring, vm: str) -> None:
        """It bears our mark, and nobody knows it: it was made just before an earlier supervisor was killed."""
        self._wiring.log.emit(catalogue.VmStray(vm, host.name))
        self._supervise(host, vm, None, Desired.GONE)
        self._leaving.add(vm)

    def _came(self, trainer: str) -> None:
        self._trainers.add(trainer)
        self._wiring.board.trainers = len(self._trainers)
        self.cancel_timer("no trainer")
        self.cancel_timer(_GONE + trainer)
        if self._wiring.board.is_draining and not self._going_for_good and not self._stopping:
            self._wiring.board.is_draining = False
            self.cancel_timer("look")

    def _left(self, trainer: str) -> None:
        self._trainers.discard(trainer)
        self._wiring.board.trainers = len(self._trainers)
        self.set_timer(_GONE + trainer, self._wiring.drain_grace_s)
        if self._trainers:
            return
        if self._wiring.on_trainer_exit == "stop":
            self._shut(Shut("stop", "the last trainer has gone"), for_good=False)
        self.set_timer("no trainer", self._wiring.drain_grace_s)

    def _shut(self, shut: Shut, *, for_good: bool) -> None:
        self._going_for_good = self._going_for_good or for_good
        if self._stopping:
            return
        if not self._wiring.board.is_draining:
            self._wiring.log.emit(catalogue.SupervisorStopping(f"{shut.mode}: {shut.reason}"))
        self._wiring.board.is_draining = True
        if shut.mode == "stop":
            self._stop()
        else:
            self._look_whether_drained()

    def _look_whether_drained(self) -> None:
        if self._wiring.board.evaluations_open == 0:
            self._stop()
        else:
            self.set_timer("look", _LOOK_EACH_S)

    def _stop(self) -> None:
        self._stopping = True
        self._leaving.update(vm for vm in self._supervisors if not self._was_never_there(vm))
        for supervisor in self._supervisors.values():
            supervisor.tell(SetDesired(Desired.OFF))
        for host in self._hosts:
            self._ask(host)
        self.set_timer("give up", _STOP_WITHIN_S)
        if not self._leaving:
            self.loop.stop()

    def _was_never_there(self, vm: str) -> bool:
        """It was never booted, and its host cannot say so: there is nothing to wait for."""
        row, trouble = self._wiring.board.vms.get(vm), self._wiring.board.hosts.get(self._host_of[vm], "")
        return row is not None and row.incarnation == 0 and trouble != ""

    def _give_up(self) -> None:
        left = ", ".join(sorted(self._leaving))
        self._wiring.log.emit(
            catalogue.SupervisorStopping(f"these VMs would not stop and are left as they are: {left}")
        )
        self.loop.stop()

    def _is_off(self, vm: str) -> None:
        self._leaving.discard(vm)
        if self._stopping and not self._leaving:
            self.loop.stop()
