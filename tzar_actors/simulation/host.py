"""A simulated host: the drivers' fake with VMs in it, and the lanes that reach it, slow, refusing, lying or silent."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, assert_never

import pykka

from tzar_actors.actors.evidence import EvidenceAnswer, EvidenceCall
from tzar_actors.actors.lane_messages import CallAnswer, DriverCall, HostAnswer, HostQuestion, LaneDone, LaneWork
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
_EVIDENCE_S: Final = 0.5
_SILENT_S: Final = (60.0, 600.0)
_EFFECT_S: Final = (0.0, 600.0)  # from a call that is never answered to what it does all the same
_STOP_TIMEOUT_S: Final = 10.0


Work: TypeAlias = DriverCall | HostQuestion | EvidenceCall


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
        self.lanes: dict[pykka.ActorRef[Any], float | None] = {}  # of this life; since when each is in a call
        self.hung_at = float("-inf")  # when last a call began that is never answered
        self.blinded_at: list[float] = []  # when questions were put in this life that are never answered
        self.misled_at: dict[str, float] = {}  # by VM: when a call last did something else than it said
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
            self.misled_at[call.vm] = world.now
            world.befall("driver lie", call.vm, call.verb)
            return ("a lie" if call.verb == "create" else None), None, False
        return self._perform(call, machine)

    def late(self, call: DriverCall) -> None:
        """A call that the supervisor has given up is about to be done: that befalls its VM."""
        self._excuse(self.machines.get(call.vm), "its driver did late what it had been told")
        self.misled_at[call.vm] = self._world.now
        self._world.story.tell(self.name, "does late", f"{call.verb} of {call.vm}")

    def supervisor_began(self) -> None:
        """A new life: no thread of the last one is there any more."""
        self.lanes.clear()
        self.blinded_at.clear()

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
    """A `HostLane` without a thread: each call is answered when the world's time has come, or never.

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

    def on_start(self) -> None:
        """Pykka's hook: there is one thread more."""
        self._host.lanes[self.actor_ref] = None

    def on_stop(self) -> None:
        """Pykka's hook: there is one thread less."""
        del self._host.lanes[self.actor_ref]

    def on_receive(self, message: Any) -> None:
        """Pykka's hook: one call."""
        work, world, faults = message.work, self._world, self._world.faults
        self._host.lanes[self.actor_ref] = world.now
        silence, hang = faults.driver_silence, faults.driver_hang
        match work:
            case DriverCall():
                self._care.begins(work.vm, work)
                if work.identity is not None:
                    self._laws.booted(work.vm, work.identity)
                usual_s = _SECONDS[work.verb]
            case EvidenceCall():
                self._care.begins(work.vm, work)
                usual_s = _EVIDENCE_S
            case _:
                usual_s, silence, hang = _STATUS_S, 0.0, faults.status_hang
        seconds = usual_s * (0.5 + world.rng.random())
        if world.happens(silence):
            seconds = world.rng.uniform(*_SILENT_S)
            self._befall("driver silence", work, f"for {seconds:.0f} s")
        if world.happens(hang):
            self._hang(work)
        else:
            world.agenda.after(seconds, partial(self._finish, message, seconds))

    def _hang(self, work: Work) -> None:
        """It is never answered. What was asked for may be done all the same, sooner or later."""
        if isinstance(work, HostQuestion):
            self._host.blinded_at.append(self._world.now)
            self._befall("status hang", work)
            return
        self._befall("driver hang", work)
        self._host.hung_at = self._world.now
        if isinstance(work, DriverCall) and self._world.rng.random() < 0.5:
            self._world.agenda.after(self._world.rng.uniform(*_EFFECT_S), partial(self._do_late, work))

    def _do_late(self, call: DriverCall) -> None:
        self._host.late(call)
        self._host.call(call)

    def _finish(self, message: LaneWork, seconds: float) -> None:
        work = message.work
        if self._doom.is_dead:
            # The lane died with its process. What it had asked the host to do may be done all the same.
            if isinstance(work, DriverCall) and self._world.happens(0.5):
                self._host.misled_at[work.vm] = self._world.now
                self._host.call(work)
            return
        self._host.lanes[self.actor_ref] = None
        if message.reply_to.is_alive():
            message.reply_to.tell(LaneDone(message.lane, self._answer(work, seconds)))

    def _answer(self, work: Work, seconds: float) -> CallAnswer | HostAnswer | EvidenceAnswer:
        match work:
            case DriverCall():
                if seconds > work.limit_s:
                    self._host.late(work)
                machine_id, error, refused = self._host.call(work)
                self._care.ends(work.vm, work)
                return CallAnswer(work.generation, work.verb, seconds, machine_id, error, refused)
            case HostQuestion(asked_at=asked_at):
                return self._host.ask(asked_at)
            case EvidenceCall():
                self._care.ends(work.vm, work)
                return EvidenceAnswer(0, "")
            case _:
                assert_never(work)

    def _befall(self, fault: str, work: Work, detail: str = "") -> None:
        if isinstance(work, HostQuestion):
            self._world.befall(fault, self._host.name, detail)
            return
        what = work.verb if isinstance(work, DriverCall) else "evidence"
        self._world.befall(fault, self._host.name, f"{what} of {work.vm} {detail}")
        if (machine := self._host.machines.get(work.vm)) is not None:
            machine.excuse("its driver did not answer")
