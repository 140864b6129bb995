"""What may come in: whether a question was asked before, and whether a result counts."""

from tzar_actors.core.dispatch_commands import Refuse
from tzar_actors.core.evaluation import Evaluation
from tzar_actors.core.queue import OpenEvaluation, RunningAttempt
from tzar_agent.protocol.messages import Playing, Result
from tzar_agent.protocol.value import value

__all__ = ["Admission", "refusal", "refuse_reused", "same_question", "why_not"]


@value
class Admission:
    """What decides whether a new evaluation may come in.

    Args:
        genome_is_here: its bytes are at hand and have the digest.
        genome_limit_bytes: the largest genome.
        params_are_good: they are one packed map.
        evaluations_open: how many there are already.
        queue_limit: how many there may be.
        is_draining: the fleet takes nothing new.
        shortage: a code and a reason, when there is no room for it.
    """

    genome_is_here: bool
    genome_limit_bytes: int
    params_are_good: bool
    evaluations_open: int
    queue_limit: int
    is_draining: bool
    shortage: tuple[str, str] | None = None


def refusal(asked: Evaluation, admission: Admission) -> tuple[str, str] | None:
    """Why a new evaluation may not come in, as a code and a reason; None: it may."""
    if admission.is_draining:
        return "draining", "the fleet is shutting down and takes nothing new; submit it again after the next start"
    if asked.size > admission.genome_limit_bytes:
        limit = admission.genome_limit_bytes
        return "genome_too_big", f"the genome has {asked.size} bytes, allowed are {limit} (limits.genome_mib)"
    if not asked.seeds:
        return "games", "it asks for no games; games must be at least 1"
    if not admission.params_are_good:
        return "params", "its params are not one packed map with text keys"
    if not admission.genome_is_here:
        return "genome_missing", f"the genome {asked.digest.hex()} did not come with it and lies in no spool; send it"
    if admission.evaluations_open >= admission.queue_limit:
        return (
            "queue_full",
            f"{admission.queue_limit} evaluations are open (limits.queue); wait for some to end",
        )
    return admission.shortage


def same_question(one: Evaluation, other: Evaluation) -> bool:
    """Whether both ask for the same games of the same genome."""
    return (one.digest, one.params, one.seeds) == (other.digest, other.params, other.seeds)


def refuse_reused(trainer: str, key: str) -> Refuse:
    """The answer to a key that stands for another question."""
    reason = f"the key {key} was used before for another genome, other params or other games; give it a key of its own"
    return Refuse(trainer, key, "key_reused", reason)


def why_not(
    of: Result | Playing,
    vm: str,
    incarnation: int,
    evaluation: OpenEvaluation | None,
    attempt: RunningAttempt | None,
    epoch: int,
) -> str | None:
    """Why an attempt does not count, or None when it does.

    Args:
        of: what was reported.
        vm: who reported it.
        incarnation: of that VM.
        evaluation: the one that it names, if it is open.
        attempt: the one that it names, if its result may count.
        epoch: of this start of the supervisor.
    """
    if attempt is not None and (attempt.vm, attempt.incarnation) != (vm, incarnation):
        return f"its attempt was given to incarnation {attempt.incarnation} of {attempt.vm}"
    if evaluation is None:
        return "its evaluation is over"
    if of.game >= len(evaluation.games) or evaluation.asked.digest != of.digest:
        return "it is for another genome or game than was asked for"
    game = evaluation.games[of.game]
    if game.ended is not None:
        return "its game is over"
    if attempt is not None:
        return None if attempt.game is game else "its attempt was made for another game"
    if any(story.attempt == of.attempt for story in game.stories):
        return "its attempt was revoked, or has reported before"
    # Sent, but not yet journalled, when an earlier supervisor died: it counts. Of this epoch we know all.
    made_in = of.attempt.partition(".")[0]
    return None if made_in.isdecimal() and 0 < int(made_in) < epoch else "its attempt was never made"
