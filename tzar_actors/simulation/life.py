"""One life of the supervisor in a world: the real loop, journal and actors, from their start to their death."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

import pykka

from tzar_actors.actors.board import Board
from tzar_actors.actors.dispatcher import Dispatcher
from tzar_actors.actors.evidence import EvidenceStore
from tzar_actors.actors.fleet_actor import FleetActor
from tzar_actors.actors.messages import Restore
from tzar_actors.actors.wiring import Chance, HostWiring, Wiring
from tzar_actors.core.blame import BlamePolicy
from tzar_actors.core.call_limits import CallLimits
from tzar_actors.core.restart import RestartIntensity
from tzar_actors.core.vm_limits import VmLimits
from tzar_actors.events import catalogue
from tzar_actors.events.level import Level
from tzar_actors.gateway.keys import KeyPair
from tzar_actors.loop import Loop, LoopActor, Timer
from tzar_actors.simulation.agenda import Agenda
from tzar_actors.simulation.disk import SimulatedReserve, keep_house
from tzar_actors.simulation.gateway import SimulatedGateway
from tzar_actors.simulation.host import SimulatedHost, SimulatedLane
from tzar_actors.simulation.journal import Doom, SimulatedJournal
from tzar_actors.simulation.laws import Laws
from tzar_actors.simulation.surroundings import Surroundings
from tzar_agent.protocol.messages import INLINE_LIMIT_BYTES, PROTOCOL_VERSION, Welcome

if TYPE_CHECKING:
    from tzar_actors.simulation.watch import Care, Watch

__all__ = ["BOOTS_AT_A_TIME", "Life", "Terms"]

BOOTS_AT_A_TIME: Final = 4
_WALL: Final = 1_790_000_000.0  # seconds since 1970 when the world begins
_QUEUE_LIMIT: Final = 1_000_000


@dataclass(slots=True)
class Terms:
    """What the supervisor is told at each start.

    Args:
        journal: its journal's file.
        rng: all chance of its own.
        interval_s: between two heartbeats.
        misses: of them until somebody is silent.
        vm_limits: how long VMs may take.
        call_limits: how long driver calls may take.
        intensity: how often they may fail.
        time_limit_s: of a game.
        stall_s: without progress until a game has stalled.
    """

    journal: Path
    rng: Random
    interval_s: float
    misses: int
    vm_limits: VmLimits
    call_limits: CallLimits
    intensity: RestartIntensity
    time_limit_s: float
    stall_s: float | None


class _Log:
    """An `EventSink` that tells the story, and the laws what they must know of it."""

    def __init__(self, world: Surroundings, laws: Laws, watch: "Watch") -> None:
        self._world = world
        self._laws = laws
        self._watch = watch
        self.hit: set[str] = set()  # VMs whose actors were killed by the world

    def emit(self, event: catalogue.Event) -> None:
        """See `EventSink`."""
        self._world.story.tell("supervisor", event)
        match event:
            case catalogue.AttemptDropped(attempt, _, reason):
                self._laws.dropped(attempt, reason)
            case catalogue.VmFailed(vm, _, cause):
                self._laws.ahead.given_up.add(vm)
                self._laws.by_hand.failed(vm, cause)
                self._watch.gave_up(vm, cause)
            case catalogue.VmRecovering(vm, rung):
                self._laws.by_hand.recovering(vm, rung)
            case catalogue.VmReleased(vm):
                self._laws.by_hand.released(vm)
            case catalogue.VmQuarantined(vm, _):
                self._laws.quarantined.add(vm)
                self._watch.quarantined(vm)
            case catalogue.HostDown(host):
                self._watch.host_down(host)
            case catalogue.HostUp(host):
                self._watch.host_up(host)
            case catalogue.LaneAbandoned(str(vm)):
                self._watch.care.given_up(vm)
            case catalogue.VmReady(vm, incarnation):
                self._laws.ahead.given_up.discard(vm)
                self._laws.quarantined.discard(vm)  # its trial of the strongest rung went well
                self._watch.ready(vm, incarnation)
            case catalogue.ActorFailed(actor, error):
                if actor.removeprefix("VmActor ") not in self.hit:
                    self._laws.broken("no actor fails by itself", f"{actor}: {error}")
            case _:
                pass

    def hears(self, level: Level) -> bool:
        """See `EventSink`. The story has them all."""
        return True

    def flush(self) -> None:
        """See `EventSink`."""


class _Loop(Loop):
    """A loop whose thread is the world's: the agenda is told of whatever it is to do."""

    def __init__(self, agenda: Agenda, commit: Callable[[], None]) -> None:
        super().__init__(agenda.clock, agenda, commit=commit)
        self._agenda = agenda

    def schedule(self, actor: LoopActor) -> None:
        """See `Loop`."""
        self._agenda.wake()
        self._ready.append(actor)

    def call_at(self, due: float, callback: Callable[[], None]) -> Timer:
        """See `Loop`."""
        self._agenda.wake()
        return super().call_at(due, callback)


class _Spool:
    """Every large genome lies here."""

    def holds(self, digest: bytes, size: int) -> bool:
        """See `BlobStore`."""
        return size > INLINE_LIMIT_BYTES


class Life:
    """One life.

    Args:
        terms: what the supervisor is told.
        world: the world's shared parts.
        laws: of what is said and kept.
        watch: the laws of time.
        hosts: all of them.

    Raises:
        JournalError: the journal that the last life left cannot be used.
    """

    def __init__(
        self, terms: Terms, world: Surroundings, laws: Laws, watch: "Watch", hosts: "dict[str, SimulatedHost]"
    ) -> None:
        self.doom = Doom()
        self._world = world
        reserve = SimulatedReserve(world.disk) if world.disk is not None else None
        make_room = reserve.make_room if reserve is not None else None
        self._journal = SimulatedJournal(terms.journal, "simulated", laws, self.doom, make_room)
        self.epoch = self._journal.epoch
        self.loop = _Loop(world.agenda, self._journal.commit)
        welcome = Welcome(PROTOCOL_VERSION, self.epoch, terms.interval_s, terms.misses, b"\x80", "", None, 0)
        self._gateway = SimulatedGateway(
            self.loop,
            world.agenda,
            welcome,
            terms.interval_s * terms.misses,
            terms.interval_s,
            world.rng,
            laws,
            self.doom,
        )
        self._log = _Log(world, laws, watch)
        care = watch.supervisor_began()
        self._others = set(pykka.ActorRegistry.get_all())
        rng = terms.rng
        self._wiring = Wiring(
            loop=self.loop,
            journal=self._journal,
            log=self._log,
            board=Board("simulated", self.epoch, 1),
            gateway=self._gateway,
            spool=_Spool(),
            fleet_id="simulated",
            server_key="server",
            wall=lambda: _WALL + world.now,
            hosts=tuple(self._wire(host, world, care) for host in hosts.values()),
            vm_limits=terms.vm_limits,
            intensity=terms.intensity,
            blame=BlamePolicy(),
            time_limit_s=terms.time_limit_s,
            stall_s=terms.stall_s,
            genome_limit_bytes=64 * 1024 * 1024,
            queue_limit=_QUEUE_LIMIT,
            drain_grace_s=60.0,
            on_trainer_exit="linger",
            evidence=EvidenceStore(terms.journal.with_name("evidence"), terms.journal.with_name("events.jsonl")),
            call_limits=terms.call_limits,
            chance=Chance(
                draw=rng.random,
                keys=lambda: KeyPair(f"{rng.getrandbits(128):032x}", "secret"),
                entropy=lambda: f"{rng.getrandbits(256):064x}",
            ),
        )
        self._wiring.dispatcher = self._gateway.desk.dispatcher = Dispatcher.start(self._wiring)
        self._wiring.dispatcher.tell(Restore(_WALL + world.now))
        self._wiring.fleet = self._gateway.desk.fleet = FleetActor.start(self._wiring)
        if world.disk is not None and reserve is not None:
            world.disk.opened(self._journal.connection)
            keep_house(self._wiring, world.disk, reserve, terms.journal.with_name("spool"))
        world.gateway, world.board = self._gateway, self._wiring.board

    @property
    def board(self) -> Board:
        """What the supervisor knows of its fleet."""
        return self._wiring.board

    def hit(self, vm: str) -> None:
        """The actor of this VM fails at its next message."""
        actor = self._wiring.vm_actors.get(vm)
        if actor is not None and actor.is_alive():
            self._log.hit.add(vm)
            actor.tell("what no actor can handle")

    def abandon(self) -> None:
        """The process is gone: nothing of it acts any more, and what it had not committed is lost."""
        self.doom.is_dead = True
        self._world.gateway = self._world.board = None
        if self._world.disk is not None:
            self._world.disk.closed()
        for actor in pykka.ActorRegistry.get_all():
            if actor not in self._others and issubclass(actor.actor_class, LoopActor):
                pykka.ActorRegistry.unregister(actor)
        self._journal.close()

    def _wire(self, host: SimulatedHost, world: Surroundings, care: "Care") -> HostWiring:
        def lane() -> "pykka.ActorRef[Any]":
            return SimulatedLane.start(self.loop, world, host, self.doom, care)

        host.supervisor_began()
        vms = tuple(host.machines)
        return HostWiring(host.name, vms, "simulated", None, lane, boots_at_a_time=BOOTS_AT_A_TIME)
