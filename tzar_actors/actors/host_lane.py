"""One lane of slow calls to a host, on a thread of its own. `HostLanes` hands it one after the other."""

import time
from typing import Any, assert_never

import pykka

from tzar_actors.actors.evidence import EvidenceAnswer, EvidenceCall
from tzar_actors.actors.lane_messages import CallAnswer, DriverCall, HostAnswer, HostQuestion, LaneDone, LaneWork
from tzar_actors.drivers.base import Driver
from tzar_actors.errors import DriverError

__all__ = ["HostLane"]


class HostLane(pykka.ThreadingActor):
    """Calls the driver, one call after the other, and tells how each ended.

    Args:
        host: the host's name.
        driver: its driver; several lanes may share one.
        stop_timeout_s: seconds that a VM which is asked to stop is given; then it is turned off.
    """

    use_daemon_thread = True

    def __init__(self, host: str, driver: Driver, stop_timeout_s: float) -> None:
        super().__init__()
        self._host = host
        self._driver = driver
        self._stop_timeout_s = stop_timeout_s

    def on_receive(self, message: Any) -> None:
        """Pykka's hook: one call."""
        match message:
            case LaneWork(reply_to, lane, DriverCall() as call):
                _tell(reply_to, LaneDone(lane, self._call(call)))
            case LaneWork(reply_to, lane, HostQuestion() as question):
                _tell(reply_to, LaneDone(lane, self._ask(question)))
            case LaneWork(reply_to, lane, EvidenceCall() as call):
                _tell(reply_to, LaneDone(lane, self._gather(call)))
            case _:
                raise TypeError(f"a host lane cannot do {message!r}")

    def _call(self, call: DriverCall) -> CallAnswer:
        began = time.monotonic()
        machine_id = error = None
        refused = False
        try:
            machine_id = self._do(call)
        except DriverError as failure:
            error, refused = str(failure), failure.is_refusal
        except Exception as failure:  # noqa: BLE001 - a bug in a driver must not kill the lane that all its VMs need
            error = f"the driver of {self._host} has a fault: {type(failure).__name__}: {failure}"
        return CallAnswer(call.generation, call.verb, time.monotonic() - began, machine_id, error, refused)

    def _do(self, call: DriverCall) -> str | None:
        driver, vm = self._driver, call.vm
        match call.verb:
            case "create":
                return driver.create(vm)
            case "start":
                driver.start(vm, _identity(call))
            case "restore":
                driver.restore(vm, call.checkpoint, _identity(call))
            case "stop":
                driver.stop(vm, self._stop_timeout_s)
            case "kill":
                driver.kill(vm)
            case "remove":
                driver.remove(vm)
            case _:
                assert_never(call.verb)
        return None

    def _gather(self, call: EvidenceCall) -> EvidenceAnswer:
        try:
            return EvidenceAnswer(*call.store.fill(call.place, call.vm, call.texts, self._driver))
        except Exception as failure:  # noqa: BLE001 - as in _call: evidence that fails must not cost a lane
            return EvidenceAnswer(0, f"the driver of {self._host} has a fault: {type(failure).__name__}: {failure}")

    def _ask(self, question: HostQuestion) -> HostAnswer:
        try:
            return HostAnswer(self._host, question.asked_at, self._driver.status())
        except DriverError as failure:
            return HostAnswer(self._host, question.asked_at, None, str(failure))
        except Exception as failure:  # noqa: BLE001 - as in _call: what is not known is said to be unknown
            fault = f"the driver of {self._host} has a fault: {type(failure).__name__}: {failure}"
            return HostAnswer(self._host, question.asked_at, None, fault)


def _identity(call: DriverCall) -> Any:
    if call.identity is None:
        raise ValueError(f"{call.verb} of {call.vm} needs an identity")
    return call.identity


def _tell(actor: "pykka.ActorRef[Any]", done: LaneDone) -> None:
    try:
        actor.tell(done)
    except pykka.ActorDeadError:
        return  # the supervisor ends
