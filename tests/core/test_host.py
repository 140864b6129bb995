"""One host: its breaker, and who may boot."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tzar_actors.core.host import (
    Admit,
    AskHost,
    BootAsked,
    BootRefused,
    CallsStuck,
    CloseBreaker,
    CountFailure,
    ExcuseFailure,
    Host,
    HostAnswered,
    HostTimerFired,
    OpenBreaker,
    SetHostTimer,
    VmCame,
    VmFell,
    VmLeft,
)


def a_host(vms=4, boots_at_a_time=2):
    return Host(vms, boots_at_a_time, burst_s=1.5)


def steps(host, *events):
    return [command for event in events for command in host.step(event)]


def fell(*vms, at=10.0, apart=0.1):
    return [VmFell(at + i * apart, vm, "off") for i, vm in enumerate(vms)]


# --- the breaker


def test_one_vm_that_fails_has_failed_by_itself():
    assert steps(a_host(), *fell("a")) == [CountFailure("a", "off")]


@pytest.mark.promise(5, "host faults burn nothing")
def test_many_vms_that_fail_at_once_open_the_breaker_and_their_failures_are_excused():
    assert steps(a_host(), *fell("a", "b", "c")) == [
        CountFailure("a", "off"),
        CountFailure("b", "off"),
        OpenBreaker("3 of its VMs failed within 0.2 s, the last one: off", 10.0),
        AskHost(),
        ExcuseFailure("c", "off"),
    ]


def test_it_takes_half_of_many_vms():
    host = a_host(vms=16)
    commands = steps(host, *fell(*"abcdefg"))
    assert all(isinstance(command, CountFailure) for command in commands)
    assert isinstance(host.step(VmFell(10.8, "h", "off"))[0], OpenBreaker)


def test_vms_that_fail_one_after_the_other_fail_by_themselves():
    commands = steps(a_host(), *fell("a", "b", "c", "d", apart=1.0))
    assert all(isinstance(command, CountFailure) for command in commands)


def test_one_vm_that_fails_again_and_again_is_one_vm():
    commands = steps(a_host(), *fell("a", "b", "a", "b", "a"))
    assert all(isinstance(command, CountFailure) for command in commands)


@pytest.mark.promise(5, "host faults burn nothing")
def test_a_host_that_cannot_be_asked_opens_the_breaker_also_for_what_happened_just_before():
    host = a_host()
    assert host.step(HostAnswered(20.0, "no route")) == [OpenBreaker("it cannot be asked: no route", 10.0), AskHost()]
    assert host.step(HostAnswered(25.0, "no route")) == []
    assert host.step(VmFell(30.0, "a", "silent")) == [ExcuseFailure("a", "silent")]


def test_a_host_that_answers_again_and_has_lost_no_vm_works():
    host = a_host()
    assert steps(host, HostAnswered(20.0, "no route"), HostAnswered(27.0))[2:] == [AskHost()]
    assert host.step(HostAnswered(27.1)) == [CloseBreaker(27.1 - 20.0)]
    assert host.step(VmFell(30.0, "a", "off")) == [CountFailure("a", "off")]


@pytest.mark.promise(5, "host faults burn nothing")
def test_calls_that_are_never_answered_open_the_breaker_from_when_the_last_of_them_began():
    host = a_host()
    stuck = CallsStuck(150.0, 30.0, "17 of its calls were never answered, the last one: start of a")
    assert host.step(stuck) == [OpenBreaker(stuck.reason, 30.0), AskHost()]
    assert host.step(CallsStuck(151.0, 31.0, "18 of them")) == [], "it is open already"
    assert host.step(VmFell(151.0, "a", "start: no answer")) == [ExcuseFailure("a", "start: no answer")]
    assert steps(host, BootAsked(152.0, "a"), HostAnswered(153.0)) == [Admit("a")], "it has its trial like any other"


@pytest.mark.promise(5, "host faults burn nothing")
def test_vms_that_are_seen_to_be_off_when_their_host_answers_again_fell_with_it():
    host = a_host()
    steps(host, HostAnswered(20.0, "no route"), HostAnswered(27.0))
    fell_since = steps(host, VmFell(27.05, "a", "off"), VmFell(27.05, "b", "off"), HostAnswered(27.1))
    assert fell_since == [ExcuseFailure("a", "off"), ExcuseFailure("b", "off")]
    assert host.step(BootAsked(28.0, "a")) == [Admit("a")]
    assert host.step(VmCame(30.0, "a")) == [CloseBreaker(10.0)]


def an_open_host():
    """A host whose breaker is open; a, b and c wait for their boots."""
    host = a_host()
    assert steps(host, *fell("a", "b", "c"), BootAsked(11.0, "a"), BootAsked(11.0, "b"), BootAsked(11.0, "c"))
    assert host.booting == set()
    return host


@pytest.mark.promise(5, "host faults burn nothing")
def test_while_the_breaker_is_open_nothing_boots():
    assert an_open_host().step(BootAsked(12.0, "d")) == []


def test_when_the_host_answers_one_vm_boots_as_a_trial():
    host = an_open_host()
    assert host.step(HostAnswered(12.0)) == [Admit("a")]
    assert steps(host, HostAnswered(17.0), BootAsked(18.0, "d")) == []


def test_a_trial_that_comes_closes_the_breaker_and_the_others_boot_in_their_turn():
    host = an_open_host()
    host.step(HostAnswered(12.0))
    assert host.step(VmCame(14.2, "a")) == [CloseBreaker(14.2 - 10.2), Admit("b"), Admit("c")]


def test_a_trial_that_fails_opens_it_again_for_twice_as_long_and_another_vm_is_next():
    host = an_open_host()
    host.step(HostAnswered(12.0))
    assert host.step(VmFell(13.0, "a", "off")) == [ExcuseFailure("a", "off"), SetHostTimer("trial", 1.0)]
    assert steps(host, BootAsked(13.1, "a"), HostAnswered(13.5)) == [], "it is not yet time"
    assert host.step(HostTimerFired(14.0, "trial")) == [AskHost()]
    assert host.step(HostAnswered(14.1)) == [Admit("b")]
    assert host.step(VmFell(15.0, "b", "off")) == [ExcuseFailure("b", "off"), SetHostTimer("trial", 2.0)]


def fail_trials(host, at, vms):
    """Each VM in its turn is the trial and fails. What was decided of these failures, and when the last one was."""
    judged = []
    for vm in vms:
        assert host.step(HostAnswered(at)) == [Admit(vm)]
        excused, again = host.step(VmFell(at, vm, "no hello"))
        judged.append(excused)
        at += again.after_s
        host.step(BootAsked(at, vm))
    return judged, at


def test_when_three_trials_have_failed_the_next_ones_need_more_than_a_restart():
    judged, _ = fail_trials(an_open_host(), 12.0, "abcab")
    needed = [False, False, False, True, True]
    assert judged == [ExcuseFailure(vm, "no hello", more) for vm, more in zip("abcab", needed, strict=True)]


def test_a_breaker_that_opens_anew_begins_with_restarts_again():
    host = an_open_host()
    _, at = fail_trials(host, 12.0, "abca")
    assert steps(host, HostAnswered(at), VmCame(at, "b"))[-1] == Admit("a")
    assert ExcuseFailure("c", "off") in steps(host, *fell("a", "b", "c", at=at + 10.0))
    host.step(BootAsked(at + 11.0, "a"))
    judged, _ = fail_trials(host, at + 20.0, "a")
    assert judged == [ExcuseFailure("a", "no hello")]


def test_a_trial_that_is_refused_is_no_trial():
    host = an_open_host()
    assert steps(host, HostAnswered(12.0), BootRefused(12.5, "a")) == [Admit("a"), SetHostTimer("trial", 1.0)]


def test_a_vm_that_was_only_out_of_reach_closes_the_breaker_when_it_comes_back():
    host = an_open_host()
    assert host.step(VmCame(12.0, "d"))[0] == CloseBreaker(12.0 - 10.2)


def test_a_host_whose_fallen_vms_are_wanted_no_more_needs_no_trial():
    host = a_host()
    steps(host, *fell("a", "b", "c"), HostAnswered(11.0))
    assert steps(host, VmLeft(12.0, "a"), VmLeft(12.0, "b"), VmLeft(12.0, "c")) == [CloseBreaker(12.0 - 10.2)]


# --- boots


def test_so_many_vms_boot_at_a_time_and_the_others_in_the_order_in_which_they_asked():
    host = a_host()
    assert steps(host, *(BootAsked(1.0, vm) for vm in "abcd")) == [Admit("a"), Admit("b")]
    assert host.step(VmCame(2.0, "b")) == [Admit("c")]
    assert host.step(VmFell(3.0, "a", "no hello")) == [CountFailure("a", "no hello"), Admit("d")]


def test_a_vm_that_does_not_want_to_boot_any_more_keeps_no_other_waiting():
    host = a_host(boots_at_a_time=1)
    assert steps(host, BootAsked(1.0, "a"), BootAsked(1.0, "b"), BootAsked(1.0, "c"), VmLeft(2.0, "b")) == [Admit("a")]
    assert host.step(VmLeft(3.0, "a")) == [Admit("c")]


@pytest.mark.promise(5, "host faults burn nothing")
def test_a_refusal_for_load_holds_back_all_boots_and_is_no_failure():
    host = a_host(boots_at_a_time=4)
    assert steps(host, BootAsked(1.0, "a"), BootRefused(2.0, "a")) == [Admit("a"), SetHostTimer("load", 1.0)]
    assert steps(host, BootAsked(2.1, "b"), BootAsked(2.2, "a")) == []
    assert host.step(HostTimerFired(3.0, "load")) == [Admit("b"), Admit("a")]
    assert host.step(BootRefused(4.0, "b")) == [SetHostTimer("load", 2.0)]
    assert host.step(BootRefused(4.0, "a")) == [], "they were refused together"


def test_the_wait_after_a_refusal_begins_anew_once_a_vm_has_come():
    host = a_host(boots_at_a_time=4)
    steps(host, BootAsked(1.0, "a"), BootAsked(1.0, "b"), BootRefused(2.0, "a"), VmCame(3.0, "b"))
    steps(host, HostTimerFired(4.0, "load"), BootAsked(4.0, "a"))
    assert host.step(BootRefused(5.0, "a")) == [SetHostTimer("load", 1.0)]


class HostLaws(RuleBasedStateMachine):
    """VMs that ask, boot, come and fail as they like."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.host = Host(4, 2, burst_s=1.5)
        self.vms = dict.fromkeys("abcd", "off")  # "asked", "booting", "here"
        self.timers = {}
        self.is_open = False

    def step(self, event):
        for command in self.host.step(event):
            match command:
                case Admit(vm):
                    assert self.vms[vm] == "asked", "only who asked is admitted"
                    self.vms[vm] = "booting"
                case OpenBreaker(_, since):
                    assert not self.is_open
                    assert since <= self.now
                    self.is_open = True
                case CloseBreaker(down_s):
                    assert self.is_open
                    assert down_s >= 0
                    self.is_open = False
                case CountFailure():
                    assert not self.is_open, "a host's fault is never counted against its VM"
                case ExcuseFailure():
                    assert self.is_open
                case SetHostTimer(name, after_s):
                    self.timers[name] = after_s

    @rule(seconds=st.floats(0.0, 30.0))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(vm=st.sampled_from("abcd"))
    def ask(self, vm):
        if self.vms[vm] == "off":
            self.vms[vm] = "asked"
            self.step(BootAsked(self.now, vm))

    @rule(vm=st.sampled_from("abcd"))
    def come(self, vm):
        if self.vms[vm] == "booting":
            self.vms[vm] = "here"
            self.step(VmCame(self.now, vm))

    @rule(vm=st.sampled_from("abcd"))
    def fall(self, vm):
        if self.vms[vm] in ("booting", "here"):
            self.vms[vm] = "off"
            self.step(VmFell(self.now, vm, "off"))

    @rule(vm=st.sampled_from("abcd"))
    def be_refused(self, vm):
        if self.vms[vm] == "booting":
            self.vms[vm] = "off"
            self.step(BootRefused(self.now, vm))

    @rule(vm=st.sampled_from("abcd"))
    def leave(self, vm):
        self.vms[vm] = "off"
        self.step(VmLeft(self.now, vm))

    @rule(error=st.sampled_from(["", "", "no route"]))
    def answer(self, error):
        self.step(HostAnswered(self.now, error))

    @precondition(lambda self: self.timers)
    @rule(data=st.data())
    def fire(self, data):
        name = data.draw(st.sampled_from(sorted(self.timers)))
        self.now += self.timers.pop(name)
        self.step(HostTimerFired(self.now, name))

    @invariant()
    def no_more_boot_than_may(self):
        assert sum(state == "booting" for state in self.vms.values()) <= 2
        assert {vm for vm, state in self.vms.items() if state == "booting"} == self.host.booting

    def teardown(self):
        """When the host works, every VM that wants to comes, within a bounded time."""
        for _ in range(60):
            self.now += 70.0
            for name in list(self.timers):
                del self.timers[name]
                self.step(HostTimerFired(self.now, name))
            self.answer("")
            for vm in "abcd":
                self.ask(vm)
                self.come(vm)
        assert set(self.vms.values()) == {"here"}
        assert not self.is_open


HostLaws.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestHostLaws = HostLaws.TestCase
