"""Known bugs, put into the real core and actors by hand, each at one place, and the law that each breaks."""

from dataclasses import replace

from mutant import Mutant, all_of, does_nothing, holding_nothing, not_held, wrapping
from mutants_by_hand import BY_HAND_MUTANTS

from tzar_actors.actors import seeing as seeing_module
from tzar_actors.actors.base import MachineActor
from tzar_actors.actors.dispatcher import Dispatcher
from tzar_actors.actors.host_lanes import HostLanes
from tzar_actors.actors.messages import AgentHello, AgentOverdue, TimerRang
from tzar_actors.actors.vm_actor import VmActor
from tzar_actors.actors.vm_supervisor import VmSupervisor
from tzar_actors.actors.wiring import Wiring
from tzar_actors.core import dispatch as dispatch_module
from tzar_actors.core import failures as failures_module
from tzar_actors.core.blame import Verdict
from tzar_actors.core.dispatch import Dispatch
from tzar_actors.core.dispatch_commands import Accept, Acknowledge, Deliver, Keep
from tzar_actors.core.dispatch_events import VmAway
from tzar_actors.core.lanes import CloseLane, Lanes
from tzar_actors.core.leases import Leases
from tzar_actors.core.queue import GameQueue
from tzar_actors.core.records import EvaluationRecord
from tzar_actors.core.restart import Failed, GiveUp, Restart, RestartIntensity
from tzar_actors.core.room import Room
from tzar_actors.core.supervise import Recover
from tzar_actors.core.vm_orders import VmOrders
from tzar_actors.journal.journal import Journal
from tzar_actors.simulation.disk import SimulatedReserve
from tzar_actors.simulation.faults import Faults


def excusing(*beginnings):
    """`why_not` without one of its reasons."""

    def make(original):
        def why_not(*arguments):
            reason = original(*arguments)
            return None if reason is not None and reason.startswith(beginnings) else reason

        return why_not

    return wrapping(dispatch_module, "why_not", make)


def same_epoch(original):
    def begin(self, epoch, *rest):
        original(self, 1, *rest)

    return begin


def whoever_asks(original):
    return lambda self, vm, *rest: original(self, "nobody", *rest)


def unknown_is_absent(original):
    return lambda status, is_known: "absent" if not is_known else original(status, is_known)


def timers_ring_on(patch):
    def on_receive(self, message):
        if isinstance(message, TimerRang):
            self._timers.pop(message.name, None)
        self.perform(self.decide(message))

    def cancel_timer(self, name):
        self._timers.pop(name, None)

    patch.setattr(MachineActor, "cancel_timer", cancel_timer)
    patch.setattr(MachineActor, "on_receive", on_receive)


def sparing_every_incarnation(original):
    def unknown_to(self, vm, incarnation, known):
        return [(attempt, "lost", "unknown") for attempt in self.of(vm) if attempt.attempt not in known]

    return unknown_to


def nothing_unknown_is_lost(original):
    def unknown_to(self, *rest):
        return [found for found in original(self, *rest) if found[2] != "its agent does not know of it"]

    return unknown_to


def no_recovery(original):
    def carry_out(self, command):
        if not isinstance(command, Recover):
            original(self, command)

    return carry_out


def fleet_never_shrinks(original):
    def changed(self, at, vms):
        return original(self, at, vms | self.leases._fleet)

    return changed


def restarts_for_ever(original):
    def step(self, event):
        state, decisions = original(self, event)
        if isinstance(event, Failed) and isinstance(decisions[0], GiveUp):
            return state, (Restart(self.longest_delay_s),)
        return state, decisions

    return step


def forgotten_with_its_actor(original):
    def step(self, event):
        if isinstance(event, VmAway):  # its actor died, or its agent is out of reach
            self.leases.vm_away(event.vm)
            for attempt in self.leases.of(event.vm):
                self.leases.forget(attempt)
            return []
        return original(self, event)

    return step


def without_question(original):
    def submitted(self, event):
        commands = original(self, event)
        return [c for c in commands if not (isinstance(c, Keep) and isinstance(c.record, EvaluationRecord))]

    return submitted


def knows_no_answer(original):
    return lambda self, key: None


def a_crash_is_a_zero(original):
    def count(self, at, game, vm, incarnation, result):
        if result.status == "fault":
            result = replace(result, status="scored", fitness=0.0)
        return original(self, at, game, vm, incarnation, result)

    return count


def one_vm_condemns(original):
    def judge(case, *rest):
        if any(attempt.status in ("fault", "lost") for attempt in case.attempts):
            return Verdict("genome_failed", "one was enough")
        return original(case, *rest)

    return judge


def ignores_what_is_overdue(original):
    def decide(self, message):
        return () if isinstance(message, AgentOverdue) else original(self, message)

    return decide


def tells_nobody_twice(original):
    def submitted(self, event):
        return [c for c in original(self, event) if not (event.known and isinstance(c, Deliver))]

    return submitted


def finished_only_when_it_counts(original):
    def finished(self, at, vm, attempt, *rest, **more):
        if attempt.endswith(("1", "3", "5", "7", "9")):
            original(self, at, vm, attempt, *rest, **more)

    return finished


def never_gives_up(original):
    return lambda self, at, lane: []


def keeps_what_came_back(original):
    def carry_out(self, command):
        if not isinstance(command, CloseLane):
            original(self, command)

    return carry_out


def nothing(original):
    return lambda self, *arguments, **more: []


def nobody_was_called_back(original):
    return lambda self, vm, attempt: False


def what_waited_is_forgotten(original):
    def unknown_to(self, vm, *rest):
        waited = self.waiting_at(vm)
        return [found for found in original(self, vm, *rest) if found[0].attempt not in waited]

    return unknown_to


def successors_believe_that_nothing_is_played(original):
    def decide(self, message):
        if isinstance(message, AgentHello) and self._generation:
            message = AgentHello(replace(message.hello, playing=None))
        return original(self, message)

    return decide


def as_much_as_there_is_room_for(original):
    return lambda self: self.room


def never_enough_again(original):
    def disk_seen(self, free_bytes):
        return self if self.is_low else original(self, free_bytes)

    return disk_seen


def there_is_room_always(original):
    return lambda self, *, needs_spool: None


FULL = Faults(disk_full_h=12.0)
STRUCK = Faults(struck_ahead=0.05)
KILLS = Faults(supervisor_kill_h=30.0)
RESETS = Faults(vm_hang_h=10.0, vm_crash_h=4.0, message_doubled=0.05)
LATE = Faults(supervisor_kill_h=20.0, vm_crash_h=20.0, message_lost=0.05)

MUTANTS = {
    **BY_HAND_MUTANTS,
    "a result is acknowledged before its commit": Mutant(
        not_held(Acknowledge), "an acknowledged result is committed", vms=2, minutes=10.0
    ),
    "an outcome is delivered before its commit": Mutant(
        not_held(Deliver), "a delivered outcome is committed", vms=2, minutes=10.0
    ),
    "acceptance is told before its commit": Mutant(
        not_held(Accept), "what is accepted is committed", vms=2, minutes=10.0
    ),
    "a VM boots before its incarnation is committed": Mutant(
        wrapping(VmActor, "_boot", holding_nothing), "an incarnation is committed before it boots", vms=2, minutes=5.0
    ),
    "no epoch in the ids of attempts": Mutant(
        wrapping(Leases, "__init__", same_epoch), "an attempt's id is new", KILLS
    ),
    "the result of a revoked attempt counts": Mutant(
        excusing("its attempt was revoked"), "an attempt ends once", RESETS, minutes=60.0, seeds=(9, 10, 13)
    ),
    "a second result counts": Mutant(excusing("its game is over"), "an attempt ends once", RESETS, minutes=60.0),
    "the digest is not compared": Mutant(
        excusing("it is for another genome"), "a fitness is that of its genome", Faults(wrong_genome=0.1)
    ),
    "the incarnation is not compared": Mutant(
        all_of(wrapping(Leases, "unknown_to", sparing_every_incarnation), excusing("its attempt was given to")),
        "a result comes from the incarnation that was asked",
        LATE,
        minutes=40.0,
        seeds=(4, 3),
    ),
    "an attempt of another incarnation is adopted": Mutant(
        wrapping(Leases, "unknown_to", sparing_every_incarnation),
        "a new incarnation revokes what the older ones played",
        LATE,
        minutes=40.0,
        seeds=tuple(range(1, 13)),
    ),
    "what an agent does not know of stays leased": Mutant(
        wrapping(Leases, "unknown_to", nothing_unknown_is_lost),
        "what no agent has is given again",
        LATE,
        minutes=40.0,
        seeds=tuple(range(1, 9)),
    ),
    "a retry goes to the same VM": Mutant(
        wrapping(GameQueue, "take", whoever_asks), "a retry goes elsewhere", Faults(evaluator_crash=0.1)
    ),
    "unknown is taken for absent": Mutant(
        wrapping(seeing_module, "power_of", unknown_is_absent),
        "a healthy VM is not given up",
        Faults(host_unreachable_h=6.0),
    ),
    "timers are not cancelled": Mutant(timers_ring_on, "a boot has its time", Faults(vm_crash_h=20.0)),
    "a VM that failed is dropped": Mutant(
        wrapping(VmSupervisor, "carry_out", no_recovery), "no VM is forgotten", Faults(vm_crash_h=4.0)
    ),
    "a VM in quarantine keeps its games": Mutant(
        wrapping(Dispatch, "_fleet_changed", fleet_never_shrinks),
        "no genome is lost",
        Faults(sick_h=4.0, evaluator_crash=0.05),
        vms=2,
        minutes=240.0,
    ),
    "restarts have no limit": Mutant(
        wrapping(RestartIntensity, "step", restarts_for_ever),
        "restart intensity is kept",
        Faults(sick_h=4.0),
        minutes=90.0,
    ),
    "a lease is lost when its VmActor is replaced": Mutant(
        wrapping(Dispatch, "step", forgotten_with_its_actor),
        "what no agent has is given again",
        Faults(actor_bug_h=6.0),
    ),
    "submissions are not journalled": Mutant(
        wrapping(Dispatch, "_submitted", without_question), "what is accepted is committed", vms=2, minutes=10.0
    ),
    "small genomes are not journalled": Mutant(
        wrapping(Journal, "append_genome", does_nothing), "no genome is lost", KILLS
    ),
    "what was open is not taken up": Mutant(
        wrapping(Dispatcher, "_restore", does_nothing), "the supervisor ends only when it is killed", KILLS
    ),
    "a key is not looked up in the journal": Mutant(
        wrapping(Journal, "answer", knows_no_answer),
        "the supervisor ends only when it is killed",
        Faults(trainer_death_h=60.0),
    ),
    "an outcome is not told again": Mutant(
        wrapping(Dispatch, "_submitted", tells_nobody_twice), "no genome is lost", Faults(trainer_death_h=60.0)
    ),
    "a crash of the evaluator is a zero": Mutant(
        wrapping(Dispatch, "_count", a_crash_is_a_zero), "a fitness is that of its genome", Faults(evaluator_crash=0.1)
    ),
    "one VM is enough to condemn a genome": Mutant(
        wrapping(failures_module, "judge", one_vm_condemns), "blame has its evidence", Faults(vm_crash_h=6.0)
    ),
    "nobody looks for games that are overdue": Mutant(
        wrapping(VmActor, "decide", ignores_what_is_overdue),
        "no healthy VM waits while games do",
        Faults(message_lost=0.05),
        minutes=60.0,
    ),
    "a driver call has no limit": Mutant(
        wrapping(Lanes, "_passed", never_gives_up), "no VM is forgotten", Faults(driver_hang=0.2, vm_crash_h=4.0)
    ),
    "a question for the status has no limit": Mutant(
        wrapping(Lanes, "_passed", never_gives_up),
        "no VM is forgotten",
        Faults(status_hang=0.02, driver_failure=0.2, vm_crash_h=8.0),
    ),
    "a lane that comes back is kept": Mutant(
        wrapping(HostLanes, "carry_out", keeps_what_came_back),
        "no lane is leaked",
        Faults(driver_silence=0.5, vm_crash_h=12.0),
        minutes=90.0,
    ),
    "what waited counts as lost": Mutant(
        wrapping(Leases, "waiting_at", nothing),
        "what only waited counts for nothing",
        STRUCK,
        minutes=1.0,
        is_short=True,
    ),
    "what was called back is taken for the trainer's cancel": Mutant(
        wrapping(Leases, "is_recalled", nobody_was_called_back),
        "what only waited counts for nothing",
        minutes=1.0,
        is_short=True,
    ),
    "what waited is forgotten when its agent comes again": Mutant(
        wrapping(Leases, "unknown_to", what_waited_is_forgotten),
        "what no agent has is given again",
        STRUCK,
        minutes=2.0,
        seeds=tuple(range(1, 9)),
        is_short=True,
    ),
    "what waited is not called back when its VmActor is replaced": Mutant(
        wrapping(Leases, "call_back", nothing),
        "nothing is played for nobody",
        STRUCK,
        minutes=2.0,
        seeds=tuple(range(1, 9)),
        is_short=True,
    ),
    "a VmActor that takes another's place is not told what is played": Mutant(
        wrapping(VmActor, "decide", successors_believe_that_nothing_is_played),
        "what is played is not lost",
        STRUCK,
        minutes=2.0,
        seeds=tuple(range(1, 9)),
        is_short=True,
    ),
    "nothing is called back from behind a long game": Mutant(
        wrapping(Leases, "recall", nothing), "nothing waits behind a long game", minutes=1.0, is_short=True
    ),
    "long games are ordered ahead as well": Mutant(
        wrapping(VmOrders, "depth", as_much_as_there_is_room_for), "one game at a time, unless games are short"
    ),
    "new work is taken though the disk is full": Mutant(
        wrapping(Wiring, "shortage", there_is_room_always), "a full disk takes no new work", FULL
    ),
    "a disk that was full stays full": Mutant(
        wrapping(Room, "disk_seen", never_enough_again), "nothing is refused without a reason", FULL
    ),
    "the reserve is not used": Mutant(
        wrapping(SimulatedReserve, "make_room", nothing), "the supervisor ends only when it is killed", FULL
    ),
    "what was accepted is refused when the disk is full": Mutant(
        wrapping(Journal, "answer", knows_no_answer),
        "what is accepted is never refused",
        replace(FULL, trainer_death_h=60.0),
    ),
    "a VM that finished is not idle": Mutant(
        wrapping(Leases, "vm_finished", finished_only_when_it_counts), "no healthy VM waits while games do"
    ),
}
