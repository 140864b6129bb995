"""Into running guests without network: what each boot brings them, and calls that need an account there."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hyperv.errors import HyperVError
from hyperv.lanes import Lanes
from hyperv.messages import Secret, Value
from hyperv.plans import AddressesError, GuestPlan
from tzar_actors.errors import ConfigError, DriverError
from tzar_agent.protocol.identity import Identity

__all__ = ["Guests"]

_CALL_S = 60.0
_COPY_PAUSES_S = (0.2, 1.0)  # the first, and the longest that comes of doubling it
# A guest that boots refuses sessions for a while, and so does one that has another password, which may lock the account
# after ten tries: there are nine in five minutes.
_SESSION_PAUSES_S = (1.0, 128.0)
_LOOK_S = 0.25


class Guests:
    """The guests of one fleet on one host.

    Args:
        host: the host's name, for errors.
        fleet: the fleet's id.
        lanes: to the host.
        plan: how guests are reached.
        clock: monotonic seconds.
        pause: waits so many seconds.
    """

    def __init__(
        self,
        host: str,
        fleet: str,
        lanes: Lanes,
        plan: GuestPlan,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._host = host
        self._fleet = fleet
        self._lanes = lanes
        self._plan = plan
        self._clock = clock
        self._pause = pause

    def call(self, function: str, vm: str, timeout_s: float, **parameters: Value) -> list[Any]:
        """Calls a function that opens a session in the VM's guest. Raises `DriverError`."""
        try:
            account = self._plan.credentials()
        except ConfigError as error:
            raise DriverError(str(error), host=self._host, vm=vm, lacking=True) from None
        return self._lanes.call(
            function,
            {"Fleet": self._fleet, "Name": vm, "User": account.user, "Password": account.password, **parameters},
            timeout_s,
        )

    def bring_up(
        self,
        vm: str,
        machine_id: str,
        identity: Identity,
        deadline: float,
        last: float = math.inf,
        *,
        is_restored: bool = False,
    ) -> None:
        """Gives a guest that answers its identity, and its address and the right time where it has not got them.

        A guest that was booted has the time from its host. So one whose network gives it an address is not entered:
        a session takes longer than all the rest, and needs an account. That it took the identity is then known by its
        agent's hello alone.

        Args:
            vm: the VM, running.
            machine_id: Hyper-V's id of it, which the identity then names.
            identity: whom it is to be.
            deadline: monotonic seconds, after which nothing more is tried.
            last: monotonic seconds, at which what was begun before that has ended.
            is_restored: it goes on from a checkpoint, with the time of that day.

        Raises:
            DriverError: it could not be given one of them, or its agent was seen not to take the identity in time.
        """
        path = rf"{self._plan.home}\identity.json"
        document = Secret(replace(identity, machine_id=machine_id).to_json())
        delivery: Mapping[str, Value] = {"Fleet": self._fleet, "Name": vm, "Document": document, "Target": path}

        def copy() -> list[Any]:
            return self._lanes.call("Copy-TzarIdentity", delivery, self._call_s(last))

        self._patiently(copy, "TzarNoHeartbeat", deadline, *_COPY_PAUSES_S)
        # Its agent may have said hello by now; it is given no game before this has ended.
        address = self._address(vm)
        if not address and not is_restored:
            return
        is_there = self._set_up(vm, deadline, last, {"FromHostClock": True, "TestPath": path, **address})
        while is_there:
            if self._clock() >= deadline:
                raise DriverError(
                    "its agent did not take its identity",
                    host=self._host,
                    vm=vm,
                    cure=f"Look there whether tzar-agent runs, with the home {self._plan.home}, and at its agent.log",
                )
            self._pause(_LOOK_S)
            is_there = self._set_up(vm, deadline, last, {"TestPath": path})

    def _set_up(self, vm: str, deadline: float, last: float, given: dict[str, Value]) -> bool:
        """Whether the file that is asked about is there, once what is given was done."""

        def call() -> list[Any]:
            return self.call("Set-TzarWorkerGuest", vm, self._call_s(last), **given)

        [answer] = self._patiently(call, "TzarNoGuestSession", deadline, *_SESSION_PAUSES_S)
        return bool(answer["PathExists"])

    def _call_s(self, last: float) -> float:
        return min(_CALL_S, max(1.0, last - self._clock()))

    def _address(self, vm: str) -> dict[str, Value]:
        if self._plan.addresses is None:
            return {}
        try:
            return self._plan.addresses.parameters(vm)
        except AddressesError as error:
            cure = 'Name it so, or set guest_addresses = "dhcp"'
            raise DriverError(str(error), host=self._host, vm=vm, cure=cure) from None

    def _patiently(
        self, call: Callable[[], list[Any]], code: str, deadline: float, pause_s: float, longest_s: float
    ) -> list[Any]:
        """What `call` returns, once it does not fail for the one reason that passes while a guest boots."""
        while True:
            try:
                return call()
            except HyperVError as error:
                if error.code != code or self._clock() + pause_s >= deadline:
                    raise
            self._pause(pause_s)
            pause_s = min(longest_s, pause_s * 2)
