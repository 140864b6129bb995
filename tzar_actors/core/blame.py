"""Whose fault a failed attempt is, and so what becomes of its game.

Only what a living agent saw happen in the evaluator points at the genome, and two proven VMs must have seen it. A VM
or an agent that died points at the infrastructure, unless the same genome kills one VM after the other, and games of
others do not. What counts against nobody (`excused`) is not even counted as an attempt.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import e
from typing import Final

from tzar_actors.core.evaluation import AttemptStatus, AttemptStory, OutcomeName

__all__ = ["BlamePolicy", "Case", "Retry", "Verdict", "incarnations", "judge", "late", "needs_fresh"]

_WITNESSES: Final = 2  # VMs, or incarnations, that must have seen the evaluator fail
_KILLS: Final = 3  # VMs that a genome must have killed
_DOUBT: Final = 1e-3  # the chance of one wrong verdict of this kind in all games so far, whatever the VMs die of
_REASON_LIMIT: Final = 4000
_TAIL_LIMIT: Final = 1000


@dataclass(frozen=True, slots=True)
class BlamePolicy:
    """How many attempts a game has, and how many VMs must have seen it run over its limit."""

    max_attempts: int = 5
    time_out_votes: int = 2


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of a game whose attempts all failed.

    Args:
        attempts: those that have ended and count, oldest first.
        proven: the ids of those whose VM had scored another genome in the same incarnation, and that ended by
            themselves.
        killed: the VMs that died of it or with it: how many games of other genomes each has finished without a death.
        games: how many attempts of any game have ended in this fleet.
        vms: how many VMs games may be given to.
        in_doubt: the evaluator itself may be broken: nothing scores at present, so no VM is believed.
    """

    attempts: Sequence[AttemptStory]
    proven: Collection[str] = ()
    killed: Mapping[str, int] = field(default_factory=dict)
    games: int = 0
    vms: int = 2
    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again, on a VM that is not one of these unless there is no other.

    `fresh`: where there is no other, then only in an incarnation that has not seen it fail.
    """

    avoid: frozenset[str]
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The game has ended, and why."""

    outcome: OutcomeName
    reason: str


def judge(case: Case, policy: BlamePolicy) -> Retry | Verdict:
    """What becomes of a game whose attempts all failed.

    Args:
        case: what is known of it.
        policy: the limits.
    """
    attempts = case.attempts
    if (verdict := _certain(case, policy)) is not None:
        return verdict
    if len(attempts) < policy.max_attempts:
        return Retry(frozenset(a.vm for a in attempts), needs_fresh(attempts, policy))
    if all(a.status == "fault" for a in attempts) and len(incarnations(attempts, "fault")) >= _WITNESSES:
        where = _seen_by({a.vm for a in attempts})
        doubt = (
            "no two VMs were proven: they had scored no other genome since their boot, none scored at the time, or the"
            " evaluator was killed from outside"
        )
        return Verdict("genome_failed", f"all {len(attempts)} attempts failed, on {where} ({doubt}): {_last(attempts)}")
    if all(a.status == "timed_out" for a in attempts):
        where = _seen_by({a.vm for a in attempts})
        return Verdict("timed_out", f"all {len(attempts)} attempts ran over the limit on {where}")
    return Verdict("infra_failed", f"{len(attempts)} attempts failed: {_all(attempts)}"[:_REASON_LIMIT])


def late(stories: Sequence[AttemptStory]) -> str:
    """The reason of an evaluation whose deadline passed, with the stories of its attempts."""
    told = f"attempts: {_all(stories)}" if stories else "no attempt had failed"
    return f"its deadline passed; {told}"[:_REASON_LIMIT]


def needs_fresh(attempts: Sequence[AttemptStory], policy: BlamePolicy) -> bool:
    """Whether the evaluator failed, or was too slow, in fewer incarnations than a verdict needs."""
    faults, over = incarnations(attempts, "fault"), incarnations(attempts, "timed_out")
    return 0 < len(faults) < _WITNESSES or 0 < len(over) < policy.time_out_votes


def incarnations(attempts: Iterable[AttemptStory], *statuses: AttemptStatus) -> set[tuple[str, int]]:
    """The incarnations, each as VM and number, on which an attempt ended with one of `statuses`."""
    return {(a.vm, a.incarnation) for a in attempts if a.status in statuses}


def _certain(case: Case, policy: BlamePolicy) -> Verdict | None:
    """A verdict for which no further attempt is needed."""
    attempts = case.attempts
    witnesses = {a.vm for a in attempts if a.status == "fault" and a.attempt in case.proven}
    if len(witnesses) >= _WITNESSES and not case.in_doubt:
        what = f"{_seen_by(witnesses)}, which had scored other genomes, saw the evaluator fail: {_last(attempts)}"
        return Verdict("genome_failed", what)
    over = incarnations(attempts, "timed_out")
    over_vms = {vm for vm, _ in over}
    if over and len(over if case.vms < policy.time_out_votes else over_vms) >= policy.time_out_votes:
        where = _seen_by(over_vms) + (f" in {len(over)} incarnations" if len(over_vms) < policy.time_out_votes else "")
        return Verdict("timed_out", f"{where} ended the game: {_last(attempts, 'timed_out')}")
    # A VM that had just died with another game is no witness at all.
    deaths = [a for a in attempts if a.status == "lost" and case.killed.get(a.vm)]
    dead = {a.vm for a in deaths}
    if len(dead) >= _KILLS and _is_no_coincidence([case.killed[vm] for vm in dead], case.games):
        told = ", ".join(f"{vm} ({case.killed[vm]} games of others before)" for vm in sorted(dead))
        return Verdict("genome_failed", f"the VMs {told} died with it, and not with others: {_last(attempts, 'lost')}")
    return None


def _is_no_coincidence(finished: Iterable[int], games: int) -> bool:
    """Whether VMs that finished so many games of others would hardly ever have died in a row with this one by chance.

    A VM that dies in a share p of its games finishes n of them and dies in the next with the chance p (1 - p)^n, which
    is 1 / (e (n + 1)) at most, whatever p is. The product over the VMs, times the games there were, bounds how many
    such rows there are to be expected.
    """
    odds = 1.0
    for n in finished:
        odds *= e * (n + 1)
    return odds * _DOUBT >= max(1, games)


def _last(attempts: Sequence[AttemptStory], status: AttemptStatus = "fault") -> str:
    """The reason of the last attempt that ended with `status`, with what the evaluator left."""
    story = next(a for a in reversed(attempts) if a.status == status)
    left = [] if story.exit_code is None else [f"exit code {story.exit_code}"]
    if story.tail.strip():
        left.append(f"its last output: {story.tail.strip()[-_TAIL_LIMIT:]}")
    return f"{story.reason} ({'; '.join(left)})" if left else story.reason


def _all(stories: Iterable[AttemptStory]) -> str:
    return "; ".join(f"{s.attempt} on {s.vm}: {s.status}, {s.reason}" for s in stories)


def _seen_by(vms: set[str]) -> str:
    return " and ".join(sorted(vms))
