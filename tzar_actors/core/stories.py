"""How an attempt and a game are told, once it is known how they ended."""

from typing import Final

from tzar_actors.core.evaluation import AttemptStatus, AttemptStory, GameEnded, OutcomeName
from tzar_actors.core.queue import Game, RunningAttempt
from tzar_agent.protocol.messages import Result

__all__ = ["bounded", "scored", "story_of", "story_of_lost", "unscored", "withdrawn"]

_NO_DETAILS: Final = b"\x80"  # an empty map
_REASON_BYTES: Final = 8 * 1024
_DETAILS_BYTES: Final = 48 * 1024 * 1024  # of all games of an evaluation: its outcome is kept and sent as one message


def bounded(reason: str) -> str:
    """The beginning of a reason, as much of it as is told and kept: what an agent sent may have been put into another.

    It is well below what a message takes, so that a little more may be put before it.
    """
    data = reason.encode(errors="replace")
    return data.decode() if len(data) <= _REASON_BYTES else data[: _REASON_BYTES - 3].decode(errors="ignore") + "..."


def story_of(result: Result, vm: str, incarnation: int, *, is_recalled: bool) -> AttemptStory:
    """What an agent reported, as a story. `is_recalled`: it was asked to give the order back."""
    status: AttemptStatus = result.status
    reason = result.reason
    if status == "scored" and result.fitness is None:
        status, reason = "agent_fault", "its agent sent a score without a fitness"
    elif status == "cancelled" and is_recalled:
        status, reason = "excused", "called back: the game before it took long"
    exit_code, tail = (result.evidence.exit_code, result.evidence.tail) if result.evidence else (None, "")
    return AttemptStory(result.attempt, vm, incarnation, status, result.seconds, bounded(reason), exit_code, tail)


def story_of_lost(at: float, attempt: RunningAttempt, status: AttemptStatus, cause: str) -> AttemptStory:
    """An attempt of which nobody reported, and nobody will."""
    seconds = max(0.0, at - attempt.started_at)
    return AttemptStory(attempt.attempt, attempt.vm, attempt.incarnation, status, seconds, bounded(cause), None, "")


def scored(game: Game, result: Result) -> GameEnded:
    """The game with its score; the story of the attempt is among the game's."""
    room, details, reason = _DETAILS_BYTES // len(game.evaluation.asked.seeds), result.details, ""
    if len(details) > room:
        reason = f"its details of {len(details)} bytes were dropped: of so many games each may have {room}"
        details = _NO_DETAILS
    return GameEnded("scored", result.fitness, result.seconds, details, reason, tuple(game.stories))


def unscored(game: Game, outcome: OutcomeName, reason: str) -> GameEnded:
    """The game without a score."""
    seconds = sum((story.seconds for story in game.stories), 0.0)  # never the integer 0: it would be encoded so
    return GameEnded(outcome, None, seconds, _NO_DETAILS, bounded(reason), tuple(game.stories))


def withdrawn(game: Game, outcome: OutcomeName) -> GameEnded:
    """The game whose evaluation was decided by another one."""
    return GameEnded("withdrawn", None, 0.0, _NO_DETAILS, f"its evaluation is {outcome}", tuple(game.stories))
