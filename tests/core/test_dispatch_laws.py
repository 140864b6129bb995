"""The dispatcher's laws, whatever happens and in whatever order."""

import pytest
from asking import asked, result
from dispatch_world import World
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tzar_actors.core.dispatch_commands import Accept, Deliver, Refuse, TellWithdrawn
from tzar_actors.core.dispatch_events import (
    CancelAsked,
    DeadlinePassed,
    FleetChanged,
    HostBack,
    HostFell,
    ProbeDue,
    RecallDue,
    TrainerGone,
    VmAway,
    VmGone,
    VmLacks,
    VmSilent,
)
from tzar_agent.protocol.messages import INLINE_LIMIT_BYTES

VMS = ("a", "b", "c")
a_vm = st.sampled_from(VMS)
a_key = st.sampled_from(["k1", "k2", "k3", "k4", "k5", "k6"])
a_size = st.sampled_from([256, INLINE_LIMIT_BYTES + 1])
a_status = st.sampled_from(["scored", "scored", "fault", "timed_out", "agent_fault", "cancelled"])


class DispatchLaws(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.world = World({"a": 1, "b": 3, "c": 8})
        for vm in VMS:
            self.world.hello(vm)

    def in_state(self, *states):
        return [vm for vm, agent in self.world.agents.items() if agent.state in states]

    def players(self):
        return [vm for vm in self.in_state("ready", "silent", "away") if self.world.agents[vm].playing]

    # --- trainers

    @rule(key=a_key, games=st.integers(1, 6), size=a_size, trainer=st.sampled_from("tu"), hurried=st.booleans())
    def submit(self, key, games, size, trainer, hurried):
        was_kept = self.world.journal.evaluations.get(key)
        evaluation = asked(key, genome=key, games=games, size=size, deadline_s=60.0 if hurried else None)
        answer = self.world.submit(evaluation, trainer)
        same = was_kept is None or was_kept[0].seeds == evaluation.seeds
        assert isinstance(answer, Accept if same else Refuse)

    @rule(key=a_key, trainer=st.sampled_from("tu"))
    def cancel(self, key, trainer):
        was_open = self.world.machine.evaluations.get(key)
        others = set(was_open.trainers) - {trainer} if was_open else set()
        commands = self.world.step(CancelAsked(self.world.now, key, trainer))
        if others:
            assert commands == [TellWithdrawn(trainer, key)], "others wait for it"
            assert set(was_open.trainers) == others

    @rule(trainer=st.sampled_from(["t", "u", None]))
    def be_gone_for_good(self, trainer):
        before = set(self.world.machine.evaluations)
        commands = self.world.step(TrainerGone(self.world.now, trainer))
        ended = {c.ended.key for c in commands if isinstance(c, Deliver)}
        assert before - set(self.world.machine.evaluations) == ended
        assert not ended or trainer is None, "what a trainer that is gone asked for is played on"

    @rule(key=a_key)
    def pass_deadline(self, key):
        kept = self.world.journal.evaluations.get(key)
        if kept and kept[0].deadline_s:
            self.world.step(DeadlinePassed(self.world.now, key))

    # --- VMs

    @rule(vm=a_vm)
    def come(self, vm):
        if vm in self.world.fleet:
            self.world.hello(vm)

    @precondition(lambda self: self.in_state("ready"))
    @rule(data=st.data())
    def go_away(self, data):
        vm = data.draw(st.sampled_from(self.in_state("ready")))
        self.world.agents[vm].lose_the_connection()
        self.world.step(VmAway(vm))

    @precondition(lambda self: self.in_state("ready"))
    @rule(data=st.data())
    def replace_the_actor(self, data):
        vm = data.draw(st.sampled_from(self.in_state("ready")))
        self.world.replace_the_actor(vm)
        agent, state = self.world.agents[vm], self.world.machine.leases._vms[vm]
        if agent.state == "ready":  # not reset in the meantime
            assert [order.attempt for order in agent.orders] == list(state.orders), "it plays nothing for nobody"

    @precondition(lambda self: self.in_state("ready", "away"))
    @rule(data=st.data())
    def go_silent(self, data):
        vm = data.draw(st.sampled_from(self.in_state("ready", "away")))
        self.world.agents[vm].state = "silent"
        self.world.step(VmSilent(self.world.now, vm))

    @rule(vm=a_vm, keeps_its_disk=st.booleans(), unsent=st.sampled_from([None, 0, 1, 9]))
    def die(self, vm, keeps_its_disk, unsent):
        agent = self.world.agents[vm]
        row = tuple(order.attempt for order in agent.orders)
        sent = None if unsent is None else row[: max(0, len(row) - unsent)]
        agent.lose_the_connection("gone")
        agent.orders.clear()
        if not keeps_its_disk:
            agent.kept.clear()
        self.world.step(VmGone(self.world.now, vm, "it crashed", sent=sent))

    @precondition(lambda self: self.players())
    @rule(data=st.data())
    def lack_an_order(self, data):
        """The last of a row crossed the news that nobody was there to be given it."""
        vm = data.draw(st.sampled_from(self.players()))
        agent = self.world.agents[vm]
        order = agent.orders.pop()
        self.world.step(VmAway(vm))
        self.world.step(VmLacks(self.world.now, vm, (order.attempt,), "it was not sent"))
        self.world.hello(vm)

    @precondition(lambda self: self.in_state("ready", "away", "silent"))
    @rule(data=st.data())
    def be_stopped_and_started_again(self, data):
        vm = data.draw(st.sampled_from(self.in_state("ready", "away", "silent")))
        agent = self.world.agents[vm]
        self.world.step(VmAway(vm))
        agent.lose_the_connection("gone")  # nobody told the dispatcher: it was commanded
        agent.orders.clear()
        self.world.hello(vm)

    @precondition(lambda self: self.players())
    @rule(data=st.data())
    def lose_the_order_on_its_way(self, data):
        vm = data.draw(st.sampled_from(self.players()))
        agent = self.world.agents[vm]
        agent.lose_the_connection()
        agent.orders.clear()
        self.world.step(VmAway(vm))

    @rule(vms=st.frozensets(a_vm), is_back=st.booleans(), ago=st.floats(0.0, 9.0))
    def blame_or_clear_their_host(self, vms, is_back, ago):
        self.world.step(HostBack(vms) if is_back else HostFell(vms, self.world.now - ago))

    @rule()
    def try_one_game(self):
        self.world.step(ProbeDue(self.world.now))

    @rule(fleet=st.frozensets(a_vm, min_size=1))
    def change_the_fleet(self, fleet):
        self.world.fleet = fleet
        for vm in set(VMS) - fleet:
            agent = self.world.agents[vm]
            agent.lose_the_connection("gone")
            agent.orders.clear()
        self.world.step(FleetChanged(self.world.now, fleet))

    # --- results

    @precondition(lambda self: self.players())
    @rule(data=st.data(), status=a_status, seconds=st.sampled_from([0.001, 0.001, 3.0]))
    def finish(self, data, status, seconds):
        self.world.finish(data.draw(st.sampled_from(self.players())), status, seconds=seconds)

    @precondition(lambda self: self.players())
    @rule(data=st.data())
    def play_much(self, data):
        vm = data.draw(st.sampled_from(self.players()))
        while self.world.agents[vm].orders:
            self.world.finish(vm, "scored", seconds=0.001)
            if data.draw(st.booleans()):
                break

    @rule()
    def look_for_what_waits_long(self):
        self.world.step(RecallDue(self.world.now))

    @precondition(lambda self: any(agent.called_back for agent in self.world.agents.values()))
    @rule()
    def give_back(self):
        for vm, agent in self.world.agents.items():
            if agent.state in ("ready", "silent"):
                self.world.give_back(vm)

    @precondition(lambda self: self.players())
    @rule(data=st.data(), wrong=st.sampled_from([{"game": 0}, {"game": 1}, {"game": 9}, {"digest": b"x" * 32}]))
    def finish_with_something_else(self, data, wrong):
        self.world.finish(data.draw(st.sampled_from(self.players())), "scored", **wrong)

    @rule(vm=a_vm, data=st.data(), key=a_key, game=st.integers(0, 3))
    def report_what_it_does_not_play(self, vm, data, key, game):
        agent = self.world.agents[vm]
        others = sorted(self.world.issued - {order.attempt for order in agent.orders} - set(agent.kept))
        attempt = data.draw(st.sampled_from([*others, "0.1", "999.1", "nonsense"]))
        if agent.state in ("ready", "silent"):
            self.world.report(vm, result(attempt, asked(key, genome=key), game))

    # --- the supervisor

    @rule(forget_last_attempt=st.booleans())
    def restart(self, forget_last_attempt):
        self.world.restart(forget_last_attempt)

    # --- laws

    @invariant()
    def what_was_accepted_is_open_or_has_ended_and_never_both(self):
        is_open, ended = set(self.world.machine.evaluations), set(self.world.delivered)
        assert not is_open & ended
        assert self.world.accepted == is_open | ended
        assert ended == set(self.world.journal.ended)

    @invariant()
    def a_game_is_queued_leased_or_ended_and_never_two_of_these(self):
        leases = self.world.machine.leases
        queued = 0
        for open_ in self.world.machine.evaluations.values():
            assert any(game.ended is None for game in open_.games)
            for game in open_.games:
                queued += game.state == "queued"
                assert (game in leases._queue) == (game.state == "queued")
                assert leases.is_played(game) == (game.state == "leased")
                assert (game.ended is not None) == (game.state == "ended")
                assert not (game.ended and game.attempts)
        assert queued == len(leases._queue), "nothing else is in the queue"

    @invariant()
    def all_indexes_agree(self):
        machine = self.world.machine
        by_name = set(machine.attempts)
        by_vm = [name for state in machine.leases._vms.values() for name in state.attempts]
        by_game = [name for e in machine.evaluations.values() for game in e.games for name in game.attempts]
        assert sorted(by_vm) == sorted(by_game) == sorted(by_name)
        for name, attempt in machine.attempts.items():
            assert attempt.attempt == name
            assert name in attempt.game.attempts
            assert name in machine.leases._vms[attempt.vm].attempts

    @invariant()
    def the_machine_knows_which_vms_are_idle(self):
        idle = {vm for vm in self.in_state("ready") if self.world.agents[vm].playing is None}
        assert set(self.world.machine.leases._idle) == idle

    @invariant()
    def nothing_waits_that_an_idle_vm_may_take(self):
        machine, fleet = self.world.machine, self.world.fleet
        if machine._failures.alarm.is_raised:
            assert machine.leases.is_stopped
            return
        assert not machine.leases.is_stopped
        games = [g for e in machine.evaluations.values() for g in e.games if g.state == "queued"]
        for vm in machine.leases._idle:
            here = (vm, self.world.agents[vm].incarnation)
            for game in games:
                waits_for_another = game.trouble and game.trouble.fresh and here in game.trouble.seen
                assert vm in game.avoid
                assert fleet - game.avoid or waits_for_another

    @invariant()
    def whatever_is_leased_to_a_vm_that_is_here_is_played_there_or_on_its_way(self):
        for name, attempt in self.world.machine.attempts.items():
            agent = self.world.agents[attempt.vm]
            if agent.state == "ready":
                assert attempt.incarnation == agent.incarnation
                assert name in agent.kept or name in [order.attempt for order in agent.orders]

    @invariant()
    def no_game_waits_for_a_silent_vm_alone(self):
        for open_ in self.world.machine.evaluations.values():
            for game in open_.games:
                vms = [self.world.machine.attempts[name].vm for name in game.attempts]
                heard = any(self.world.agents[vm].state != "silent" for vm in vms)
                assert heard or game.state != "leased"

    def teardown(self):
        """In the end all VMs come back and play, and every evaluation that was accepted ends."""
        world = self.world
        world.fleet = frozenset(VMS)
        world.step(FleetChanged(world.now, world.fleet))
        for vm in VMS:
            world.hello(vm)
        for _ in range(300):
            if self.players():
                world.finish(self.players()[0], "scored")
            elif self.in_state("gone"):
                world.hello(self.in_state("gone")[0])
            elif world.machine.evaluations:
                world.step(ProbeDue(world.now))
            else:
                break
        assert not world.machine.evaluations
        assert world.machine.leases.games_waiting == 0
        assert set(world.delivered) == world.accepted
        for ended in world.delivered.values():
            outcomes = {game.outcome for game in ended.games}
            assert (ended.outcome == "scored") == (outcomes == {"scored"}) == (ended.fitness is not None)


DispatchLaws.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],  # other work on the machine is no error of the laws
)
TestDispatchLaws = DispatchLaws.TestCase
pytest.mark.promise(1, "exactly one outcome")(TestDispatchLaws)
pytest.mark.promise(2, "a crash is never a low fitness")(TestDispatchLaws)
pytest.mark.promise(6, "nothing accepted is lost")(TestDispatchLaws)
