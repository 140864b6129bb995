import json
from datetime import UTC, datetime
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tzar_actors.events.catalogue import (
    AttemptEnded,
    BlobStored,
    DriverFailed,
    EvaluationEnded,
    LoopLate,
    SupervisorStopped,
    VmFailed,
    VmReady,
)
from tzar_actors.events.rendering import console_line, json_line

AT = datetime(2026, 11, 24, 16, 54, 50, 123456, UTC).timestamp()


def attempt(status, fitness=None, reason=""):
    return AttemptEnded("3-1", "gen7-3", 2, "tzar-01", status, fitness, 1.5, reason)


def test_a_line_is_the_time_the_level_the_name_and_the_fields_in_their_order():
    assert json_line(VmReady("tzar-01", 3, 4711, 0.25, adopted=True), AT) == (
        '{"t":"2026-11-24T16:54:50.123456Z","level":"INFO","event":"vm_ready",'
        '"vm":"tzar-01","incarnation":3,"pid":4711,"seconds":0.25,"adopted":true}\n'
    )


def test_an_event_without_fields_and_one_with_one_are_lines_too():
    assert json.loads(json_line(SupervisorStopped(), AT))["event"] == "supervisor_stopped"
    assert json.loads(json_line(LoopLate(0.5), AT))["seconds"] == 0.5


@given(text=st.text(st.characters(), max_size=60), number=st.integers(), seconds=st.floats(allow_nan=False))
def test_any_text_and_number_comes_back_from_its_line(text, number, seconds):
    line = json_line(AttemptEnded(text, "e", number, text, "fault", None, seconds, text), AT)
    assert line.isascii()
    assert line.count("\n") == 1
    event = json.loads(line)
    assert (event["attempt"], event["game"], event["fitness"]) == (text, number, None)
    assert event["seconds"] == (seconds if abs(seconds) != float("inf") else None)


@given(at=st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_the_time_comes_back_from_its_line(at):
    parsed = datetime.fromisoformat(json.loads(json_line(LoopLate(1.0), at.timestamp()))["t"])
    assert abs((parsed - at).total_seconds()) < 2e-6


def test_a_number_that_json_has_no_word_for_is_null():
    assert json.loads(json_line(attempt("scored", float("nan")), AT))["fitness"] is None


def test_an_enumeration_is_written_as_its_text():
    class Verb(StrEnum):
        START = "start"

    assert json.loads(json_line(DriverFailed(None, "hv01", Verb.START, "no"), AT))["verb"] == "start"


def test_a_value_that_is_not_plain_is_an_error():
    with pytest.raises(TypeError, match="bytes"):
        json_line(BlobStored(b"\x00", 3), AT)  # type: ignore[arg-type]  # that it is refused is what is tested


def test_people_see_what_went_wrong_and_not_every_game_that_went_well():
    assert console_line(attempt("scored", 1.0)) is None
    assert console_line(attempt("cancelled")) is None
    assert "fault exit code 3" in (console_line(attempt("fault", reason="exit code 3")) or "")
    assert console_line(EvaluationEnded("k", "ab", None, "scored", 1.0, "", 2.0)) is None
    assert console_line(VmFailed("tzar-01", 2, "its agent is gone")) == "VM tzar-01 failed: its agent is gone"
