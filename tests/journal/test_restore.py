import pytest

from tzar_actors.core.evaluation import GameEnded
from tzar_actors.core.records import (
    AttemptEndedRecord,
    AttemptRecord,
    EvaluationEndedRecord,
    EvaluationRecord,
    GameEndedRecord,
)
from tzar_actors.journal.restore import open_evaluations


def test_what_was_open_comes_back_oldest_first_and_what_ended_does_not(opened, evaluation, ended):
    journal = opened()
    for key, at in (("young", 90.0), ("old", 10.0), ("over", 5.0)):
        journal.append(EvaluationRecord(evaluation(key), at))
    journal.append(EvaluationEndedRecord(ended(evaluation("over"))))
    journal.close()
    restored = list(open_evaluations(opened(), now=1000.0, wall=100.0))
    assert [(open_.asked, open_.accepted_at) for open_, _ in restored] == [
        (evaluation("old"), 910.0),
        (evaluation("young"), 990.0),
    ]


def test_a_wall_clock_that_went_back_makes_nothing_older_than_now(opened, evaluation):
    journal = opened()
    journal.append(EvaluationRecord(evaluation("a"), 500.0))
    journal.commit()
    ((open_, _),) = open_evaluations(journal, now=1000.0, wall=100.0)
    assert open_.accepted_at == 1000.0


@pytest.mark.promise(6, "nothing accepted is lost")
def test_games_that_ended_stories_and_attempts_in_flight_come_back(opened, evaluation, story):
    journal = opened()
    journal.append(EvaluationRecord(evaluation("a", games=3), 10.0))
    lost, scored = story("1.2", "vm-2"), story("1.1", "vm-1", "scored")
    journal.append(AttemptRecord("1.1", "a", 0, "vm-1", 1))
    journal.append(GameEndedRecord("a", 0, GameEnded("scored", 4.0, 0.5, b"\x80", "", (scored,))))
    journal.append(AttemptRecord("1.2", "a", 1, "vm-2", 1))
    journal.append(AttemptEndedRecord("a", 1, lost))
    journal.append(AttemptRecord("1.10", "a", 1, "vm-3", 4))
    journal.close()
    ((open_, running),) = open_evaluations(opened(), now=1000.0, wall=100.0)
    first, second, third = open_.games
    assert (first.state, first.ended.fitness, first.ended.attempts) == ("ended", 4.0, (scored,))
    assert (second.state, second.ended, second.stories, second.avoid) == ("queued", None, [lost], {"vm-2"})
    assert (third.state, third.stories, third.avoid) == ("queued", [], frozenset())
    assert [(each.attempt, each.game.index, each.vm, each.incarnation) for each in running] == [("1.10", 1, "vm-3", 4)]


def test_stories_come_back_in_the_order_in_which_the_attempts_were_made(opened, evaluation, story):
    journal = opened()
    journal.append(EvaluationRecord(evaluation("a"), 10.0))
    for attempt in ("1.10", "2.1", "1.9", "10.1"):
        journal.append(AttemptRecord(attempt, "a", 0, "vm-1", 1))
        journal.append(AttemptEndedRecord("a", 0, story(attempt, "vm-1")))
    journal.commit()
    ((open_, _),) = open_evaluations(journal, now=1000.0, wall=100.0)
    assert [each.attempt for each in open_.games[0].stories] == ["1.9", "1.10", "2.1", "10.1"]


def test_a_story_of_an_attempt_that_was_never_journalled_is_kept(opened, evaluation, story):
    journal = opened()
    journal.append(EvaluationRecord(evaluation("a"), 10.0))
    journal.append(AttemptEndedRecord("a", 0, story("1.7", "vm-1")))
    journal.commit()
    ((open_, running),) = open_evaluations(journal, now=1000.0, wall=100.0)
    assert [each.attempt for each in open_.games[0].stories] == ["1.7"]
    assert running == ()
