import contextlib
import sqlite3
import subprocess
import sys

import pytest

from tzar_actors.core.records import EvaluationRecord
from tzar_actors.journal import checkpointer
from tzar_actors.journal.journal import JournalError

WRITER = """
import sys
from pathlib import Path
from tzar_actors.core.evaluation import Evaluation
from tzar_actors.core.records import AttemptRecord, EvaluationRecord
from tzar_actors.journal.journal import Journal

journal = Journal(Path(sys.argv[1]), sys.argv[2], lambda: "fleet")
number = 0
while True:
    for _ in range(7):
        key = f"{journal.epoch}-{number:08d}"
        journal.append(EvaluationRecord(Evaluation(key, 1, b"d" * 32, 10, b"\\x80", (1,), None), float(number)))
        journal.append(AttemptRecord(f"1.{number}", key, 0, "vm-1", 1))
        number += 1
    journal.commit()
    print(number, flush=True)
"""


@pytest.mark.promise(6, "nothing accepted is lost")
@pytest.mark.parametrize("durability", ["power", "process"])
def test_a_writer_that_is_killed_leaves_whole_commits_and_all_that_it_told_of(path, opened, durability):
    told = []
    for _ in range(2):  # the second goes on with what the first left, and is killed as well
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), durability], stdout=subprocess.PIPE, encoding="ascii"
        )
        with writer, writer.stdout as lines:
            last = 0
            for line in lines:
                last = int(line)
                if last >= 7 * 40:
                    break
            writer.kill()
            rest = lines.read().split("\n")
            told.append(max([last, *(int(line) for line in rest[:-1])]))
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for epoch, at_least in enumerate(told, start=1):
            keys = [row[0] for row in db.execute("SELECT key FROM evaluations WHERE key LIKE ?", (f"{epoch}-%",))]
            assert keys == [f"{epoch}-{number:08d}" for number in range(len(keys))]
            assert len(keys) >= at_least
            assert len(keys) % 7 == 0
            attempts = db.execute("SELECT count(*) FROM attempts WHERE key LIKE ?", (f"{epoch}-%",)).fetchone()
            assert attempts == (len(keys),)
    assert opened().epoch == 3


@pytest.mark.promise(8, "bounded")
def test_the_log_stays_bounded_under_a_writer_that_never_pauses(opened, path, evaluation, monkeypatch):
    begin = 256 * 1024
    monkeypatch.setattr(checkpointer, "_BEGIN_BYTES", begin)
    monkeypatch.setattr(checkpointer, "_LOOK_EACH", 4)
    journal = opened()
    largest = written = 0
    for i in range(1500):
        journal.append_genome(f"{i:08d}", b"x" * 8192)
        journal.append(EvaluationRecord(evaluation(f"{i:08d}"), float(i)))
        journal.commit()
        written += 8192
        largest = max(largest, journal._checkpointer._wal_bytes())
    assert written > 40 * begin
    assert begin < largest < written  # every page is logged at least once, so without an end it would be more
    journal.close()
    assert not path.with_name(path.name + "-wal").exists()
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM genomes").fetchone() == (1500,)


def test_closing_waits_for_a_checkpoint_under_way_and_then_ends_its_thread(opened, evaluation, monkeypatch):
    monkeypatch.setattr(checkpointer, "_BEGIN_BYTES", 0)
    monkeypatch.setattr(checkpointer, "_LOOK_EACH", 1)
    for round_ in range(20):
        journal = opened()
        for i in range(round_ + 1):
            journal.append(EvaluationRecord(evaluation(f"{round_}-{i}"), 1.0))
            journal.commit()
        journal.close()
        assert not journal._checkpointer._thread.is_alive()


def test_a_checkpoint_that_fails_is_an_error_at_the_next_commit(opened, path, evaluation, monkeypatch):
    monkeypatch.setattr(checkpointer, "_BEGIN_BYTES", 0)
    monkeypatch.setattr(checkpointer, "_LOOK_EACH", 1)
    journal = opened()
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda file, **options: connect(path.parent / "nowhere" / "x", **options))
    journal.append(EvaluationRecord(evaluation("a"), 1.0))
    journal.commit()
    journal._checkpointer._thread.join(20.0)
    journal.append(EvaluationRecord(evaluation("b"), 1.0))
    with pytest.raises(JournalError, match="unable to open"):
        journal.commit()
