import json
import logging
import threading

import pykka
import pytest
from loguru import logger

from tzar_actors.events.catalogue import AttemptEnded, AttemptStarted, LoopLate, VmReady, VmStopped, Watchdog
from tzar_actors.events.log import EventLog
from tzar_actors.events.reading import read
from tzar_actors.events.sink import EventSink, RecordedEvents
from tzar_actors.settings import Settings


def settings(folder, **log):
    return Settings.from_mapping({"log": log}, folder=folder)


@pytest.fixture
def log(tmp_path):
    log = EventLog(settings(tmp_path), clock=lambda: 1_000_000_000.25)
    yield log
    log.close()


@pytest.fixture
def lines(tmp_path):
    return lambda: list(read(settings(tmp_path).log_file))


def test_events_are_written_in_order_at_the_end_of_the_turn(log, lines):
    log.emit(VmStopped(vm="tzar-01"))
    log.emit(LoopLate(seconds=0.5))
    assert lines() == []
    log.flush()
    assert lines() == [
        {"t": "2001-09-09T01:46:40.250000Z", "level": "INFO", "event": "vm_stopped", "vm": "tzar-01"},
        {"t": "2001-09-09T01:46:40.250000Z", "level": "WARNING", "event": "loop_late", "seconds": 0.5},
    ]


def test_an_event_below_the_level_is_dropped(log, lines):
    log.emit(AttemptStarted("3-1", "gen7-3", 0, "tzar-01", 1))
    log.flush()
    assert lines() == []


def test_with_the_level_debug_it_is_written(tmp_path, lines):
    log = EventLog(settings(tmp_path, level="DEBUG"))
    log.emit(AttemptStarted("3-1", "gen7-3", 0, "tzar-01", 1))
    log.close()
    assert [event["event"] for event in lines()] == ["attempt_started"]


def test_with_the_level_error_the_batch_is_written_all_the_same(tmp_path, lines):
    log = EventLog(settings(tmp_path, level="ERROR"))
    log.emit(VmStopped("tzar-01"))
    log.emit(Watchdog(30.0))
    log.close()
    assert [event["event"] for event in lines()] == ["watchdog"]


def test_closing_writes_what_is_left(tmp_path, lines):
    log = EventLog(settings(tmp_path))
    log.emit(VmStopped("tzar-01"))
    log.close()
    assert [event["event"] for event in lines()] == ["vm_stopped"]


def test_text_with_braces_and_markup_is_written_as_it_is(log, lines):
    log.emit(VmStopped("{vm} <red>%s</red> \\"))
    log.flush()
    assert lines()[0]["vm"] == "{vm} <red>%s</red> \\"


def test_a_line_of_loguru_lands_in_the_file_as_an_event(log, lines):
    logger.warning("disk {} is {}", "C:", "{slow}")
    (event,) = lines()
    assert (event["event"], event["level"], event["source"]) == ("log", "WARNING", __name__)
    assert (event["text"], event["traceback"]) == ("disk C: is {slow}", None)


def test_an_exception_s_traceback_is_in_its_line_without_the_values_of_variables(log, lines):
    secret = "-".join(["Z85", "secret", "key"])
    try:
        raise ValueError("broken" if secret else "")
    except ValueError:
        logger.exception("it failed")
    (event,) = lines()
    assert event["level"] == "ERROR"
    assert "ValueError: broken" in event["traceback"]
    assert "Z85-secret-key" not in json.dumps(event)


def test_a_line_of_logging_lands_in_the_file_with_its_logger_s_name(log, lines):
    logging.getLogger("some.library").warning("%s and {%s}", 1, 2)
    (event,) = lines()
    assert (event["source"], event["level"], event["text"]) == ("some.library", "WARNING", "1 and {2}")


def test_a_line_of_logging_whose_arguments_do_not_fit_is_not_lost(log, lines):
    # given to our handler alone, since pytest's own raises
    ours = next(handler for handler in logging.getLogger().handlers if type(handler).__module__ == EventLog.__module__)
    ours.handle(logging.LogRecord("some.library", logging.ERROR, "x.py", 1, "%d", ("x",), None))
    assert [event["text"] for event in lines()] == ["%d ('x',)"]


def test_pykka_s_word_of_a_dead_actor_lands_in_the_file(log, lines):
    class Fragile(pykka.ThreadingActor):
        def on_receive(self, message):
            raise ValueError("the actor broke")

    actor = Fragile.start()
    actor.tell("go")
    assert actor.actor_stopped.wait(5)
    event = next(event for event in lines() if event["source"] == "pykka")
    assert event["level"] == "ERROR"
    assert "the actor broke" in event["traceback"]


def test_after_closing_the_root_logger_is_as_it_was(tmp_path):
    before = (list(logging.getLogger().handlers), logging.getLogger("pykka").level)
    EventLog(settings(tmp_path, level="DEBUG")).close()
    assert (logging.getLogger().handlers, logging.getLogger("pykka").level) == before


def test_two_logs_write_their_own_events_each(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    logs = [EventLog(settings(folder)) for folder in folders]
    for number, log in enumerate(logs):
        log.emit(LoopLate(float(number)))
        log.flush()
    for log in logs:
        log.close()
    assert [[e["seconds"] for e in read(settings(folder).log_file)] for folder in folders] == [[0.0], [1.0]]


def test_a_watchdog_s_thread_writes_while_the_loop_does(log, lines):
    def watch():
        for number in range(200):
            log.emit(Watchdog(float(number)))
            log.flush()

    thread = threading.Thread(target=watch)
    thread.start()
    for number in range(200):
        log.emit(LoopLate(float(number)))
        log.flush()
    thread.join(10)
    events = lines()
    assert len(events) == 400
    for name, field in (("watchdog", "stalled_s"), ("loop_late", "seconds")):
        # each once; two threads keep no order between their writes
        written = sorted(event[field] for event in events if event["event"] == name)
        assert written == [float(number) for number in range(200)]


def test_the_file_is_renamed_at_its_size_and_no_event_is_lost(tmp_path):
    log = EventLog(settings(tmp_path, rotation="1 KB", retention=100))
    for number in range(50):
        log.emit(LoopLate(float(number)))
        log.flush()
    log.close()
    path = settings(tmp_path).log_file
    files = [*sorted(path.parent.glob("events.*Z.jsonl")), path]
    assert len(files) > 2
    assert all(file.stat().st_size <= 1000 for file in files)
    assert [event["seconds"] for file in files for event in read(file)] == [float(number) for number in range(50)]


def test_people_see_the_important_events_alone(tmp_path, capsys):
    log = EventLog(settings(tmp_path, level="DEBUG"), console=True)
    log.emit(VmReady("tzar-01", 1, 4711, 0.5, adopted=False))
    log.emit(AttemptEnded("3-1", "gen7-3", 0, "tzar-01", "scored", 1.0, 1.0, ""))
    log.emit(AttemptStarted("3-2", "gen7-3", 0, "tzar-01", 1))
    logger.warning("a {plain} line")
    log.close()
    shown = capsys.readouterr().err
    assert "VM tzar-01 ready after 0.5 s, incarnation 1, agent pid 4711" in shown
    assert "a {plain} line" in shown
    assert len(shown.splitlines()) == 2
    assert len(list(read(settings(tmp_path).log_file))) == 4


def test_without_console_nothing_is_shown(log, capsys):
    log.emit(VmStopped("tzar-01"))
    log.flush()
    logger.warning("a line")
    assert capsys.readouterr().err == ""


def test_a_reader_passes_over_torn_lines_and_waits_for_no_end(tmp_path):
    path = tmp_path / "events.jsonl"
    whole = b'{"t":"x","level":"INFO","event":"vm_stopped","vm":"a"}\n'
    path.write_bytes(whole + b'{"t":"20\n' + b"[1]\n" + b"\xff\n" + whole + whole[:-1])
    assert [event["vm"] for event in read(path)] == ["a", "a"]


def test_the_fake_keeps_events_of_every_level():
    sink: EventSink = (recorded := RecordedEvents())
    sink.emit(AttemptStarted("3-1", "gen7-3", 0, "tzar-01", 1))
    sink.flush()
    assert recorded.events == [AttemptStarted("3-1", "gen7-3", 0, "tzar-01", 1)]
