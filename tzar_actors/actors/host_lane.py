"""One lane of slow calls to a host, on a thread of its own. A host has a few, one of them for status alone."""

import time
from typing import Any, assert_never

import pykka

from tzar_actors.actors.messages import CallAnswer, DriverCall, HostAnswer, HostQuestion
from tzar_actors.drivers.base import Driver
from tzar_actors.errors import DriverError

__all__ = ["HostLane"]

_STOP_TIMEOUT_S = 10.0


class HostLane(pykka.ThreadingActor):
    """Calls the driver, one call after the other, and tells how each ended.

    Args:
        host: the host's name.
        driver: its driver; several lanes may share one.
    """

    use_daemon_thread = True

    def __init__(self, host: str, driver: Driver) -> None:
        super().__init__()
        self._host = host
        self._driver = driver

    def on_receive(self, message: Any) -> None:
        """Pykka's hook: one call."""
        match message:
            case DriverCall():
                _tell(message.reply_to, self._call(message))
            case HostQuestion():
                _tell(message.reply_to, self._ask(message))
            case _:
                raise TypeError(f"a host lane cannot do {message!r}")

    def _call(self, call: DriverCall) -> CallAnswer:
        began = time.monotonic()
        machine_id = error = None
        refused = False
        try:
            machine_id = self._do(call)
        except DriverError as failure:
            error, refused = str(failure), failure.busy or failure.unreachable
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
                driver.stop(vm, _STOP_TIMEOUT_S)
            case "kill":
                driver.kill(vm)
            case "remove":
                driver.remove(vm)
            case _:
                assert_never(call.verb)
        return None

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


def _tell(actor: "pykka.ActorRef[Any]", answer: CallAnswer | HostAnswer) -> None:
    try:
        actor.tell(answer)
    except pykka.ActorDeadError:
        return  # whoever asked is gone; its successor asks anew
