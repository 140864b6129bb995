"""The lanes of one host: a few for whatever takes long, and one for status alone, which nothing ever holds up."""

import queue
import time
from collections.abc import Callable, Mapping
from typing import Any

from hyperv.errors import Circumstances, failure_of_lane
from hyperv.lane import Lane, Opener, SignInGuard
from hyperv.lane_rules import Recycling, Verdict
from hyperv.messages import Value
from hyperv.program import Program

__all__ = ["Lanes"]


class Lanes:
    """Calls to one host from any number of threads.

    Args:
        host: its name, for errors.
        opener: opens a channel to a PowerShell there.
        program: the functions that can be called.
        count: so many calls at a time, beside status.
        recycling: when a lane's PowerShell is replaced.
        account: as `SignInGuard` takes it.
    """

    def __init__(
        self,
        host: str,
        opener: Opener,
        program: Program,
        *,
        count: int = 3,
        recycling: Recycling = Recycling(),  # noqa: B008 - a frozen value
        account: Callable[[], object] = lambda: None,
    ) -> None:
        guard = SignInGuard(account=account)
        lanes = [Lane(host, opener, program, guard=guard, recycling=recycling) for _ in range(count + 1)]
        self._host = host
        self._all = tuple(lanes)
        self._status = lanes.pop()
        # The one that was used last is used next, so that the others stay closed or may idle out.
        self._free: queue.LifoQueue[Lane] = queue.LifoQueue()
        for lane in lanes:
            self._free.put(lane)

    def call(self, function: str, parameters: Mapping[str, Value], timeout_s: float) -> list[Any]:
        """`Lane.call` on a lane that is free; waiting for one counts. Raises `HyperVError`."""
        deadline = time.monotonic() + timeout_s
        try:
            lane = self._free.get(timeout=timeout_s)
        except queue.Empty:
            lane = None
        if lane is None:
            about = Circumstances.of(self._host, function, parameters, timeout_s)
            raise failure_of_lane(about, Verdict.BUSY, f"no lane to the host was free within {timeout_s:g} s")
        try:
            return lane.call(function, parameters, max(1.0, deadline - time.monotonic()))
        finally:
            self._free.put(lane)

    def status(self, function: str, parameters: Mapping[str, Value], timeout_s: float) -> list[Any]:
        """`Lane.call` on the lane for status. Raises `HyperVError`."""
        return self._status.call(function, parameters, timeout_s)

    def close(self) -> None:
        """Ends all PowerShells. Calls that are on their way fail."""
        for lane in self._all:
            lane.close()
