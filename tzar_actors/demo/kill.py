"""The demo's kill: it ends the agent of a VM in mid-game, and finds the attempt that played the game instead."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep

import psutil

from tzar_actors.demo.fleet import Evaluation, Fleet, Vm

__all__ = ["Kill", "Succession", "end_process", "kill_in_mid_game", "succession"]


@dataclass(frozen=True, slots=True)
class Kill:
    """The VM whose agent was killed, and the attempt that it was seen to play."""

    vm: str
    attempt: str


@dataclass(frozen=True, slots=True)
class Succession:
    """The attempt that was lost with a killed agent, and the one that played the same game instead."""

    vm: str
    attempt: str
    successor: str
    successor_vm: str


def end_process(pid: int) -> None:
    """Kills a process at once, without asking it. One that is gone already is no error."""
    try:
        psutil.Process(pid).kill()
    except psutil.NoSuchProcess:
        return


def kill_in_mid_game(fleet: Fleet, end: Callable[[int], None] = end_process, within_s: float = 2.0) -> Kill | None:
    """Kills the agent of a VM that has just begun a game.

    Args:
        fleet: the fleet, while it plays.
        end: kills a process by its id.
        within_s: seconds to wait for a game to begin; after them any VM that plays will do.

    Returns:
        What was killed, or None when no VM played in that time.
    """
    vm = _victim(fleet, within_s)
    if vm is None or vm.pid is None or vm.attempt is None:
        return None
    end(vm.pid)
    return Kill(vm.vm, vm.attempt)


def succession(kill: Kill, evaluation: Evaluation) -> Succession | None:
    """The lost attempt and its successor, if the killed VM lost a game of this evaluation.

    The attempt need not be the one that the VM was seen to play: a game may end between that look and the kill.
    """
    for game in evaluation.games:
        for lost, next_one in zip(game.attempts, game.attempts[1:], strict=False):
            if lost.vm == kill.vm and lost.status == "lost":
                return Succession(lost.vm, lost.id, next_one.id, next_one.vm)
    return None


def _victim(fleet: Fleet, within_s: float) -> Vm | None:
    before = {vm.vm: vm.attempt for vm in fleet.status().vms}
    playing = None
    deadline = monotonic() + within_s
    while monotonic() < deadline:
        for vm in fleet.status().vms:
            if vm.pid is not None and vm.attempt is not None:
                playing = vm
                if vm.attempt != before.get(vm.vm):
                    return vm
        sleep(0.005)
    return playing
