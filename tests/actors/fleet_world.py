"""The real actors on a virtual loop, with a real journal, the drivers' fake, and agents that play as they are told."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pykka

from tzar_actors.actors.board import Board
from tzar_actors.actors.dispatcher import Dispatcher
from tzar_actors.actors.fleet_actor import FleetActor
from tzar_actors.actors.host_lane import HostLane
from tzar_actors.actors.messages import AgentHello, AgentLeft, AgentResult, Restore, TrainerSaid
from tzar_actors.actors.wiring import HostWiring, Wiring
from tzar_actors.client.protocol import Submission, Submit
from tzar_actors.core.blame import BlamePolicy
from tzar_actors.core.evaluation import Evaluation
from tzar_actors.core.restart import RestartIntensity
from tzar_actors.core.vm import VmLimits
from tzar_actors.drivers.fake import FakeDriver
from tzar_actors.events.sink import RecordedEvents
from tzar_actors.journal.journal import Journal
from tzar_actors.loop import Loop, LoopActor, VirtualWaiter
from tzar_actors.loop.waiter import VirtualClock
from tzar_agent.protocol.messages import PROTOCOL_VERSION, Evidence, Hello, Play, Playing, Result

EMPTY_MAP = b"\x80"


class LoopLane(LoopActor):
    """A host's lane whose calls are done at once, on the loop."""

    _call, _do, _ask, on_receive = HostLane._call, HostLane._do, HostLane._ask, HostLane.on_receive

    def __init__(self, loop, host, driver):
        super().__init__(loop)
        self._host, self._driver = host, driver


class Gateway:
    """Stands for the control server: agents are here at once, and what is told to trainers is kept."""

    def __init__(self, world):
        self.world = world
        self.actors: dict[str, Any] = {}
        self.playing: dict[str, Play] = {}
        self.here: dict[str, int] = {}  # the incarnation of each agent that is connected
        self.desk = self
        self.delivered: list[Any] = []

    def attach(self, vm, actor):
        self.actors[vm] = actor
        if vm not in self.here:
            return False
        actor.tell(AgentHello(self.hello(vm)))
        return True

    def hello(self, vm):
        play = self.playing.get(vm)
        playing = Playing(play.attempt, play.evaluation, play.game, play.digest) if play else None
        return Hello(PROTOCOL_VERSION, vm, self.here[vm], "test", 7, playing, (), 1)

    def expect(self, vm, incarnation, public_key):
        self.here.pop(vm, None)

    def send(self, vm, message):
        if vm in self.here and isinstance(message, Play):
            self.playing[vm] = message
        return vm in self.here

    def watch(self, vm, order, time_limit_s):
        """No game runs over its limit here."""

    def acknowledge(self, vm, attempt):
        """Nobody keeps anything here."""

    def deliver(self, trainer, key, encoded):
        self.delivered.append(self.world.journal.codec.decode(encoded))

    def accept(self, trainer, key):
        """Nobody waits for it."""

    def tell(self, trainer, message):
        raise AssertionError(f"{trainer} is told {message}")


class FleetWorld:
    """A fleet of one host."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = VirtualClock(1000.0)
        self.events = RecordedEvents()
        self.journal = Journal(folder / "journal.sqlite", "process", lambda: "fleet")
        self.driver = FakeDriver("h", on_start=self._booted, on_stop=self._went_off)
        self.comes: Callable[[str], bool] = lambda vm: True  # whether the agent of a VM that boots says hello
        self.loop = Loop(self.clock, VirtualWaiter(self.clock), commit=self.journal.commit)
        self.gateway = Gateway(self)

    def start(self, vms: int, restarts: int = 2, boots_at_a_time: int = 8, checkpoint: str = "", **more: Any) -> None:
        """Starts the actors, and turns until all VMs that come are here."""
        lanes = tuple(LoopLane.start(self.loop, "h", self.driver) for _ in range(2))
        names = tuple(f"vm-{i + 1}" for i in range(vms))
        host = HostWiring("h", names, "tcp://127.0.0.1:1", None, lanes[:1], lanes[1], checkpoint, boots_at_a_time)
        self.wiring = Wiring(
            loop=self.loop,
            journal=self.journal,
            log=self.events,
            board=Board("fleet", self.journal.epoch, 1),
            gateway=self.gateway,
            spool=None,
            fleet_id="fleet",
            server_key="x" * 40,
            wall=self.clock,
            hosts=(host,),
            vm_limits=VmLimits(60.0, 3.0, 10.0, 600.0),
            intensity=RestartIntensity(restarts, 600.0, 0.2, 60.0),
            blame=BlamePolicy(),
            time_limit_s=60.0,
            stall_s=None,
            genome_limit_bytes=1000,
            queue_limit=1000,
            drain_grace_s=10.0,
            on_trainer_exit="linger",
            **more,
        )
        self.wiring.dispatcher = Dispatcher.start(self.wiring)
        self.wiring.dispatcher.tell(Restore(self.clock()))
        self.wiring.fleet = FleetActor.start(self.wiring)
        self.run(1.0)

    def run(self, seconds: float) -> None:
        """So much time passes."""
        until = self.clock.now + seconds
        while self.clock.now < until:
            self.loop.turn(until - self.clock.now)

    def run_until(self, condition: Callable[[], object], within_s: float = 1000.0) -> None:
        """Time passes until `condition` holds."""
        until = self.clock.now + within_s
        while not condition():
            assert self.clock.now < until, f"it did not come to that; {self.events.events[-20:]}"
            self.loop.turn(0.05)

    def submit(self, name: str) -> None:
        genome = name.encode()
        asked = Evaluation(name, None, sha256(genome).digest(), len(genome), EMPTY_MAP, (1,), None)
        self.wiring.dispatcher.tell(TrainerSaid("t", Submit((Submission(asked, genome, True),))))
        self.run(0.05)

    def finish(self, vm: str, status: str = "scored", reason: str = "") -> None:
        """The game of `vm` ends."""
        play = self.gateway.playing.pop(vm)
        evidence = None if status == "scored" else Evidence(3, "Traceback")
        fitness = 1.0 if status == "scored" else None
        result = Result(
            play.attempt, play.evaluation, play.game, play.digest, status, fitness, EMPTY_MAP, 1.0, reason, evidence
        )
        self.gateway.actors[vm].tell(AgentResult(self.gateway.here[vm], result))
        self.run(0.05)

    def crash(self, vm: str) -> None:
        """The VM goes off by itself, and its connection ends."""
        self.driver.power_off(vm)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events.events if isinstance(event, kind)]

    def row(self, vm: str) -> Any:
        return self.wiring.board.vms[vm]

    def outcomes(self) -> dict[str, str]:
        return {ended.key: ended.outcome for ended in self.gateway.delivered}

    def close(self) -> None:
        for ref in pykka.ActorRegistry.get_all():
            pykka.ActorRegistry.unregister(ref)
        self.journal.close()

    def _booted(self, vm: str, identity: Any) -> None:
        if not self.comes(vm):
            return

        def come() -> None:
            if self.driver.vms[vm].is_running and self.driver.vms[vm].incarnation == identity.incarnation:
                self.gateway.here[vm] = identity.incarnation
                self.gateway.actors[vm].tell(AgentHello(self.gateway.hello(vm)))

        self.loop.call_later(0.3, come)

    def _went_off(self, vm: str) -> None:
        self.gateway.playing.pop(vm, None)
        if self.gateway.here.pop(vm, None) and self.gateway.actors[vm].is_alive():
            self.gateway.actors[vm].tell(AgentLeft())
