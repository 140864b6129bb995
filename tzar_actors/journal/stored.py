"""How evaluations and stories lie in the journal. A trainer gets outcomes as these very bytes."""

from typing import TypeAlias

from tzar_actors.core.evaluation import AttemptStory, Evaluation, EvaluationEnded, GameEnded
from tzar_agent.protocol.codec import Codec

__all__ = ["Stored", "stored_codec"]

Stored: TypeAlias = Evaluation | EvaluationEnded | GameEnded | AttemptStory


def stored_codec() -> Codec[Stored]:
    """The codec; it belongs to one thread."""
    return Codec((Evaluation, EvaluationEnded, GameEnded, AttemptStory), 128 * 1024 * 1024)
