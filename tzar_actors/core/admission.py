"""What may come in: whether a question was asked before, and whether a result counts."""

from tzar_actors.core.dispatch_events import Refuse
from tzar_actors.core.evaluation import Evaluation
from tzar_actors.core.queue import OpenEvaluation, RunningAttempt
from tzar_agent.protocol.messages import Playing, Result

__all__ = ["refuse_empty", "refuse_reused", "same_question", "why_not"]


def same_question(one: Evaluation, other: Evaluation) -> bool:
    """Whether both ask for the same games of the same genome."""
    return (one.digest, one.params, one.seeds) == (other.digest, other.params, other.seeds)


def refuse_empty(trainer: str, key: str) -> Refuse:
    """The answer to an evaluation that has no game, and so could never end."""
    return Refuse(trainer, key, "params", "it asks for no game; ask for at least one")


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
