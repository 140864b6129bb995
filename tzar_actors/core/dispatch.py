"""The dispatcher: which game is played where, and which result counts.

Dispatch is at least once, scoring is exactly once. A result counts when its game is open, its genome's digest matches
and its attempt is of an epoch of this journal and not revoked; the first one wins, and every other is dropped. An
attempt is revoked when its VM is reset. Silence only frees its game for another VM.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

from tzar_actors.core.admission import refuse_reused, same_question, why_not
from tzar_actors.core.blame import BlamePolicy, Retry, Verdict, judge
from tzar_actors.core.dispatch_events import (
    Accept,
    Acknowledge,
    AttemptOver,
    CancelAsked,
    CancelDeadline,
    DeadlinePassed,
    Deliver,
    DispatchCommand,
    DispatchEvent,
    Drop,
    FleetChanged,
    Keep,
    Reported,
    SendCancel,
    SendPlay,
    SetDeadline,
    Submitted,
    VmAway,
    VmGone,
    VmReady,
    VmSilent,
)
from tzar_actors.core.evaluation import AttemptStory, EvaluationEnded, GameEnded, OutcomeName
from tzar_actors.core.queue import Game, GameQueue, OpenEvaluation, RunningAttempt
from tzar_actors.core.records import (
    AttemptEndedRecord,
    AttemptRecord,
    EvaluationEndedRecord,
    EvaluationRecord,
    GameEndedRecord,
)
from tzar_agent.protocol.messages import Playing, Result

__all__ = ["Dispatch"]

_NO_DETAILS = b"\x80"  # an empty map


@dataclass(slots=True)
class _VmState:
    incarnation: int = 0
    busy_with: str | None = None  # what its agent plays, whether it counts or not
    last_digest: bytes = b""
    attempts: set[str] = field(default_factory=set)


class Dispatch:
    """The machine.

    Args:
        epoch: of this start of the supervisor; committed before the first event.
        policy: when a failed game is tried again.
    """

    def __init__(self, epoch: int, policy: BlamePolicy) -> None:
        self.epoch = epoch
        self.policy = policy
        self.evaluations: dict[str, OpenEvaluation] = {}
        self.attempts: dict[str, RunningAttempt] = {}
        self._number = 0
        self._queue = GameQueue()
        self._vms: dict[str, _VmState] = {}
        self._idle: dict[str, None] = {}
        self._fleet: frozenset[str] = frozenset()

    def restore(
        self, at: float, evaluation: OpenEvaluation, running: Iterable[RunningAttempt]
    ) -> list[DispatchCommand]:
        """Takes up an evaluation that the journal had open. Only before the first event.

        Args:
            at: monotonic seconds.
            evaluation: as it was, its games ended or queued; its `accepted_at` may lie before this start.
            running: its attempts that may still be played somewhere; their games count as leased.
        """
        self.evaluations[evaluation.asked.key] = evaluation
        for attempt in running:
            self._add_attempt(attempt)
            attempt.game.state = "leased"
        for game in evaluation.games:
            if game.state == "queued":
                (self._queue.add_again if game.stories else self._queue.add)(game)
        deadline_s = evaluation.asked.deadline_s
        if deadline_s is None:
            return []
        return [SetDeadline(evaluation.asked.key, max(0.0, evaluation.accepted_at + deadline_s - at))]

    @property
    def games_queued(self) -> int:
        """How many games wait for a VM."""
        return len(self._queue)

    def step(self, event: DispatchEvent) -> list[DispatchCommand]:
        """What to do about `event`."""
        match event:
            case Reported():
                return self._reported(event)
            case Submitted():
                return self._submitted(event)
            case VmReady():
                return self._vm_ready(event)
            case VmAway(vm):
                self._idle.pop(vm, None)
                return []
            case VmSilent(at, vm):
                self._idle.pop(vm, None)
                self._free(vm)
                return self._assign(at)
            case VmGone(at, vm, cause):
                return self._vm_gone(at, vm, cause)
            case FleetChanged(at, vms):
                return self._fleet_changed(at, vms)
            case CancelAsked(at, key):
                return self._end_at_once(at, key, "cancelled", "the trainer cancelled it")
            case DeadlinePassed(at, key):
                return self._end_at_once(at, key, "infra_failed", self._deadline_story(key))
            case _:
                assert_never(event)

    # --- evaluations

    def _submitted(self, event: Submitted) -> list[DispatchCommand]:
        asked, trainer = event.evaluation, event.trainer
        open_ = self.evaluations.get(asked.key)
        if open_ is not None:
            if not same_question(open_.asked, asked):
                return [refuse_reused(trainer, asked.key)]
            open_.trainers[trainer] = None
            return [Accept(trainer, asked.key)]
        if event.known is not None:
            question, answer = event.known
            if not same_question(question, asked):
                return [refuse_reused(trainer, asked.key)]
            return [Accept(trainer, asked.key), Deliver((trainer,), answer)]
        open_ = OpenEvaluation(asked, event.at, {trainer: None})
        open_.games = [Game(open_, i) for i in range(len(asked.seeds))]
        self.evaluations[asked.key] = open_
        for game in open_.games:
            self._queue.add(game)
        commands: list[DispatchCommand] = [Keep(EvaluationRecord(asked, event.wall)), Accept(trainer, asked.key)]
        if asked.deadline_s is not None:
            commands.append(SetDeadline(asked.key, asked.deadline_s))
        commands.extend(self._assign(event.at))
        return commands

    def _end_at_once(self, at: float, key: str, outcome: OutcomeName, reason: str) -> list[DispatchCommand]:
        open_ = self.evaluations.get(key)
        if open_ is None:
            return []
        first = next(game for game in open_.games if game.ended is None)
        return [*self._end_game(at, first, outcome, reason), *self._assign(at)]

    def _deadline_story(self, key: str) -> str:
        open_ = self.evaluations.get(key)
        stories = [] if open_ is None else [story for game in open_.games for story in game.stories]
        told = "; ".join(f"{s.attempt} on {s.vm}: {s.status}, {s.reason}" for s in stories)
        return f"its deadline passed; {'no attempt had failed' if not told else 'attempts: ' + told}"[:4000]

    # --- results

    def _why_not(self, vm: str, incarnation: int, of: Result | Playing, attempt: RunningAttempt | None) -> str | None:
        return why_not(of, vm, incarnation, self.evaluations.get(of.evaluation), attempt, self.epoch)

    def _reported(self, event: Reported) -> list[DispatchCommand]:
        result, vm = event.result, event.vm
        commands: list[DispatchCommand] = []
        attempt = self.attempts.get(result.attempt)
        problem = self._why_not(vm, event.incarnation, result, attempt)
        if problem is not None:
            commands.append(Drop(vm, result.attempt, problem))
        else:
            game = self.evaluations[result.evaluation].games[result.game]
            if attempt is not None:
                self._forget(attempt)
            commands.extend(self._count(event.at, game, vm, event.incarnation, result))
        commands.append(Acknowledge(vm, result.attempt))
        state = self._vms.get(vm)
        if state is not None and state.busy_with == result.attempt:
            state.busy_with = None
            self._idle[vm] = None
        commands.extend(self._assign(event.at))
        return commands

    def _count(self, at: float, game: Game, vm: str, incarnation: int, result: Result) -> list[DispatchCommand]:
        status, reason = result.status, result.reason
        if status == "scored" and result.fitness is None:
            status, reason = "fault", "its agent sent a score without a fitness"
        exit_code, tail = (result.evidence.exit_code, result.evidence.tail) if result.evidence else (None, "")
        story = AttemptStory(result.attempt, vm, incarnation, status, result.seconds, reason, exit_code, tail)
        if status != "scored":
            return self._failed(at, game, story)
        game.stories.append(story)
        over = AttemptOver(game.evaluation.asked.key, game.index, story, result.fitness)
        ended = GameEnded("scored", result.fitness, result.seconds, result.details, "", tuple(game.stories))
        return [over, *self._close_game(at, game, ended)]

    def _failed(self, at: float, game: Game, story: AttemptStory) -> list[DispatchCommand]:
        """An attempt failed; its game is tried again or ends."""
        key = game.evaluation.asked.key
        game.stories.append(story)
        over = AttemptOver(key, game.index, story, None)
        verdict = judge(game.stories, self.policy)
        match verdict:
            case Retry(avoid):
                game.avoid = avoid
                self._requeue(game)
                return [over, Keep(AttemptEndedRecord(key, game.index, story))]
            case Verdict(outcome, reason):
                return [over, *self._end_game(at, game, outcome, reason)]
            case _:
                assert_never(verdict)

    def _end_game(self, at: float, game: Game, outcome: OutcomeName, reason: str) -> list[DispatchCommand]:
        seconds = sum(story.seconds for story in game.stories)
        ended = GameEnded(outcome, None, seconds, _NO_DETAILS, reason, tuple(game.stories))
        return self._close_game(at, game, ended)

    def _close_game(self, at: float, game: Game, ended: GameEnded) -> list[DispatchCommand]:
        open_ = game.evaluation
        game.ended, game.state = ended, "ended"
        commands = self._call_off(game)
        decided = ended.outcome != "scored"
        if not decided and any(g.ended is None for g in open_.games):
            return [*commands, Keep(GameEndedRecord(open_.asked.key, game.index, ended))]
        for other in open_.games:
            if other.ended is None:
                other.state = "ended"
                reason = f"its evaluation is {ended.outcome}"
                other.ended = GameEnded("withdrawn", None, 0.0, _NO_DETAILS, reason, tuple(other.stories))
                commands.extend(self._call_off(other))
        return [*commands, *self._close_evaluation(at, open_, ended)]

    def _close_evaluation(self, at: float, open_: OpenEvaluation, last: GameEnded) -> list[DispatchCommand]:
        asked = open_.asked
        games = tuple(game.ended for game in open_.games if game.ended is not None)
        scores = [game.fitness for game in games if game.fitness is not None]
        fitness = sum(scores) / len(scores) if last.outcome == "scored" else None
        seconds = at - open_.accepted_at
        ended = EvaluationEnded(
            asked.key, asked.generation, asked.digest, last.outcome, fitness, last.reason, seconds, games
        )
        del self.evaluations[asked.key]
        commands: list[DispatchCommand] = [Keep(EvaluationEndedRecord(ended)), Deliver(tuple(open_.trainers), ended)]
        if asked.deadline_s is not None:
            commands.append(CancelDeadline(asked.key))
        return commands

    def _call_off(self, game: Game) -> list[DispatchCommand]:
        """Nothing that is still playing `game` counts any more."""
        commands: list[DispatchCommand] = []
        for name in tuple(game.attempts):
            attempt = self.attempts[name]
            self._forget(attempt)
            commands.append(SendCancel(attempt.vm, name))
        return commands

    # --- VMs

    def _vm_ready(self, event: VmReady) -> list[DispatchCommand]:
        vm, playing = event.vm, event.playing
        state = self._vms.setdefault(vm, _VmState())
        state.incarnation = event.incarnation
        known = {*event.kept, playing.attempt} if playing else set(event.kept)
        commands = self._lose(event.at, vm, "its agent does not know of it", spare=known)
        if playing is None:
            state.busy_with = None
            self._idle[vm] = None
        else:
            self._idle.pop(vm, None)
            state.busy_with = playing.attempt
            commands.extend(self._adopt(event, playing))
        return [*commands, *self._assign(event.at)]

    def _adopt(self, event: VmReady, playing: Playing) -> list[DispatchCommand]:
        attempt = self.attempts.get(playing.attempt)
        problem = self._why_not(event.vm, event.incarnation, playing, attempt)
        if problem is not None:
            return [Drop(event.vm, playing.attempt, problem), SendCancel(event.vm, playing.attempt)]
        game = self.evaluations[playing.evaluation].games[playing.game]
        game.state = "leased"
        if attempt is not None:
            attempt.freed = False
            return []
        self._add_attempt(RunningAttempt(playing.attempt, game, event.vm, event.incarnation, event.at))
        record = AttemptRecord(playing.attempt, playing.evaluation, playing.game, event.vm, event.incarnation)
        return [Keep(record)]

    def _vm_gone(self, at: float, vm: str, cause: str) -> list[DispatchCommand]:
        self._idle.pop(vm, None)
        state = self._vms.get(vm)
        if state is not None:
            state.busy_with = None
        return [*self._lose(at, vm, cause), *self._assign(at)]

    def _fleet_changed(self, at: float, vms: frozenset[str]) -> list[DispatchCommand]:
        self._fleet = vms
        commands: list[DispatchCommand] = []
        for vm in [vm for vm in self._vms if vm not in vms]:
            self._idle.pop(vm, None)
            commands.extend(self._lose(at, vm, "its VM left the fleet"))
            del self._vms[vm]
        return [*commands, *self._assign(at)]

    def _lose(self, at: float, vm: str, cause: str, spare: Iterable[str] = ()) -> list[DispatchCommand]:
        """Revokes the attempts of `vm`, except those named by `spare`."""
        commands: list[DispatchCommand] = []
        state = self._vms.get(vm)
        for name in sorted(state.attempts.difference(spare)) if state else ():
            attempt = self.attempts[name]
            self._forget(attempt)
            seconds = max(0.0, at - attempt.started_at)
            story = AttemptStory(name, vm, attempt.incarnation, "lost", seconds, cause, None, "")
            commands.extend(self._failed(at, attempt.game, story))
        return commands

    def _free(self, vm: str) -> None:
        """The games of `vm` are played elsewhere as well."""
        state = self._vms.get(vm)
        for name in state.attempts if state else ():
            attempt = self.attempts[name]
            attempt.freed = True
            attempt.game.avoid |= {vm}
            self._requeue(attempt.game)

    # --- assignment

    def _assign(self, at: float) -> list[DispatchCommand]:
        """Gives games to idle VMs while there are both."""
        commands: list[DispatchCommand] = []
        if not self._idle:
            return commands
        for vm in tuple(self._idle):
            state = self._vms[vm]
            game = self._queue.take(vm, self._fleet, state.last_digest)
            if game is None:
                if not self._queue.has_retries:
                    break
                continue
            self._number += 1
            name = f"{self.epoch}.{self._number}"
            asked = game.evaluation.asked
            game.state = "leased"
            del self._idle[vm]
            state.busy_with, state.last_digest = name, asked.digest
            self._add_attempt(RunningAttempt(name, game, vm, state.incarnation, at))
            commands.append(SendPlay(vm, state.incarnation, name, asked, game.index))
            commands.append(Keep(AttemptRecord(name, asked.key, game.index, vm, state.incarnation)))
        return commands

    def _requeue(self, game: Game) -> None:
        """`game` waits again, unless somebody who can be heard still plays it."""
        if game.state != "queued" and all(self.attempts[name].freed for name in game.attempts):
            game.state = "queued"
            self._queue.add_again(game)

    def _add_attempt(self, attempt: RunningAttempt) -> None:
        self.attempts[attempt.attempt] = attempt
        attempt.game.attempts.add(attempt.attempt)
        self._vms.setdefault(attempt.vm, _VmState()).attempts.add(attempt.attempt)

    def _forget(self, attempt: RunningAttempt) -> None:
        del self.attempts[attempt.attempt]
        attempt.game.attempts.discard(attempt.attempt)
        self._vms[attempt.vm].attempts.discard(attempt.attempt)
