"""Waiting for guests that boot: one status call for all who wait, however many VMs of the host boot at a time."""

import threading
import time
from collections.abc import Callable, Mapping

from hyperv.sightings import Row
from tzar_actors.errors import DriverError

__all__ = ["Heartbeats"]

_SHARE = 3
_REMEMBERED_S = 5.0  # so long Hyper-V's module may believe what it read before the VM was started
_RUNNING = frozenset({"Running", "Starting"})


class Heartbeats:
    """Waits until guests answer their host.

    Args:
        host: the host's name, for errors.
        ask: what the host says of its VMs now, by name; may raise `DriverError`.
        pause_s: seconds from one question to the next, at least; and no more than a third of the time is spent asking.
        remembered_s: seconds for which a VM that was started may be said to be off, or not to be there.
    """

    def __init__(
        self,
        host: str,
        ask: Callable[[], Mapping[str, Row]],
        pause_s: float = 0.3,
        remembered_s: float = _REMEMBERED_S,
    ) -> None:
        self._host = host
        self._ask = ask
        self._pause_s = pause_s
        self._remembered_s = remembered_s
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
        believed_at = known_since + self._remembered_s
        heartbeat, failure = "not asked for", None
        while True:
            asked_at, answer = self._answer_since(known_since, deadline)
            if isinstance(answer, DriverError):
                raise answer
            now = time.monotonic()
            if answer is not None:
                row = answer.get(vm)
                runs = row is not None and row["State"] in _RUNNING
                if row is not None and runs and str(row["Heartbeat"]).startswith("Ok"):
                    return row
                heartbeat = row["Heartbeat"] if row is not None else "none"
                failure = None if runs else self._not_running(vm, row)
            if failure is not None and (asked_at >= believed_at or now >= deadline):
                raise failure
            if now >= deadline:
                raise self._error(
                    f"its guest does not answer (heartbeat: {heartbeat})",
                    vm,
                    "Look at its screen during a boot, or give it longer: boot_timeout_s",
                )
            known_since = now

    def _answer_since(self, moment: float, deadline: float) -> tuple[float, Mapping[str, Row] | DriverError | None]:
        """When a question was asked after `moment`, by this thread or by another one that waits, and the answer.

        None: there was none until the deadline.
        """
        with self._changed:
            while self._asked_at < moment:
                now = time.monotonic()
                if not self._is_asking and now >= self._next_at:
                    self._is_asking = True
                    break
                if now >= deadline:
                    return now, None
                until = deadline if self._is_asking else min(deadline, self._next_at)
                self._changed.wait(until - now)
            else:
                return self._asked_at, self._answer
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
        return asked_at, answer

    def _asked(self) -> Mapping[str, Row] | DriverError:
        try:
            return self._ask()
        except DriverError as error:  # all who wait are told
            return error

    def _not_running(self, vm: str, row: Row | None) -> DriverError:
        if row is None:
            return self._error("it was removed while it booted", vm, "Create it")
        return self._error(f"it went {row['State']} while it booted", vm, "Look at its screen during a boot")

    def _error(self, what: str, vm: str, cure: str) -> DriverError:
        return DriverError(what, host=self._host, vm=vm, cure=cure)
