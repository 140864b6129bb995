"""The books of the benches that kill: what counts as lost, doubled and wrong."""

from types import SimpleNamespace

from ledger import Ledger, doubles_in_log, events_of

from tzar_actors.events.catalogue import SupervisorStopped
from tzar_actors.events.rendering import json_line


def outcome(fitness, outcome="scored"):
    attempt = SimpleNamespace(id="1.1", vm="vm", incarnation=1, status=outcome, reason="made so")
    return SimpleNamespace(
        outcome=outcome, fitness=fitness, reason="made so", games=(SimpleNamespace(attempts=(attempt,)),)
    )


def test_what_came_back_right_is_neither_lost_nor_doubled_nor_wrong():
    ledger = Ledger()
    ledger.ask("a", 3.0, 0.5)
    ledger.end("a", outcome(3.0))
    assert (ledger.asked, ledger.ended, ledger.open, ledger.doubled, ledger.wrong) == (1, 1, 0, 0, 0)
    assert (ledger.asked_s, ledger.ended_s, ledger.open_s) == (0.5, 0.5, 0.0)


def test_what_did_not_come_back_stays_open_whatever_its_future_said():
    ledger = Ledger()
    ledger.ask("a", 3.0, 0.5)
    ledger.fail("a", RuntimeError("the supervisor is gone"))
    assert (ledger.open, ledger.open_s) == (1, 0.5)
    assert "the supervisor is gone" in ledger.stories[0]


def test_what_comes_back_again_is_doubled():
    ledger = Ledger()
    ledger.ask("a", 3.0, 0.5)
    ledger.end("a", outcome(3.0))
    ledger.end("a", outcome(3.0))
    assert (ledger.ended, ledger.doubled) == (1, 1)


def test_another_fitness_and_an_outcome_without_one_are_wrong_with_their_attempts_as_the_story():
    ledger = Ledger()
    ledger.ask("a", 3.0, 0.5)
    ledger.ask("b", 3.0, 0.5)
    ledger.end("a", outcome(4.0))
    ledger.end("b", outcome(None, "genome_failed"))
    assert (ledger.wrong, ledger.open) == (2, 0)
    assert ledger.outcomes == {"scored": 1, "genome_failed": 1}
    assert "right is 3.0" in ledger.stories[0]
    assert "1.1 on vm/1: genome_failed" in ledger.stories[1]


def test_the_log_shows_outcomes_and_attempts_that_are_there_twice():
    events = [
        {"event": "attempt_started", "attempt": "1.1"},
        {"event": "attempt_started", "attempt": "1.2"},
        {"event": "attempt_started", "attempt": "1.1"},
        {"event": "evaluation_ended", "key": "a"},
        {"event": "evaluation_ended", "key": "b"},
        {"event": "evaluation_ended", "key": "b"},
        {"event": "evaluation_accepted", "key": "a"},
    ]
    doubles = doubles_in_log(iter(events))
    assert (doubles.outcomes, doubles.attempts) == (("b",), ("1.1",))


def test_a_log_is_read_with_its_renamed_older_files_first(tmp_path):
    log = tmp_path / "events.jsonl"
    for number, file in enumerate(["events.2026-01-02T00-00-00.000000Z.jsonl", "events.jsonl"]):
        (tmp_path / file).write_text(json_line(SupervisorStopped(), float(number)))
    (tmp_path / "other.jsonl").write_text(json_line(SupervisorStopped(), 9.0))
    times = [event["t"] for event in events_of(log)]
    assert len(times) == 2
    assert times == sorted(times)
