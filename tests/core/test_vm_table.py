"""The whole table, held against rules that are stated apart from it."""

import itertools

import pytest

from tzar_actors.core.vm_table import NEXT, Action, AgentPhase, Desired, Observed

CELLS = list(itertools.product(Desired, Observed, AgentPhase))
IN_USE = {AgentPhase.BOOTING, AgentPhase.READY}
OFF = {Observed.OFF, Observed.ABSENT}
ON = {Observed.RUNNING, Observed.STALE}


def expected(desired: Desired, observed: Observed, phase: AgentPhase) -> Action:
    if observed in (Observed.UNKNOWN, Observed.CHANGING):
        return Action.NOTHING  # who knows nothing does nothing; what is on its way is left alone
    if desired is Desired.RUNNING:
        return expected_running(observed, phase)
    if observed in OFF and phase in IN_USE | {AgentPhase.LEAVING}:
        return Action.FORGET
    if observed in ON:
        # It is asked first, but for a VM that has failed, has no use for its agent, or is thrown away.
        ask = desired is Desired.OFF and phase not in (AgentPhase.FAILED, AgentPhase.NONE)
        return Action.STOP if ask else Action.KILL
    return Action.REMOVE if desired is Desired.GONE and observed is Observed.OFF else Action.NOTHING


def expected_running(observed: Observed, phase: AgentPhase) -> Action:
    if phase is AgentPhase.FAILED:
        return Action.NOTHING  # its supervisor decides
    if phase in IN_USE:
        return Action.NOTHING if observed is Observed.RUNNING else Action.FAIL
    if observed is Observed.RUNNING and phase is AgentPhase.UNSEEN:
        return Action.ADOPT
    made = {Observed.ABSENT: Action.CREATE, Observed.OFF: Action.START}
    return made.get(observed, Action.KILL)


def test_the_table_is_total():
    assert set(NEXT) == set(CELLS)


@pytest.mark.parametrize("cell", CELLS, ids="-".join)
def test_each_cell_follows_the_rules(cell):
    assert NEXT[cell] is expected(*cell)


@pytest.mark.parametrize("cell", CELLS, ids="-".join)
def test_each_cell_obeys_the_laws(cell):
    desired, observed, phase = cell
    action = NEXT[cell]
    if observed is Observed.UNKNOWN:
        assert action is Action.NOTHING
    if action is Action.START:
        assert observed is Observed.OFF, "only what is off is booted"
    if action is Action.CREATE:
        assert observed is Observed.ABSENT, "only what is not there is made"
    if action is Action.REMOVE:
        assert (desired, observed) == (Desired.GONE, Observed.OFF), "only what is off and unwanted is removed"
    if action in (Action.STOP, Action.KILL):
        assert observed in ON
    if action in (Action.START, Action.CREATE, Action.ADOPT, Action.FAIL):
        assert desired is Desired.RUNNING, "what is not wanted is neither begun nor blamed"
    if phase is AgentPhase.FAILED:
        assert action not in (Action.START, Action.CREATE, Action.FAIL), "a failed VM waits for its supervisor's word"
