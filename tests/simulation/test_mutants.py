"""The simulation can fail: each known bug breaks its law, and without it the same worlds are lawful."""

import pytest
from mutants import MUTANTS

from tzar_actors.simulation.story import ViolationError

# Many bugs show in the same worlds.
WORLDS = {f"{each.faults} {each.vms} {each.minutes} {each.is_short}": each for each in MUTANTS.values()}
WORLDS = {f"world {place}": mutant for place, mutant in enumerate(WORLDS.values())}


def laws_broken(run_world, mutant):
    """The laws that break in the worlds of `mutant`, until the one that is expected does."""
    for seed in mutant.seeds:
        try:
            run_world(seed, mutant.faults, vms=mutant.vms, minutes=mutant.minutes, is_short=mutant.is_short)
        except ViolationError as violation:
            yield violation
            if violation.law == mutant.law:
                return


@pytest.mark.parametrize("name", MUTANTS)
def test_a_known_bug_breaks_its_law(name, run_world, monkeypatch):
    mutant = MUTANTS[name]
    mutant.put_in(monkeypatch)
    broken = list(laws_broken(run_world, mutant))
    assert mutant.law in [violation.law for violation in broken]
    assert f"with seed {broken[-1].seed}" in str(broken[-1])


@pytest.mark.parametrize("mutant", WORLDS.values(), ids=WORLDS.keys())
def test_without_the_bug_the_same_world_is_lawful(mutant, run_world):
    assert [str(violation) for violation in laws_broken(run_world, mutant)] == []


def test_there_are_enough_of_them():
    assert len(MUTANTS) >= 15
    assert len({mutant.law for mutant in MUTANTS.values()}) >= 12
