"""Keeps a fleet of game VMs playing for neuroevolution, and gives every genome exactly one honest outcome.

with tzar_actors.launch(evaluator="module:function") as fleet:
    for result in fleet.evaluate(genomes):
        ...
"""

from tzar_actors.client.fleet import Fleet, connect
from tzar_actors.client.genomes import Blob
from tzar_actors.client.launcher import LaunchedFleet, launch
from tzar_actors.client.results import AttemptResult, EvaluationResult, FleetStatus, GameResult, VmSnapshot
from tzar_actors.core.evaluation import Outcome
from tzar_actors.errors import ConfigError, DriverError, LockedError, RejectedError, SupervisorError, TzarError

__all__ = [
    "AttemptResult",
    "Blob",
    "ConfigError",
    "DriverError",
    "EvaluationResult",
    "Fleet",
    "FleetStatus",
    "GameResult",
    "LaunchedFleet",
    "LockedError",
    "Outcome",
    "RejectedError",
    "SupervisorError",
    "TzarError",
    "VmSnapshot",
    "connect",
    "launch",
]
