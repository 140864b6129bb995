"""From the journal's rows back to what was open."""

from collections.abc import Iterator

from tzar_actors.core.evaluation import AttemptStory, Evaluation, GameEnded
from tzar_actors.core.queue import Game, OpenEvaluation, RunningAttempt
from tzar_actors.journal.journal import Journal, JournalError

__all__ = ["open_evaluations"]


def open_evaluations(
    journal: Journal, now: float, wall: float
) -> Iterator[tuple[OpenEvaluation, tuple[RunningAttempt, ...]]]:
    """What the journal has open, oldest first, each with its attempts that may still be played somewhere.

    Args:
        journal: nothing must be gathered in it that is not committed.
        now: monotonic seconds, to which the times of acceptance are translated.
        wall: seconds since 1970 at the same moment.
    """
    asked_rows, game_rows, attempt_rows = journal.open_rows()
    evaluations: dict[str, OpenEvaluation] = {}
    running: dict[str, list[RunningAttempt]] = {}
    for packed, accepted_at in asked_rows:
        asked = journal.codec.decode(packed)
        if not isinstance(asked, Evaluation):
            raise JournalError(f"the journal {journal.path} holds a {type(asked).__name__} where an evaluation belongs")
        open_ = OpenEvaluation(asked, now - max(0.0, wall - accepted_at))
        open_.games = [Game(open_, i) for i in range(len(asked.seeds))]
        evaluations[asked.key] = open_
        running[asked.key] = []
    for key, index, packed in game_rows:
        ended = journal.codec.decode(packed)
        if isinstance(ended, GameEnded):
            game = evaluations[key].games[index]
            game.ended, game.state = ended, "ended"
    for key, index, attempt, vm, incarnation, packed in sorted(attempt_rows, key=lambda row: _age(row[2])):
        game = evaluations[key].games[index]
        if game.ended is not None:
            continue
        if packed is None:
            running[key].append(RunningAttempt(attempt, game, vm, incarnation, now))
            continue
        story = journal.codec.decode(packed)
        if isinstance(story, AttemptStory):
            game.stories.append(story)
            game.avoid |= {story.vm}
    for key, open_ in evaluations.items():
        yield open_, tuple(running[key])


def _age(attempt: str) -> tuple[int, int]:
    epoch, _, number = attempt.partition(".")
    return int(epoch), int(number)
