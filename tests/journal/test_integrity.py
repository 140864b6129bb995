import contextlib
import sqlite3

import pytest

from tzar_actors.core.records import EvaluationRecord
from tzar_actors.journal import integrity
from tzar_actors.journal.journal import JournalError


@pytest.fixture
def filled(opened, path, evaluation):
    """A closed journal of some hundred pages."""
    journal = opened()
    for i in range(300):
        journal.append(EvaluationRecord(evaluation(f"{i:04d}"), float(i)))
        journal.append_genome(f"{i:04d}", b"g" * 1000)
    journal.close()
    return path


def damage(path):
    """Overwrites pages in the middle of the file, as a bad disk does."""
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        for page in range(size // 4096 // 4, size // 4096 // 2):
            file.seek(page * 4096)
            file.write(b"\xa5" * 64)


def aside(path):
    return sorted(each.name for each in path.parent.glob("journal.damaged-*"))


def test_a_damaged_journal_is_set_aside_with_the_time_and_named_with_what_to_do(filled, opened):
    damage(filled)
    content = filled.read_bytes()
    with pytest.raises(JournalError) as refused:
        opened()
    (name,) = aside(filled)
    for words in (str(filled), "is damaged", f"set aside as {filled.with_name(name)}", "move", ".recover", "backup"):
        assert words in str(refused.value)
    assert not filled.exists()
    assert filled.with_name(name).read_bytes() == content


def test_the_log_beside_a_damaged_journal_goes_with_it(filled, opened):
    damage(filled)
    for side in ("-wal", "-shm"):
        filled.with_name(filled.name + side).write_bytes(b"not even a log")
    with contextlib.suppress(sqlite3.Error), pytest.raises(JournalError):
        integrity.set_aside(filled, sqlite3.DatabaseError("it is torn"))
    main, *sides = aside(filled)
    assert sides == [main + "-shm", main + "-wal"]
    assert [each.name for each in filled.parent.iterdir() if each.name.startswith(filled.name)] == []


def test_a_file_that_is_no_database_is_set_aside_as_well(path, opened):
    path.write_bytes(b"this is no database, however long it may be. " * 100)
    with pytest.raises(JournalError, match=r"journal\.sqlite is damaged \(file is not a database\)"):
        opened()
    assert len(aside(path)) == 1


@pytest.mark.promise(6, "nothing accepted is lost")
def test_nothing_begins_anew_while_a_journal_lies_set_aside(filled, opened):
    damage(filled)
    for _ in range(3):
        with pytest.raises(JournalError, match=r"journal\.damaged-.*To begin anew, move journal\.damaged-"):
            opened()
        assert not filled.exists()
    (name,) = aside(filled)
    filled.with_name(name).unlink()
    journal = opened(fleet="new")
    assert (journal.fleet, journal.epoch) == ("new", 1)


def test_a_journal_that_was_put_back_is_opened_whatever_lies_set_aside(filled, opened, tmp_path):
    backup = filled.read_bytes()
    damage(filled)
    with pytest.raises(JournalError):
        opened()
    filled.write_bytes(backup)
    journal = opened()
    assert journal.epoch == 2
    assert journal.outcome("0007") == (True, None)


def test_an_empty_file_in_the_place_of_a_journal_set_aside_is_no_word_to_begin_anew(filled, opened):
    damage(filled)
    with pytest.raises(JournalError):
        opened()
    filled.touch()
    with pytest.raises(JournalError, match="Nothing begins anew by itself"):
        opened()


def test_a_log_without_its_journal_is_not_taken_for_a_new_beginning(filled, opened):
    filled.unlink()
    filled.with_name(filled.name + "-wal").write_bytes(b"what was committed last")
    with pytest.raises(JournalError, match=r"there is no journal .*but its log .*journal\.sqlite-wal"):
        opened()
    assert not filled.exists()


def test_a_look_that_takes_too_long_is_ended_and_the_journal_is_used(filled, monkeypatch):
    class AtOnce:
        def __init__(self, limit_s, interrupt):
            self.interrupt = interrupt

        def start(self):
            self.interrupt()

        def cancel(self):
            pass

    class Slow:
        """SQLite forgets an interrupt that comes before its statement."""

        def __init__(self, db):
            self.db = db

        def execute(self, statement):
            self.db.set_progress_handler(lambda: 1, 1)
            return self.db.execute(statement)

        def interrupt(self):
            self.interrupted = True

    monkeypatch.setattr(integrity.threading, "Timer", AtOnce)
    with contextlib.closing(sqlite3.connect(filled)) as db:
        slow = Slow(db)
        assert integrity.check(slow, filled) is False
        assert slow.interrupted


def test_damage_that_was_met_in_use_has_all_of_the_journal_looked_at_at_the_next_opening(filled, opened, monkeypatch):
    integrity.mark_suspect(filled)

    def no_timer(*args):
        raise AssertionError("a suspected journal has all the time it needs")

    timer = integrity.threading.Timer
    monkeypatch.setattr(timer, "start", no_timer)
    opened().close()
    assert not filled.with_name("journal.sqlite-suspect").exists()
    monkeypatch.undo()
    with contextlib.closing(sqlite3.connect(filled)) as db:
        assert integrity.check(db, filled) is True


def test_a_commit_that_meets_damage_marks_the_journal_as_suspect(filled, opened):
    journal = opened()
    damage(filled)
    journal._db.execute("PRAGMA shrink_memory")  # the look at its opening has read all pages, when they were whole

    def write_all_over():
        for i in range(300):
            journal.append_genome(f"{i:04d}-again", b"g" * 1000)  # between those that are there
            journal.commit()

    with pytest.raises(JournalError, match="malformed"):
        write_all_over()
    assert filled.with_name("journal.sqlite-suspect").exists()
    journal.close()
    with pytest.raises(JournalError, match="set aside"):
        opened()
