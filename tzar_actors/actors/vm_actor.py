"""One VM: steps its machine, calls its driver, and speaks with its agent."""

from collections.abc import Iterable
from typing import Any, assert_never

import pykka

from tzar_actors.actors.base import MachineActor
from tzar_actors.actors.board import VmRow
from tzar_actors.actors.boots import BootOffice
from tzar_actors.actors.evidence import Heard
from tzar_actors.actors.lane_messages import CallAnswer, DriverCall
from tzar_actors.actors.messages import (
    AgentHello,
    AgentLeft,
    AgentOverdue,
    AgentQuiet,
    AgentResult,
    AskHost,
    BootAdmitted,
    Order,
    SetDesired,
    TimerRang,
    VmActorDied,
    VmBlamed,
    VmCalled,
    VmHasCome,
    VmHasFailed,
    VmHasSettled,
    VmIsOff,
    VmObserved,
    VmRecover,
    VmReset,
)
from tzar_actors.actors.seeing import seen
from tzar_actors.actors.wiring import HostWiring, Wiring
from tzar_actors.core.dispatch_events import Reported, VmAway, VmGone, VmLacks, VmReady, VmSilent
from tzar_actors.core.host import BootAsked, BootRefused, VmCame, VmLeft
from tzar_actors.core.records import VmRecord, VmRemovedRecord
from tzar_actors.core.vm import Vm
from tzar_actors.core.vm_events import (
    AgentCame,
    AgentDisconnected,
    AgentFaulted,
    AgentSilent,
    AskStatus,
    Boot,
    BootWithdrawn,
    Call,
    CallDone,
    CallFailed,
    CallUnanswered,
    CancelTimer,
    DesiredSet,
    RecoverBy,
    ReportAway,
    ReportFailed,
    ReportOff,
    ReportReady,
    ReportSettled,
    ReportSilent,
    ResetAsked,
    SetTimer,
    TimerFired,
    VmCommand,
    VmEvent,
)
from tzar_actors.core.vm_table import AgentPhase, Desired
from tzar_actors.events import catalogue
from tzar_agent.protocol.messages import Play

__all__ = ["VmActor"]


class VmActor(MachineActor[VmCommand]):
    """The actor of one VM. Only it calls the driver for that VM.

    Args:
        wiring: the supervisor's parts.
        host: the host's part of them.
        vm: the VM's name.
        row: where its state is shown.
        heard: keeps what this actor was told last.
        supervisor: who is told of failures.
        generation: how many actors this VM had before.
        desired: the state to begin with.
    """

    def __init__(
        self,
        wiring: Wiring,
        host: HostWiring,
        vm: str,
        row: VmRow,
        heard: Heard,
        supervisor: "pykka.ActorRef[Any]",
        generation: int,
        desired: Desired,
    ) -> None:
        super().__init__(wiring.loop, wiring.journal)
        self._wiring = wiring
        self._host = host
        self._vm = vm
        self._row = row
        self._heard = heard
        self._supervisor = supervisor
        self._generation = generation
        self._machine = Vm(wiring.vm_limits, row.incarnation, row.machine_id)
        self._machine.desired = desired
        self._boots = BootOffice(
            wiring.fleet_id, host.name, host.endpoint, host.orphan_s, wiring.server_key, wiring.chance, wiring.wall
        )
        self._hello: AgentHello | None = None  # kept up to date until the dispatcher is told
        self._orders: dict[str, Play] = {}  # what its agent was ordered and has not reported, in order
        self._has_told_ready = False  # before that only an earlier actor knew what its agent was ordered
        self._booted_at: float | None = None
        self._waiting_boot: Boot | None = None  # for its host to admit it

    def on_start(self) -> None:
        """Pykka's hook: from now on its agent speaks to this actor."""
        self._wiring.vm_actors[self._vm] = self.actor_ref
        is_here = self._wiring.gateway.attach(self._vm, self.actor_ref)
        if self._generation and not is_here:  # it left while nobody was there to say so
            self._wiring.dispatcher.tell(VmSilent(self.loop.now(), self._vm))
        self._ask_host()

    def on_failure(self, *error: Any) -> None:
        """Pykka's hook: this actor is dead. Its supervisor makes another."""
        self.cancel_timers()
        self._supervisor.tell(VmActorDied(self._generation, f"{error[0].__name__}: {error[1]}"))

    def decide(self, message: Any) -> Iterable[VmCommand]:
        """See `MachineActor`."""
        self._note(message)
        match message:
            case AgentResult():
                return self._result(message)
            case Order(play):
                self._order(play)
                return ()
            case CallAnswer():
                return self._call_ended(message) if message.generation == self._generation else ()
            case VmObserved():
                return self._step(seen(message))
            case AgentHello(hello):
                self._hello = message
                return self._step(AgentCame(hello.incarnation))
            case AgentLeft():
                self.log(catalogue.AgentDisconnected(self._vm))
                return self._step(AgentDisconnected())
            case AgentQuiet(seconds):
                self.log(catalogue.AgentSilent(self._vm, seconds))
                return self._step(AgentSilent())
            case AgentOverdue(attempt, seconds):
                return self._step(AgentFaulted(f"attempt {attempt} should have ended {seconds:.0f} s ago"))
            case VmBlamed(_, cause):
                return self._step(AgentFaulted(cause))
            case VmReset(_, reason, by):
                self.log(catalogue.VmReset(self._vm, reason))
                return self._step(ResetAsked(by))
            case BootAdmitted():
                boot, self._waiting_boot = self._waiting_boot, None
                if boot is not None:
                    self._boot(boot)
                return ()
            case SetDesired(desired):
                return self._want(desired)
            case VmRecover(rung):
                return self._step(RecoverBy(rung))
            case TimerRang(name):
                return self._step(TimerFired(name))  # type: ignore[arg-type]  # only the machine's own timers are set
            case _:
                raise TypeError(f"the actor of VM {self._vm} cannot handle {message!r}")

    def carry_out(self, command: VmCommand) -> None:
        """See `MachineActor`."""
        dispatcher, now = self._wiring.dispatcher, self.loop.now()
        match command:
            case Call(verb):
                limit_s = self._wiring.call_limits.limit_s(verb)
                self._host.lanes.tell(DriverCall(self.actor_ref, self._generation, self._vm, verb, limit_s))
            case Boot():
                self._waiting_boot = command
                self._row.detail = "waits for its turn to boot"
                self._host.actor.tell(BootAsked(now, self._vm))
            case AskStatus():
                self._ask_host()
            case SetTimer(name, after_s):
                self.set_timer(name, after_s)
            case CancelTimer(name):
                self.cancel_timer(name)
            case ReportReady(incarnation, adopted):
                self._report_ready(incarnation, adopted)
            case ReportAway():
                self._row.state = "away"
                dispatcher.tell(VmAway(self._vm))
            case ReportSilent():
                self._row.state = "away"
                dispatcher.tell(VmSilent(now, self._vm))
            case ReportFailed(cause):
                played = () if self._row.attempt is None else (self._row.attempt,)
                sent = (*played, *self._orders) if self._has_told_ready else None
                self._show_no_agent("failed", cause)
                self._row.failures += 1
                self.log(catalogue.VmFailed(self._vm, self._machine.incarnation, cause))
                dispatcher.tell(VmGone(now, self._vm, cause, sent=sent))
                self._supervisor.tell(VmHasFailed(self._vm, self._machine.incarnation, cause))
            case ReportSettled():
                self._supervisor.tell(VmHasSettled(self._vm))
            case ReportOff():
                if self._row.state != "quarantined":  # off as well, which is the lesser news
                    self._show_no_agent("off", "")
                dispatcher.tell(VmGone(now, self._vm, "its VM was stopped", commanded=True))
                self._host.actor.tell(VmLeft(now, self._vm))
                self._wiring.fleet.tell(VmIsOff(self._vm))
            case _:
                assert_never(command)

    def log(self, event: "catalogue.Event") -> None:
        """Writes an event."""
        self._wiring.log.emit(event)

    def _note(self, message: Any) -> None:
        match message:
            case TimerRang():
                return
            case AgentResult(_, result):
                message = f"result of {result.attempt}: {result.status} {result.reason[:200]}"
            case Order(play):
                message = f"order {play.attempt}: game {play.game} of {play.evaluation}"
        self._heard.note(self.loop.now(), message)

    def _step(self, event: VmEvent) -> list[VmCommand]:
        return self._machine.step(event)

    def _want(self, desired: Desired) -> list[VmCommand]:
        commands = self._step(DesiredSet(desired))
        if self._waiting_boot is None or desired is Desired.RUNNING:
            return commands
        self._waiting_boot = None
        self._host.actor.tell(VmLeft(self.loop.now(), self._vm))
        self._wiring.fleet.tell(VmCalled(self.loop.now(), self._vm))
        return [*commands, *self._step(BootWithdrawn())]

    def _ask_host(self) -> None:
        self._wiring.fleet.tell(AskHost(self._host.name, self._vm))

    def _order(self, play: Play) -> None:
        if self._machine.phase is AgentPhase.READY and self._wiring.gateway.send(self._vm, play):
            self._orders[play.attempt] = play
            if len(self._orders) == 1:
                self._row.show_playing(play.attempt, play.evaluation, play.game)
            return
        # It crossed the news that nobody is here to play it.
        self._wiring.dispatcher.tell(VmAway(self._vm))
        cause = "it was not sent: the agent of its VM had just gone"
        self._wiring.dispatcher.tell(VmLacks(self.loop.now(), self._vm, (play.attempt,), cause))

    def _result(self, message: AgentResult) -> Iterable[VmCommand]:
        result = message.result
        was_first = self._row.attempt == result.attempt
        # A fault kept from an earlier incarnation was answered by its reset, and must not cost another one.
        has_fault = result.status == "agent_fault" and (was_first or result.attempt in self._orders)
        self._orders.pop(result.attempt, None)
        if was_first and (following := next(iter(self._orders.values()), None)) is not None:
            self._row.show_playing(following.attempt, following.evaluation, following.game)
        elif was_first:
            self._show_idle()
        if self._hello is not None:
            self._hello = self._hello.after(result.attempt)
        self._row.games_played += result.status != "cancelled"
        if has_fault:  # said first, or the dispatcher would give it the next game, only to lose that as well
            self._wiring.dispatcher.tell(VmAway(self._vm))
        self._wiring.dispatcher.tell(Reported(self.loop.now(), self._vm, message.incarnation, result))
        if has_fault:
            return self._step(AgentFaulted(f"its agent could not play: {result.reason}"))
        return ()

    def _report_ready(self, incarnation: int, adopted: bool) -> None:
        hello, self._hello = self._hello.hello if self._hello else None, None
        playing, kept, room = (hello.playing, hello.kept, hello.room) if hello else (None, (), 1)
        pid = hello.pid if hello else 0
        self._has_told_ready = True
        self._row.pid = pid
        self._show_idle()
        if playing is not None:
            self._row.show_playing(playing.attempt, playing.evaluation, playing.game)
            # Ordered on an earlier connection, or by an earlier supervisor: nobody else knows that it must end.
            self._wiring.gateway.watch(self._vm, playing, self._wiring.time_limit_s)
        seconds = self.loop.now() - self._booted_at if self._booted_at is not None else 0.0
        self.log(catalogue.VmReady(self._vm, incarnation, pid, seconds, adopted))
        self._wiring.dispatcher.tell(VmReady(self.loop.now(), self._vm, incarnation, playing, kept, room))
        self._host.actor.tell(VmCame(self.loop.now(), self._vm))
        self._supervisor.tell(VmHasCome(self._vm))

    def _boot(self, boot: Boot) -> None:
        self._row.incarnation, self._row.machine_id = boot.incarnation, boot.machine_id
        self._show_no_agent("booting", "")
        record, identity = self._boots.issue(self._vm, boot.incarnation, boot.machine_id)
        self.journal.append(record)
        self.loop.mark_dirty()
        verb, limit_s = boot.verb, self._wiring.call_limits.limit_s(boot.verb)
        checkpoint = self._host.checkpoint
        call = DriverCall(self.actor_ref, self._generation, self._vm, verb, limit_s, identity, checkpoint)

        def release() -> None:
            self._wiring.gateway.expect(self._vm, boot.incarnation, record.public_key)
            self._booted_at = self.loop.now()
            self._host.lanes.tell(call)

        self.loop.hold(release)

    def _call_ended(self, answer: CallAnswer) -> Iterable[VmCommand]:
        now = self.loop.now()
        self._wiring.fleet.tell(VmCalled(now, self._vm))
        if answer.error is not None:
            self.log(catalogue.DriverFailed(self._vm, self._host.name, answer.verb, answer.error))
            draw = self._wiring.chance.draw()
            if answer.is_unanswered:
                return self._step(CallUnanswered(now, answer.error, draw))
            if answer.refused:
                self._row.detail = f"{answer.verb}: {answer.error}"
                if answer.verb in ("start", "restore"):
                    self._host.actor.tell(BootRefused(now, self._vm))
            return self._step(CallFailed(now, answer.error, answer.refused, draw))
        match answer.verb:
            case "create":
                machine_id = answer.machine_id or ""
                self.journal.append(VmRecord(self._vm, self._host.name, machine_id))
                self.loop.mark_dirty()
                self.log(catalogue.VmCreated(self._vm, self._host.name, machine_id))
            case "start" | "restore":
                self.log(catalogue.VmStarted(self._vm, self._host.name, self._machine.incarnation, answer.seconds))
            case "stop" | "kill":
                self.log(catalogue.VmStopped(self._vm))
            case "remove":
                self.journal.append(VmRemovedRecord(self._vm))
                self.loop.mark_dirty()
                self.log(catalogue.VmRemoved(self._vm))
            case _:
                assert_never(answer.verb)
        return self._step(CallDone(now, answer.machine_id or ""))

    def _show_idle(self) -> None:
        self._orders.clear()
        self._row.show_idle()

    def _show_no_agent(self, state: str, detail: str) -> None:
        self._orders.clear()
        self._row.show_no_agent(state, detail)
