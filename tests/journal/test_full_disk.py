"""What becomes of commits when there is no room: `PRAGMA max_page_count` makes SQLite say so as a full disk does."""

import contextlib
import sqlite3

import pytest

from tzar_actors.core.records import EvaluationRecord
from tzar_actors.journal import checkpointer
from tzar_actors.journal.journal import JournalError
from tzar_actors.journal.reserve import Reserve


def fill_up(journal):
    """No page more than there are now, and none of them free."""
    journal.connection.execute(
        f"PRAGMA max_page_count = {journal.connection.execute('PRAGMA page_count').fetchone()[0]}"
    )


def room(journal):
    journal.connection.execute("PRAGMA max_page_count = 4294967294")


def gather(journal, evaluation, key):
    journal.append(EvaluationRecord(evaluation(key), 1.0))
    journal.append_genome(key, b"g" * 20_000)


def keys(path):
    with contextlib.closing(sqlite3.connect(path)) as db:
        return [row[0] for row in db.execute("SELECT key FROM evaluations")]


@pytest.mark.promise(6, "nothing accepted is lost")
def test_a_commit_that_finds_the_disk_full_is_made_once_the_reserve_is_spent(opened, path, evaluation):
    spent = []

    def make_room():
        room(journal)
        spent.append(True)
        return True

    journal = opened(make_room=make_room)
    gather(journal, evaluation, "a")
    journal.commit()
    fill_up(journal)
    gather(journal, evaluation, "b")
    journal.commit()
    assert spent == [True]
    assert keys(path) == ["a", "b"]
    gather(journal, evaluation, "c")
    journal.commit()
    assert keys(path) == ["a", "b", "c"]


def test_what_others_take_of_the_room_that_was_made_is_asked_for_again(opened, path, evaluation):
    asked = []

    def make_room():
        asked.append(True)
        if len(asked) == 2:
            room(journal)
        return True

    journal = opened(make_room=make_room)
    fill_up(journal)
    gather(journal, evaluation, "a")
    journal.commit()
    assert len(asked) == 2
    assert keys(path) == ["a"]


@pytest.mark.parametrize("frees", [True, False])
def test_when_even_that_does_not_help_the_commit_fails_and_leaves_nothing_of_itself(opened, path, evaluation, frees):
    journal = opened(make_room=lambda: frees)
    fill_up(journal)
    gather(journal, evaluation, "a")
    with pytest.raises(JournalError, match="disk is full"):
        journal.commit()
    room(journal)
    journal.close()
    assert keys(path) == []


def test_a_commit_that_fails_for_another_reason_spends_nothing(opened, evaluation):
    def make_room():
        raise AssertionError("nothing is full")

    journal = opened(make_room=make_room)
    for _ in range(2):
        journal.append(EvaluationRecord(evaluation("twice"), 1.0))
    with pytest.raises(JournalError, match="UNIQUE"):
        journal.commit()


def test_a_checkpoint_on_a_full_disk_is_put_off_and_no_commit_fails_for_it(opened, path, evaluation, monkeypatch):
    monkeypatch.setattr(checkpointer, "_BEGIN_BYTES", 0)
    monkeypatch.setattr(checkpointer, "_LOOK_EACH", 1)
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    asked = []

    class Full:
        def execute(self, statement):
            asked.append(statement)
            raise error

    journal = opened()
    journal._checkpointer._thread_done = True
    journal._checkpointer.committed(Full())
    assert asked == ["PRAGMA wal_checkpoint(PASSIVE)"]
    gather(journal, evaluation, "a")
    journal.commit()
    assert keys(path) == ["a"]


def test_the_reserve_holds_room_until_it_is_spent_and_again_after_it_is_filled(tmp_path):
    reserve = Reserve(tmp_path / "reserve", size=100_000)
    assert not reserve.spend()
    reserve.fill()
    assert (tmp_path / "reserve").stat().st_size == 100_000
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= 100_000 if hasattr(tmp_path.stat(), "st_blocks") else True
    assert not reserve.is_spent
    assert reserve.spend()
    assert reserve.is_spent
    assert not reserve.spend()
    assert list(tmp_path.iterdir()) == []
    reserve.fill()
    assert not reserve.is_spent
    reserve.close()
    assert list(tmp_path.iterdir()) == []


def test_once_the_reserve_is_spent_a_commit_waits_for_room_for_a_while(tmp_path, monkeypatch):
    reserve = Reserve(tmp_path / "reserve", size=1000, patience_s=0.0)
    reserve.fill()
    free = []

    class Usage:
        @property
        def free(self):
            return free.pop(0)

    monkeypatch.setattr("tzar_actors.journal.reserve.shutil.disk_usage", lambda folder: Usage())
    assert reserve.make_room(), "there is what was held"
    free.extend([0, 0])
    assert not reserve.make_room()
    patient = Reserve(tmp_path / "reserve", size=1000, patience_s=60.0)
    free[:] = [0, 0, 2**30]
    assert patient.make_room()
    assert free == []


def test_a_reserve_that_finds_no_room_leaves_nothing_and_stays_spent(tmp_path, monkeypatch):
    reserve = Reserve(tmp_path / "reserve", size=100_000)
    reserve.fill()
    reserve.spend()

    def no_room(descriptor, size):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tzar_actors.journal.reserve._take", no_room)
    with pytest.raises(OSError, match="No space"):
        reserve.fill()
    assert reserve.is_spent
    assert list(tmp_path.iterdir()) == []
