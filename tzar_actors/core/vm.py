"""One VM: its power, its incarnations and its agent, from what was observed to the next driver call.

The machine asks for one driver call at a time. What is to be done stands in `vm_table.NEXT`; how a VM comes back after
a failure is its supervisor's word (`RecoverBy`).
"""

from typing import Final, Literal, assert_never

from tzar_actors.core.supervise import Rung
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
    Seen,
    SetTimer,
    TimerFired,
    TimerName,
    Verb,
    VmCommand,
    VmEvent,
)
from tzar_actors.core.vm_limits import VmLimits
from tzar_actors.core.vm_table import NEXT, Action, AgentPhase, Desired, Observed

__all__ = ["Vm"]

_FIRST_RECHECK_S: Final = 0.01  # a socket closes a little before its process is gone
_LONGEST_RECHECK_S: Final = 2.0
_FIRST_RETRY_S: Final = 1.0
_LONGEST_RETRY_S: Final = 60.0


class Vm:
    """The machine of one VM.

    Args:
        limits: how long things may take.
        incarnation: the last one that the journal knows; 0: none.
        machine_id: of the VM that was booted as that incarnation.
    """

    def __init__(self, limits: VmLimits, incarnation: int = 0, machine_id: str = "") -> None:
        self.limits = limits
        self.incarnation = incarnation
        self.machine_id = self._seen_id = machine_id
        self.desired = Desired.RUNNING
        self.observed = Observed.UNKNOWN
        self.phase = AgentPhase.UNSEEN
        self.call: Verb | None = None
        self._call_ended = float("-inf")
        self._hello = False
        self._adopting = False
        self._away = False
        self._rung: Rung | None = None
        self._asked: Rung | None = None  # by a person, who does not have to ask again when something else comes first
        self._recheck_s = _FIRST_RECHECK_S
        self._retry_s = _FIRST_RETRY_S
        self._backing_off = False
        self._off_was_told = False

    def step(self, event: VmEvent) -> list[VmCommand]:
        """What to do about `event`."""
        match event:
            case DesiredSet(desired):
                self.desired = desired
                self._off_was_told = False
                # Also where its host cannot be asked now: the dispatcher has taken its games away already.
                return [*([] if desired is Desired.RUNNING else self._leave()), *self._next()]
            case Seen():
                return self._seen(event)
            case CallDone(at, machine_id):
                return self._call_done(at, machine_id)
            case CallFailed():
                return self._call_failed(event)
            case CallUnanswered():
                return self._call_unanswered(event)
            case BootWithdrawn():
                self.call, self.observed = None, Observed.OFF
                return self._next()
            case AgentCame(incarnation):
                return self._agent_came(incarnation)
            case AgentDisconnected():
                return self._disconnected()
            case AgentSilent():
                return self._silent("no word from its agent")
            case AgentFaulted(cause):
                return self._fail(cause) if self.phase is AgentPhase.READY else []
            case ResetAsked(rung):
                return self._reset(rung)
            case RecoverBy(rung):
                if self.phase is not AgentPhase.FAILED:
                    return []
                self._rung = rung
                self.phase = AgentPhase.NONE
                return self._next()
            case TimerFired(name):
                return self._timer(name)
            case _:
                assert_never(event)

    def _next(self) -> list[VmCommand]:
        if self.call is not None or self._backing_off:
            return []
        action = NEXT[self.desired, self.observed, self.phase]
        match action:
            case Action.NOTHING:
                return self._tell_off()
            case Action.CREATE:
                return self._begin("create")
            case Action.START:
                return self._boot()
            case Action.STOP | Action.KILL:
                return [*self._leave(), *self._begin("stop" if action is Action.STOP else "kill")]
            case Action.REMOVE:
                return self._begin("remove")
            case Action.ADOPT:
                self._adopting = True
                if self._hello:
                    return self._ready()
                self.phase = AgentPhase.BOOTING
                return [SetTimer("boot", self.limits.reconnect_grace_s)]
            case Action.FORGET:
                self.phase = AgentPhase.NONE
                return [*self._silence_timers(), *self._next()]
            case Action.FAIL:
                return self._fail(f"its driver says {self.observed}")
            case _:
                assert_never(action)

    def _tell_off(self) -> list[VmCommand]:
        goal = (Observed.ABSENT,) if self.desired is Desired.GONE else (Observed.ABSENT, Observed.OFF)
        if self.desired is Desired.RUNNING or self.observed not in goal or self._off_was_told:
            return []
        self._off_was_told = True
        return [ReportOff()]

    def _reset(self, by: Rung | None) -> list[VmCommand]:
        if by is not None:
            self._asked = self._asked if by is Rung.RESTART else by
            if self.phase in (AgentPhase.UNSEEN, AgentPhase.FAILED):
                self.phase = AgentPhase.NONE
        return [*self._leave(), *self._next()] if self.desired is Desired.RUNNING else []

    def _boot(self) -> list[VmCommand]:
        rung = self._asked or self._rung
        if rung is Rung.RECREATE:
            return self._begin("remove")
        verb: Literal["start", "restore"] = "restore" if rung is Rung.RESTORE else "start"
        self._hello = self._adopting = False
        self.incarnation += 1
        self.machine_id, self.call = self._seen_id, verb
        self.phase = AgentPhase.NONE
        return [Boot(verb, self.incarnation, self.machine_id)]

    def _begin(self, verb: Verb) -> list[VmCommand]:
        self.call = verb
        self._off_was_told = False
        return [Call(verb)]

    def _seen(self, event: Seen) -> list[VmCommand]:
        if self.call is not None or event.asked_at <= self._call_ended:
            return []
        observed = Observed(event.power)
        is_ours = (event.incarnation, event.machine_id) == (self.incarnation, self.machine_id)
        if observed is Observed.RUNNING and not (is_ours and event.incarnation):
            observed = Observed.STALE
        self._seen_id = event.machine_id or self._seen_id
        self.observed = observed
        return self._next()

    def _call_done(self, at: float, machine_id: str) -> list[VmCommand]:
        verb, self.call = self.call, None
        if verb is None:
            return []
        self._call_ended = at
        self._retry_s = _FIRST_RETRY_S
        match verb:
            case "start" | "restore":
                self.observed, self.phase, self._rung = Observed.RUNNING, AgentPhase.BOOTING, None
                if verb == "restore":
                    self._asked = None
                elif self._asked is not None:  # while it booted
                    return [*self._leave(), *self._next()]
                if self._hello and self.desired is Desired.RUNNING:
                    return self._ready()
                return [SetTimer("boot", self.limits.boot_timeout_s), *self._next()]
            case "create":
                self.observed, self._rung, self._asked = Observed.OFF, None, None
                self._seen_id = machine_id
                return self._next()
            case "remove":
                self.observed = Observed.ABSENT
                return self._next()
            case "stop" | "kill":
                self.observed = Observed.OFF
                was_leaving = self.phase is AgentPhase.LEAVING
                if was_leaving or self.phase is AgentPhase.UNSEEN:
                    self.phase = AgentPhase.NONE
                done: list[VmCommand] = [CancelTimer("silence")] if was_leaving else []
                return [*done, *self._next()]
            case _:
                assert_never(verb)

    def _call_failed(self, event: CallFailed) -> list[VmCommand]:
        verb, self.call = self.call, None
        if verb is None:
            return []
        self._call_ended = event.at
        self.observed = Observed.UNKNOWN
        if verb == "restore" and not event.refused:
            self._asked = None  # what there is to be restored cannot be: the ladder knows the way on
        if verb == "stop" and not event.refused:
            self.observed, self.phase = Observed.RUNNING, AgentPhase.NONE  # it was asked: now it is turned off
            return [*self._silence_timers(), *self._next()]
        if event.refused or verb in ("kill", "remove", "stop"):
            return self._back_off(event.jitter)
        return [*self._fail(f"{verb}: {event.reason}"), AskStatus()]

    def _call_unanswered(self, event: CallUnanswered) -> list[VmCommand]:
        verb, self.call = self.call, None
        if verb is None:
            return []
        self._call_ended, self.observed = event.at, Observed.UNKNOWN
        if verb in ("create", "start", "restore"):
            return [*self._fail(f"{verb}: {event.reason}"), AskStatus()]
        if verb != "stop":
            return self._back_off(event.jitter)
        self.phase = AgentPhase.NONE  # it was asked: if it still runs when that is known, it is turned off
        return [*self._silence_timers(), *self._back_off(event.jitter)]

    def _back_off(self, jitter: float) -> list[VmCommand]:
        delay, self._retry_s = self._retry_s, min(_LONGEST_RETRY_S, self._retry_s * 2)
        self._backing_off = True
        return [SetTimer("retry", delay * (0.5 + jitter / 2))]

    def _agent_came(self, incarnation: int) -> list[VmCommand]:
        if incarnation != self.incarnation:
            return []
        if self.call in ("start", "restore") or self.phase is AgentPhase.UNSEEN:
            self._hello = True  # believed when the driver has said its part
            return []
        return self._ready() if self.phase in (AgentPhase.BOOTING, AgentPhase.READY) else []

    def _ready(self) -> list[VmCommand]:
        first = self.phase is not AgentPhase.READY
        self.phase = AgentPhase.READY
        self._hello = self._away = False
        adopted, self._adopting = self._adopting, False
        settle: list[VmCommand] = [SetTimer("settle", self.limits.settle_s)] if first else []
        return [CancelTimer("boot"), *self._silence_timers(), *settle, ReportReady(self.incarnation, adopted)]

    def _disconnected(self) -> list[VmCommand]:
        self._hello = False
        if self.phase is not AgentPhase.READY:
            return []
        if self._away:
            return [AskStatus()]
        self._away = True
        self._recheck_s = _FIRST_RECHECK_S
        return [
            ReportAway(),
            AskStatus(),
            SetTimer("recheck", self._recheck_s),
            SetTimer("silence", self.limits.silence_s),
            SetTimer("grace", self.limits.reconnect_grace_s),
        ]

    def _leave(self) -> list[VmCommand]:
        """Its agent is given up without blame; its game is given to another VM if going off takes long."""
        was_ready, was_away = self.phase is AgentPhase.READY, self._away
        if not was_ready and self.phase is not AgentPhase.BOOTING:
            return []
        self.phase = AgentPhase.LEAVING
        commands = self._end_session()
        if was_ready:
            commands += [*([] if was_away else [ReportAway()]), SetTimer("silence", self.limits.silence_s)]
        return commands

    def _silent(self, cause: str) -> list[VmCommand]:
        self._hello = False  # its connection is given up: whoever waits for the driver must not believe it later
        if self.phase is not AgentPhase.READY:
            return []
        grace: list[VmCommand] = [] if self._away else [SetTimer("grace", self.limits.reconnect_grace_s), AskStatus()]
        self._away = True
        return [ReportSilent(cause), *grace]

    def _timer(self, name: TimerName) -> list[VmCommand]:
        match name:
            case "boot":
                if self.phase is not AgentPhase.BOOTING:
                    return []
                return self._fail("its agent did not come back" if self._adopting else "its agent did not say hello")
            case "silence":
                if self.phase is AgentPhase.LEAVING:
                    return [ReportSilent("it is to go off")]
                return self._silent("its connection broke") if self._away else []
            case "grace":
                return self._fail("its agent did not come back in time") if self._away else []
            case "settle":
                return [ReportSettled()] if self.phase is AgentPhase.READY else []
            case "recheck":
                if not self._away:
                    return []
                self._recheck_s = min(_LONGEST_RECHECK_S, self._recheck_s * 2)
                return [AskStatus(), SetTimer("recheck", self._recheck_s)]
            case "retry":
                self._backing_off = False
                return [AskStatus()]
            case _:
                assert_never(name)

    def _fail(self, cause: str) -> list[VmCommand]:
        if self.desired is not Desired.RUNNING:
            return self._leave()
        if self.phase is AgentPhase.FAILED:
            return []
        self.phase = AgentPhase.FAILED
        return [*self._end_session(), ReportFailed(cause)]

    def _end_session(self) -> list[VmCommand]:
        self._away = self._adopting = self._hello = False
        return [CancelTimer("boot"), CancelTimer("settle"), *self._silence_timers()]

    def _silence_timers(self) -> list[VmCommand]:
        return [CancelTimer("silence"), CancelTimer("grace"), CancelTimer("recheck")]
