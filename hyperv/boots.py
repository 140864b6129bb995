"""Waiting for guests that boot: one status call for all who wait, however many VMs of the host boot at a time."""

import threading
import time
from collections.abc import Callable, Mapping

from hyperv.sightings import Row
from tzar_actors.errors import DriverError

__all__ = ["Heartbeats"]

_SHARE = 3
_RUNNING = frozenset({"Running", "Starting"})


class Heartbeats:
    """Waits until guests answer their host.

    Args:
        host: the host's name, for errors.
        ask: what the host says of its VMs now, by name; may raise `DriverError`.
        pause_s: seconds from one question to the next, at least; and no more than a third of the time is spent asking.
    """

    def __init__(self, host: str, ask: Callable[[], Mapping[str, Row]], pause_s: float = 0.3) -> None:
        self._host = host
        self._ask = ask
        self._pause_s = pause_s
        self._changed = threading.Condition()
        self._is_asking = False
        self._asked_at = float("-inf")  # when the question was asked that has the answer; monotonic
        self._next_at = 0.0
        self._answer: Mapping[str, Row] | DriverError = {}

    def wait(self, vm: str, deadline: float) -> Row:
        """What the host says of the VM once its guest answers.

        Args:
            vm: a VM that was started.
            deadline: monotonic seconds.

        Raises:
            DriverError: it did not in time, the VM went off or is gone, or the host cannot be asked.
        """
        known_since = time.monotonic()
        while True:
            answer = self._answer_since(known_since)
            if isinstance(answer, DriverError):
                raise answer
            row = answer.get(vm)
            if row is None:
                raise self._error("it was removed while it booted", vm, "Create it")
            if row["State"] not in _RUNNING:
                raise self._error(f"it went {row['State']} while it booted", vm, "Look at its screen during a boot")
            if str(row["Heartbeat"]).startswith("Ok"):
                return row
            if time.monotonic() >= deadline:
                raise self._error(
                    f"its guest does not answer (heartbeat: {row['Heartbeat']})",
                    vm,
                    "Look at its screen during a boot, or give it longer: boot_timeout_s",
                )
            known_since = time.monotonic()

    def _answer_since(self, moment: float) -> Mapping[str, Row] | DriverError:
        """The answer to a question that was asked after `moment`: by this thread, or by another one that waits."""
        with self._changed:
            while self._asked_at < moment:
                pause_s = self._next_at - time.monotonic()
                if not self._is_asking and pause_s <= 0.0:
                    self._is_asking = True
                    break
                self._changed.wait(None if self._is_asking else pause_s)
            else:
                return self._answer
        asked_at, answer = time.monotonic(), None
        try:
            answer = self._asked()
        finally:
            with self._changed:
                self._is_asking = False
                self._next_at = asked_at + max(self._pause_s, _SHARE * (time.monotonic() - asked_at))
                if answer is not None:
                    self._asked_at, self._answer = asked_at, answer
                self._changed.notify_all()
        return answer

    def _asked(self) -> Mapping[str, Row] | DriverError:
        try:
            return self._ask()
        except DriverError as error:  # all who wait are told
            return error

    def _error(self, what: str, vm: str, cure: str) -> DriverError:
        return DriverError(what, host=self._host, vm=vm, cure=cure)
