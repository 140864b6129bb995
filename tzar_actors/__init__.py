"""Keeps a fleet of game VMs playing for neuroevolution, and gives every genome exactly one honest outcome.

`launch` starts a fleet, or attaches to the one that runs; `connect` only attaches. Names are imported when they are
first used, so that whoever wants one part of the package does not wait for all of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tzar_actors.client.fleet import Fleet, connect
    from tzar_actors.client.future import EvaluationFuture
    from tzar_actors.client.genomes import Blob
    from tzar_actors.client.launcher import LaunchedFleet, launch
    from tzar_actors.client.results import (
        AttemptResult,
        EvaluationResult,
        FleetStatus,
        GameResult,
        ResultsSoFar,
        VmSnapshot,
    )
    from tzar_actors.core.evaluation import Outcome
    from tzar_actors.errors import (
        ConfigError,
        DriverError,
        LockedError,
        RejectedError,
        SupervisorError,
        TzarError,
    )

__all__ = [
    "AttemptResult",
    "Blob",
    "ConfigError",
    "DriverError",
    "EvaluationFuture",
    "EvaluationResult",
    "Fleet",
    "FleetStatus",
    "GameResult",
    "LaunchedFleet",
    "LockedError",
    "Outcome",
    "RejectedError",
    "ResultsSoFar",
    "SupervisorError",
    "TzarError",
    "VmSnapshot",
    "connect",
    "launch",
]

_HOMES = {
    "client.fleet": ("Fleet", "connect"),
    "client.future": ("EvaluationFuture",),
    "client.genomes": ("Blob",),
    "client.launcher": ("LaunchedFleet", "launch"),
    "client.results": ("AttemptResult", "EvaluationResult", "FleetStatus", "GameResult", "ResultsSoFar", "VmSnapshot"),
    "core.evaluation": ("Outcome",),
    "errors": ("ConfigError", "DriverError", "LockedError", "RejectedError", "SupervisorError", "TzarError"),
}
_HOME_OF = {name: f"tzar_actors.{home}" for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)
