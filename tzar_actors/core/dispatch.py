"""The dispatcher: which game is played where, and which result counts.

Dispatch is at least once, scoring is exactly once. A result counts when its game is open, its genome's digest matches
and its attempt is of an epoch of this journal and not revoked; the first one wins, and every other is dropped. An
attempt is revoked when its VM is reset. Silence only frees its game for another VM. Who plays what stands in `leases`.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, assert_never

from tzar_actors.core.admission import refuse_reused, same_question, why_not
from tzar_actors.core.blame import BlamePolicy, Retry, Verdict, late
from tzar_actors.core.dispatch_commands import (
    Accept,
    Acknowledge,
    AttemptOver,
    BlameVm,
    CancelDeadline,
    Deliver,
    DispatchCommand,
    Drop,
    Keep,
    RaiseAlarm,
    SendCancel,
    SendPlay,
    SetDeadline,
    SetProbe,
    TellWithdrawn,
)
from tzar_actors.core.dispatch_events import (
    CancelAsked,
    DeadlinePassed,
    DispatchEvent,
    FleetChanged,
    HostBack,
    HostFell,
    ProbeDue,
    RecallDue,
    Reported,
    Submitted,
    TrainerGone,
    VmAway,
    VmGone,
    VmLacks,
    VmReady,
    VmSilent,
)
from tzar_actors.core.evaluation import AttemptStatus, AttemptStory, GameEnded, OutcomeName, outcome_of
from tzar_actors.core.failures import Failures
from tzar_actors.core.interest import Interest
from tzar_actors.core.leases import Leases
from tzar_actors.core.queue import Game, OpenEvaluation, RunningAttempt
from tzar_actors.core.records import (
    AttemptEndedRecord,
    AttemptRecord,
    EvaluationEndedRecord,
    EvaluationRecord,
    GameEndedRecord,
)
from tzar_actors.core.stories import scored, story_of, story_of_lost, unscored, withdrawn
from tzar_agent.protocol.messages import Playing, Result

__all__ = ["Dispatch"]

_CANCELLED: Final = "the trainer cancelled it"


class Dispatch:
    """The machine.

    Args:
        epoch: of this start of the supervisor; committed before the first event.
        policy: when a failed game is tried again.
    """

    def __init__(self, epoch: int, policy: BlamePolicy) -> None:
        self.epoch = epoch
        self.evaluations: dict[str, OpenEvaluation] = {}
        self._failures = Failures(policy)
        self.leases = Leases(epoch, self._failures.witnesses)
        self._interest = Interest()
        self._probe = ""  # the attempt that shows whether a broken evaluator is mended

    @property
    def attempts(self) -> Mapping[str, RunningAttempt]:
        """The attempts whose results may still count, by id."""
        return self.leases.attempts

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
        self._interest.restored(evaluation.asked.key)
        for attempt in running:
            self.leases.add(attempt)
        for game in evaluation.games:
            self._failures.restore(game)
            if game.state == "queued":
                self.leases.wait(game)
        if (deadline_s := evaluation.asked.deadline_s) is None:
            return []
        return [SetDeadline(evaluation.asked.key, max(0.0, evaluation.accepted_at + deadline_s - at))]

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
                self.leases.vm_away(vm)
                return []
            case VmSilent(at, vm):
                self.leases.vm_silent(vm)
                return self.leases.give_out(at)
            case VmGone(at, vm, cause, commanded, sent):
                commands = self._lose(at, vm, cause, excused=commanded, sent=sent)
                self.leases.vm_gone(vm)
                return [*commands, *self.leases.give_out(at)]
            case VmLacks(at, vm, names, cause):
                given_back = (each for each in self.leases.take_back(at, vm, names) if each.attempt in self.attempts)
                commands = [command for each in given_back for command in self._revoke(at, each, "excused", cause)]
                return [*commands, *self.leases.give_out(at)]
            case HostFell(vms, since):
                self._failures.host_fell(vms, since)
                return []
            case HostBack(vms):
                self._failures.host_back(vms)
                return []
            case ProbeDue(at):
                return self._try_one(at)
            case FleetChanged(at, vms):
                return self._fleet_changed(at, vms)
            case RecallDue(at):
                return self.leases.recall(at)
            case CancelAsked():
                return self._cancel_asked(event)
            case TrainerGone(at, trainer):
                keys = self._interest.gone(self.evaluations, trainer)
                return [command for key in keys for command in self._end_at_once(at, key, "cancelled", _CANCELLED)]
            case DeadlinePassed(at, key):
                games = open_.games if (open_ := self.evaluations.get(key)) else []
                return self._end_at_once(at, key, "infra_failed", late([s for game in games for s in game.stories]))
            case _:
                assert_never(event)

    # --- evaluations

    def _submitted(self, event: Submitted) -> list[DispatchCommand]:
        asked, trainer = event.evaluation, event.trainer
        open_ = self.evaluations.get(asked.key)
        if open_ is not None:
            if not same_question(open_.asked, asked):
                return [refuse_reused(trainer, asked.key)]
            others = self._interest.joined(open_, trainer)
            return [*(TellWithdrawn(other, asked.key) for other in others), Accept(trainer, asked.key)]
        if event.known is not None:
            question, answer = event.known
            if not same_question(question, asked):
                return [refuse_reused(trainer, asked.key)]
            return [Accept(trainer, asked.key), Deliver((trainer,), answer)]
        open_ = OpenEvaluation(asked, event.at, {trainer: None})
        open_.games = [Game(open_, i) for i in range(len(asked.seeds))]
        self.evaluations[asked.key] = open_
        for game in open_.games:
            self.leases.wait(game)
        commands: list[DispatchCommand] = [Keep(EvaluationRecord(asked, event.wall)), Accept(trainer, asked.key)]
        if asked.deadline_s is not None:
            commands.append(SetDeadline(asked.key, asked.deadline_s))
        return [*commands, *self.leases.give_out(event.at)]

    def _cancel_asked(self, event: CancelAsked) -> list[DispatchCommand]:
        if (open_ := self.evaluations.get(event.key)) is None:
            return []
        if is_last := self._interest.is_last(open_, event.trainer):
            return self._end_at_once(event.at, event.key, "cancelled", _CANCELLED)
        return [] if is_last is None else [TellWithdrawn(event.trainer, event.key)]

    def _end_at_once(self, at: float, key: str, outcome: OutcomeName, reason: str) -> list[DispatchCommand]:
        if (open_ := self.evaluations.get(key)) is None:
            return []
        first = next(game for game in open_.games if game.ended is None)
        return [*self._close_game(at, first, unscored(first, outcome, reason)), *self.leases.give_out(at)]

    # --- results

    def _reported(self, event: Reported) -> list[DispatchCommand]:
        result, vm = event.result, event.vm
        commands: list[DispatchCommand] = []
        attempt = self.attempts.get(result.attempt)
        problem = why_not(result, vm, event.incarnation, self.evaluations.get(result.evaluation), attempt, self.epoch)
        if problem is not None:
            commands.append(Drop(vm, result.attempt, problem))
            if attempt is not None and (attempt.vm, attempt.incarnation) == (vm, event.incarnation):
                # Its agent is done with it and speaks of something else: nothing better will come of it.
                commands.extend(self._revoke(event.at, attempt, "agent_fault", problem))
        else:
            game = self.evaluations[result.evaluation].games[result.game]
            if attempt is not None:
                self.leases.forget(attempt)
            commands.extend(self._count(event.at, game, vm, event.incarnation, result))
        commands.append(Acknowledge(vm, result.attempt))
        seconds = result.seconds if result.status != "cancelled" else None
        is_faulty = result.status == "agent_fault"
        self.leases.vm_finished(event.at, vm, result.attempt, seconds, is_faulty=is_faulty)
        return [*commands, *self.leases.give_out(event.at)]

    def _count(self, at: float, game: Game, vm: str, incarnation: int, result: Result) -> list[DispatchCommand]:
        story = story_of(result, vm, incarnation, is_recalled=self.leases.is_recalled(vm, result.attempt))
        if story.status != "scored":
            return self._failed(at, game, story)
        game.stories.append(story)
        over = AttemptOver(game.evaluation.asked.key, game.index, story, result.fitness)
        ended = scored(game, result)
        lowered = self._failures.scored(vm, incarnation, game.evaluation.asked.digest)
        self.leases.is_stopped = self._failures.alarm.is_raised
        return [over, *lowered, *self._close_game(at, game, ended)]

    def _failed(self, at: float, game: Game, story: AttemptStory) -> list[DispatchCommand]:
        """An attempt failed; its game is tried again or ends."""
        key = game.evaluation.asked.key
        verdict, story, told = self._failures.failed(at, game, story, self.leases.fleet)
        commands: list[DispatchCommand] = [AttemptOver(key, game.index, story, None), *told]
        for command in told:
            if isinstance(command, BlameVm):
                self.leases.vm_away(command.vm)
            elif isinstance(command, RaiseAlarm):
                self.leases.is_stopped = True
                self._failures.pardon(each for open_ in self.evaluations.values() for each in open_.games)
        if isinstance(verdict, Verdict) and verdict.outcome == "infra_failed" and self.leases.is_played(game):
            verdict = Retry(game.avoid)  # an attempt more than was wanted is under way, and may still save it
        match verdict:
            case Retry(avoid):
                # One with an excuse is avoided as well; but when the evaluator is broken, no VM is worse than another.
                game.avoid |= avoid if self.leases.is_stopped else avoid | {story.vm}
                self.leases.wait_again(game)
                return [*commands, Keep(AttemptEndedRecord(key, game.index, story))]
            case Verdict(outcome, reason):
                return [*commands, *self._close_game(at, game, unscored(game, outcome, reason))]
            case _:
                assert_never(verdict)

    def _close_game(self, at: float, game: Game, ended: GameEnded) -> list[DispatchCommand]:
        open_ = game.evaluation
        game.ended = ended
        commands = self._call_off(game)
        decided = ended.outcome != "scored"
        if not decided and any(g.ended is None for g in open_.games):
            return [*commands, Keep(GameEndedRecord(open_.asked.key, game.index, ended))]
        for other in open_.games:
            if other.ended is None:
                other.ended = withdrawn(other, ended.outcome)
                commands.extend(self._call_off(other))
        return [*commands, *self._close_evaluation(at, open_, ended)]

    def _close_evaluation(self, at: float, open_: OpenEvaluation, last: GameEnded) -> list[DispatchCommand]:
        asked = open_.asked
        games = tuple(game.ended for game in open_.games if game.ended is not None)
        ended = outcome_of(asked, games, last, at - open_.accepted_at)
        del self.evaluations[asked.key]
        self._interest.ended(asked.key)
        commands: list[DispatchCommand] = [Keep(EvaluationEndedRecord(ended)), Deliver(tuple(open_.trainers), ended)]
        if asked.deadline_s is not None:
            commands.append(CancelDeadline(asked.key))
        return commands

    def _call_off(self, game: Game) -> list[DispatchCommand]:
        """Nothing that is still playing `game` counts any more."""
        return [SendCancel(attempt.vm, attempt.attempt) for attempt in self.leases.end(game)]

    # --- VMs

    def _vm_ready(self, event: VmReady) -> list[DispatchCommand]:
        at, vm, incarnation, playing = event.at, event.vm, event.incarnation, event.playing
        known = {*event.kept, playing.attempt} if playing else event.kept
        commands = self.leases.call_back(vm, known)
        for attempt, status, cause in self.leases.unknown_to(vm, incarnation, known):
            if attempt.attempt in self.attempts:  # else called off with an evaluation that ended just now
                commands.extend(self._revoke(at, attempt, status, cause))
        if playing is None:
            self.leases.vm_ready(vm, incarnation, None, b"", event.room)
        else:
            self.leases.vm_ready(vm, incarnation, playing.attempt, playing.digest, event.room)
            commands.extend(self._adopt(event, playing))
        return [*commands, *self.leases.give_out(at)]

    def _adopt(self, event: VmReady, playing: Playing) -> list[DispatchCommand]:
        attempt = self.attempts.get(playing.attempt)
        open_ = self.evaluations.get(playing.evaluation)
        problem = why_not(playing, event.vm, event.incarnation, open_, attempt, self.epoch)
        if problem is not None:
            return [Drop(event.vm, playing.attempt, problem), SendCancel(event.vm, playing.attempt)]
        if attempt is not None:
            self.leases.hold(attempt)
            return []
        game = self.evaluations[playing.evaluation].games[playing.game]
        self.leases.add(RunningAttempt(playing.attempt, game, event.vm, event.incarnation, event.at))
        record = AttemptRecord(playing.attempt, playing.evaluation, playing.game, event.vm, event.incarnation)
        return [Keep(record)]

    def _try_one(self, at: float) -> list[DispatchCommand]:
        """While the evaluator is broken, one game after the other shows whether it still is."""
        alarm = self._failures.alarm
        if not alarm.is_raised:
            return []
        if self._probe in self.attempts:
            return [SetProbe(alarm.next_delay_s(grows=False))]
        commands = self.leases.give_one(at)
        self._probe = next((command.attempt for command in commands if isinstance(command, SendPlay)), "")
        return [*commands, SetProbe(alarm.next_delay_s(grows=bool(self._probe)))]

    def _fleet_changed(self, at: float, vms: frozenset[str]) -> list[DispatchCommand]:
        commands: list[DispatchCommand] = []
        for vm in self.leases.set_fleet(vms):
            commands.extend(self._lose(at, vm, "its VM left the fleet", excused=True))
            self.leases.drop_vm(vm)
            self._failures.witnesses.forget(vm)
        return [*commands, *self.leases.give_out(at)]

    def _lose(
        self, at: float, vm: str, cause: str, *, excused: bool, sent: Collection[str] | None = None
    ) -> list[DispatchCommand]:
        """Revokes the attempts of `vm`: it died with the first of those that were `sent`, or has an excuse."""
        excused = excused or self._failures.is_excused(vm)
        waited = self.leases.waiting_at(vm, sent)
        commands: list[DispatchCommand] = []
        for attempt in self.leases.of(vm):
            if attempt.attempt not in self.attempts:  # called off with an evaluation that ended just now
                continue
            if attempt.attempt in waited:
                commands.extend(self._revoke(at, attempt, "excused", f"{cause}, before its turn came"))
                continue
            if not excused:
                self._failures.died(at, attempt)
            commands.extend(self._revoke(at, attempt, "excused" if excused else "lost", cause))
        return commands

    def _revoke(self, at: float, attempt: RunningAttempt, status: AttemptStatus, cause: str) -> list[DispatchCommand]:
        self.leases.forget(attempt)
        return self._failed(at, attempt.game, story_of_lost(at, attempt, status, cause))
