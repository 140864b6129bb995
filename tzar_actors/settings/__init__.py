"""The fleet's settings: one TOML file, checked whole before anything starts. `docs/configuration.md` lists them all."""

from tzar_actors.settings.difference import difference
from tzar_actors.settings.evaluators import (
    CommandEvaluator,
    Evaluator,
    InlineEvaluator,
    PythonEvaluator,
    WorkerEvaluator,
)
from tzar_actors.settings.hyperv_host import HyperVHost
from tzar_actors.settings.loading import load, require_evaluator, with_evaluator
from tzar_actors.settings.sections import Fleet, Heartbeat, Host, Limits, LocalHost, Log, Recovery
from tzar_actors.settings.settings import Settings

__all__ = [
    "CommandEvaluator",
    "Evaluator",
    "Fleet",
    "Heartbeat",
    "Host",
    "HyperVHost",
    "InlineEvaluator",
    "Limits",
    "LocalHost",
    "Log",
    "PythonEvaluator",
    "Recovery",
    "Settings",
    "WorkerEvaluator",
    "difference",
    "load",
    "require_evaluator",
    "with_evaluator",
]
