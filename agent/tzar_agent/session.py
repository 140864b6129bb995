"""Decides what the agent does: one event in, commands out. No clock, no socket, no process, no file.

Everything that affects the session is in the event, and the session does not know who runs it. It speaks for one
identity; kept results and the evaluator outlive it. `Session.next_at` says when the next `Tick` is due.
"""

from collections.abc import Iterable
from typing import assert_never

from tzar_agent import commands as do
from tzar_agent.events import (
    Began,
    Cleared,
    Ended,
    Event,
    GenomeFailed,
    GenomeReady,
    HandshakeSucceeded,
    LinkLost,
    Progressed,
    Received,
    Tick,
    Verdict,
)
from tzar_agent.job import Job, result_of
from tzar_agent.kept import KeptResults
from tzar_agent.protocol.messages import (
    PROTOCOL_VERSION,
    AgentState,
    Bye,
    Cancel,
    Hello,
    Play,
    Playing,
    Progress,
    Recall,
    Result,
    ResultAck,
    SupervisorHeartbeat,
    Unwelcome,
    Welcome,
)
from tzar_agent.who import Who

__all__ = ["Session", "Who"]

ANSWER_WITHIN_S = 10.0  # a dial or a hello that got no answer for so long is given up
FIRST_DELAY_S, LONGEST_DELAY_S = 0.05, 2.0  # between two dials
ROOM = 16  # orders at once: one is played, the others wait


class Session:
    """The agent's decisions under one identity.

    Args:
        who: the VM, its incarnation, this program.
        orphan_s: seconds without a supervisor after which the agent ends; None: it dials for ever.
        kept: attempts whose results wait on the disk, oldest first.
        at: monotonic seconds, now.
    """

    def __init__(self, who: Who, orphan_s: float | None, kept: Iterable[str], at: float) -> None:
        self.who = who
        self.orphan_s = orphan_s
        self.kept = KeptResults(kept, at)
        self.job: Job | None = None
        self.waiting: dict[str, Play] = {}  # orders whose turn has not come
        self.welcome: Welcome | None = None  # of the connection that stands; None: none does
        self.evaluator: bytes | None = None  # the one that is equipped
        self.wanted: bytes | None = None  # the one that the latest welcome names
        self.interval = 1.0
        self.misses = 5
        self.dial_at: float | None = at
        self.answer_by: float | None = None
        self.beat_at: float | None = None
        self.beats = 0
        self.failures = 0
        self.heard_at = at
        self.stepped_at = at
        self.is_orphan = False

    def step(self, event: Event) -> list[do.Command]:
        """Changes the state by `event`; returns what is to be done about it, in order."""
        self._forgive_own_lateness(event.at)
        match event:
            case Received():
                return self._received(event)
            case GenomeReady(at, attempt, genome):
                job = self._job_of(attempt)
                if job is None or job.stage != "fetching":
                    return []
                job.start(at)
                return [do.Start(job.play, genome)]
            case Ended(at, attempt, verdict):
                return self._ended(at, attempt, verdict)
            case Began(at, attempt):
                job = self._job_of(attempt)
                if job is None or job.stage != "starting":
                    return []
                job.begin(at)
                return self._progress(job, at)
            case Progressed(at, attempt, count, note):
                job = self._job_of(attempt)
                if job is None or job.stage != "playing":
                    return []
                job.advance(at, count, note)
                return self._progress(job, at)
            case GenomeFailed(at, attempt, reason):
                job = self._job_of(attempt)
                if job is None or job.stage != "fetching":
                    return []
                return self._finish(job, at, Verdict("agent_fault", reason=reason))
            case Cleared(at, attempt, evidence, trouble):
                job = self._job_of(attempt)
                if job is None or job.stage != "ending" or job.verdict is None:
                    return []
                verdict = job.verdict if not trouble else Verdict("agent_fault", reason=trouble)
                return self._finish(job, at, verdict.with_evidence(evidence))
            case HandshakeSucceeded(at):
                self.answer_by = at + ANSWER_WITHIN_S
                return [do.Send(self._hello())]
            case LinkLost(at, jitter, reason):
                return self._lost(at, jitter, reason)
            case Tick(at, jitter):
                return self._tick(at, jitter)
            case _:
                assert_never(event)

    def next_at(self) -> float:
        """Monotonic seconds at which the next `Tick` is due."""
        moments = [
            self.dial_at, self.answer_by, self.beat_at, self._resend_at(), self._silent_at(), self._orphan_at()
        ]  # fmt: skip
        if self.job is not None:
            moments.append(self.job.next_at())
            if self.welcome is not None:
                moments.append(self.job.report_at(self.interval))
        return min(moment for moment in (*moments, self.stepped_at + 60.0) if moment is not None)

    # the supervisor

    def _received(self, event: Received) -> list[do.Command]:
        at, message = event.at, event.message
        self.heard_at = at
        match message:
            case Play():
                return self._play(at, message) if self.welcome else [do.Note("warning", "an order before the welcome")]
            case ResultAck(attempts):
                return [do.Forget(attempt) for attempt in self.kept.acknowledge(attempts)]
            case SupervisorHeartbeat():
                return []
            case Cancel(attempt):
                return self._cancel(at, attempt)
            case Recall(attempts):
                waiting = [play for attempt in attempts if (play := self.waiting.pop(attempt, None)) is not None]
                verdict = Verdict("cancelled", reason="called back before its turn came")
                return [command for play in waiting for command in self._report(at, result_of(play, 0.0, verdict))]
            case Welcome():
                return self._welcomed(at, message)
            case Unwelcome(code, reason):
                return self._give_up(f"unwelcome ({code}): {reason}")
            case Bye(reason):
                return [do.Note("info", f"the supervisor ends: {reason}")]
            case _:
                return [do.Note("warning", f"a {type(message).__name__} is no message for an agent; dropped")]

    def _welcomed(self, at: float, welcome: Welcome) -> list[do.Command]:
        self.welcome, self.wanted = welcome, welcome.evaluator
        self.interval, self.misses = max(0.01, welcome.heartbeat_interval_s), welcome.misses
        self.answer_by, self.failures, self.is_orphan = None, 0, False
        self.beat_at = at + self.interval
        commands: list[do.Command] = [do.Adopt(welcome)]
        commands += self._equip()
        commands += self._resend(at)
        if self.job is not None and self.job.stage == "fetching":
            commands.append(do.Obtain(self.job.play))  # whoever was asked for the rest may be gone
        return commands

    def _give_up(self, reason: str) -> list[do.Command]:
        attempt = self.job.play.attempt if self.job else None
        self.job = None
        self.waiting.clear()
        ending: do.Command = do.Park(reason) if self.orphan_s is None else do.Exit(reason)
        return [do.Abandon(attempt), ending] if attempt is not None else [ending]

    def _hello(self) -> Hello:
        playing = None
        if self.job is not None:
            play = self.job.play
            playing = Playing(play.attempt, play.evaluation, play.game, play.digest)
        who = self.who
        kept = self.kept.named()
        return Hello(PROTOCOL_VERSION, who.vm, who.incarnation, who.software, who.pid, playing, kept, ROOM)

    def _lost(self, at: float, jitter: float, reason: str) -> list[do.Command]:
        if self.dial_at is not None:
            return []  # lost already
        was_known = self.welcome is not None or self.answer_by is not None
        self.welcome = self.beat_at = self.answer_by = None
        self.waiting.clear()  # no hello names them: they are given to whoever is there
        # Full jitter above half the delay keeps agents that lost one supervisor from coming back in one instant.
        delay = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(self.failures, 16)) * (0.5 + jitter / 2)
        self.failures += 1
        self.dial_at = at + delay
        return [
            do.Hangup(),
            do.Note("info" if was_known and self.failures < 3 else "debug", f"connection lost: {reason}"),
        ]

    # games

    def _play(self, at: float, play: Play) -> list[do.Command]:
        if play.attempt in self.kept:
            return [do.Resend(play.attempt)]
        job = self.job
        if job is None:
            self.job = Job(play, at)
            return [do.Obtain(play)]
        if job.play.attempt == play.attempt or play.attempt in self.waiting:
            return []
        if len(self.waiting) < ROOM - 1:
            self.waiting[play.attempt] = play
            return []
        reason = (
            f"the agent is busy with attempt {job.play.attempt} ({job.stage}), and {ROOM - 1} orders wait behind it"
        )
        return self._report(at, result_of(play, 0.0, Verdict("agent_fault", reason=reason)))

    def _cancel(self, at: float, attempt: str) -> list[do.Command]:
        job = self._job_of(attempt)
        verdict = Verdict("cancelled", reason="cancelled by the supervisor")
        if job is None:
            if attempt in self.kept:
                return [do.Resend(attempt)]
            if (play := self.waiting.pop(attempt, None)) is not None:
                return self._report(at, result_of(play, 0.0, verdict))
            return [do.Note("info", f"cancel of attempt {attempt}, which is not here; ignored")]
        if job.stage == "fetching":
            return [do.Abandon(attempt), *self._finish(job, at, verdict)]
        return self._end(job, verdict)

    def _ended(self, at: float, attempt: str, verdict: Verdict) -> list[do.Command]:
        job = self._job_of(attempt)
        if job is None or job.stage == "ending":
            return []  # what is being ended has its verdict already
        if verdict.status == "scored":
            return self._finish(job, at, verdict)
        # Whatever a failed game left behind must not be there when the next genome plays.
        job.ended_at = at
        return self._end(job, verdict)

    def _end(self, job: Job, verdict: Verdict) -> list[do.Command]:
        if job.stage == "ending":
            return []
        job.stage, job.verdict = "ending", verdict
        return [do.EndTree(job.play.attempt)]

    def _finish(self, job: Job, at: float, verdict: Verdict) -> list[do.Command]:
        self.job = None
        commands = self._report(at, result_of(job.play, job.seconds(at), verdict))
        commands += self._equip()
        if self.is_orphan:
            commands.append(do.Exit("no supervisor was heard; the last game is done and its result is kept"))
        elif self.waiting:
            following = self.waiting.pop(next(iter(self.waiting)))
            self.job = Job(following, at)
            commands.append(do.Obtain(following))
        return commands

    def _report(self, at: float, result: Result) -> list[do.Command]:
        self.kept.keep(result.attempt, at)
        return [do.Keep(result, send=self.welcome is not None)]

    def _resend(self, at: float) -> list[do.Command]:
        return [do.Resend(attempt) for attempt in self.kept.sent_again(at)]

    def _equip(self) -> list[do.Command]:
        if self.job is not None or self.wanted is None or self.wanted == self.evaluator:
            return []
        self.evaluator = self.wanted
        return [do.Equip(self.wanted)]

    def _progress(self, job: Job, at: float) -> list[do.Command]:
        report_at = job.report_at(self.interval)
        if self.welcome is None or report_at is None or at < report_at:
            return []
        job.reported, job.reported_at = job.count, at
        return [do.Send(Progress(job.play.attempt, job.count))]

    def _job_of(self, attempt: str) -> Job | None:
        return self.job if self.job is not None and self.job.play.attempt == attempt else None

    # time

    def _tick(self, at: float, jitter: float) -> list[do.Command]:
        commands: list[do.Command] = []
        if self.dial_at is not None and at >= self.dial_at:
            self.dial_at, self.answer_by = None, at + ANSWER_WITHIN_S
            commands.append(do.Dial())
        silent_at = self._silent_at()
        if self.answer_by is not None and at >= self.answer_by:
            commands += self._lost(at, jitter, f"no answer within {ANSWER_WITHIN_S:g} s")
        elif silent_at is not None and at >= silent_at:
            commands += self._lost(at, jitter, f"the supervisor was silent for {at - self.heard_at:.1f} s")
        if self.beat_at is not None and at >= self.beat_at:
            self.beat_at = max(self.beat_at + self.interval, at)
            self.beats += 1
            job = self.job
            state: AgentState = "idle" if job is None else "fetching" if job.stage == "fetching" else "playing"
            commands.append(do.Beat(self.beats, state, job.play.attempt if job else None, job.count if job else 0))
        if (resend_at := self._resend_at()) is not None and at >= resend_at:
            commands += self._resend(at)
        if self.job is not None:
            if (verdict := self.job.overdue(at)) is not None:
                commands += self._end(self.job, verdict)
            else:
                commands += self._progress(self.job, at)
        orphan_at = self._orphan_at()
        if orphan_at is not None and at >= orphan_at:
            commands += self._orphaned(at)
        return commands

    def _orphaned(self, at: float) -> list[do.Command]:
        self.is_orphan = True
        reason = f"no supervisor was heard for {at - self.heard_at:.0f} s"
        if self.job is None:
            return [do.Exit(reason)]
        if self.job.stage == "fetching":
            attempt, self.job = self.job.play.attempt, None
            return [do.Abandon(attempt), do.Exit(reason)]
        return [do.Note("warning", f"{reason}; the agent ends when its game is done")]

    def _resend_at(self) -> float | None:
        return None if self.welcome is None else self.kept.due_at()

    def _silent_at(self) -> float | None:
        return None if self.welcome is None else self.heard_at + self.misses * self.interval

    def _orphan_at(self) -> float | None:
        return None if self.orphan_s is None or self.is_orphan else self.heard_at + self.orphan_s

    def _forgive_own_lateness(self, at: float) -> None:
        # A VM that was saved, or an agent that was stopped, heard nobody meanwhile and may not judge by that.
        if at - self.stepped_at > self.interval and (late := at - max(self.stepped_at, self.next_at())) > self.interval:
            self.heard_at += late
        self.stepped_at = at
