"""How the actors bring VMs back, and against whom what they see is counted."""

import itertools
from dataclasses import replace

import pytest

from tzar_actors.actors.messages import AgentHello, AgentOverdue, AgentResult, SetDesired, Shut
from tzar_actors.core.vm_table import Desired
from tzar_actors.errors import DriverError
from tzar_actors.events import catalogue
from tzar_agent.protocol.messages import PROTOCOL_VERSION, Hello, Playing, Result


def incarnations(world):
    return {vm: row.incarnation for vm, row in world.wiring.board.vms.items()}


def all_here(world):
    return all(row.state in ("idle", "playing") for row in world.wiring.board.vms.values())


def busy(error="the host is busy"):
    return DriverError(error, host="h", busy=True)


# --- an actor that is replaced


@pytest.mark.promise(6, "nothing accepted is lost")
def test_an_actor_that_is_replaced_keeps_its_vm_and_the_game_that_is_played_there(world):
    world.start(vms=2)
    world.submit("g")
    (vm,) = world.gateway.playing
    attempt = world.gateway.playing[vm].attempt
    world.gateway.actors[vm].tell("nonsense")  # of which it dies
    world.run(60.0)  # far longer than an agent has to come back
    assert [event.actor for event in world.of(catalogue.ActorFailed)] == [f"VmActor {vm}"]
    assert incarnations(world) == {"vm-1": 1, "vm-2": 1}, "nobody was booted anew"
    assert world.row(vm).state == "playing"
    assert world.gateway.playing[vm].attempt == attempt
    world.finish(vm)
    assert world.outcomes() == {"g": "scored"}
    assert not world.of(catalogue.AttemptLost)


@pytest.mark.promise(2, "a crash is never a low fitness")
def test_an_order_that_crosses_the_news_of_its_vms_failure_counts_as_no_attempt(world):
    world.start(vms=1)
    world.submit("g")
    world.submit("h")
    play = world.gateway.playing.pop("vm-1")
    score = Result(play.attempt, play.evaluation, play.game, play.digest, "scored", 1.0, b"\x80", 1.0, "", None)
    world.gateway.actors["vm-1"].tell(AgentResult(1, score))
    world.gateway.actors["vm-1"].tell(AgentOverdue("1.0", 30.0))  # it fails before the next order is there
    world.run_until(lambda: world.of(catalogue.VmFailed))
    world.run_until(lambda: world.gateway.playing)
    assert len(world.gateway.ordered) == 2, "the order that crossed was sent"
    world.finish("vm-1")
    (ended,) = (each for each in world.gateway.delivered if each.key == "h")
    assert [story.status for story in ended.games[0].attempts] == ["excused", "scored"]
    assert world.wiring.board.attempts_lost == 0


def test_what_a_new_actor_is_told_of_its_agent_goes_with_the_turns_there():
    first, second, third = (Playing(f"1.{n}", "g", n, bytes(32)) for n in (1, 2, 3))
    hello = Hello(PROTOCOL_VERSION, "vm-1", 1, "test", 7, first, (), 16)
    told = AgentHello(hello, (second, third))
    assert told.after("1.1") == AgentHello(replace(hello, playing=second), (third,))
    assert told.after("1.2") == AgentHello(hello, (third,)), "it was called back"
    assert told.after("1.1").after("1.2").after("1.3") == AgentHello(replace(hello, playing=None))


def test_a_game_whose_vm_left_while_its_actor_was_being_replaced_is_played_elsewhere(world):
    world.start(vms=2)
    world.submit("g")
    (vm,) = world.gateway.playing
    world.gateway.actors[vm].tell("nonsense")
    world.loop.turn(0.0)
    world.crash(vm)
    world.run_until(lambda: world.gateway.playing)
    assert list(world.gateway.playing) == [{"vm-1": "vm-2", "vm-2": "vm-1"}[vm]]


# --- an attempt that was revoked


def test_an_order_that_crosses_the_news_of_its_vms_failure_is_never_sent(world):
    world.start(vms=1)
    world.gateway.actors["vm-1"].tell(AgentOverdue("1.1", 30.0))  # its actor fails the VM before the order is there
    world.submit("g")
    world.run_until(lambda: world.gateway.playing)
    (lost,) = world.of(catalogue.AttemptLost)
    assert world.gateway.ordered == [world.gateway.playing["vm-1"].attempt] != [lost.attempt]
    assert incarnations(world) == {"vm-1": 2}


@pytest.mark.promise(1, "exactly one outcome")
def test_what_the_agent_of_a_vm_kept_from_before_its_reset_is_dropped_and_logged_whatever_it_scored(world):
    world.start(vms=2)
    world.submit("g")
    ((vm, first),) = world.gateway.playing.items()
    world.crash(vm)
    world.run_until(lambda: world.row(vm).state == "idle")
    ((other, second),) = world.gateway.playing.items()
    assert (other, second.seed) == ({"vm-1": "vm-2", "vm-2": "vm-1"}[vm], first.seed), "the same game, elsewhere"
    kept = Result(first.attempt, "g", 0, first.digest, "scored", 99.0, b"\x80", 1.0, "", None)
    world.gateway.actors[vm].tell(AgentResult(world.gateway.here[vm], kept))
    world.run(1.0)
    assert world.outcomes() == {}
    (dropped,) = world.of(catalogue.AttemptDropped)
    assert (dropped.attempt, dropped.vm) == (first.attempt, vm)
    assert "revoked" in dropped.reason
    world.finish(other)
    (ended,) = world.gateway.delivered
    assert (ended.outcome, ended.fitness) == ("scored", 1.0)


# --- hosts


def test_so_many_vms_boot_at_a_time_and_no_more(world):
    most = 0

    def come(vm):
        nonlocal most
        running = [name for name, each in world.driver.vms.items() if each.is_running]
        most = max(most, len(set(running) - set(world.gateway.here)))
        return True

    world.comes = come
    world.start(vms=7, boots_at_a_time=2)
    world.run_until(lambda: len(world.gateway.here) == 7)
    assert most == 2


@pytest.mark.promise(5, "host faults burn nothing")
def test_when_a_host_dies_nothing_is_counted_and_all_comes_back_when_it_is_back(world):
    world.start(vms=4, restarts=1)
    for name in "abcd":
        world.submit(name)
    for vm in list(world.driver.vms):
        world.crash(vm)
    world.driver.unreachable = True
    world.run(300.0)
    assert world.wiring.board.hosts["h"]
    assert len(world.of(catalogue.HostDown)) == 1
    world.driver.unreachable = False
    world.run_until(lambda: all_here(world))
    assert world.wiring.board.hosts["h"] == ""
    assert len(world.of(catalogue.HostUp)) == 1
    assert not world.of(catalogue.VmQuarantined)
    for _ in range(4):
        world.finish(next(iter(world.gateway.playing)))
    assert set(world.outcomes().values()) == {"scored"}


@pytest.mark.promise(5, "host faults burn nothing")
def test_many_vms_that_fail_at_once_are_their_hosts_fault_and_one_vm_is_tried_first(world):
    world.start(vms=4, restarts=1)
    boots = []
    world.comes = lambda vm: boots.append(vm) or len(boots) > 12
    for vm in list(world.driver.vms):
        world.crash(vm)
    world.run_until(lambda: world.of(catalogue.HostDown))
    world.run(70.0)
    assert len(set(boots)) <= 2, "one at a time, each until its boot timed out"
    world.run_until(lambda: all_here(world), within_s=3000.0)
    assert not world.of(catalogue.VmQuarantined)


def test_a_host_where_no_vm_can_be_made_is_not_asked_without_a_pause(world):
    tries = []

    def failing(vm):
        tries.append(vm)
        raise DriverError("there is no template", host="h", vm=vm)

    world.driver.create = failing
    world.start(vms=4)
    world.run(600.0)
    assert "there is no template" in world.wiring.board.hosts["h"]
    assert len(tries) <= 4 * 30
    assert not world.of(catalogue.VmQuarantined)


@pytest.mark.promise(5, "host faults burn nothing")
def test_a_refusal_for_load_is_no_failure(world):
    for _ in range(6):
        world.driver.fail_next("start", busy())
    world.start(vms=2, restarts=1)
    world.run_until(lambda: all_here(world))
    assert not world.of(catalogue.VmFailed)


def test_a_vm_that_waits_for_its_boot_goes_off_when_it_is_told_to(world):
    world.comes = lambda vm: vm != "vm-1"
    world.start(vms=2, boots_at_a_time=1)
    assert world.row("vm-2").detail == "waits for its turn to boot"
    world.wiring.fleet.tell(Shut("stop", "test"))
    world.run_until(lambda: world.loop._stopping, within_s=5.0)
    assert all(not vm.is_running for vm in world.driver.vms.values())


# --- quarantine and probation


@pytest.mark.promise(4, "ladder")
def test_a_vm_in_quarantine_has_a_trial_after_its_probation_and_goes_back_for_twice_as_long(world):
    world.comes = lambda vm: vm != "vm-2"
    world.start(vms=2, restarts=1, probation_s=1000.0)
    world.run_until(lambda: world.row("vm-2").state == "quarantined")
    (first,) = world.of(catalogue.VmQuarantined)
    assert first.for_s == 1000.0
    assert "its agent did not say hello" in first.evidence
    world.run(990.0)
    assert world.row("vm-2").state == "quarantined"
    world.run_until(lambda: len(world.of(catalogue.VmQuarantined)) == 2, within_s=100.0)
    again = world.of(catalogue.VmQuarantined)[1]
    assert (again.for_s, again.reason) == (2000.0, "again after its trial: its agent did not say hello")


@pytest.mark.promise(4, "ladder")
def test_a_vm_that_comes_back_from_quarantine_plays_again(world):
    world.comes = lambda vm: vm != "vm-2"
    world.start(vms=2, restarts=1, probation_s=1000.0)
    world.run_until(lambda: world.row("vm-2").state == "quarantined")
    world.comes = lambda vm: True
    world.run_until(lambda: world.row("vm-2").state == "idle", within_s=1100.0)
    world.submit("a")
    world.submit("b")
    assert sorted(world.gateway.playing) == ["vm-1", "vm-2"]
    world.finish("vm-1", "timed_out")
    world.finish("vm-2")
    assert list(world.gateway.playing) == ["vm-2"], "and games may wait for it"


def test_a_fleet_that_is_told_to_go_off_stays_off_whatever_its_probation(world):
    world.comes = lambda vm: vm != "vm-2"
    world.start(vms=2, restarts=1, probation_s=100.0)
    world.run_until(lambda: world.row("vm-2").state == "quarantined")
    world.wiring.supervisors["vm-2"].tell(SetDesired(Desired.OFF))
    world.run(500.0)
    assert not world.driver.vms["vm-2"].is_running
    assert not world.of(catalogue.VmReleased)


@pytest.mark.promise(4, "ladder")
def test_a_delete_that_fails_is_tried_again_with_a_growing_delay_and_the_vm_is_not_made_anew_before(world):
    world.start(vms=1, restarts=1)
    times = []
    remove, create = world.driver.remove, world.driver.create

    def failing(vm):
        times.append(world.clock.now)
        if len(times) < 6:
            raise DriverError("a file of it is in use", host="h", vm=vm)
        remove(vm)

    def guarded(vm):
        assert len(times) == 6, "it was made anew before it was gone"
        return create(vm)

    world.driver.remove, world.driver.create = failing, guarded
    for _ in range(2):
        world.crash("vm-1")
        world.run_until(lambda: world.row("vm-1").state == "failed")
        world.run_until(lambda: all_here(world) or times)
    world.run_until(lambda: all_here(world))
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(gaps) == 5
    for number, gap in enumerate(gaps):
        assert 2**number / 2 <= gap <= 2**number + 0.2, gaps


# --- what a crash of the supervisor left


def test_a_vm_that_was_made_and_never_started_is_started(world):
    world.driver.create("vm-1")
    world.start(vms=1)
    assert world.row("vm-1").state == "idle"
    assert world.driver.vms["vm-1"].machine_id == "h-1"


def test_vms_that_run_are_adopted_by_the_next_supervisor(world):
    world.start(vms=2)
    world.restart(vms=2)
    assert incarnations(world) == {"vm-1": 1, "vm-2": 1}
    assert [event.adopted for event in world.of(catalogue.VmReady)] == [False, False, True, True]


def test_a_vm_that_somebody_made_anew_while_no_supervisor_ran_is_reset_and_not_adopted(world):
    world.start(vms=2)
    world.driver.vms["vm-1"].machine_id = "made by somebody"
    world.restart(vms=2)
    assert incarnations(world) == {"vm-1": 2, "vm-2": 1}
    assert not world.of(catalogue.VmFailed), "a commanded reset is no failure"
    world.restart(vms=2)
    assert incarnations(world) == {"vm-1": 2, "vm-2": 1}, "now it is known"
    assert world.row("vm-1").machine_id == "made by somebody"


def test_a_vm_that_was_found_off_is_adopted_later_though_nobody_knows_when_it_was_made(world):
    world.driver.create("vm-1")
    world.start(vms=1)
    world.restart(vms=1)
    assert incarnations(world) == {"vm-1": 1}


@pytest.mark.promise(7, "it touches only what it made")
def test_a_vm_that_nobody_knows_any_more_is_removed_and_others_vms_are_not_touched(world):
    world.driver.create("vm-9")
    world.driver.add_foreign("somebody's", is_running=True)
    world.start(vms=1)
    world.run_until(lambda: "vm-9" not in world.driver.vms)
    assert world.driver.vms["somebody's"].is_running
    assert [event.vm for event in world.of(catalogue.VmStray)] == ["vm-9"]


# --- blame


@pytest.mark.promise(3, "blame")
def test_a_broken_evaluator_is_told_and_shown_and_punishes_nobody(world):
    world.start(vms=2)
    for name in "abcdef":
        world.submit(name)
    while not world.wiring.board.alarm:
        world.finish(next(iter(world.gateway.playing)), "fault", "no module named game")
    (event,) = world.of(catalogue.EvaluatorBroken)
    assert "no module named game" in event.evidence
    assert "Traceback" in event.evidence
    while world.gateway.playing:  # what was under way
        world.finish(next(iter(world.gateway.playing)), "fault", "no module named game")
    for _ in range(20):
        world.run_until(lambda: world.gateway.playing)
        assert len(world.gateway.playing) == 1
        world.finish(next(iter(world.gateway.playing)), "fault", "no module named game")
    assert world.outcomes() == {}
    assert incarnations(world) == {"vm-1": 1, "vm-2": 1}
    world.run_until(lambda: world.gateway.playing)
    while world.gateway.playing:
        world.finish(next(iter(world.gateway.playing)))
    assert world.outcomes() == dict.fromkeys("abcdef", "scored")
    assert world.wiring.board.alarm == ""


@pytest.mark.promise(3, "blame")
def test_a_game_that_fails_in_a_fleet_of_one_vm_is_tried_again_after_a_reset_that_is_no_failure(world):
    world.start(vms=1)
    world.submit("bad")
    world.finish("vm-1", "fault", "it raises")
    world.run_until(lambda: world.gateway.playing)
    assert incarnations(world) == {"vm-1": 2}
    assert len(world.of(catalogue.VmReset)) == 1
    assert not world.of(catalogue.VmFailed)
    for _ in range(4):
        world.finish("vm-1", "fault", "it raises")
    assert world.outcomes() == {"bad": "genome_failed"}
    assert "it raises (exit code 3; its last output: Traceback)" in world.gateway.delivered[0].reason


@pytest.mark.promise(4, "ladder")
def test_a_vm_on_which_others_genomes_fail_climbs_the_ladder(world):
    world.start(vms=2)
    for number in range(12):
        world.submit(f"g{number}")
    for _ in range(60):
        if world.of(catalogue.VmFailed):
            break
        if "vm-1" in world.gateway.playing:
            world.finish("vm-1", "fault", "no space left on device")
        if "vm-2" in world.gateway.playing:
            world.finish("vm-2")
    (failed,) = world.of(catalogue.VmFailed)
    assert failed.vm == "vm-1"
    assert failed.cause.count("no space left on device") == 3
    world.run_until(lambda: world.row("vm-1").incarnation == 2)
    while world.gateway.playing:
        world.finish(next(iter(world.gateway.playing)))
        world.run(1.0)
    assert set(world.outcomes().values()) == {"scored"}
    assert len(world.outcomes()) == 12
