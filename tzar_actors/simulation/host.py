"""A simulated host: the drivers' fake with VMs in it, and the lanes that reach it, slow, refusing, lying or silent."""

from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tzar_actors.actors.messages import CallAnswer, DriverCall, HostAnswer, HostQuestion
from tzar_actors.drivers.base import VmStatus
from tzar_actors.drivers.fake import FakeDriver
from tzar_actors.errors import DriverError
from tzar_actors.loop import Loop, LoopActor
from tzar_actors.simulation.journal import Doom
from tzar_actors.simulation.machine import Machine
from tzar_actors.simulation.surroundings import Surroundings
from tzar_agent.protocol.identity import Identity

if TYPE_CHECKING:
    from tzar_actors.simulation.laws import Laws
    from tzar_actors.simulation.watch import Care

__all__ = ["SimulatedHost", "SimulatedLane"]

_SECONDS: Final = {"create": 8.0, "start": 3.0, "restore": 5.0, "stop": 2.0, "kill": 0.6, "remove": 2.0}
_STATUS_S: Final = 0.05
_SILENT_S: Final = (60.0, 600.0)
_STOP_TIMEOUT_S: Final = 10.0


class SimulatedHost:
    """One host.

    Args:
        surroundings: the world's shared parts.
        name: the host's name.
        laws: are told of each call.
    """

    def __init__(self, surroundings: Surroundings, name: str, laws: "Laws") -> None:
        self.name = name
        self.machines: dict[str, Machine] = {}
        self.failed_at = float("-inf")  # when last all its VMs failed
        self.driver = FakeDriver(name, on_start=self._started, on_stop=self._stopped)
        self.laws = laws
        self._world = surroundings
        self._outages = 0
        self._statuses: Mapping[str, VmStatus] | None = None  # what it says of its VMs, until something changes

    def fail(self, seconds: float) -> None:
        """All its VMs go off at once, and it cannot be asked for a while."""
        self._world.befall("host failure", self.name, f"for {seconds:.0f} s")
        self.failed_at = self._world.now
        for vm, machine in self.machines.items():
            if vm in self.driver.vms:
                machine.excuse("its host failed")
                self.driver.power_off(vm)
        self._be_unreachable(seconds)

    def hide(self, seconds: float) -> None:
        """It cannot be asked for a while. Its VMs go on."""
        self._world.befall("host unreachable", self.name, f"for {seconds:.0f} s")
        self._be_unreachable(seconds)

    def call(self, call: DriverCall) -> tuple[str | None, str | None, bool]:
        """What a call comes to: the machine id, the error, whether it was a refusal."""
        world, faults = self._world, self._world.faults
        machine = self.machines.get(call.vm)
        draw = world.rng.random()
        if draw < faults.driver_refusal:
            world.befall("driver refusal", call.vm, call.verb)
            return None, "the host is busy", True
        if (draw := draw - faults.driver_refusal) < faults.driver_failure:
            self._excuse(machine, "its driver failed")
            world.befall("driver failure", call.vm, call.verb)
            return None, f"{call.verb} failed", False
        if draw - faults.driver_failure < faults.driver_lie:
            self._excuse(machine, "its driver lied")
            world.befall("driver lie", call.vm, call.verb)
            return ("a lie" if call.verb == "create" else None), None, False
        return self._perform(call, machine)

    def ask(self, asked_at: float) -> HostAnswer:
        """What it says of its VMs."""
        try:
            if self._statuses is None or self.driver.unreachable:
                self._statuses = self.driver.status()
            return HostAnswer(self.name, asked_at, self._statuses)
        except DriverError as error:
            return HostAnswer(self.name, asked_at, None, str(error))

    def _perform(self, call: DriverCall, machine: Machine | None) -> tuple[str | None, str | None, bool]:
        driver, vm = self.driver, call.vm
        self._statuses = None
        machine_id = None
        self.laws.called(vm, call.verb, is_ours=machine is not None)
        try:
            match call.verb:
                case "create":
                    is_new = vm not in driver.vms
                    machine_id = driver.create(vm)
                    if is_new and machine is not None:
                        machine.made_anew()
                case "start" | "restore":
                    if call.identity is not None:
                        driver.start(vm, call.identity)
                case "stop":
                    driver.stop(vm, _STOP_TIMEOUT_S)
                case "kill":
                    driver.kill(vm)
                case "remove":
                    driver.remove(vm)
        except DriverError as error:
            if not error.unreachable:
                self._excuse(machine, "its driver failed")
            return None, str(error), error.busy or error.unreachable
        return machine_id, None, False

    def _excuse(self, machine: Machine | None, reason: str) -> None:
        if machine is not None:
            machine.excuse(reason)

    def _be_unreachable(self, seconds: float) -> None:
        self._outages += 1
        self.driver.unreachable = True
        self._world.agenda.after(seconds, partial(self._be_reachable, self._outages))

    def _be_reachable(self, number: int) -> None:
        if number == self._outages:
            self.driver.unreachable = False
            self._world.story.tell(self.name, "can be asked again")

    def _started(self, vm: str, identity: Identity) -> None:
        self.machines[vm].started(identity)

    def _stopped(self, vm: str) -> None:
        self._statuses = None
        if (machine := self.machines.get(vm)) is not None:
            machine.stopped()


class SimulatedLane(LoopActor):
    """A `HostLane` without a thread: one call after the other, each answered when the world's time has come.

    Args:
        loop: of this life of the supervisor.
        surroundings: the world's shared parts.
        host: the host it reaches.
        doom: when this life is to end.
        care: is told which VMs there are calls for.
    """

    def __init__(self, loop: Loop, surroundings: Surroundings, host: SimulatedHost, doom: Doom, care: "Care") -> None:
        super().__init__(loop)
        self._world = surroundings
        self._host = host
        self._doom = doom
        self._care = care
        self._laws = host.laws
        self._waiting: deque[DriverCall | HostQuestion] = deque()
        self._is_busy = False

    def on_receive(self, message: Any) -> None:
        """Pykka's hook: one call."""
        if isinstance(message, DriverCall):
            self._care.begins(message.vm)
            if message.identity is not None:
                self._laws.booted(message.vm, message.identity)
        self._waiting.append(message)
        if not self._is_busy:
            self._next()

    def _next(self) -> None:
        self._is_busy = bool(self._waiting)
        if not self._is_busy:
            return
        message, world = self._waiting.popleft(), self._world
        what = f"{message.verb} of {message.vm}" if isinstance(message, DriverCall) else "status"
        usual_s = _SECONDS[message.verb] if isinstance(message, DriverCall) else _STATUS_S
        seconds = usual_s * (0.5 + world.rng.random())
        if world.happens(world.faults.driver_silence if isinstance(message, DriverCall) else 0.0):
            seconds = world.rng.uniform(*_SILENT_S)
            world.befall("driver silence", self._host.name, f"{what} for {seconds:.0f} s")
        if isinstance(message, DriverCall) and world.happens(world.faults.driver_hang):
            world.befall("driver hang", self._host.name, what)
            return
        world.agenda.after(seconds, partial(self._finish, message, seconds))

    def _finish(self, message: DriverCall | HostQuestion, seconds: float) -> None:
        if self._doom.is_dead:
            # The lane died with its process. What it had asked the host to do may be done all the same.
            if isinstance(message, DriverCall) and self._world.happens(0.5):
                self._host.call(message)
            return
        answer: CallAnswer | HostAnswer
        if isinstance(message, DriverCall):
            machine_id, error, refused = self._host.call(message)
            self._care.ends(message.vm)
            answer = CallAnswer(message.generation, message.verb, seconds, machine_id, error, refused)
        else:
            answer = self._host.ask(message.asked_at)
        if message.reply_to.is_alive():
            message.reply_to.tell(answer)
        self._next()
