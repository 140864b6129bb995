"""Kills and freezes the processes of a fleet at random, and at a given seed in the same order.

Victims are found in the process table by the fleet's marks, not by what the supervisor says: also those that only
start, and those that it has forgotten.
"""

import heapq
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

import psutil

from tzar_agent.tree import EVALUATOR_MARK, FLEET_MARK, VM_MARK, marked

__all__ = ["MIX", "WITHOUT_SUPERVISOR_KILLS", "Fault", "Faults", "Target", "agents", "evaluators", "supervisors"]

Target = Literal["agent", "evaluator", "supervisor"]
_NO_VICTIM_AGAIN_S = 0.05


@dataclass(frozen=True, slots=True)
class Fault:
    """What is done to whom. A frozen process goes on later, unless somebody ended it meanwhile."""

    target: Target
    what: Literal["killed", "frozen"]

    def __str__(self) -> str:
        return f"{self.target} {self.what}"


# As if victims were drawn evenly from all processes of a fleet of eight VMs: one in seventeen is the supervisor.
MIX: Mapping[Fault, int] = {
    Fault("agent", "killed"): 37,
    Fault("evaluator", "killed"): 37,
    Fault("supervisor", "killed"): 3,
    Fault("agent", "frozen"): 10,
    Fault("evaluator", "frozen"): 10,
    Fault("supervisor", "frozen"): 3,
}
# A process that was just started has not leaked yet: where leaks are looked for, the supervisor must live.
WITHOUT_SUPERVISOR_KILLS: Mapping[Fault, int] = {
    fault: weight for fault, weight in MIX.items() if fault != Fault("supervisor", "killed")
}


def agents(fleet: str, vm: str | None = None) -> list[psutil.Process]:
    """The agents of the fleet with this id, in the order of their VMs' names; those of one VM, if it is named."""
    return [process for process, environ in _processes(fleet, vm) if EVALUATOR_MARK not in environ]


def evaluators(fleet: str, vm: str | None = None) -> list[psutil.Process]:
    """The evaluator processes with all that they started, in the order of their VMs' names."""
    return [process for process, environ in _processes(fleet, vm) if EVALUATOR_MARK in environ]


def supervisors() -> list[psutil.Process]:
    """The supervisors that this process has launched, also one that only starts."""
    found = []
    for child in psutil.Process().children():
        try:
            if any("tzar_actors.supervisor" in part for part in child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue
    return found


class Faults:
    """Does one fault after the other in a thread of its own: `with Faults(...) as faults`.

    Leaving it lets all go on that is still frozen.

    Args:
        fleet: the fleet's id.
        every_s: mean seconds between two faults; the pauses are spread by half of it.
        mix: how often each fault is done, as weights.
        seed: of all draws. The victims also depend on which processes there are.
        freezes_s: the shortest and the longest freeze of each, in seconds.
        spare: VMs whose agents nothing happens to.

    Attributes:
        done: how often each fault was done.
    """

    def __init__(
        self,
        fleet: str,
        every_s: float,
        mix: Mapping[Fault, int],
        seed: int,
        freezes_s: Mapping[Target, tuple[float, float]],
        spare: Collection[str] = (),
    ) -> None:
        self.done: Counter[Fault] = Counter()
        self._fleet = fleet
        self._every_s = every_s
        self._mix = dict(mix)
        self._draw = random.Random(seed)
        self._freezes_s = dict(freezes_s)
        self._spare = frozenset(spare)
        self._killed: set[psutil.Process] = set()  # a busy machine takes its time to end them
        self._frozen: list[tuple[float, int, psutil.Process]] = []  # a heap by when each goes on
        self._failure: BaseException | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="faults", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """No further fault, and all that is frozen goes on.

        Raises:
            BaseException: what ended the thread before its time.
        """
        self._over.set()
        self._thread.join()
        self._thaw(float("inf"))
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            fault_at = time.monotonic() + self._pause()
            fault = self._next()
            while True:
                wake_at = min(fault_at, self._frozen[0][0]) if self._frozen else fault_at
                if self._over.wait(max(0.0, wake_at - time.monotonic())):
                    return
                now = time.monotonic()
                self._thaw(now)
                if now < fault_at:
                    continue
                if self._do(fault, now):
                    fault_at, fault = fault_at + self._pause(), self._next()
                else:
                    fault_at = now + _NO_VICTIM_AGAIN_S
        except BaseException as error:  # noqa: BLE001  # raised by `stop`: a bench whose faults have ended must not pass
            self._failure = error

    def _pause(self) -> float:
        return self._every_s * self._draw.uniform(0.5, 1.5)

    def _next(self) -> Fault:
        return self._draw.choices(list(self._mix), list(self._mix.values()))[0]

    def _do(self, fault: Fault, now: float) -> bool:
        """Whether there was a victim."""
        frozen = {process.pid for _, _, process in self._frozen}
        victims = [each for each in self._victims(fault.target) if each.pid not in frozen and each not in self._killed]
        if not victims:
            return False
        victim = self._draw.choice(victims)
        try:
            if fault.what == "killed":
                victim.kill()
                self._killed.add(victim)
            else:
                victim.suspend()
                seconds = self._draw.uniform(*self._freezes_s[fault.target])
                heapq.heappush(self._frozen, (now + seconds, victim.pid, victim))
        except psutil.Error:
            return False
        self.done[fault] += 1
        return True

    def _victims(self, target: Target) -> list[psutil.Process]:
        match target:
            case "supervisor":
                return supervisors()
            case "agent":
                spared = {process.pid for vm in self._spare for process in agents(self._fleet, vm)}
                return [process for process in agents(self._fleet) if process.pid not in spared]
            case "evaluator":
                return evaluators(self._fleet)

    def _thaw(self, until: float) -> None:
        while self._frozen and self._frozen[0][0] <= until:
            _, _, process = heapq.heappop(self._frozen)
            try:
                process.resume()
            except psutil.Error:
                continue  # it was ended meanwhile


def _processes(fleet: str, vm: str | None) -> list[tuple[psutil.Process, dict[str, str]]]:
    found = []
    for pid in marked(fleet, vm):
        if pid == os.getpid():
            continue
        try:
            process = psutil.Process(pid)
            environ = process.environ()
        except psutil.Error:
            continue
        if environ.get(FLEET_MARK) == fleet:
            found.append((process, environ))
    return sorted(found, key=lambda each: (each[1].get(VM_MARK, ""), each[0].pid))
