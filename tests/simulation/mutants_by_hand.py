"""Known bugs in what becomes of a person's word on a VM."""

from dataclasses import replace

from mutant import Mutant, does_nothing, holding_nothing, wrapping

from tzar_actors.actors.fleet_actor import FleetActor
from tzar_actors.actors.messages import VmIsAskedTo
from tzar_actors.actors.vm_supervisor import VmSupervisor
from tzar_actors.core.supervise import VmFailed
from tzar_actors.core.vm import Vm
from tzar_actors.core.vm_events import DesiredSet
from tzar_actors.core.vm_table import Desired
from tzar_actors.journal.journal import Journal
from tzar_actors.simulation.faults import Faults

__all__ = ["BY_HAND_MUTANTS"]

BY_HAND = Faults(by_hand_h=20.0)
STRUCK_BY_HAND = Faults(by_hand_h=20.0, struck_by_hand=0.3)


def nobody_is_held(original):
    return lambda self: {vm: replace(known, is_held=False) for vm, known in original(self).items()}


def answered_only_when_it_is_news(original):
    def asked_to(self, trainer, asked):
        if asked.verb != "stop" or asked.vm not in self._off_by_hand:
            original(self, trainer, asked)

    return asked_to


def a_stop_is_a_failure(original):
    def asked_to(self, verb):
        failed = self._step(VmFailed(self.loop.now(), 0.5, "it was stopped")) if verb == "stop" else ()
        return (*failed, *original(self, verb))

    return asked_to


def restarts_are_not_passed_on(original):
    def decide(self, message):
        return () if isinstance(message, VmIsAskedTo) and message.verb == "restart" else original(self, message)

    return decide


def successors_run(original):
    def start_actor(self):
        self._desired = Desired.RUNNING
        original(self)

    return start_actor


def successors_are_not_told(original):
    def start_actor(self):
        self._word = None
        original(self)

    return start_actor


def a_stop_waits_for_its_host(original):
    def step(self, event):
        if isinstance(event, DesiredSet):
            self.desired = event.desired
            self._off_was_told = False
            return self._next()
        return original(self, event)

    return step


BY_HAND_MUTANTS = {
    "the next supervisor starts what a person stopped": Mutant(
        wrapping(Journal, "vms", nobody_is_held), "a stop lasts", replace(BY_HAND, supervisor_kill_h=10.0)
    ),
    "a VmActor that takes another's place starts what a person stopped": Mutant(
        wrapping(VmSupervisor, "_start_actor", successors_run), "a stop lasts", replace(BY_HAND, actor_bug_h=4.0)
    ),
    "a stop by hand counts as a failure": Mutant(
        wrapping(VmSupervisor, "_asked_to", a_stop_is_a_failure), "a commanded stop is no failure", BY_HAND
    ),
    "a person is answered before the commit": Mutant(
        wrapping(FleetActor, "_asked_to", holding_nothing), "what is answered is committed", BY_HAND
    ),
    "that a person stopped a VM is not journalled": Mutant(
        wrapping(FleetActor, "keep", does_nothing), "what is answered is committed", BY_HAND
    ),
    "a word that changes nothing has no answer": Mutant(
        wrapping(FleetActor, "_asked_to", answered_only_when_it_is_news), "a word has one answer", BY_HAND
    ),
    "a restart by hand reaches nobody": Mutant(
        wrapping(VmSupervisor, "decide", restarts_are_not_passed_on),
        "a person's word is done",
        Faults(by_hand_h=2.0),
        minutes=120.0,
    ),
    "a reset by hand is lost with its VmActor": Mutant(
        wrapping(VmSupervisor, "_start_actor", successors_are_not_told),
        "what a person is told is so",
        STRUCK_BY_HAND,
        minutes=60.0,
        seeds=tuple(range(1, 9)),
    ),
    "a stop by hand waits until its host can be asked": Mutant(
        wrapping(Vm, "step", a_stop_waits_for_its_host),
        "no healthy VM waits while games do",
        replace(BY_HAND, host_unreachable_h=6.0),
        minutes=60.0,
        seeds=tuple(range(1, 9)),
    ),
}
