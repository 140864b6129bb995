"""Who plays what: the VMs, their attempts, and the games that wait. It gives games out and keeps its indexes equal.

A VM plays one game at a time. While its games are so short that the way between two of them costs more than they do,
it is ordered a few ahead, as many as `VmOrders.depth` says. A game that is tried again is never ordered ahead and has
its VM alone, so that what happens then is its own doing.

What a result means, and when a game has ended, is not decided here.
"""

from collections.abc import Collection
from typing import Final

from tzar_actors.core.dispatch_commands import DispatchCommand, Keep, ResetVm, SendPlay, SendRecall, SetRecall
from tzar_actors.core.evaluation import AttemptStatus
from tzar_actors.core.queue import Game, GameQueue, RunningAttempt
from tzar_actors.core.records import AttemptRecord
from tzar_actors.core.vm_orders import VmOrders
from tzar_actors.core.witnesses import Witnesses

__all__ = ["Leases"]

_RECALL_S: Final = 0.05  # that a game may take before those that wait behind it are asked for again


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
        self._vms: dict[str, VmOrders] = {}
        self._idle: dict[str, None] = {}
        self._fast: dict[str, None] = {}  # those that are not idle, and that a game may be ordered ahead of
        self._fleet: frozenset[str] = frozenset()
        self._is_recall_set = False

    # --- games

    @property
    def games_waiting(self) -> int:
        """How many games wait for a VM, or for their turn at one."""
        return len(self._queue) + sum(max(0, len(state.orders) - 1) for state in self._vms.values())

    @property
    def games_running(self) -> int:
        """How many games are played whose results count."""
        behind = sum(name in self.attempts for state in self._vms.values() for name in list(state.orders)[1:])
        return len(self.attempts) - behind

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
        """The attempts of `vm` whose results may still count, in the order in which they are played there."""
        state = self._vms.get(vm)
        attempts = [self.attempts[name] for name in state.attempts] if state else []
        return sorted(attempts, key=RunningAttempt.age)

    def orders_of(self, vm: str) -> list[str]:
        """The attempts that the agent of `vm` plays and has to play, in their order, whether they count or not."""
        state = self._vms.get(vm)
        return list(state.orders) if state else []

    def waiting_at(self, vm: str, sent: Collection[str] | None = None) -> list[str]:
        """The orders of `vm` whose end is nobody's doing but its own: all but the first of those that were `sent`.

        Those of an earlier supervisor's until its agent is here. With an agent that cannot play the first as well.
        `sent` None: all of them, as far as is known.
        """
        state = self._vms.get(vm)
        if state is None:
            return []
        row = list(state.orders) if state.incarnation else [attempt.attempt for attempt in self.of(vm)]
        played = None if state.is_faulty else next((name for name in row if sent is None or name in sent), None)
        return [name for name in row if name != played]

    def take_back(self, at: float, vm: str, names: Collection[str]) -> list[RunningAttempt]:
        """The agent of `vm` has not got these orders: it is free of them. Those that count are returned."""
        for name in names:
            self.vm_finished(at, vm, name, None)
        return [attempt for name in names if (attempt := self.attempts.get(name)) is not None]

    def call_back(self, vm: str, known: Collection[str]) -> list[DispatchCommand]:
        """Asks for the orders again that waited at `vm` and are not among what its agent names, which is `known`.

        An agent drops what waits with its connection, and names it in no hello. But it has it still if the connection
        stood, and only this VM's actor was replaced.
        """
        waited = [name for name in self.waiting_at(vm) if name not in known]
        return [SendRecall(vm, tuple(waited))] if waited else []

    def unknown_to(
        self, vm: str, incarnation: int, known: Collection[str]
    ) -> list[tuple[RunningAttempt, AttemptStatus, str]]:
        """The attempts of `vm` that the agent which is here does not know, each with how it ended and why."""
        waited = self.waiting_at(vm)
        found: list[tuple[RunningAttempt, AttemptStatus, str]] = []
        for attempt in self.of(vm):
            if attempt.incarnation != incarnation:  # a death would have been told before: it was booted on command
                found.append((attempt, "excused", f"its VM was booted as incarnation {incarnation}"))
            elif attempt.attempt not in known:
                status: AttemptStatus = "excused" if attempt.attempt in waited else "lost"
                found.append((attempt, status, "its agent does not know of it"))
        return found

    # --- VMs

    def vm_ready(self, vm: str, incarnation: int, playing: str | None, digest: bytes, room: int) -> None:
        """The agent of `vm` is here; it plays the attempt `playing` of the genome `digest`, or nothing.

        Args:
            vm: its name.
            incarnation: its boot.
            playing: what its agent plays, if anything.
            digest: of that genome.
            room: orders that its agent takes at once.
        """
        state = self._vm(vm)
        state.come(incarnation, playing, room)
        self._idle.pop(vm, None)
        self._fast.pop(vm, None)
        if playing is None:
            self._idle[vm] = None
        else:
            state.last_digest = digest

    def vm_finished(self, at: float, vm: str, attempt: str, seconds: float | None, *, is_faulty: bool = False) -> None:
        """The agent of `vm` plays `attempt` no longer; its game took `seconds`, or was not played.

        `is_faulty`: the agent could not play it. It will be reset, and what else it was ordered is not to blame.
        """
        state = self._vms.get(vm)
        if state is None or not state.finish(at, attempt, seconds, is_faulty=is_faulty) or not state.is_here:
            return
        if not state.orders:
            state.is_alone = False
            self._fast.pop(vm, None)
            self._idle[vm] = None
        elif 2 * len(state.orders) <= state.depth():  # not sooner: what is ordered together costs it one wake-up
            self._fast[vm] = None

    def recall(self, at: float) -> list[DispatchCommand]:
        """Asks for the orders again that wait behind a game which takes long."""
        commands: list[DispatchCommand] = []
        self._is_recall_set = False
        is_more = False
        for vm, state in self._vms.items():
            if len(state.orders) < 2 or not state.is_here:
                continue
            if at - state.turn_at < _RECALL_S:
                is_more = True
                continue
            waiting = [name for name in list(state.orders)[1:] if name not in state.recalled]
            if waiting:
                state.recalled.update(waiting)
                state.pace_s = max(state.pace_s or 0.0, at - state.turn_at)
                self._fast.pop(vm, None)
                commands.append(SendRecall(vm, tuple(waiting)))
        if is_more:
            self._is_recall_set = True
            commands.append(SetRecall(_RECALL_S))
        return commands

    def is_recalled(self, vm: str, attempt: str) -> bool:
        """Whether this order was asked for again. An earlier supervisor has done what it did for a reason as well."""
        state = self._vms.get(vm)
        return not attempt.startswith(f"{self.epoch}.") or (state is not None and attempt in state.recalled)

    def vm_away(self, vm: str) -> None:
        """`vm` is given nothing until it is ready again."""
        self._idle.pop(vm, None)
        self._fast.pop(vm, None)
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
            state.orders = {}
            state.pace_s = None

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
        self._fast.pop(vm, None)
        del self._vms[vm]

    # --- giving out

    def give_out(self, at: float) -> list[DispatchCommand]:
        """Gives games to idle VMs while there are both; then orders ahead, if there is more than one for each VM."""
        commands: list[DispatchCommand] = []
        if self.is_stopped or not self._queue:
            return commands
        if self._idle:
            self._give_to_idle(at, commands)
        if self._fast and not self._queue.has_retries:
            self._order_ahead(at, commands)
        return commands

    def give_one(self, at: float) -> list[DispatchCommand]:
        """Gives one game to one idle VM, if there are both."""
        commands: list[DispatchCommand] = []
        if self._idle and self._queue:
            self._give_to_idle(at, commands, is_one=True)
        return commands

    def _give_to_idle(self, at: float, commands: list[DispatchCommand], is_one: bool = False) -> None:
        queue = self._queue
        for vm in tuple(self._idle):
            if is_one and commands:
                break
            state = self._vms[vm]
            is_trusted = not queue.has_retries or self._witnesses.is_trusted(vm, state.incarnation)
            game = queue.take(vm, state.incarnation, is_trusted, self._fleet, state.last_digest)
            if game is None:
                if not queue.has_retries:
                    break
                continue
            if game == "reset":
                self.vm_away(vm)
                commands.append(ResetVm(vm, "a game that failed there is to be tried again, and there is no other VM"))
                continue
            del self._idle[vm]
            state.is_alone = bool(game.stories) or is_one
            self._order(at, vm, state, game, commands)
            if state.depth() > 1:
                self._fast[vm] = None

    def _order_ahead(self, at: float, commands: list[DispatchCommand]) -> None:
        queue = self._queue
        while self._fast:
            vm = next(iter(self._fast))
            state = self._vms[vm]
            is_long = at - state.turn_at >= _RECALL_S  # what it plays: what would wait behind it would be called back
            for _ in range(0 if is_long else state.depth() - len(state.orders)):
                if len(queue) <= len(self._fleet) or (game := queue.take_ahead()) is None:
                    return
                self._order(at, vm, state, game, commands)
                if not self._is_recall_set:
                    self._is_recall_set = True
                    commands.append(SetRecall(_RECALL_S))
            del self._fast[vm]

    def _order(self, at: float, vm: str, state: VmOrders, game: Game, commands: list[DispatchCommand]) -> None:
        self._number += 1
        name = f"{self.epoch}.{self._number}"
        asked = game.evaluation.asked
        game.state = "leased"
        state.last_digest = asked.digest
        if not state.orders:
            state.turn_at = at
        state.orders[name] = None
        state.attempts.add(name)
        self.attempts[name] = RunningAttempt(name, game, vm, state.incarnation, at)
        game.attempts.add(name)
        commands.append(SendPlay(vm, state.incarnation, name, asked, game.index))
        commands.append(Keep(AttemptRecord(name, asked.key, game.index, vm, state.incarnation)))

    def _vm(self, vm: str) -> VmOrders:
        return self._vms.setdefault(vm, VmOrders())
