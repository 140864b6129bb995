"""Whom the dispatcher blames: genomes, VMs, hosts or the evaluator, each with its evidence."""

import pytest
from asking import a_fleet, asked, kinds, lost, plays, prove, reported, steps, story, submitted

from tzar_actors.core.dispatch_commands import (
    Acknowledge,
    AttemptOver,
    BlameVm,
    Deliver,
    DispatchCommand,
    Keep,
    LowerAlarm,
    RaiseAlarm,
    ResetVm,
    SendPlay,
    SetProbe,
)
from tzar_actors.core.dispatch_events import FleetChanged, HostBack, HostFell, ProbeDue, VmGone, VmReady
from tzar_actors.core.records import AttemptEndedRecord
from tzar_agent.protocol.messages import Evidence

K = asked("k")


def genome(name):
    return asked(name, genome=name)


def fail(machine, commands, incarnations=None):
    """Each game that `commands` order fails in its evaluator. Returns what comes of it."""
    out: list[DispatchCommand] = []
    for vm, attempt, key, game in plays(commands):
        incarnation = (incarnations or {}).get(vm, 1)
        out += machine.step(reported(vm, attempt, genome(key), game, "fault", incarnation=incarnation))
    return out


def outcomes(commands):
    return [(c.ended.key, c.ended.outcome) for c in kinds(commands, Deliver)]


# --- a genome


def test_a_vm_that_proves_itself_after_it_saw_the_failure_is_a_witness_as_well():
    machine = a_fleet("a", "b")
    steps(machine, submitted(K), submitted(genome("x")), submitted(genome("y")), submitted(genome("z")))
    steps(machine, reported("a", "2.1", K, status="fault"))  # a has not scored yet, and is given y
    steps(machine, reported("a", "2.3", genome("y")))
    commands = machine.step(reported("b", "2.2", genome("x")))
    assert plays(commands) == [("b", "2.5", "k", 0)], "b has scored, and takes what failed on a before what is new"
    assert outcomes(machine.step(reported("b", "2.5", K, status="fault"))) == [("k", "genome_failed")]


def test_a_vm_that_has_scored_nothing_yet_takes_a_first_game_before_one_that_failed():
    machine = a_fleet("a", "b")
    steps(machine, submitted(K), submitted(genome("x")), submitted(genome("y")), submitted(genome("z")))
    assert plays(machine.step(reported("a", "2.1", K, status="fault"))) == [("a", "2.3", "y", 0)]
    assert plays(machine.step(reported("b", "2.2", genome("x"), status="timed_out"))) == [("b", "2.4", "z", 0)]
    assert plays(machine.step(reported("b", "2.4", genome("z")))) == [("b", "2.5", "k", 0)]


def test_evaluators_that_somebody_killed_prove_nothing_until_that_happens_in_every_attempt():
    machine = a_fleet("a", "b", max_attempts=4)
    prove(machine, "a", "b")
    pending = machine.step(submitted(K))
    for number in range(4):
        ((vm, attempt, _, _),) = plays(pending)
        killed = Evidence(-9, "")
        pending = machine.step(reported(vm, attempt, K, status="fault", evidence=killed))
        assert outcomes(pending) == ([("k", "genome_failed")] if number == 3 else [])


def test_what_a_vm_scored_before_its_boot_proves_nothing():
    machine = a_fleet("a", "b")
    prove(machine, "a", "b")
    machine.step(VmReady(5.0, "a", 2))
    commands = machine.step(submitted(genome("k")))
    commands = fail(machine, fail(machine, commands, {"a": 2}), {"a": 2})
    assert [s.status for s in machine.evaluations["k"].games[0].stories] == ["fault", "fault"]
    assert outcomes(commands) == []


@pytest.mark.promise(3, "blame")
def test_a_fleet_of_one_vm_tries_again_after_a_reset_and_says_that_no_vm_was_proven():
    machine = a_fleet("a", max_attempts=3)
    commands = fail(machine, machine.step(submitted(genome("k"))))
    assert commands == [
        AttemptOver("k", 0, story("2.1", "a", "fault"), None),
        Keep(AttemptEndedRecord("k", 0, story("2.1", "a", "fault"))),
        Acknowledge("a", "2.1"),
        ResetVm("a", "a game that failed there is to be tried again, and there is no other VM"),
    ]
    assert plays(machine.step(submitted(genome("other")))) == [], "it is on its way off"
    commands = machine.step(VmReady(20.0, "a", 2))
    assert plays(commands) == [("a", "2.2", "other", 0)], "which shows first what the VM can"
    commands = machine.step(reported("a", "2.2", genome("other"), incarnation=2))
    commands = fail(machine, fail(machine, commands, {"a": 2}), {"a": 2})
    (deliver,) = kinds(commands, Deliver)
    assert deliver.ended.outcome == "genome_failed"
    assert "no two VMs were proven" in deliver.ended.reason


def test_a_fleet_of_one_vm_votes_with_its_incarnations_on_a_game_over_its_limit():
    machine = a_fleet("a")
    machine.step(submitted(K))
    assert kinds(machine.step(reported("a", "2.1", K, status="timed_out")), ResetVm)
    machine.step(VmReady(20.0, "a", 2))
    assert outcomes(machine.step(reported("a", "2.2", K, status="timed_out", incarnation=2))) == [("k", "timed_out")]


def die(machine, commands, at, incarnations):
    """Each game that `commands` order kills its VM, which then comes back. Returns what comes of it."""
    out: list[DispatchCommand] = []
    for vm, *_ in plays(commands):
        out += machine.step(VmGone(at, vm, "it crashed"))
        incarnations[vm] += 1
        out += machine.step(VmReady(at + 1.0, vm, incarnations[vm]))
    return out


def test_a_genome_that_kills_the_third_vm_where_others_games_end_well_has_failed():
    machine = a_fleet(*"abc")
    for i in range(60):
        ((vm, attempt, key, _),) = plays(machine.step(submitted(genome(f"good-{i}"))))
        machine.step(reported(vm, attempt, genome(key)))
    incarnations = dict.fromkeys("abc", 1)
    commands = machine.step(submitted(genome("killer")))
    for _ in range(2):
        commands = die(machine, commands, 50.0, incarnations)
        assert outcomes(commands) == []
    (deliver,) = kinds(die(machine, commands, 50.0, incarnations), Deliver)
    assert (deliver.ended.key, deliver.ended.outcome) == ("killer", "genome_failed")
    assert deliver.ended.reason.startswith("the VMs a (20 games of others before), b (20 ")


def test_where_vms_die_with_others_as_well_it_is_the_infrastructure():
    machine = a_fleet(*"abc")
    incarnations = dict.fromkeys("abc", 1)
    for i in range(60):
        commands = machine.step(submitted(genome(f"good-{i}")))
        if i % 10 == 0:
            commands = die(machine, commands, 10.0 + i, incarnations)
        ((vm, attempt, key, _),) = plays(commands)
        machine.step(reported(vm, attempt, genome(key), incarnation=incarnations[vm]))
    commands = machine.step(submitted(genome("unlucky")))
    for _ in range(5):
        commands = die(machine, commands, 90.0, incarnations)
    assert outcomes(commands) == [("unlucky", "infra_failed")]


# --- a command, a host


def test_what_a_commanded_stop_takes_counts_for_nothing():
    machine = a_fleet("a", "b", max_attempts=1)
    machine.step(submitted(K))
    commands = machine.step(VmGone(5.0, "a", "its VM was stopped", commanded=True))
    excused = lost("2.1", "a", "its VM was stopped", 5.0, status="excused")
    assert commands[:2] == [AttemptOver("k", 0, excused, None), Keep(AttemptEndedRecord("k", 0, excused))]
    assert plays(commands) == [("b", "2.2", "k", 0)], "though it has one attempt alone"


@pytest.mark.promise(5, "host faults burn nothing")
def test_what_a_host_takes_with_it_counts_for_nothing_not_even_what_was_lost_just_before():
    machine = a_fleet(*"abcd", max_attempts=2)
    steps(machine, submitted(K), VmGone(5.0, "a", "off"))  # and b takes it
    steps(machine, HostFell(frozenset("abc"), 4.0), VmGone(5.1, "b", "off"), VmGone(5.2, "c", "off"))
    game = machine.evaluations["k"].games[0]
    assert [s.status for s in game.stories] == ["lost", "excused", "excused"]
    assert outcomes(machine.step(VmGone(9.0, "d", "it crashed"))) == [], "the first that counts"
    steps(machine, HostBack(frozenset("abc")), VmReady(20.0, "b", 2))
    assert outcomes(machine.step(VmGone(21.0, "b", "it crashed"))) == [("k", "infra_failed")]


def test_what_was_lost_long_before_its_host_fell_counts():
    machine = a_fleet("a", "b", max_attempts=2)
    steps(machine, submitted(K), VmGone(5.0, "a", "off"), HostFell(frozenset("a"), 40.0))
    assert outcomes(machine.step(VmGone(41.0, "b", "it crashed"))) == [("k", "infra_failed")]


@pytest.mark.promise(8, "bounded")
def test_the_stories_of_a_long_fault_of_a_host_do_not_pile_up():
    machine = a_fleet("a")
    steps(machine, submitted(K), HostFell(frozenset("a"), 0.0))
    for i in range(200):
        steps(machine, VmGone(5.0, "a", "off"), VmReady(6.0, "a", i + 2))
    assert len(machine.evaluations["k"].games[0].stories) == 16


# --- a VM


@pytest.mark.promise(3, "blame")
def test_a_vm_on_which_many_genomes_fail_that_others_score_is_to_blame_with_evidence():
    machine = a_fleet("a", "b")
    prove(machine, "a", "b")
    commands = []
    for i in range(3):
        orders = [*machine.step(submitted(genome(f"x{i}"))), *machine.step(submitted(genome(f"y{i}")))]
        commands = fail(machine, [order for order in orders if getattr(order, "vm", "") == "a"])
        for order in plays([*orders, *commands]):
            if order[0] == "b":
                commands += machine.step(reported("b", order[1], genome(order[2])))
        while retries := [p for p in plays(commands) if p[0] == "b"]:
            commands = [c for c in commands if not isinstance(c, SendPlay)]
            for _, attempt, key, _ in retries:
                commands += machine.step(reported("b", attempt, genome(key)))
    (blame,) = kinds(commands, BlameVm)
    assert blame.vm == "a"
    assert blame.reason.startswith("3 genomes failed there while other VMs scored: genome ")
    assert blame.reason.count("why 2.") == 3
    assert outcomes(commands)[-1][1] == "scored"
    assert [p[0] for p in plays(machine.step(submitted(genome("next"))))] == ["b"], "a is given nothing"


# --- the evaluator


def broken(*vms, genomes):
    """A machine whose every game fails, until the alarm is raised; and what raised it."""
    machine = a_fleet(*vms)
    pending = [c for name in genomes for c in machine.step(submitted(genome(name)))]
    for _ in range(100):
        for order in plays(pending):
            pending.remove(next(c for c in pending if isinstance(c, SendPlay) and c.attempt == order[1]))
            commands = machine.step(reported(order[0], order[1], genome(order[2]), order[3], "fault"))
            if kinds(commands, RaiseAlarm):
                return machine, commands
            pending += commands
            assert not outcomes(commands)
            break
    raise AssertionError("no alarm was raised")


@pytest.mark.promise(3, "blame")
def test_when_different_genomes_fail_on_all_vms_dispatch_stops_with_the_evidence():
    machine, commands = broken("a", "b", genomes=["k", "l", "m", "n"])
    (alarm,) = kinds(commands, RaiseAlarm)
    assert (alarm.genomes, alarm.vms) == (3, 2)
    assert alarm.evidence.count("why 2.") == 3
    assert "last words" in alarm.evidence
    assert kinds(commands, SetProbe) == [SetProbe(1.0)]
    assert plays(commands) == []
    assert plays(machine.step(submitted(genome("o")))) == []
    assert sorted(machine.evaluations) == ["k", "l", "m", "n", "o"], "what is open stays open"


def test_a_fleet_of_one_vm_sees_that_the_evaluator_is_broken_before_it_blames_anybody():
    machine, commands = broken("a", genomes=["k", "l", "m"])
    assert not kinds(commands, ResetVm, BlameVm)
    assert sorted(machine.evaluations) == ["k", "l", "m"]


def test_few_games_on_many_vms_raise_the_alarm_before_their_attempts_are_used_up():
    broken(*"abcdefgh", genomes=["k", "l", "m"])


def test_the_failure_that_raises_the_alarm_condemns_nobody_even_if_it_was_the_last_attempt():
    machine = a_fleet(*"abc", max_attempts=3)
    names = ["k", "l", "slow", "m"]
    commands = [c for name in names for c in machine.step(submitted(genome(name)))]
    assert plays(commands) == [("a", "2.1", "k", 0), ("b", "2.2", "l", 0), ("c", "2.3", "slow", 0)]
    commands = machine.step(reported("a", "2.1", genome("k"), status="fault"))
    commands = fail(machine, commands)  # m, and then nothing is new any more
    while ("c", "k") not in {(vm, key) for vm, _, key, _ in plays(commands)}:
        vm = "c" if has_failed(machine, "k", "ab") else "b"
        name, attempt = next((name, each) for name, each in machine.attempts.items() if each.vm == vm)
        key = attempt.game.evaluation.asked.key
        status = "timed_out" if key == "slow" else "fault"
        commands = machine.step(reported(attempt.vm, name, genome(key), status=status))
        assert not kinds(commands, RaiseAlarm, Deliver)
    commands = fail(machine, [c for c in commands if getattr(c, "vm", "") == "c"])
    assert len(kinds(commands, RaiseAlarm)) == 1
    assert outcomes(commands) == []
    assert len(machine.evaluations) == 4


def has_failed(machine, key, vms):
    return {story.vm for story in machine.evaluations[key].games[0].stories} >= set(vms)


def test_one_game_at_a_time_is_tried_less_and_less_often_and_none_of_them_counts():
    machine, _ = broken("a", "b", genomes=["k", "l", "m", "n"])
    for attempt in list(machine.attempts.values()):
        machine.step(reported(attempt.vm, attempt.attempt, attempt.game.evaluation.asked, status="fault"))
    delays, tried = [], []
    for i in range(40):
        commands = machine.step(ProbeDue(float(i)))
        (order,) = plays(commands)
        tried.append(order[2])
        delays += [c.after_s for c in kinds(commands, SetProbe)]
        assert outcomes(fail(machine, commands)) == []
    assert delays[:8] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert set(tried) == {"k", "l", "m", "n"}
    assert len(machine.evaluations) == 4


def test_while_one_is_being_tried_no_other_is():
    machine, _ = broken("a", "b", genomes=["k", "l", "m", "n"])
    for attempt in list(machine.attempts.values()):
        machine.step(reported(attempt.vm, attempt.attempt, attempt.game.evaluation.asked, status="fault"))
    assert len(plays(machine.step(ProbeDue(1.0)))) == 1
    assert machine.step(ProbeDue(2.0)) == [SetProbe(2.0)]


def test_a_score_ends_the_alarm_and_all_goes_on():
    machine, _ = broken("a", "b", genomes=["k", "l", "m", "n"])
    for attempt in list(machine.attempts.values()):
        machine.step(reported(attempt.vm, attempt.attempt, attempt.game.evaluation.asked, status="fault"))
    ((vm, attempt, key, _),) = plays(machine.step(ProbeDue(1.0)))
    commands = machine.step(reported(vm, attempt, genome(key)))
    assert kinds(commands, LowerAlarm) == [LowerAlarm()]
    assert sorted(order[0] for order in plays(commands)) == ["a", "b"]
    assert machine.step(ProbeDue(2.0)) == []


def test_a_fleet_that_scores_now_and_then_never_raises_the_alarm():
    machine = a_fleet("a")
    prove(machine, "a")
    for i in range(40):
        orders = machine.step(submitted(genome(f"g{i}")))
        for vm, attempt, key, game in plays(orders):
            status = "scored" if i % 3 == 0 else "timed_out"
            assert not kinds(machine.step(reported(vm, attempt, genome(key), game, status)), RaiseAlarm)
            machine.step(VmReady(5.0, "a", 1))


def test_two_bad_genomes_at_the_end_of_a_generation_are_two_bad_genomes():
    machine = a_fleet("a", "b")
    prove(machine, "a", "b")
    commands = [*machine.step(submitted(genome("bad"))), *machine.step(submitted(genome("worse")))]
    commands = fail(machine, fail(machine, commands))
    assert sorted(outcomes(commands)) == [("bad", "genome_failed"), ("worse", "genome_failed")]


@pytest.mark.promise(3, "blame")
def test_an_evaluator_that_breaks_in_the_middle_of_a_run_punishes_nobody():
    machine = a_fleet("a", "b")
    prove(machine, "a", "b")
    pending = [c for i in range(20) for c in machine.step(submitted(genome(f"g{i}")))]
    raised = []
    while plays(pending):
        pending = fail(machine, pending)
        raised += kinds(pending, RaiseAlarm)
        assert outcomes(pending) == []
    assert len(raised) == 1
    assert len(machine.evaluations) == 20


def test_a_fleet_that_changes_does_not_end_the_alarm():
    machine, _ = broken("a", "b", genomes=["k", "l", "m", "n"])
    assert plays(steps(machine, FleetChanged(3.0, frozenset("abc")), VmReady(4.0, "c", 1))) == []
