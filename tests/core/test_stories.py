"""What is told of games fits into what keeps and sends it, whatever an evaluator gave."""

import sys
from types import SimpleNamespace

import msgpack
import pytest

from tzar_actors.core.evaluation import AttemptStory, Evaluation, GameEnded, outcome_of
from tzar_actors.core.stories import bounded, scored, unscored
from tzar_actors.journal.stored import stored_codec
from tzar_agent.protocol.messages import Result

DIGEST = bytes(32)


def asked(games):
    return Evaluation("key", None, DIGEST, 1, b"\x80", tuple(range(games)), None)


def game(fitness):
    return GameEnded("scored", fitness, 1.0, b"\x80", "", ())


@pytest.mark.parametrize(
    ("scores", "mean"),
    [
        ([-sys.float_info.max] * 2, -sys.float_info.max),
        ([sys.float_info.max, sys.float_info.max, 0.0], sys.float_info.max / 3 * 2),
        ([sys.float_info.max] * 3, sys.float_info.max),
        ([sys.float_info.max] * 7, sys.float_info.max),
        ([-sys.float_info.max] * 1000, -sys.float_info.max),
        ([1.0, 2.0, 4.5], 2.5),
        ([0.1] * 3, sum([0.1] * 3) / 3),
    ],
)
def test_the_mean_of_scores_is_a_number_however_large_they_are(scores, mean):
    games = tuple(game(score) for score in scores)
    ended = outcome_of(asked(len(games)), games, games[-1], 1.0)
    assert ended.fitness == pytest.approx(mean)
    codec = stored_codec()
    assert codec.decode(codec.encode(ended)) == ended


@pytest.mark.parametrize("text", ["x" * 20_000, "\U0001f600" * 20_000, "ab\U0001f600" * 9_000, "\ud800" * 9_000])
def test_a_reason_is_bounded_in_bytes_and_stays_text(text):
    told = bounded(text)
    assert len(told.encode()) <= 8 * 1024
    assert told.endswith("...")
    assert bounded(told) == told


def test_what_is_put_before_a_long_reason_still_fits_into_a_message():
    story = AttemptStory("1.1", "vm-1", 1, "fault", 1.0, bounded("x" * 16_384), None, "")
    told = f"v0 and v1, which had scored other genomes, saw the evaluator fail: {story.reason} (exit code 1)"
    one = asked(1)

    class Played:
        stories = (story,)

    ended = unscored(Played(), "genome_failed", told)
    codec = stored_codec()
    outcome = outcome_of(one, (ended,), ended, 1.0)
    assert codec.decode(codec.encode(outcome)) == outcome
    assert outcome.reason.startswith("v0 and v1, which had scored other genomes")


@pytest.mark.parametrize(
    ("games", "size", "is_kept"), [(192, 256 * 1024, True), (600, 250_000, False), (600, 80_000, True)]
)
def test_the_details_of_all_games_of_an_evaluation_fit_into_its_outcome(games, size, is_kept):
    class Played:
        evaluation = SimpleNamespace(asked=asked(games))
        stories = ()

    details = msgpack.packb({"x": bytes(size - 16)})
    result = Result("1.1", "key", 0, DIGEST, "scored", 1.0, details, 1.0, "", None)
    ended = scored(Played(), result)
    assert ended.fitness == 1.0
    assert (ended.details == details) is is_kept
    assert (ended.reason == "") is is_kept
    outcome = outcome_of(asked(games), (ended,) * games, ended, 1.0)
    codec = stored_codec()
    assert codec.decode(codec.encode(outcome)).fitness == 1.0
