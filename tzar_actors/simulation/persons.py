"""People who power VMs by hand while the supervisor runs, as `tzar vm` does: they ask, and look whether it is so."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final

from tzar_actors.by_hand.supervised import is_reached
from tzar_actors.client.protocol import AskPower, PowerVerb
from tzar_actors.client.results import VmSnapshot
from tzar_actors.simulation.by_hand import ByHandLaws, Word
from tzar_actors.simulation.host import SimulatedHost
from tzar_actors.simulation.machine import Machine
from tzar_actors.simulation.surroundings import Surroundings

if TYPE_CHECKING:
    from tzar_actors.simulation.gateway import SimulatedGateway

__all__ = ["Persons"]

_VERBS: Final[tuple[PowerVerb, ...]] = ("stop", "start", "restart", "reset")
_WHILE_IT_RUNS: Final = (0.45, 0.05, 0.2, 0.3)
_WHILE_IT_IS_HELD: Final = (0.1, 0.5, 0.15, 0.25)
_CHANGES_ITS_MIND: Final = 0.3  # of people say another word soon
_SOON_S: Final = 8.0  # a boot takes longer, a stop does not
_HELD_S: Final = (10.0, 1200.0)  # from a stop to the start, in the usual case
_TOGETHER_S: Final = 3.0  # a word and what befalls its VM come within so many seconds, in either order
_MISTAKEN: Final = 0.02  # of people ask for a VM that is not there
_LOOK_EACH_S: Final = 1.0
_PATIENCE_S: Final = 60.0  # as that of the command
_AGAIN_S: Final = 20.0


class Persons:
    """All people of one world.

    Args:
        surroundings: the world's shared parts.
        rng: their own chance.
        laws: are told of each word.
        hosts: all of them.
        machines: all VMs of the fleet.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        rng: Random,
        laws: ByHandLaws,
        hosts: Mapping[str, SimulatedHost],
        machines: Mapping[str, Machine],
    ) -> None:
        self.told: dict[str, int] = {"done": 0, "refused": 0, "cannot say": 0}  # how words ended
        self._world = surroundings
        self._rng = rng
        self._laws = laws
        self._hosts = hosts
        self._machines = machines
        self._number = 0

    def begin(self) -> None:
        """From now on they do what the world's faults say, until the world is calmed."""
        per_s = self._world.faults.by_hand_h / 3600.0
        if per_s > 0.0:
            for vm in self._machines:
                self._world.agenda.after(self._rng.expovariate(per_s), partial(self._act, vm, per_s))

    def make_peace(self) -> None:
        """What they stopped they start, until it is so."""
        if not self._number:
            return
        for vm in self._machines:
            if self._laws.is_held(vm):
                self._say(vm, "start")
        self._world.agenda.after(_AGAIN_S, self.make_peace)

    def _act(self, vm: str, per_s: float) -> None:
        if self._world.is_calm:
            return
        rng, agenda = self._rng, self._world.agenda
        is_held = self._laws.is_held(vm)
        (verb,) = rng.choices(_VERBS, _WHILE_IT_IS_HELD if is_held else _WHILE_IT_RUNS)
        asked = "vm-nobody" if rng.random() < _MISTAKEN else vm
        if rng.random() < self._world.faults.struck_by_hand:
            agenda.after(rng.random() * _TOGETHER_S, partial(self._world.strike, vm))
            agenda.after(rng.random() * _TOGETHER_S, partial(self._say, asked, verb))
        else:
            self._say(asked, verb)
        if rng.random() < _CHANGES_ITS_MIND:
            agenda.after(rng.random() * _SOON_S, partial(self._act, vm, 0.0))
        elif verb == "stop":
            agenda.after(rng.uniform(*_HELD_S), partial(self._say, vm, "start"))
        if per_s > 0.0:
            agenda.after(rng.expovariate(per_s), partial(self._act, vm, per_s))

    def _say(self, vm: str, verb: PowerVerb) -> None:
        gateway, board = self._world.gateway, self._world.board
        if self._world.is_calm and verb != "start":
            return
        if gateway is None or board is None:
            self._end("cannot say", vm, verb)
            return
        self._number += 1
        machine = self._machines.get(vm)
        found = self._hosts[machine.host].driver.vms.get(vm) if machine is not None else None
        disk = found.machine_id if found is not None and found.incarnation else None
        had_agent = machine is not None and machine.guest is not None
        word = Word(f"person-{self._number}", vm, verb, disk, had_agent, self._world.now)
        before = VmSnapshot(**asdict(board.vms[vm])) if vm in board.vms else None
        self._world.befall("word of a person", word.person, f"{verb} of {vm}")
        self._world.agenda.after(self._rng.random() * 0.01, partial(self._arrive, word, before, gateway, self._number))

    def _arrive(self, word: Word, before: VmSnapshot | None, gateway: "SimulatedGateway", request: int) -> None:
        if self._world.gateway is not gateway:
            self._end("cannot say", word.vm, word.verb)
            return
        self._laws.asked(word)
        gateway.desk.asked(word.person, AskPower(request, word.vm, word.verb))
        self._world.agenda.after(_LOOK_EACH_S, partial(self._look, word, before, gateway))

    def _look(self, word: Word, before: VmSnapshot | None, gateway: "SimulatedGateway") -> None:
        """As `by_hand.supervised` looks at the status."""
        board = self._world.board
        if self._world.gateway is not gateway or board is None:
            self._end("cannot say", word.vm, word.verb)
            return
        how = ""
        if word.refusal:
            how = "refused"
        elif word.refusal == "" and before is not None:
            machine = self._machines[word.vm]
            if is_reached(word.verb, before, VmSnapshot(**asdict(board.vms[word.vm]))):
                self._laws.reached(word, machine, self._hosts[machine.host])
                how = "done"
        if not how and self._world.now - word.asked_at > _PATIENCE_S:
            how = "cannot say"
        if how:
            gateway.desk.went(word.person)
            self._end(how, word.vm, word.verb)
        else:
            self._world.agenda.after(_LOOK_EACH_S, partial(self._look, word, before, gateway))

    def _end(self, how: str, vm: str, verb: PowerVerb) -> None:
        self.told[how] += 1
        self._world.story.tell("a person", f"is told: {how}", f"{verb} of {vm}")
