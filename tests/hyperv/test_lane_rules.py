"""The decisions of a lane, exactly."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperv.lane_rules import (
    AskAgain,
    Asked,
    GiveUp,
    Recycling,
    Reopen,
    SignIn,
    Trouble,
    Verdict,
    changes_nothing,
    decide,
)

CHANGE = Asked(repeatable=False, deadline=100.0)
LOOK = Asked(repeatable=True, deadline=100.0)


def sent(asked):
    return replace(asked, sent=True)


def all_decisions(asked, trouble, at=0.0):
    decisions = []
    while not decisions or not isinstance(decisions[-1], GiveUp):
        asked, decision = decide(asked, trouble, at)
        decisions.append(decision)
    return decisions


@pytest.mark.parametrize("asked", [CHANGE, LOOK, sent(CHANGE), sent(LOOK)])
def test_a_cut_connection_is_made_anew_five_times_ever_more_slowly(asked):
    assert all_decisions(asked, Trouble.CUT) == [
        AskAgain(0.0),
        AskAgain(0.2),
        AskAgain(0.5),
        AskAgain(1.0),
        AskAgain(2.0),
        GiveUp(Verdict.UNREACHABLE, retire=asked.sent),
    ]


def test_nothing_is_asked_again_after_the_deadline():
    assert decide(CHANGE, Trouble.CUT, 99.9)[1] == AskAgain(0.0)
    assert decide(CHANGE, Trouble.CUT, 100.0)[1] == GiveUp(Verdict.UNREACHABLE, retire=False)
    assert decide(LOOK, Trouble.GONE, 100.0)[1] == GiveUp(Verdict.UNREACHABLE, retire=True)
    late = Asked(repeatable=True, deadline=100.0, tries=3)
    assert decide(late, Trouble.CUT, 99.5)[1] == GiveUp(Verdict.UNREACHABLE, retire=False)


def test_a_change_whose_powershell_is_gone_is_never_asked_again():
    assert decide(sent(CHANGE), Trouble.GONE, 0.0) == (sent(CHANGE), GiveUp(Verdict.LOST, retire=True))


def test_what_never_arrived_or_only_looks_is_asked_of_a_new_powershell_twice():
    for asked in (CHANGE, LOOK, sent(LOOK)):
        after, decision = decide(asked, Trouble.GONE, 0.0)
        assert decision == Reopen()
        assert not after.sent
        expected = [Reopen(), Reopen(), GiveUp(Verdict.UNREACHABLE, retire=True)]
        assert all_decisions(asked, Trouble.GONE) == expected


def test_a_used_up_quota_is_told_at_once_unless_a_reply_may_be_waiting():
    assert decide(CHANGE, Trouble.BUSY, 0.0)[1] == GiveUp(Verdict.BUSY, retire=False)
    assert all_decisions(sent(CHANGE), Trouble.BUSY)[-1] == GiveUp(Verdict.BUSY, retire=True)
    assert len(all_decisions(sent(CHANGE), Trouble.BUSY)) == 6


def test_a_host_where_nobody_listens_is_told_at_once_unless_a_reply_may_be_waiting():
    assert decide(CHANGE, Trouble.NO_ROUTE, 0.0)[1] == GiveUp(Verdict.UNREACHABLE, retire=False)
    assert decide(sent(CHANGE), Trouble.NO_ROUTE, 0.0)[1] == AskAgain(0.0)


@pytest.mark.parametrize(
    ("trouble", "verdict"),
    [
        (Trouble.DENIED, Verdict.DENIED),
        (Trouble.UNTRUSTED, Verdict.UNTRUSTED),
        (Trouble.UNUSABLE, Verdict.UNUSABLE),
        (Trouble.FAULT, Verdict.FAULT),
    ],
)
def test_what_does_not_get_better_by_asking_is_told_at_once(trouble, verdict):
    for asked in (CHANGE, LOOK, sent(CHANGE), sent(LOOK)):
        assert decide(asked, trouble, 0.0)[1] == GiveUp(verdict, retire=asked.sent or trouble is Trouble.FAULT)


def test_silence_is_a_hung_call_once_it_was_sent_and_a_host_out_of_reach_before():
    assert decide(sent(LOOK), Trouble.SILENT, 100.0)[1] == GiveUp(Verdict.HUNG, retire=True)
    assert decide(LOOK, Trouble.SILENT, 100.0)[1] == GiveUp(Verdict.UNREACHABLE, retire=True)


def test_damage_is_asked_again_and_at_last_a_fault():
    assert decide(sent(CHANGE), Trouble.GARBLED, 0.0)[1] == AskAgain(0.0)
    assert all_decisions(sent(CHANGE), Trouble.GARBLED)[-1] == GiveUp(Verdict.FAULT, retire=True)


@given(troubles=st.lists(st.sampled_from(Trouble), min_size=1), repeatable=st.booleans(), deadline=st.floats(0.0, 50.0))
def test_whatever_happens_a_call_ends_and_a_change_that_may_have_arrived_has_one_powershell(
    troubles, repeatable, deadline
):
    asked, powershells = Asked(repeatable, deadline), 1
    for turn, trouble in enumerate(itertools.cycle(troubles)):
        assert turn < 10, "a call is asked again without end"
        asked, decision = decide(sent(asked), trouble, 0.0)
        if isinstance(decision, GiveUp):
            break
        powershells += isinstance(decision, Reopen)
    assert repeatable or powershells == 1


@pytest.mark.parametrize("function", ["Get-TzarWorkerVM", "Test-TzarHost", "get-x"])
def test_functions_that_look_change_nothing(function):
    assert changes_nothing(function)


@pytest.mark.parametrize("function", ["Start-TzarWorkerVM", "New-TzarWorkerVM", "Getaway-VM", "GetTest", ""])
def test_all_others_may_change_something(function):
    assert not changes_nothing(function)


def test_a_powershell_is_replaced_at_its_age_its_calls_or_its_open_operations():
    recycling = Recycling(max_age_s=60.0, max_calls=10, max_operations=5)
    assert not recycling.is_due(59.9, 9, 4)
    assert recycling.is_due(60.0, 0, 0)
    assert recycling.is_due(0.0, 10, 0)
    assert recycling.is_due(0.0, 0, 5)


def test_the_usual_limits_keep_clear_of_those_of_windows():
    usual = Recycling()
    assert usual.max_age_s < 8 * 3600
    assert usual.max_operations * 8 < 1500  # two fleets of four lanes by one account


def test_refused_credentials_wait_twice_as_long_each_time_up_to_ten_minutes():
    state, waits = SignIn(), []
    assert state.wait_s(0.0) == 0.0
    for _ in range(7):
        state = state.denied(1000.0)
        waits.append(state.wait_s(1000.0))
    assert waits == [30.0, 60.0, 120.0, 240.0, 480.0, 600.0, 600.0]
    assert state.wait_s(1599.0) == 1.0
    assert state.wait_s(1600.0) == 0.0
