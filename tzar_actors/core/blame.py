"""Whose fault a failed attempt is, and so what becomes of its game.

Only what a living agent saw happen in the evaluator points at the genome, and two VMs must have seen it. A VM or an
agent that died points at the infrastructure: the game is tried again elsewhere, `max_attempts` times at most.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tzar_actors.core.evaluation import AttemptStory, OutcomeName

__all__ = ["BlamePolicy", "Retry", "Verdict", "judge"]


@dataclass(frozen=True, slots=True)
class BlamePolicy:
    """How many attempts a game has, and how many VMs must have seen it run over its limit."""

    max_attempts: int = 5
    time_out_votes: int = 2


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again, on a VM that is not one of these unless there is no other."""

    avoid: frozenset[str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The game has ended, and why."""

    outcome: OutcomeName
    reason: str


def judge(attempts: Sequence[AttemptStory], policy: BlamePolicy) -> Retry | Verdict:
    """What becomes of a game whose attempts all failed.

    Args:
        attempts: those that have ended, oldest first, at least one.
        policy: the limits.
    """
    attempts = [a for a in attempts if a.status != "unplayed"]
    faults = {a.vm for a in attempts if a.status == "fault"}
    over = {a.vm for a in attempts if a.status == "timed_out"}
    if len(faults) >= 2:
        return Verdict("genome_failed", f"{_seen_by(faults)} saw the evaluator fail: {last_reason(attempts, 'fault')}")
    if over and len(over) >= policy.time_out_votes:
        return Verdict("timed_out", f"{_seen_by(over)} ended the game: {last_reason(attempts, 'timed_out')}")
    if len(attempts) < policy.max_attempts:
        return Retry(frozenset(a.vm for a in attempts))
    if all(a.status == "fault" for a in attempts):
        reason = last_reason(attempts, "fault")
        (vm,) = faults
        return Verdict("genome_failed", f"all {len(attempts)} attempts failed on {vm}, no other VM was had: {reason}")
    if all(a.status == "timed_out" for a in attempts):
        return Verdict("timed_out", f"all {len(attempts)} attempts ran over the limit on {_seen_by(over)}")
    story = "; ".join(f"{a.attempt} on {a.vm}: {a.status}, {a.reason}" for a in attempts)
    return Verdict("infra_failed", f"{len(attempts)} attempts failed: {story}"[:4000])


def last_reason(attempts: Sequence[AttemptStory], status: str) -> str:
    """The reason of the last attempt that ended with `status`."""
    return next(a.reason for a in reversed(attempts) if a.status == status)


def _seen_by(vms: set[str]) -> str:
    return " and ".join(sorted(vms))
