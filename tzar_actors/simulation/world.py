"""A world: hosts, VMs, trainers, faults, and the lives of one supervisor, each with the journal of the one before."""

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Final

from tzar_actors.core.call_limits import CallLimits
from tzar_actors.core.restart import RestartIntensity
from tzar_actors.core.vm_limits import VmLimits
from tzar_actors.errors import TzarError
from tzar_actors.loop.waiter import VirtualClock
from tzar_actors.settings.sections import Heartbeat, Recovery
from tzar_actors.simulation.agenda import Agenda
from tzar_actors.simulation.disk import SimulatedDisk
from tzar_actors.simulation.faults import Faults
from tzar_actors.simulation.host import SimulatedHost
from tzar_actors.simulation.laws import Laws
from tzar_actors.simulation.life import BOOTS_AT_A_TIME, Life, Terms
from tzar_actors.simulation.machine import Machine
from tzar_actors.simulation.network import Network
from tzar_actors.simulation.persons import Persons
from tzar_actors.simulation.story import Broken, Killed, Story, ViolationError
from tzar_actors.simulation.surroundings import GameLengths, Surroundings
from tzar_actors.simulation.trainer import Trainer
from tzar_actors.simulation.watch import LOOK_EACH_S, Limits, Watch

__all__ = ["World"]

_TRAINERS: Final = 2
_TIME_LIMIT_S: Final = 600.0
_STALL_S: Final = 240.0
_AWAY_S: Final = (0.5, 20.0)  # between two lives of the supervisor
_HANG_S: Final = (2.0, 240.0)
_CUT_S: Final = (0.5, 60.0)
_OUTAGE_S: Final = (10.0, 400.0)
_LITTLE_BYTES: Final = 500_000_000  # too little for new work, and enough for what was accepted
_LIVES_AT_ONCE: Final = 32
_MOMENTS: Final = ("record", "before commit", "after commit", "send")
_DRAIN_S: Final = 4 * 3600.0


class World:
    """One world.

    Args:
        seed: decides everything in it.
        vms: in the fleet, on all hosts together.
        hosts: that carry them.
        faults: how often what goes wrong.
        folder: where the journal lies; empty.
        games: how long they last.
        depth: evaluations that each trainer keeps open; None: enough for every VM.
        is_digested: whether the story's digest is wanted.
    """

    def __init__(
        self,
        seed: int,
        vms: int,
        hosts: int,
        faults: Faults,
        folder: Path,
        *,
        games: GameLengths | None = None,
        depth: int | None = None,
        is_digested: bool = False,
    ) -> None:
        self.seed = seed
        clock = VirtualClock()
        agenda = Agenda(clock)
        self.story = Story(clock, is_digested=is_digested)
        network = Network(agenda, Random(f"{seed} network"), faults, self.story)
        self.surroundings = Surroundings(agenda, Random(f"{seed} world"), faults, network, self.story)
        self.surroundings.games = games or GameLengths()
        self.surroundings.strike = self._strike
        self.surroundings.disk = SimulatedDisk(self.surroundings) if faults.disk_full_h else None
        names = [f"vm-{number:04d}" for number in range(1, vms + 1)]
        self.laws = Laws(self.surroundings, names)
        pids = count(1000)
        of_hosts = [f"host-{number}" for number in range(1, hosts + 1)]
        self.hosts = {name: SimulatedHost(self.surroundings, name, self.laws) for name in of_hosts}
        self.machines: dict[str, Machine] = {}
        for place, vm in enumerate(names):
            host = self.hosts[of_hosts[place % hosts]]
            self.machines[vm] = host.machines[vm] = Machine(self.surroundings, vm, host.name, self.laws, pids)
        for host in self.hosts.values():
            host.driver.add_foreign(f"{host.name}-of-somebody-else", is_running=True)
        depth = depth or 2 * vms // _TRAINERS + 4
        self.trainers = [
            Trainer(self.surroundings, f"trainer-{n + 1}", Random(f"{seed} trainer {n}"), depth, self.laws)
            for n in range(_TRAINERS)
        ]
        self._terms = _terms(folder / "journal.sqlite", Random(f"{seed} supervisor"))
        self.watch = Watch(self.surroundings, self.laws, _limits(self._terms), self.hosts, self.machines)
        self.life: Life | None = None
        self.lives = 0
        chance = Random(f"{seed} persons")
        self.persons = Persons(self.surroundings, chance, self.laws.by_hand, self.hosts, self.machines)

    def run(self, seconds: float) -> Iterator[float]:
        """Lets the world run for `seconds`, then in peace until all that was accepted has its outcome.

        Yields:
            Seconds since it began, now and then.

        Raises:
            ViolationError: a law is broken.
        """
        agenda = self.surroundings.agenda
        try:
            with _quiet():
                self._begin()
                agenda.after(LOOK_EACH_S, self._look)
                yield from self._until(seconds)
                self.surroundings.calm()
                self.persons.make_peace()
                for trainer in self.trainers:
                    trainer.has_enough = True
                yield from self._until(seconds + _DRAIN_S)
                self._check_the_end()
        except Broken as broken:
            told = tuple(self.story.lines())
            raise ViolationError(broken.law, broken.what, self.surroundings.now, self.seed, told) from broken
        finally:
            if self.life is not None:
                self.life.abandon()

    @property
    def is_done(self) -> bool:
        """Every trainer has all that it asked for, and asks for no more."""
        return all(trainer.has_enough and not trainer.open for trainer in self.trainers)

    def _until(self, until: float) -> Iterator[float]:
        agenda, next_yield = self.surroundings.agenda, 0.0
        clock = agenda.clock
        is_peace = self.surroundings.is_calm
        while clock.now < until and not (is_peace and self.is_done):
            if clock.now >= next_yield:
                next_yield = clock.now + 600.0
                yield clock.now
            life = self.life
            if life is None:
                agenda.pass_time(until)
                continue
            try:
                life.loop.turn(until - clock.now)
            except Killed as killed:
                self._supervisor_died(str(killed))
            except (SystemExit, TzarError) as end:
                self.laws.broken("the supervisor ends only when it is killed", str(end))

    def _begin(self) -> None:
        faults = self.surroundings.faults
        self._bear()
        for machine in self.machines.values():
            self._haunt(
                (faults.agent_crash_h, machine.agent_crash),
                (faults.vm_crash_h, partial(self._crash, machine)),
                (faults.vm_hang_h, partial(self._freeze, machine)),
                (faults.partition_h, partial(self._cut, machine)),
                (faults.sick_h, partial(self._sicken, machine)),
                (faults.actor_bug_h, partial(self._hit_actor, machine)),
            )
        for host in self.hosts.values():
            self._haunt(
                (faults.host_failure_h, partial(self._fail, host)),
                (faults.host_unreachable_h, partial(self._hide, host)),
            )
        self._haunt((faults.disk_full_h, self._fill_disk))
        for trainer in self.trainers:
            self._haunt((faults.trainer_death_h, trainer.die))
        self._haunt((faults.supervisor_kill_h, self._doom))
        self.persons.begin()

    def _haunt(self, *fates: tuple[float, Callable[[], None]]) -> None:
        """From now on each of these happens at its rate per hour, until the world is calmed."""
        rates = [rate for rate, _ in fates]
        together = sum(rates) / 3600.0
        if together <= 0.0:
            return
        world, calls = self.surroundings, [call for _, call in fates]

        def strike() -> None:
            if not world.is_calm:
                (call,) = world.rng.choices(calls, rates)
                call()
                world.agenda.after(world.rng.expovariate(together), strike)

        world.agenda.after(world.rng.expovariate(together), strike)

    def _look(self) -> None:
        self.watch.look()
        self.surroundings.agenda.after(LOOK_EACH_S, self._look)

    # --- faults

    def _crash(self, machine: Machine) -> None:
        if machine.is_on:
            machine.excuse("it crashed")
            self.surroundings.befall("VM crash", machine.vm)
            self.hosts[machine.host].driver.power_off(machine.vm)

    def _freeze(self, machine: Machine) -> None:
        machine.freeze(self.surroundings.rng.uniform(*_HANG_S))

    def _cut(self, machine: Machine) -> None:
        machine.cut(self.surroundings.rng.uniform(*_CUT_S))

    def _fail(self, host: SimulatedHost) -> None:
        host.fail(self.surroundings.rng.uniform(*_OUTAGE_S))

    def _hide(self, host: SimulatedHost) -> None:
        host.hide(self.surroundings.rng.uniform(*_OUTAGE_S))

    def _sicken(self, machine: Machine) -> None:
        if sum(other.is_sick for other in self.machines.values()) * 4 < len(self.machines):
            machine.sicken()
            self._crash(machine)

    def _hit_actor(self, machine: Machine) -> None:
        if self.life is not None:
            machine.excuse("its actor was hit")
            self.surroundings.befall("actor bug", machine.vm)
            self.life.hit(machine.vm)

    def _fill_disk(self) -> None:
        rng, disk = self.surroundings.rng, self.surroundings.disk
        if disk is not None:
            disk.run_short(rng.uniform(*_OUTAGE_S), 0 if rng.random() < 0.7 else _LITTLE_BYTES)

    def _strike(self, vm: str) -> None:
        machine = self.machines[vm]
        of_machines = (self._crash, self._freeze, self._cut, self._hit_actor, Machine.agent_crash)
        if self.surroundings.is_calm:
            return
        if self.surroundings.happens(1 / (1 + len(of_machines))):
            self._doom()
        else:
            self.surroundings.rng.choice(of_machines)(machine)

    def _doom(self) -> None:
        if self.life is not None and self.life.doom.moment is None:
            self.life.doom.moment = self.surroundings.rng.choice(_MOMENTS)

    # --- the supervisor's lives

    def _bear(self) -> None:
        world = self.surroundings
        self.lives += 1
        life = self.life = Life(self._terms, world, self.laws, self.watch, self.hosts)
        world.story.tell("supervisor", "begins", f"epoch {life.epoch}")
        for machine in self.machines.values():
            if machine.guest is not None:
                machine.guest.supervisor_is_up()
        for trainer in self.trainers:
            world.agenda.after(world.rng.random(), trainer.come)

    def _supervisor_died(self, moment: str) -> None:
        world = self.surroundings
        world.befall("supervisor kill", "supervisor", moment)
        if self.life is not None:
            self.life.abandon()
        self.life = None
        self.laws.supervisor_died()
        self.laws.by_hand.supervisor_died()
        for machine in self.machines.values():
            machine.excuse("the supervisor was killed")
            if machine.guest is not None:
                machine.guest.supervisor_died()
        for trainer in self.trainers:
            trainer.supervisor_died()
        if self.lives % _LIVES_AT_ONCE == 0:
            gc.collect()  # the actors of a life know each other; what is left is kept, and is not walked through again
            gc.freeze()
        world.agenda.after(world.rng.uniform(*_AWAY_S), self._bear)

    def _check_the_end(self) -> None:
        laws = self.laws
        for host in self.hosts.values():
            foreign = host.driver.vms.get(f"{host.name}-of-somebody-else")
            if foreign is None or not foreign.is_running:
                laws.broken("only what bears the mark is touched", f"a VM of somebody else on {host.name} is gone")
        if not laws.players:
            return
        left = [key for trainer in self.trainers for key in trainer.open]
        if left:
            laws.broken("no genome is lost", f"{_DRAIN_S:.0f} s of peace gave no outcome for {', '.join(left[:20])}")
        if laws.open:
            laws.broken("no genome is lost", f"these stay open: {', '.join(list(laws.open)[:20])}")


def _terms(journal: Path, rng: Random) -> Terms:
    heartbeat, recovery = Heartbeat(), Recovery()
    return Terms(
        journal=journal,
        rng=rng,
        interval_s=heartbeat.interval_s,
        misses=heartbeat.misses,
        vm_limits=VmLimits(
            boot_timeout_s=recovery.boot_timeout_s,
            silence_s=heartbeat.interval_s * heartbeat.misses,
            reconnect_grace_s=heartbeat.reconnect_grace_s,
            settle_s=recovery.window_s,
        ),
        call_limits=CallLimits(recovery.call_timeout_s, recovery.boot_timeout_s),
        intensity=RestartIntensity(
            recovery.restarts, recovery.window_s, recovery.first_delay_s, recovery.longest_delay_s
        ),
        time_limit_s=_TIME_LIMIT_S,
        stall_s=_STALL_S,
    )


def _limits(terms: Terms) -> Limits:
    return Limits(
        terms.vm_limits.boot_timeout_s,
        terms.vm_limits.reconnect_grace_s,
        terms.call_limits,
        terms.intensity.longest_delay_s,
        terms.time_limit_s,
        terms.intensity.limit,
        terms.intensity.window_s,
        rungs=2,
        lanes=BOOTS_AT_A_TIME + 1,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Pykka's log of actors that failed, and without the collector's walks through a whole day."""
    logger = logging.getLogger("pykka")
    level, collects = logger.level, gc.isenabled()
    logger.setLevel(logging.CRITICAL + 1)
    gc.disable()
    try:
        yield
    finally:
        logger.setLevel(level)
        gc.freeze()  # a whole day would be walked through as if it were young
        if collects:
            gc.enable()
        gc.unfreeze()
