"""What may not come in, and what is said to whoever sent it."""

import dataclasses

import pytest
from asking import asked

from tzar_actors.core.admission import Admission, refusal

GOOD = Admission(
    genome_is_here=True,
    genome_limit_bytes=1000,
    params_are_good=True,
    evaluations_open=2,
    queue_limit=3,
    is_draining=False,
)
NO_ROOM = ("disk_full", "the disk of the state folder is full")


def test_what_is_within_all_limits_comes_in():
    assert refusal(asked(size=1000), GOOD) is None


@pytest.mark.promise(8, "bounded")
@pytest.mark.parametrize(
    ("problem", "code", "words"),
    [
        ({"evaluations_open": 3}, "queue_full", "3 evaluations are open (limits.queue); wait for some to end"),
        ({"genome_limit_bytes": 255}, "genome_too_big", "256 bytes, allowed are 255 (limits.genome_mib)"),
        ({"genome_is_here": False}, "genome_missing", "send it"),
        ({"params_are_good": False}, "params", "not one packed map"),
        ({"is_draining": True}, "draining", "submit it again after the next start"),
        ({"shortage": NO_ROOM}, *NO_ROOM),
    ],
)
def test_a_question_over_a_limit_is_refused_with_its_code_and_what_to_do(problem, code, words):
    found, reason = refusal(asked(size=256), dataclasses.replace(GOOD, **problem))
    assert found == code
    assert words in reason


def test_an_evaluation_of_no_games_is_refused():
    assert refusal(asked(games=0), GOOD) == ("games", "it asks for no games; games must be at least 1")
