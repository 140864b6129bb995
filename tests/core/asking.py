"""Evaluations, results and short ways to drive a dispatch machine."""

import hashlib

from tzar_actors.core.blame import BlamePolicy
from tzar_actors.core.dispatch import Dispatch
from tzar_actors.core.dispatch_commands import SendPlay
from tzar_actors.core.dispatch_events import FleetChanged, Reported, Submitted, VmReady
from tzar_actors.core.evaluation import AttemptStory, Evaluation, EvaluationEnded, GameEnded
from tzar_agent.protocol.messages import Evidence, Playing, Result

EPOCH = 2
NO_DETAILS = b"\x80"


def digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def asked(key="k", genome="g", games=1, size=256, deadline_s=None, params=NO_DETAILS):
    return Evaluation(key, 7, digest(genome), size, params, tuple(range(games)), deadline_s)


def submitted(evaluation, at=0.0, trainer="t", known=None):
    return Submitted(at, 1000.0 + at, trainer, evaluation, known)


def result(attempt, evaluation, game=0, status="scored", fitness=1.0, **changes):
    fields = {
        "attempt": attempt,
        "evaluation": evaluation.key,
        "game": game,
        "digest": evaluation.digest,
        "status": status,
        "fitness": fitness if status == "scored" else None,
        "details": NO_DETAILS,
        "seconds": 3.0,
        "reason": "" if status == "scored" else f"why {attempt}",
        "evidence": None if status == "scored" else Evidence(9, "last words"),
    }
    return Result(**(fields | changes))


def reported(vm, attempt, evaluation, game=0, status="scored", at=10.0, incarnation=1, **more):
    return Reported(at, vm, incarnation, result(attempt, evaluation, game, status, **more))


def playing(attempt, evaluation, game=0):
    return Playing(attempt, evaluation.key, game, evaluation.digest)


def story(attempt, vm, status="scored", incarnation=1, seconds=3.0, reason=None):
    """The story of what `reported` reports."""
    if status == "scored":
        return AttemptStory(attempt, vm, incarnation, status, seconds, "", None, "")
    return AttemptStory(attempt, vm, incarnation, status, seconds, reason or f"why {attempt}", 9, "last words")


def lost(attempt, vm, cause, seconds, incarnation=1, status="lost"):
    return AttemptStory(attempt, vm, incarnation, status, seconds, cause, None, "")


def scored(*stories, fitness=1.0):
    return GameEnded("scored", fitness, 3.0, NO_DETAILS, "", stories)


def ended(evaluation, outcome, *games, fitness=None, reason="", seconds=10.0):
    return EvaluationEnded(
        evaluation.key, evaluation.generation, evaluation.digest, outcome, fitness, reason, seconds, games
    )


def a_fleet(*vms, max_attempts=5, time_out_votes=2, epoch=EPOCH):
    """A machine whose VMs are all idle."""
    machine = Dispatch(epoch, BlamePolicy(max_attempts, time_out_votes))
    steps(machine, FleetChanged(0.0, frozenset(vms)), *(VmReady(0.0, vm, 1) for vm in vms))
    return machine


def prove(machine, *vms):
    """Each of these idle VMs scores a game of a genome of its own. All VMs must be idle, and nothing may wait."""
    for vm in vms:
        for key in (f"proof-{vm}-{i}" for i in range(9)):
            ((taken_by, attempt, _, _),) = plays(machine.step(submitted(asked(key, genome=key))))
            machine.step(reported(taken_by, attempt, asked(key, genome=key)))
            if taken_by == vm:
                break
        else:
            raise AssertionError(f"{vm} was never given a game")


def steps(machine, *events):
    """All commands for these events."""
    return [command for event in events for command in machine.step(event)]


def plays(commands):
    """(vm, attempt, key, game) of each order among `commands`."""
    return [(c.vm, c.attempt, c.evaluation.key, c.game) for c in commands if isinstance(c, SendPlay)]


def kinds(commands, *of):
    """Those of `commands` that are of these kinds."""
    return [c for c in commands if isinstance(c, of)]
