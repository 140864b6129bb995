"""The evaluator `command`: one process for each attempt, scored by a JSON file it writes or by its exit code."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tzar_agent.evaluators.base import EvaluatorEvent, Place, score
from tzar_agent.evaluators.process import EvaluatorProcess, Exited, Printed
from tzar_agent.events import Began, Cleared, Ended, Genome, Progressed, Verdict
from tzar_agent.protocol.codec import DecodeError, unpack_value
from tzar_agent.protocol.messages import Evidence, Play

__all__ = ["PLACEHOLDER", "Command"]

PLACEHOLDER = re.compile(r"\{(genome|result|seed|params\.[^{}]+)\}")
_RESULT_LIMIT_BYTES = 1024 * 1024


class Command:
    """Plays each game by running a program.

    When the program has ended, whatever it left running is ended too. Then: a result file that was written counts if
    `score_key` is set and the exit code is one of `scored_exit_codes`; otherwise `exit_codes` gives the fitness;
    otherwise it is a fault. Each line that it prints counts as progress.

    Args:
        place: where evaluators work.
        argv: the program and its arguments with `{genome}`, `{result}`, `{seed}` and `{params.NAME}`.
        cwd: its working folder; None: a fresh folder for each attempt.
        env: what is added to the agent's environment.
        score_key: the dotted path of the fitness in the JSON result file; None: the file is not read.
        exit_codes: fitness by exit code.
        scored_exit_codes: exit codes with which a written result file counts.
    """

    needs_path = True

    def __init__(
        self,
        place: Place,
        argv: Sequence[str],
        cwd: str | None,
        env: Mapping[str, str],
        score_key: str | None,
        exit_codes: Mapping[int, float],
        scored_exit_codes: frozenset[int],
    ) -> None:
        self._place = place
        self._argv = list(argv)
        self._cwd = cwd
        self._env = dict(env)
        self._score_key = score_key
        self._exit_codes = dict(exit_codes)
        self._scored_exit_codes = scored_exit_codes
        self._process: EvaluatorProcess | None = None
        self._attempt: str | None = None
        self._ending: str | None = None
        self._evidence: Evidence | None = None
        self._printed = 0

    def prepare(self) -> None:
        """Nothing can be started before the genome is known."""

    def start(self, play: Play, genome: Genome) -> Sequence[EvaluatorEvent]:
        now = time.monotonic()
        self._evidence, self._printed = None, 0
        try:
            params = unpack_value(play.params, "params")
        except DecodeError as error:
            return [Ended(now, play.attempt, Verdict("agent_fault", reason=str(error)))]
        values = {"genome": str(genome.path), "seed": str(play.seed), "result": ""}
        values.update({f"params.{name}": _text(value) for name, value in params.items()})
        wanted = [name for part in self._argv for name in PLACEHOLDER.findall(part)]
        if missing := sorted({name for name in wanted if name not in values}):
            reason = f"the command needs {', '.join(missing)}, and the evaluation's params have {sorted(params)}"
            return [Ended(now, play.attempt, Verdict("fault", reason=reason))]

        def argv(folder: Path) -> list[str]:
            values["result"] = str(folder / "result.json")
            return [PLACEHOLDER.sub(lambda match: values[match[1]], part) for part in self._argv]

        try:
            self._process = EvaluatorProcess(self._place, argv, self._cwd, self._env, speaks=False, harvest=self._judge)
        except (OSError, ValueError) as error:  # ValueError: a param holds a zero character
            reason = f"the evaluator {self._argv[0]} cannot be started: {error}"
            return [Ended(now, play.attempt, Verdict("agent_fault", reason=reason))]
        self._attempt = play.attempt
        return [Began(now, play.attempt)]

    def end(self, attempt: str) -> Sequence[EvaluatorEvent]:
        self._attempt = None
        if self._process is None:
            return [Cleared(time.monotonic(), attempt, self._evidence)]
        self._ending = attempt
        self._process.kill()
        return []

    def absorb(self, signal: object) -> Sequence[EvaluatorEvent]:
        match signal:
            case Printed(process) if process is self._process and self._attempt is not None:
                self._printed += 1
                return [Progressed(time.monotonic(), self._attempt, self._printed)]
            case Exited(process) if process is self._process:
                return self._exited(signal)
        return []

    def tick(self, at: float) -> Sequence[EvaluatorEvent]:
        return []

    def next_at(self) -> float | None:
        return None

    def pid(self) -> int | None:
        return self._process.tree.pid if self._process is not None else None

    def close(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None

    def _exited(self, exited: Exited) -> Sequence[EvaluatorEvent]:
        self._process = None
        self._evidence = exited.process.evidence(exited.exit_code)
        now = time.monotonic()
        ending, attempt = self._ending, self._attempt
        self._ending = self._attempt = None
        if ending is not None:
            return [Cleared(now, ending, self._evidence, exited.trouble)]
        if attempt is None:
            return []
        if exited.trouble:
            return [Ended(now, attempt, Verdict("agent_fault", reason=exited.trouble))]
        if isinstance(exited.harvest, Verdict):
            return [Ended(now, attempt, exited.harvest)]
        return [Ended(now, attempt, Verdict("fault", reason=f"the command {exited.how()} without a result"))]

    def _judge(self, folder: Path, exit_code: int) -> Verdict | None:
        """The verdict by the result file or the exit code; None: neither says anything."""
        path = folder / "result.json"
        if self._score_key is not None and exit_code in self._scored_exit_codes and path.exists():
            try:
                with path.open("rb") as file:
                    data = file.read(_RESULT_LIMIT_BYTES + 1)
                if len(data) > _RESULT_LIMIT_BYTES:
                    return Verdict("fault", reason=f"the result file is larger than {_RESULT_LIMIT_BYTES} bytes")
                document = json.loads(data)
                fitness = _at(document, self._score_key)
            except (OSError, ValueError, LookupError, RecursionError) as error:
                return Verdict("fault", reason=f"the result file cannot be used (exit code {exit_code}): {error}")
            return score(fitness, {"exit_code": exit_code, "result": document})
        if exit_code in self._exit_codes:
            return score(self._exit_codes[exit_code], {"exit_code": exit_code})
        return None


def _at(document: Any, key: str) -> Any:
    value = document
    for name in key.split("."):
        if not isinstance(value, dict) or name not in value:
            known = ", ".join(sorted(value)[:20]) if isinstance(value, dict) else f"a {type(value).__name__}"
            raise LookupError(f"it has no {key!r}: there is {known} where {name!r} is looked for")
        value = value[name]
    return value


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    return json.dumps(value)  # true, null, lists and maps as JSON has them
