"""The laws of one VM and its supervision, whatever its driver, its host and its agent do."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tzar_actors.core.restart import RestartIntensity
from tzar_actors.core.supervise import Quarantine, Recover, Rung, Supervision, VmFailed, VmReleased, VmSettled
from tzar_actors.core.vm import Vm, VmLimits
from tzar_actors.core.vm_events import (
    AgentCame,
    AgentDisconnected,
    AgentFaulted,
    AgentSilent,
    Boot,
    BootWithdrawn,
    Call,
    CallDone,
    CallFailed,
    CancelTimer,
    DesiredSet,
    RecoverBy,
    ReportFailed,
    ReportOff,
    ReportReady,
    ReportSettled,
    ResetAsked,
    Seen,
    SetTimer,
    TimerFired,
)
from tzar_actors.core.vm_table import AgentPhase, Desired

LIMITS = VmLimits(boot_timeout_s=60.0, silence_s=6.0, reconnect_grace_s=20.0, settle_s=600.0)
RUNGS = (Rung.RESTART, Rung.RESTORE, Rung.RECREATE)


class VmLaws(RuleBasedStateMachine):
    """`power` and `runs_as` are what is so; the machine knows only what it was told."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.vm = Vm(LIMITS)
        self.supervision = Supervision(RestartIntensity(limit=1, window_s=50.0), RUNGS)
        self.power, self.runs_as = "absent", 0
        self.connected_as = None
        self.call = None
        self.took_effect = False
        self.incarnations = [0]
        self.timers = set()
        self.words = []  # of its supervisor, on their way
        self.answers = []  # of its host, on their way
        self.failed_without_a_word = False
        self.told_off = False

    def step(self, event):
        self.now += 1.0
        self.told_off = False
        for command in self.vm.step(event):
            self.apply(command)

    def apply(self, command):
        match command:
            case Call(verb):
                self.begin(command)
                if verb == "create":
                    assert self.power == "absent"
                if verb == "remove":
                    assert self.power == "off", "only what is off is removed"
            case Boot(_, incarnation):
                self.begin(command)
                assert self.power == "off", "what runs is never booted a second time"
                assert incarnation > self.incarnations[-1], "incarnations only grow"
                self.incarnations.append(incarnation)
            case SetTimer(name, after_s):
                assert after_s > 0
                self.timers.add(name)
            case CancelTimer(name):
                self.timers.discard(name)
            case ReportReady(incarnation):
                assert incarnation == self.incarnations[-1]
            case ReportFailed():
                assert self.vm.desired is Desired.RUNNING, "a commanded stop is never a failure"
                assert not self.failed_without_a_word, "a failure is told once"
                self.failed_without_a_word = True
                self.supervise(VmFailed(self.now, 0.5, command.cause))
            case ReportSettled():
                assert self.vm.phase is AgentPhase.READY
                self.supervise(VmSettled())
            case ReportOff():
                assert self.vm.desired is not Desired.RUNNING
                assert self.power in ("absent", "off")
                assert self.vm.desired is Desired.OFF or self.power == "absent"
                self.told_off = True

    def begin(self, call):
        assert self.call is None, "one driver call at a time"
        self.call, self.took_effect = call, False

    def supervise(self, event):
        self.supervision, commands = self.supervision.step(event)
        for command in commands:
            match command:
                case Recover(rung):
                    self.words.append(rung)
                case Quarantine(reason):
                    tried = "failures within 50 s after restart, restore, recreate"
                    assert tried in reason or reason.startswith("again after its trial")

    def take_effect(self):
        self.took_effect = True
        match self.call:
            case Boot(_, incarnation):
                if self.power == "off":
                    self.power, self.runs_as = "running", incarnation
            case Call("create"):
                self.power = "off"
            case Call("remove"):
                self.power = "absent"
            case Call():
                self.power, self.runs_as = "off", 0

    def truth(self):
        return self.power, self.runs_as if self.power == "running" else 0

    @rule()
    def all_goes_well_until_it_is_ready(self):
        self.step(DesiredSet(Desired.RUNNING))
        self.obey_until(lambda: self.vm.phase is AgentPhase.READY)

    # --- the driver and the host

    @precondition(lambda self: self.call and not self.took_effect)
    @rule()
    def the_call_takes_effect(self):
        self.take_effect()

    @precondition(lambda self: self.call)
    @rule()
    def the_call_ends_well(self):
        if not self.took_effect:
            self.take_effect()
        self.call = None
        self.step(CallDone(self.now))

    @precondition(lambda self: self.call)
    @rule(refused=st.booleans())
    def the_call_fails(self, refused):
        self.call = None
        self.step(CallFailed(self.now, "it did not work", refused))

    @precondition(lambda self: isinstance(self.call, Boot) and not self.took_effect)
    @rule()
    def the_boot_is_withdrawn(self):
        """As its actor does when something else is wanted before the host admitted it."""
        self.step(DesiredSet(Desired.OFF))
        self.call = None
        self.step(BootWithdrawn())

    @rule()
    def the_host_is_asked(self):
        """The answer may take its time."""
        self.answers.append((self.now, *self.truth()))
        self.now += 1.0

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def the_host_answers(self, data):
        asked_at, power, runs_as = self.answers.pop(data.draw(st.integers(0, len(self.answers) - 1)))
        self.answers = [answer for answer in self.answers if answer[0] > asked_at]  # they do not overtake each other
        self.step(Seen(power, runs_as, asked_at))

    @rule(power=st.sampled_from(["unknown", "changing"]))
    def the_host_knows_little(self, power):
        self.answers.clear()
        self.step(Seen(power, 0, self.now))

    @precondition(lambda self: self.power == "running")
    @rule()
    def the_vm_goes_off_by_itself(self):
        self.power, self.runs_as = "off", 0

    @precondition(lambda self: self.power == "running" and not isinstance(self.call, Boot))
    @rule()
    def the_vm_reboots_by_itself_and_parks(self):
        self.runs_as = 0

    # --- the agent

    @precondition(lambda self: self.power == "running" and self.runs_as)
    @rule()
    def the_agent_says_hello(self):
        self.connected_as = self.runs_as
        self.step(AgentCame(self.runs_as))

    @rule(incarnation=st.integers(0, 2))
    def an_agent_of_before_says_hello(self, incarnation):
        if incarnation < self.incarnations[-1]:
            self.step(AgentCame(incarnation))

    @precondition(lambda self: self.connected_as)
    @rule()
    def the_connection_breaks(self):
        self.connected_as = None
        self.step(AgentDisconnected())

    @precondition(lambda self: self.connected_as)
    @rule(event=st.sampled_from([AgentSilent(), AgentFaulted("of no use")]))
    def the_agent_is_silent_or_of_no_use(self, event):
        if isinstance(event, AgentSilent):  # with which its connection is given up
            self.connected_as = None
        self.step(event)

    # --- time and orders

    @precondition(lambda self: self.timers)
    @rule(data=st.data())
    def a_timer_runs_out(self, data):
        name = data.draw(st.sampled_from(sorted(self.timers)))
        self.timers.remove(name)
        self.step(TimerFired(name))

    @precondition(lambda self: self.words)
    @rule()
    def its_supervisors_word_arrives(self):
        rung = self.words.pop(0)
        self.failed_without_a_word = False
        self.step(RecoverBy(rung))

    @precondition(lambda self: self.supervision.in_quarantine)
    @rule()
    def it_is_released(self):
        self.supervise(VmReleased())

    @rule(desired=st.sampled_from([Desired.RUNNING, Desired.RUNNING, Desired.OFF, Desired.GONE]))
    def something_else_is_wanted(self, desired):
        self.step(DesiredSet(desired))

    @rule(by=st.sampled_from([None, *RUNGS]))
    def another_incarnation_is_wanted(self, by):
        if by is not None:  # by a person, who waits for nobody's word
            self.failed_without_a_word = False
        self.step(ResetAsked(by))

    @rule()
    def the_supervisor_is_started_again(self):
        if self.call is not None:
            return  # the driver's call ends with the supervisor's process or before the next one asks
        desired = self.vm.desired
        self.vm = Vm(LIMITS, self.incarnations[-1])
        self.vm.desired = desired
        self.supervision = Supervision(RestartIntensity(limit=1, window_s=50.0), RUNGS)
        self.timers.clear()
        self.words.clear()
        self.answers.clear()
        self.connected_as, self.failed_without_a_word = None, False

    # --- the end

    def obey_until(self, is_reached):
        """Nothing goes wrong until `is_reached`, within a bounded number of steps."""
        for _ in range(40):
            if is_reached():
                return
            if self.call:
                self.the_call_ends_well()
            elif "retry" in self.timers:
                self.timers.remove("retry")
                self.step(TimerFired("retry"))
            elif self.words:
                self.its_supervisors_word_arrives()
            elif self.supervision.in_quarantine and self.vm.desired is Desired.RUNNING:
                self.it_is_released()
            elif self.power == "running" and self.runs_as and self.connected_as != self.runs_as:
                self.the_agent_says_hello()
            else:
                self.now += 1.0
                self.step(Seen(*self.truth(), self.now))
        raise AssertionError(f"not reached: {self.vm.desired}, {self.vm.observed}, {self.vm.phase}, {self.truth()}")

    def teardown(self):
        """What is wanted is reached in the end, when the driver does what it is told."""
        self.step(DesiredSet(Desired.OFF))
        self.obey_until(lambda: self.told_off)
        self.step(DesiredSet(Desired.RUNNING))
        self.obey_until(lambda: self.vm.phase is AgentPhase.READY)
        self.step(DesiredSet(Desired.GONE))
        self.obey_until(lambda: self.told_off)
        assert self.power == "absent"


VmLaws.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],  # other work on the machine is no error of the laws
)
TestVmLaws = VmLaws.TestCase
pytest.mark.promise(4, "ladder")(TestVmLaws)
