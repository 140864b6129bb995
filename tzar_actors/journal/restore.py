"""From the journal's rows back to records, and by the core's fold to what was open."""

from collections.abc import Iterator

from tzar_actors.core.evaluation import AttemptStory, Evaluation, GameEnded
from tzar_actors.core.fold import fold
from tzar_actors.core.queue import OpenEvaluation, RunningAttempt
from tzar_actors.core.records import AttemptEndedRecord, AttemptRecord, EvaluationRecord, GameEndedRecord, Record
from tzar_actors.journal.journal import Journal, JournalError

__all__ = ["open_evaluations", "open_records"]


def open_evaluations(
    journal: Journal, now: float, wall: float
) -> Iterator[tuple[OpenEvaluation, tuple[RunningAttempt, ...]]]:
    """What the journal has open, oldest first, each with its attempts that may still be played somewhere.

    Args:
        journal: nothing must be gathered in it that is not committed.
        now: monotonic seconds, to which the times of acceptance are translated.
        wall: seconds since 1970 at the same moment.
    """
    for restored in fold(open_records(journal), now, wall):
        yield restored.evaluation, restored.running


def open_records(journal: Journal) -> Iterator[Record]:
    """The records of all evaluations that have no outcome, as far as they were committed.

    Raises:
        JournalError: a row holds something else than it should.
    """
    asked_rows, game_rows, attempt_rows = journal.open_rows()
    decode = journal.codec.decode
    for packed, accepted_at in asked_rows:
        if not isinstance(asked := decode(packed), Evaluation):
            raise _misplaced(journal, asked, "an evaluation")
        yield EvaluationRecord(asked, accepted_at)
    for key, index, packed in game_rows:
        if not isinstance(ended := decode(packed), GameEnded):
            raise _misplaced(journal, ended, "a game's end")
        yield GameEndedRecord(key, index, ended)
    for key, index, attempt, vm, incarnation, packed in attempt_rows:
        yield AttemptRecord(attempt, key, index, vm, incarnation)
        if packed is None:
            continue
        if not isinstance(story := decode(packed), AttemptStory):
            raise _misplaced(journal, story, "an attempt's story")
        yield AttemptEndedRecord(key, index, story)


def _misplaced(journal: Journal, found: object, wanted: str) -> JournalError:
    return JournalError(f"the journal {journal.path} holds a {type(found).__name__} where {wanted} belongs")
