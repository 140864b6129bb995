"""The section `[evaluator]`: how an agent plays a game and learns its score. One model for each kind.

`spec()` is the map that agents are told; the limits stay with the supervisor, which sends them with each game.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, field_validator, model_validator

from tzar_actors.settings.complaints import nearest
from tzar_actors.settings.section import Count, Seconds, Section, Text, allowing, beneath

__all__ = ["CommandEvaluator", "Evaluator", "InlineEvaluator", "PythonEvaluator", "WorkerEvaluator"]

# Both as the agent has them. Braces around anything but a word are left alone, so an argument may well be JSON.
_PLACEHOLDER = re.compile(r"\{(genome|result|seed|params\.[^{}]+)\}")
_STRAY = re.compile(r"\{([\w.]*)\}")
_PLACEHOLDERS = ("genome", "result", "seed", "params.NAME")

_GUESTS = (
    "With a Hyper-V host it is one of the guests, as it stands; there a relative one begins at the agent's folder."
)


def _names_a_program(argv: tuple[str, ...]) -> tuple[str, ...]:
    if not argv[0]:
        raise ValueError("its first text is empty; allowed: a program and its arguments")
    return argv


Target: TypeAlias = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$",
        description="The function that plays a game.",
        json_schema_extra=allowing('"module:function"'),
    ),
]
Argv: TypeAlias = Annotated[
    tuple[str, ...],
    Field(min_length=1, json_schema_extra=allowing("a list of texts, the program first")),
    AfterValidator(_names_a_program),
]
ExitCode: TypeAlias = Annotated[int, Field(ge=-(2**31), le=2**32 - 1)]  # Windows has unsigned ones


class _Evaluator(Section):
    time_limit_s: Seconds = Field(default=600.0, description="Seconds after which a game is ended, as `timed_out`.")
    stall_s: Seconds | None = Field(
        default=None,
        description="Seconds without progress after which a game is ended. Without it: progress is not watched.",
        examples=[30.0],
    )
    max_attempts: Count = Field(
        default=5, description="After so many attempts of one game that did not count it is given up."
    )
    time_out_votes: Count = Field(default=2, description="So many VMs must have seen a game exceed its time limit.")

    def spec(self) -> dict[str, Any]:
        """The map that agents are told: the kind and its own keys, as plain values."""
        values = self.model_dump(mode="json", exclude=set(_Evaluator.model_fields))
        if "exit_codes" in values:  # on the wire, keys of maps are text
            values["exit_codes"] = {str(code): fitness for code, fitness in values["exit_codes"].items()}
        return values

    def beneath(self, folder: Path) -> Self:
        """The same with its relative paths taken from `folder`."""
        changed: dict[str, Any] = {}
        if path := getattr(self, "path", None):
            changed["path"] = tuple(str(beneath(folder, entry)) for entry in path)
        if cwd := getattr(self, "cwd", None):
            changed["cwd"] = str(beneath(folder, cwd))
        return self.model_copy(update=changed)


class PythonEvaluator(_Evaluator):
    """A Python function, in a process of its own that lives for many games."""

    kind: Literal["python"] = Field(default="python", description="A Python function in a process of its own.")
    target: Target
    path: tuple[Text, ...] = Field(
        default=(".",), description=f"Folders to import from, besides Python's own. {_GUESTS}"
    )
    ready_timeout_s: Seconds = Field(
        default=60.0, description="Seconds that the process may take until it is ready to play."
    )


class WorkerEvaluator(_Evaluator):
    """A program that takes games as JSON lines on its input and answers on its output."""

    kind: Literal["worker"] = Field(
        default="worker", description="A program that plays many games, ordered by JSON lines."
    )
    argv: Argv = Field(description="The program and its arguments.", examples=[["python", "worker.py"]])
    cwd: Text | None = Field(
        default=None,
        description=f"Folder that it is started in. Without it: a fresh one for each process. {_GUESTS}",
        examples=["game"],
    )
    env: dict[str, str] = Field(default_factory=dict, description="Environment variables, besides the agent's own.")
    ready_timeout_s: Seconds = Field(
        default=60.0, description="Seconds that the program may take until it is ready to play."
    )


class CommandEvaluator(_Evaluator):
    """A program that is started for each game."""

    kind: Literal["command"] = Field(default="command", description="A program that is started for each game.")
    argv: Argv = Field(
        description="The program and its arguments. {genome}: path of the genome's file, {result}: path of the JSON "
        "file that it writes, {seed}: the game's seed, {params.NAME}: a parameter of the evaluation.",
        examples=[["runner", "{genome}", "{params.map}", "{result}"]],
    )
    cwd: Text | None = Field(
        default=None,
        description=f"Folder that it is started in. Without it: a fresh one for each process. {_GUESTS}",
        examples=["game"],
    )
    env: dict[str, str] = Field(default_factory=dict, description="Environment variables, besides the agent's own.")
    score_key: Text | None = Field(
        default=None,
        description="Where the fitness stands in the result file; dots lead deeper. This or exit_codes is needed.",
        examples=["score"],
    )
    exit_codes: dict[ExitCode, float] = Field(
        default_factory=dict,
        description="The fitness for each exit code, where no result file counts. Any other code is a fault then.",
        examples=[{"0": 1.0, "1": 0.0}],
        json_schema_extra=allowing("a table from exit code to fitness"),
    )
    scored_exit_codes: tuple[ExitCode, ...] = Field(
        default=(0,),
        description="With score_key: the exit codes with which a result file that was written counts.",
    )

    @field_validator("argv")
    @classmethod
    def _placeholders_are_known(cls, argv: tuple[str, ...]) -> tuple[str, ...]:
        for argument in argv:
            for name in _STRAY.findall(_PLACEHOLDER.sub("", argument)):
                raise ValueError(
                    f"unknown placeholder {{{name}}}{nearest(name, _PLACEHOLDERS, '{{{}}}')}; "
                    f"allowed: {', '.join(f'{{{known}}}' for known in _PLACEHOLDERS)}"
                )
        if not any("{genome}" in argument for argument in argv):
            raise ValueError("the placeholder {genome} is missing: without it every genome would play the same game")
        return argv

    @model_validator(mode="after")
    def _has_a_source_of_the_score(self) -> "CommandEvaluator":
        if self.score_key is None and not self.exit_codes:
            raise ValueError(
                "score_key and exit_codes are missing; allowed: score_key, which says where the fitness stands in the "
                "file {result}, or exit_codes, which gives the fitness for each exit code, or both"
            )
        if self.score_key is not None and not any("{result}" in argument for argument in self.argv):
            raise ValueError(
                "score_key is read from the result file, but argv has no placeholder {result}; "
                "allowed: an argument with {result}, or exit_codes in place of score_key"
            )
        return self


class InlineEvaluator(_Evaluator):
    """A Python function in the agent's own process. For benches: a crash or a hang of it is one of the agent."""

    kind: Literal["inline"] = Field(
        default="inline", description="A Python function in the agent's own process, for benches."
    )
    target: Target
    path: tuple[Text, ...] = Field(
        default=(".",), description=f"Folders to import from, besides Python's own. {_GUESTS}"
    )


Evaluator: TypeAlias = Annotated[
    PythonEvaluator | WorkerEvaluator | CommandEvaluator | InlineEvaluator, Field(discriminator="kind")
]
