"""The evaluator `worker`: one long-lived process that takes orders as lines on stdin and answers on stdout.

The line protocol. Each line is one JSON object in UTF-8, at most 1 MiB, with a field `tzar` that says what it is. Any
other line on stdout, and all of stderr, is output: the last of it becomes evidence when a game fails.

    worker  {"tzar": "ready"}                                                                  once, when it can play
    agent   {"tzar": "play", "attempt": "...", "evaluation": "...", "game": 0, "genome": "<path of a file>",
             "seed": 7, "params": {...}}
    worker  {"tzar": "progress", "attempt": "...", "count": 3, "note": "..."}                  any number; note optional
    worker  {"tzar": "result", "attempt": "...", "fitness": 1.5, "details": {...}}             details optional
    worker  {"tzar": "error", "attempt": "...", "reason": "..."}                               instead of the result

`count` is the number of reports of progress so far. One order is given at a time, and the next only after an answer.
Bytes and infinite numbers among params and details are written as `tzar_agent.lines` says: {"$bytes": "<base64>"}.
The genome's file must be neither changed nor kept open. After `error`, an end of its own, a limit or a cancel, the
process is killed with its whole tree, and another is started for the next game. When stdin ends, it should end.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from loguru import logger

from tzar_agent.evaluators.base import EvaluatorEvent, Place, score
from tzar_agent.evaluators.process import EvaluatorProcess, Exited, Said
from tzar_agent.events import Began, Cleared, Ended, Genome, Progressed, Verdict
from tzar_agent.lines import to_line
from tzar_agent.protocol.codec import DecodeError, unpack_value
from tzar_agent.protocol.messages import Evidence, Play

__all__ = ["Worker"]

_MOST = 2**63 - 1  # as a message holds it


class Worker:
    """Plays games in a long-lived process.

    Args:
        place: where evaluators work.
        argv: the program and its arguments.
        cwd: its working folder; None: a fresh folder for each process.
        env: what is added to the agent's environment.
        ready_timeout_s: seconds from its start within which it must be ready.
    """

    needs_path = True

    def __init__(
        self, place: Place, argv: Sequence[str], cwd: str | None, env: Mapping[str, str], ready_timeout_s: float
    ) -> None:
        self._place = place
        self._argv = list(argv)
        self._cwd = cwd
        self._env = dict(env)
        self._ready_timeout_s = ready_timeout_s
        self._process: EvaluatorProcess | None = None
        self._is_ready = False
        self._has_played = False  # the process, or the one before it that ended; the next one has not
        self._ready_by = 0.0
        self._attempt: str | None = None  # the one that is played or waits for the process to be ready
        self._order: bytes | None = None  # waits for the process to be ready
        self._ending: str | None = None
        self._evidence: Evidence | None = None  # of the latest process that ended

    def prepare(self) -> None:
        if self._process is None:
            try:
                self._spawn()
            except OSError as error:
                logger.warning("the evaluator {} cannot be started: {}", self._argv[0], error)

    def start(self, play: Play, genome: Genome) -> Sequence[EvaluatorEvent]:
        now = time.monotonic()
        self._evidence = None
        try:
            order = to_line(
                {
                    "tzar": "play",
                    "attempt": play.attempt,
                    "evaluation": play.evaluation,
                    "game": play.game,
                    "genome": str(genome.path),
                    "seed": play.seed,
                    "params": unpack_value(play.params, "params"),
                }
            )
        except DecodeError as error:
            return [Ended(now, play.attempt, Verdict("agent_fault", reason=str(error)))]
        if self._process is None:
            try:
                self._spawn()
            except OSError as error:
                reason = f"the evaluator {self._argv[0]} cannot be started: {error}"
                return [Ended(now, play.attempt, Verdict("agent_fault", reason=reason))]
        self._attempt, self._order = play.attempt, order
        return self._give() if self._is_ready else []

    def end(self, attempt: str) -> Sequence[EvaluatorEvent]:
        self._attempt = self._order = None
        if self._process is None:
            self._prepare_again()
            return [Cleared(time.monotonic(), attempt, self._evidence)]
        self._ending = attempt
        self._process.kill()
        return []

    def absorb(self, signal: object) -> Sequence[EvaluatorEvent]:
        match signal:
            case Said(process, message) if process is self._process and self._ending is None:
                return self._said(message)
            case Exited(process) if process is self._process:
                return self._exited(signal)
        return []

    def tick(self, at: float) -> Sequence[EvaluatorEvent]:
        next_at = self.next_at()
        if next_at is None or at < next_at or self._process is None:
            return []
        if self._attempt is None:
            self._process.kill()  # started early, and nobody waits: the next game starts another
            return []
        attempt, self._attempt, self._order = self._attempt, None, None
        reason = f"the evaluator {self._argv[0]} was not ready within {self._ready_timeout_s:g} s"
        return [Ended(at, attempt, Verdict("fault", reason=reason))]

    def next_at(self) -> float | None:
        waits = self._process is not None and not self._is_ready and self._ending is None
        return self._ready_by if waits else None

    def pid(self) -> int | None:
        return self._process.tree.pid if self._process is not None else None

    def close(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None

    def _prepare_again(self) -> None:
        """Starts another early, unless the one before came to no game: it would only end as well, again and again."""
        if self._has_played:
            self.prepare()

    def _spawn(self) -> None:
        self._is_ready = self._has_played = False
        self._ready_by = time.monotonic() + self._ready_timeout_s
        self._process = EvaluatorProcess(self._place, lambda _: self._argv, self._cwd, self._env, speaks=True)

    def _give(self) -> Sequence[EvaluatorEvent]:
        if self._process is None or self._order is None or self._attempt is None:
            return []
        order, self._order = self._order, None
        self._has_played = True
        self._process.order(order)
        return [Began(time.monotonic(), self._attempt)]

    def _said(self, message: Mapping[str, Any]) -> Sequence[EvaluatorEvent]:
        now = time.monotonic()
        if message["tzar"] == "ready":
            self._is_ready = True
            return self._give()
        attempt = self._attempt
        if attempt is None or self._order is not None or message.get("attempt") != attempt:
            return []
        match message:
            case {"tzar": "progress", "count": int(count)}:
                note = message.get("note")
                return [
                    Progressed(now, attempt, min(max(0, count), _MOST), note[:500] if isinstance(note, str) else "")
                ]
            case {"tzar": "result"}:
                details = message.get("details")
                self._attempt = None
                if details is not None and not isinstance(details, dict):
                    reason = f"the evaluator gave a {type(details).__name__} as details; a map is needed"
                    return [Ended(now, attempt, Verdict("fault", reason=reason))]
                return [Ended(now, attempt, score(message.get("fitness"), details))]
            case {"tzar": "error", "reason": str(reason)}:
                self._attempt = None
                return [Ended(now, attempt, Verdict("fault", reason=reason))]
        return []

    def _exited(self, exited: Exited) -> Sequence[EvaluatorEvent]:
        was_ready, self._is_ready, self._process = self._is_ready, False, None
        self._evidence = exited.process.evidence(exited.exit_code)
        ending, attempt = self._ending, self._attempt
        self._ending = self._attempt = self._order = None
        now = time.monotonic()
        if ending is not None:
            if was_ready:
                self.prepare()
            return [Cleared(now, ending, self._evidence, exited.trouble)]
        if attempt is None:
            logger.warning("the evaluator {} while no game was on:\n{}", exited.how(), self._evidence.tail)
            self._prepare_again()
            return []
        doing = "without a result" if was_ready else "before it was ready"
        return [Ended(now, attempt, Verdict("fault", reason=f"the evaluator {exited.how()} {doing}"))]
