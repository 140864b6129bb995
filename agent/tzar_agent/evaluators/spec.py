"""Makes the evaluator that a welcome describes: the kinds, their keys, and what is wrong with a description."""

import re
import sys
from collections.abc import Mapping
from typing import Any, TypeVar

from tzar_agent.evaluators.base import Evaluator, Place
from tzar_agent.evaluators.command import PLACEHOLDER, Command
from tzar_agent.evaluators.inline import Inline
from tzar_agent.evaluators.worker import Worker
from tzar_agent.protocol.codec import DecodeError, unpack_value

__all__ = ["SpecError", "make_evaluator"]

DEFAULT_READY_TIMEOUT_S = 60.0

Value = TypeVar("Value")


class SpecError(ValueError):
    """A description of an evaluator that cannot be used. Its text names the key."""


def make_evaluator(packed: bytes, place: Place) -> Evaluator:
    """The evaluator that the packed map describes.

    Raises:
        SpecError: it is no such map, of an unknown kind, or a key is missing or wrong.
    """
    try:
        spec = unpack_value(packed, "evaluator")
    except DecodeError as error:
        raise SpecError(str(error)) from error
    if not isinstance(spec, dict):
        raise SpecError("evaluator: a map is needed")
    match spec.get("kind"):
        case "inline":
            return Inline(_target(spec), _path(spec, place))
        case "python":
            child = [sys.executable, "-X", "utf8", "-P", "-m", "tzar_agent.child", _target(spec)]
            return Worker(place, child + _path(spec, place), None, {}, _ready_timeout(spec))
        case "worker":
            return Worker(place, _argv(spec), _cwd(spec, place), _env(spec), _ready_timeout(spec))
        case "command":
            argv = _argv(spec)
            for part in argv:
                if (stray := re.search(r"\{[\w.]*\}", PLACEHOLDER.sub("", part))) is not None:
                    allowed = "{genome}, {result}, {seed}, {params.NAME}"
                    raise SpecError(f"evaluator.argv: the placeholder {stray[0]} is unknown; there are {allowed}")
            return Command(
                place,
                argv,
                _cwd(spec, place),
                _env(spec),
                _score_key(spec),
                _exit_codes(spec),
                frozenset(_list(spec, "scored_exit_codes", int, [0])),
            )
        case kind:
            raise SpecError(f"evaluator.kind: {kind!r} is unknown; there are command, inline, python, worker")


def _target(spec: Mapping[str, Any]) -> str:
    target = spec.get("target")
    if not isinstance(target, str) or re.fullmatch(r"[\w.]+:\w+", target) is None:
        raise SpecError(f'evaluator.target: "module:function" is needed, not {target!r}')
    return target


def _argv(spec: Mapping[str, Any]) -> list[str]:
    argv = _texts(spec, "argv", [])
    if not argv or not argv[0]:
        raise SpecError("evaluator.argv: the program and its arguments are needed")
    return argv


def _path(spec: Mapping[str, Any], place: Place) -> list[str]:
    return [str(place.home / entry) for entry in _texts(spec, "path", [])]


def _texts(spec: Mapping[str, Any], key: str, default: list[str]) -> list[str]:
    return _list(spec, key, str, default)


def _list(spec: Mapping[str, Any], key: str, cls: type[Value], default: list[Value]) -> list[Value]:
    value = spec.get(key, default)
    if not isinstance(value, list) or not all(type(item) is cls for item in value):
        raise SpecError(f"evaluator.{key}: a list of {cls.__name__} is needed, not {value!r}")
    return value


def _cwd(spec: Mapping[str, Any], place: Place) -> str | None:
    value = spec.get("cwd")
    if value is not None and not isinstance(value, str):
        raise SpecError(f"evaluator.cwd: a folder or null is needed, not {value!r}")
    return None if value is None else str(place.home / value)


def _env(spec: Mapping[str, Any]) -> dict[str, str]:
    value = spec.get("env", {})
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise SpecError("evaluator.env: a map of texts is needed")
    return value


def _score_key(spec: Mapping[str, Any]) -> str | None:
    value = spec.get("score_key")
    if value is not None and (not isinstance(value, str) or not value):
        raise SpecError(f"evaluator.score_key: a dotted path or null is needed, not {value!r}")
    return value


def _exit_codes(spec: Mapping[str, Any]) -> dict[int, float]:
    value = spec.get("exit_codes", {})
    if not isinstance(value, dict):
        raise SpecError("evaluator.exit_codes: a map from exit code to fitness is needed")
    codes = {}
    for code, fitness in value.items():
        if not re.fullmatch(r"-?\d+", code) or isinstance(fitness, bool) or not isinstance(fitness, int | float):
            raise SpecError(f"evaluator.exit_codes: {code!r} = {fitness!r} is not an exit code with a fitness")
        codes[int(code)] = float(fitness)
    return codes


def _ready_timeout(spec: Mapping[str, Any]) -> float:
    value = spec.get("ready_timeout_s", DEFAULT_READY_TIMEOUT_S)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise SpecError(f"evaluator.ready_timeout_s: seconds above 0 are needed, not {value!r}")
    return float(value)
