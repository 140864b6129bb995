"""From records back to state: what was open when the last of them was kept.

The order within one evaluation does not matter but for one thing: stories are told in the order in which their
attempts were made, since that is all a journal can know of it. What has ended leaves nothing behind.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

from tzar_actors.core.evaluation import AttemptStory, Evaluation, EvaluationEnded, GameEnded
from tzar_actors.core.queue import Game, OpenEvaluation, RunningAttempt
from tzar_actors.core.records import (
    AttemptEndedRecord,
    AttemptRecord,
    EvaluationEndedRecord,
    EvaluationRecord,
    GameEndedRecord,
    IncarnationRecord,
    Record,
    VmHeldRecord,
    VmRecord,
    VmRemovedRecord,
)

__all__ = ["Restored", "fold"]


@dataclass(frozen=True, slots=True)
class Restored:
    """An open evaluation, and those of its attempts that may still be played somewhere, oldest first."""

    evaluation: OpenEvaluation
    running: tuple[RunningAttempt, ...]


@dataclass(slots=True)
class _Kept:
    """What the records say of one evaluation."""

    asked: Evaluation | None = None
    at: float = 0.0
    ended: EvaluationEnded | None = None
    games: dict[int, GameEnded] = field(default_factory=dict)
    made: dict[str, AttemptRecord] = field(default_factory=dict)
    told: dict[str, tuple[int, AttemptStory]] = field(default_factory=dict)


def fold(records: Iterable[Record], now: float, wall: float) -> list[Restored]:
    """The evaluations that are open, oldest first.

    Args:
        records: all of the evaluations that may be open; more do no harm.
        now: monotonic seconds, to which the times of acceptance are translated.
        wall: seconds since 1970 at the same moment.
    """
    kept: dict[str, _Kept] = {}
    for record in records:
        match record:
            case EvaluationRecord(asked, at):
                of = kept.setdefault(asked.key, _Kept())
                of.asked, of.at = asked, at
            case AttemptRecord():
                kept.setdefault(record.key, _Kept()).made[record.attempt] = record
            case AttemptEndedRecord(key, game, story):
                kept.setdefault(key, _Kept()).told[story.attempt] = (game, story)
            case GameEndedRecord(key, game, game_ended):
                kept.setdefault(key, _Kept()).games[game] = game_ended
            case EvaluationEndedRecord(ended):
                kept[ended.key] = _Kept(ended=ended)
            case VmRecord() | IncarnationRecord() | VmRemovedRecord() | VmHeldRecord():
                pass  # of VMs their own machines know; what an older incarnation played is revoked when it is heard
            case _:
                assert_never(record)
    open_ = [(of.at, key, of.asked, of) for key, of in kept.items() if of.asked is not None and of.ended is None]
    return [_restored(asked, of, now, wall) for _, _, asked, of in sorted(open_, key=lambda each: each[:2])]


def _restored(asked: Evaluation, kept: _Kept, now: float, wall: float) -> Restored:
    open_ = OpenEvaluation(asked, now - max(0.0, wall - kept.at))
    open_.games = [Game(open_, i) for i in range(len(asked.seeds))]
    for index, ended in kept.games.items():
        game = open_.games[index]
        game.ended, game.state = ended, "ended"
    for index, story in sorted(kept.told.values(), key=lambda told: _age(told[1].attempt)):
        game = open_.games[index]
        if game.ended is None:
            game.stories.append(story)
            game.avoid |= {story.vm}
    running = tuple(
        RunningAttempt(made.attempt, open_.games[made.game], made.vm, made.incarnation, now)
        for made in sorted(kept.made.values(), key=lambda made: _age(made.attempt))
        if made.attempt not in kept.told and open_.games[made.game].ended is None
    )
    return Restored(open_, running)


def _age(attempt: str) -> tuple[int, int]:
    epoch, _, number = attempt.partition(".")
    return int(epoch), int(number)
