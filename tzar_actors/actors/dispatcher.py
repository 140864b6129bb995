"""Routes games to idle VMs: steps the dispatch machine, has it all journalled, speaks with trainers and agents."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final, assert_never

from tzar_actors.actors.base import MachineActor
from tzar_actors.actors.genome_memory import GenomeMemory
from tzar_actors.actors.messages import Order, Restore, TimerRang, TrainerSaid, VmBlamed, VmReset
from tzar_actors.actors.wiring import Wiring
from tzar_actors.client.protocol import (
    AskOutcomes,
    AskStatus,
    CancelEvaluations,
    OutcomesAnswer,
    Rejected,
    StatusAnswer,
    Submission,
    Submit,
)
from tzar_actors.core.admission import Admission, refusal
from tzar_actors.core.dispatch import Dispatch
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
    LowerAlarm,
    RaiseAlarm,
    Refuse,
    ResetVm,
    SendCancel,
    SendPlay,
    SendRecall,
    SetDeadline,
    SetProbe,
    SetRecall,
    TellWithdrawn,
)
from tzar_actors.core.dispatch_events import (
    CancelAsked,
    DeadlinePassed,
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
from tzar_actors.core.evaluation import Evaluation, EvaluationEnded
from tzar_actors.core.records import EvaluationEndedRecord, EvaluationRecord, Record
from tzar_actors.events import catalogue
from tzar_actors.journal.restore import open_evaluations
from tzar_agent.protocol.codec import DecodeError, pack_value, unpack_value
from tzar_agent.protocol.messages import INLINE_LIMIT_BYTES, Cancel, Play, Recall

__all__ = ["Dispatcher"]

_GENOMES_IN_MEMORY_BYTES: Final = 32 * 1024 * 1024
_RECALL: Final = "recall" * 50  # the timer's name, too long to be an evaluation's key
_STATUS_LIMIT_BYTES: Final = 64 * 1024 * 1024
_DEADLINE: Final = "deadline of "  # a timer's name goes on with the evaluation's key


class Dispatcher(MachineActor[DispatchCommand]):
    """The actor around `core.dispatch.Dispatch`.

    Args:
        wiring: the supervisor's parts.
    """

    def __init__(self, wiring: Wiring) -> None:
        super().__init__(wiring.loop, wiring.journal)
        self._wiring = wiring
        self._machine = Dispatch(wiring.journal.epoch, wiring.blame)
        self.genomes = GenomeMemory(_GENOMES_IN_MEMORY_BYTES)
        self._encoded: dict[str, bytes] = {}
        self._good_params: bytes | None = None
        self._tells_all = wiring.log.hears(catalogue.AttemptStarted.LEVEL)

    def on_failure(self, *error: Any) -> None:
        """Pykka's hook: without a dispatcher nothing goes on. The process ends, and its restart is the way back."""
        raise SystemExit(f"the dispatcher failed: {error[0].__name__}: {error[1]}")

    def on_receive(self, message: Any) -> None:
        """Pykka's hook: one message."""
        super().on_receive(message)
        self._wiring.board.evaluations_open = len(self._machine.evaluations)

    def decide(self, message: Any) -> Iterable[DispatchCommand]:
        """See `MachineActor`."""
        match message:
            case Reported() | VmReady() | VmAway() | VmSilent() | VmGone() | VmLacks():
                return self._machine.step(message)
            case FleetChanged() | HostFell() | HostBack():
                return self._machine.step(message)
            case TrainerGone():
                return self._machine.step(message)
            case TrainerSaid(trainer, Submit(submissions)):
                return [command for each in submissions for command in self._submitted(trainer, each)]
            case TrainerSaid(trainer, CancelEvaluations(keys)):
                now = self.loop.now()
                return [each for key in keys for each in self._machine.step(CancelAsked(now, key, trainer))]
            case TrainerSaid(trainer, AskOutcomes() as question):
                self._answer_outcomes(trainer, question)
            case TrainerSaid(trainer, AskStatus(request)):
                self._count()
                status = pack_value(self._wiring.board.snapshot(), _STATUS_LIMIT_BYTES)
                self._wiring.gateway.desk.tell(trainer, StatusAnswer(request, status))
            case Restore(wall):
                self._restore(wall)
            case TimerRang(name) if name == _RECALL:
                return self._machine.step(RecallDue(self.loop.now()))
            case TimerRang("probe"):
                return self._machine.step(ProbeDue(self.loop.now()))
            case TimerRang(name):
                return self._machine.step(DeadlinePassed(self.loop.now(), name.removeprefix(_DEADLINE)))
            case _:
                raise TypeError(f"the dispatcher cannot handle {message!r}")
        return ()

    def keep(self, record: Record) -> None:
        """As `MachineActor`; an outcome is encoded once, for the journal and for the trainers."""
        match record:
            case EvaluationEndedRecord(ended):
                encoded = self._encoded[ended.key] = self.journal.codec.encode(ended)
                self.journal.append_ended(ended.key, encoded)
                self.loop.mark_dirty()
                self._ended(ended)
            case EvaluationRecord(asked):
                super().keep(record)
                if self._tells_all:
                    genome, games = asked.digest.hex(), len(asked.seeds)
                    self._wiring.log.emit(catalogue.EvaluationAccepted(asked.key, genome, asked.generation, games))
            case _:
                super().keep(record)

    def carry_out(self, command: DispatchCommand) -> None:
        """See `MachineActor`."""
        gateway, log = self._wiring.gateway, self._wiring.log
        match command:
            case SendPlay():
                self._play(command)
            case Acknowledge(vm, attempt):
                gateway.acknowledge(vm, attempt)
            case AttemptOver():
                self._attempt_over(command)
            case Deliver(trainers, ended):
                encoded = self._encoded.pop(ended.key, None) or self.journal.codec.encode(ended)
                for trainer in trainers:
                    gateway.desk.deliver(trainer, ended.key, encoded)
            case Accept(trainer, key):
                gateway.desk.accept(trainer, key)
            case Refuse(trainer, key, code, reason):
                log.emit(catalogue.EvaluationRejected(key, code, reason))
                gateway.desk.tell(trainer, Rejected(key, code, reason))
            case TellWithdrawn(trainer, key):
                reason = f"evaluation {key} was withdrawn; another trainer waits for it still"
                gateway.desk.tell(trainer, Rejected(key, "withdrawn", reason))
            case SendCancel(vm, attempt):
                gateway.send(vm, Cancel(attempt))
            case SendRecall(vm, attempts):
                gateway.send(vm, Recall(attempts))
            case SetRecall(after_s):
                self.set_timer(_RECALL, after_s)
            case SetDeadline(key, after_s):
                self.set_timer(_DEADLINE + key, after_s)
            case CancelDeadline(key):
                self.cancel_timer(_DEADLINE + key)
            case Drop(vm, attempt, reason):
                self._wiring.board.results_dropped += 1
                log.emit(catalogue.AttemptDropped(attempt, vm, reason))
            case ResetVm(vm, reason):
                self._wiring.fleet.tell(VmReset(vm, reason))
            case BlameVm(vm, reason):
                self._wiring.fleet.tell(VmBlamed(vm, reason))
            case RaiseAlarm(genomes, vms, evidence):
                self._wiring.board.alarm = f"the evaluator fails for everybody: {evidence}"
                log.emit(catalogue.EvaluatorBroken(genomes, vms, evidence))
            case LowerAlarm():
                self._wiring.board.alarm = ""
                log.emit(catalogue.EvaluatorMended())
            case SetProbe(after_s):
                self.set_timer("probe", after_s)
            case Keep():
                raise TypeError("records are journalled, not carried out")
            case _:
                assert_never(command)

    def _restore(self, wall: float) -> None:
        now = self.loop.now()
        for evaluation, running in open_evaluations(self.journal, now, wall):
            self.perform(self._machine.restore(now, evaluation, running))

    def _submitted(self, trainer: str, submission: Submission) -> Iterable[DispatchCommand]:
        asked, genome = submission.evaluation, submission.genome
        now = self.loop.now()
        if asked.key not in self._machine.evaluations:
            known = None if submission.is_fresh else self.journal.answer(asked.key)
            if known is not None:
                return self._machine.step(Submitted(now, self._wiring.wall(), trainer, asked, known))
            problem = refusal(asked, self._admission(asked, genome))
            if problem is not None:
                return (Refuse(trainer, asked.key, *problem),)
            if genome is not None:
                self.journal.append_genome(asked.key, genome)
                self.loop.mark_dirty()
                self.genomes.keep(asked.digest, genome)
        return self._machine.step(Submitted(now, self._wiring.wall(), trainer, asked))

    def _admission(self, asked: Evaluation, genome: bytes | None) -> Admission:
        wiring = self._wiring
        if genome is not None:
            is_here = len(genome) == asked.size and sha256(genome).digest() == asked.digest
        else:  # a small one comes with its order, or belongs to a key that is known already
            is_here = wiring.spool.holds(asked.digest, asked.size)
        return Admission(
            genome_is_here=is_here,
            genome_limit_bytes=wiring.genome_limit_bytes,
            params_are_good=self._are_good_params(asked.params),
            evaluations_open=len(self._machine.evaluations),
            queue_limit=wiring.queue_limit,
            is_draining=wiring.board.is_draining,
            shortage=wiring.shortage(needs_spool=asked.size > INLINE_LIMIT_BYTES),
        )

    def _are_good_params(self, params: bytes) -> bool:
        if params != self._good_params:  # nearly always those of the evaluation before
            try:
                if not isinstance(unpack_value(params), dict):
                    return False
            except DecodeError:
                return False
            self._good_params = params
        return True

    def _play(self, command: SendPlay) -> None:
        asked, game = command.evaluation, command.game
        wiring = self._wiring
        genome = self._genome(asked) if asked.size <= INLINE_LIMIT_BYTES else None
        play = Play(
            command.attempt,
            asked.key,
            game,
            asked.digest,
            asked.size,
            genome,
            asked.params,
            asked.seeds[game],
            wiring.time_limit_s,
            wiring.stall_s,
        )
        actor = wiring.vm_actors.get(command.vm)
        if actor is not None and actor.is_alive():
            actor.tell(Order(play))
        else:  # its supervisor, who makes another, will say no more than that
            self.actor_ref.tell(VmAway(command.vm))
            cause = "it was not sent: its VM's actor had just failed"
            self.actor_ref.tell(VmLacks(self.loop.now(), command.vm, (command.attempt,), cause))
        if self._tells_all:
            event = catalogue.AttemptStarted(command.attempt, asked.key, game, command.vm, command.incarnation)
            wiring.log.emit(event)

    def _genome(self, asked: Evaluation) -> bytes | None:
        genome = self.genomes.get(asked.digest)
        if genome is None and (genome := self.journal.genome(asked.key)) is not None:
            self.genomes.keep(asked.digest, genome)
        return genome

    def _answer_outcomes(self, trainer: str, question: AskOutcomes) -> None:
        ended: list[bytes] = []
        open_keys: list[str] = []
        if question.generation is not None:
            found = list(self.journal.outcomes(question.generation))
        else:
            outcomes = [(key, *self.journal.outcome(key)) for key in question.keys or ()]
            found = [(key, body) for key, is_known, body in outcomes if is_known]
        for key, body in found:
            if body is None:
                open_keys.append(key)
            else:
                ended.append(body)
        answer = OutcomesAnswer(question.request, tuple(ended), tuple(open_keys))
        self._wiring.gateway.desk.tell(trainer, answer)

    def _attempt_over(self, over: AttemptOver) -> None:
        story = over.story
        if story.status in ("lost", "excused"):
            self._wiring.board.attempts_lost += story.status == "lost"  # an excused one counts for nothing
            self._wiring.log.emit(catalogue.AttemptLost(story.attempt, over.key, over.game, story.vm, story.reason))
            return
        self._wiring.log.emit(
            catalogue.AttemptEnded(
                story.attempt, over.key, over.game, story.vm, story.status, over.fitness, story.seconds, story.reason
            )
        )

    def _ended(self, ended: EvaluationEnded) -> None:
        self.genomes.forget(ended.digest)
        outcomes = self._wiring.board.outcomes
        outcomes[ended.outcome] = outcomes.get(ended.outcome, 0) + 1
        self._wiring.log.emit(
            catalogue.EvaluationEnded(
                ended.key,
                ended.digest.hex(),
                ended.generation,
                ended.outcome,
                ended.fitness,
                ended.reason,
                ended.seconds,
            )
        )

    def _count(self) -> None:
        board, machine = self._wiring.board, self._machine
        board.games_running = machine.leases.games_running
        board.games_queued = machine.leases.games_waiting
