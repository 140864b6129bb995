"""Who plays what: the VMs, their attempts, and the games that wait. It gives games out and keeps its indexes equal.

What a result means, and when a game has ended, is not decided here.
"""

from dataclasses import dataclass, field

from tzar_actors.core.dispatch_events import DispatchCommand, Keep, ResetVm, SendPlay
from tzar_actors.core.queue import Game, GameQueue, RunningAttempt
from tzar_actors.core.records import AttemptRecord
from tzar_actors.core.witnesses import Witnesses

__all__ = ["Leases"]


@dataclass(slots=True)
class _VmState:
    incarnation: int = 0
    is_here: bool = False
    busy_with: str | None = None  # what its agent plays, whether it counts or not
    last_digest: bytes = b""
    attempts: set[str] = field(default_factory=set)


class Leases:
    """The leases of one fleet.

    Args:
        epoch: of this start of the supervisor: the first half of each attempt's id.
        witnesses: who has scored already.
    """

    def __init__(self, epoch: int, witnesses: Witnesses) -> None:
        self.epoch = epoch
        self.is_stopped = False  # the evaluator is broken: one game at a time is tried, by `give_one`
        self._witnesses = witnesses
        self.attempts: dict[str, RunningAttempt] = {}
        self._number = 0
        self._queue = GameQueue()
        self._vms: dict[str, _VmState] = {}
        self._idle: dict[str, None] = {}
        self._fleet: frozenset[str] = frozenset()

    # --- games

    @property
    def games_queued(self) -> int:
        """How many games wait for a VM."""
        return len(self._queue)

    def wait(self, game: Game) -> None:
        """`game` waits for a VM."""
        game.state = "queued"
        (self._queue.add_again if game.stories or game.avoid else self._queue.add)(game)

    def wait_again(self, game: Game) -> None:
        """`game` waits again, unless somebody who can be heard still plays it."""
        if game.state != "ended" and not self.is_played(game):
            game.state = "queued"
            self._queue.add_again(game)

    def is_played(self, game: Game) -> bool:
        """Somebody who can be heard plays `game`, or keeps a result of it."""
        return not all(self.attempts[name].freed for name in game.attempts)

    def end(self, game: Game) -> list[RunningAttempt]:
        """`game` has ended. The attempts that no longer count are returned."""
        if game.state == "queued":
            self._queue.remove(game)
        game.state = "ended"
        called_off = [self.attempts[name] for name in sorted(game.attempts)]
        for attempt in called_off:
            self.forget(attempt)
        return called_off

    # --- attempts

    def add(self, attempt: RunningAttempt) -> None:
        """`attempt` is being played."""
        self.attempts[attempt.attempt] = attempt
        attempt.game.attempts.add(attempt.attempt)
        self._vm(attempt.vm).attempts.add(attempt.attempt)
        self.hold(attempt)

    def hold(self, attempt: RunningAttempt) -> None:
        """Its VM can be heard: nobody else needs to play its game."""
        attempt.freed = False
        if attempt.game.state == "queued":
            self._queue.remove(attempt.game)
        attempt.game.state = "leased"

    def forget(self, attempt: RunningAttempt) -> None:
        """No result of `attempt` counts any more."""
        del self.attempts[attempt.attempt]
        attempt.game.attempts.discard(attempt.attempt)
        self._vms[attempt.vm].attempts.discard(attempt.attempt)

    def of(self, vm: str) -> list[RunningAttempt]:
        """The attempts of `vm` whose results may still count."""
        state = self._vms.get(vm)
        return [self.attempts[name] for name in sorted(state.attempts)] if state else []

    # --- VMs

    def vm_ready(self, vm: str, incarnation: int, playing: str | None, digest: bytes) -> None:
        """The agent of `vm` is here; it plays the attempt `playing` of the genome `digest`, or nothing."""
        state = self._vm(vm)
        state.incarnation, state.is_here = incarnation, True
        state.busy_with = playing
        self._idle.pop(vm, None)
        if playing is None:
            self._idle[vm] = None
        else:
            state.last_digest = digest

    def vm_finished(self, vm: str, attempt: str) -> None:
        """The agent of `vm` plays `attempt` no longer."""
        state = self._vms.get(vm)
        if state is not None and state.busy_with == attempt:
            state.busy_with = None
            if state.is_here:
                self._idle[vm] = None

    def vm_away(self, vm: str) -> None:
        """`vm` is given nothing until it is ready again."""
        self._idle.pop(vm, None)
        if (state := self._vms.get(vm)) is not None:
            state.is_here = False

    def vm_silent(self, vm: str) -> None:
        """As `vm_away`; and its games are played elsewhere as well."""
        self.vm_away(vm)
        for attempt in self.of(vm):
            attempt.freed = True
            attempt.game.avoid |= {vm}
            self.wait_again(attempt.game)

    def vm_gone(self, vm: str) -> None:
        """As `vm_away`; and its agent plays nothing any more."""
        self.vm_away(vm)
        if (state := self._vms.get(vm)) is not None:
            state.busy_with = None

    @property
    def fleet(self) -> frozenset[str]:
        """The VMs that games may be given to."""
        return self._fleet

    def set_fleet(self, vms: frozenset[str]) -> list[str]:
        """There are these VMs. Those that were here and are no more are returned."""
        self._fleet = vms
        return sorted(vm for vm in self._vms if vm not in vms)

    def drop_vm(self, vm: str) -> None:
        """`vm` left the fleet; none of its attempts counts any more."""
        self._idle.pop(vm, None)
        del self._vms[vm]

    # --- giving out

    def give_out(self, at: float) -> list[DispatchCommand]:
        """Gives games to idle VMs while there are both."""
        if self.is_stopped or not self._idle or not self._queue:
            return []
        return self._give(at)

    def give_one(self, at: float) -> list[DispatchCommand]:
        """Gives one game to one idle VM, if there are both."""
        return self._give(at, is_one=True) if self._idle and self._queue else []

    def _give(self, at: float, is_one: bool = False) -> list[DispatchCommand]:
        commands: list[DispatchCommand] = []
        for vm in tuple(self._idle):
            if is_one and commands:
                break
            state = self._vms[vm]
            is_trusted = not self._queue.has_retries or self._witnesses.is_trusted(vm, state.incarnation)
            game = self._queue.take(vm, state.incarnation, is_trusted, self._fleet, state.last_digest)
            if game is None:
                if not self._queue.has_retries:
                    break
                continue
            if game == "reset":
                self.vm_away(vm)
                commands.append(ResetVm(vm, "a game that failed there is to be tried again, and there is no other VM"))
                continue
            self._number += 1
            name = f"{self.epoch}.{self._number}"
            asked = game.evaluation.asked
            del self._idle[vm]
            game.state = "leased"
            state.busy_with, state.last_digest = name, asked.digest
            self.add(RunningAttempt(name, game, vm, state.incarnation, at))
            commands.append(SendPlay(vm, state.incarnation, name, asked, game.index))
            commands.append(Keep(AttemptRecord(name, asked.key, game.index, vm, state.incarnation)))
        return commands

    def _vm(self, vm: str) -> _VmState:
        return self._vms.setdefault(vm, _VmState())
