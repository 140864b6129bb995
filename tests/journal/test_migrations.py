"""Journals that older programs wrote. `old/version-N.sql` is one that the program of version N left behind."""

import contextlib
import hashlib
import sqlite3
from pathlib import Path

import pytest

from tzar_actors.journal import schema
from tzar_actors.journal.journal import JournalError
from tzar_actors.journal.reading import kept_fleet
from tzar_actors.journal.restore import open_evaluations
from tzar_actors.journal.schema import MIGRATIONS, SCHEMA_VERSION

OLD = Path(__file__).parent / "old"


def lay(path, version):
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript((OLD / f"version-{version}.sql").read_text(encoding="utf-8"))
        db.execute("PRAGMA journal_mode = WAL")


def shape(path):
    with contextlib.closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").fetchall()
        return db.execute("PRAGMA user_version").fetchone()[0], rows


def test_a_journal_of_version_1_is_brought_to_the_newest_and_answers_as_before(opened, path):
    lay(path, 1)
    journal = opened(fleet="another")
    assert (journal.fleet, journal.epoch) == ("0123456789abcdef0123456789abcdef", 2)
    asked, ended = journal.answer("big-over")
    assert (asked.size, ended.outcome, ended.fitness, ended.games[0].attempts[0].vm) == (
        100_000,
        "scored",
        2.0,
        "tzar-01",
    )
    assert journal.genome("small-open") == b"12345"
    assert journal.vms()["tzar-01"].incarnation == 3
    small, big = open_evaluations(journal, now=0.0, wall=2000.0)
    assert [open_.asked.key for open_, _ in (small, big)] == ["small-open", "big-open"]
    games = small[0].games
    assert [(game.state, [s.status for s in game.stories]) for game in games] == [
        ("ended", []),
        ("queued", ["lost"]),
        ("queued", []),
    ]
    assert [(a.attempt, a.vm) for a in small[1]] == [("1.5", "tzar-02")]


def test_what_lay_in_the_spool_for_version_1_is_known_to_be_needed(opened, path):
    lay(path, 1)
    opened().close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        found = set(db.execute("SELECT digest, key FROM spooled"))
    assert found == {(hashlib.sha256(key.encode()).digest(), key) for key in ("big-over", "big-open")}


def test_a_journal_that_was_migrated_has_the_shape_of_a_new_one(opened, path, tmp_path):
    lay(path, 1)
    opened().close()
    opened(at=tmp_path / "new.sqlite").close()
    assert shape(path) == shape(tmp_path / "new.sqlite")
    assert shape(path)[0] == SCHEMA_VERSION == len(MIGRATIONS)


def test_every_older_version_has_a_journal_here_that_opens(opened, tmp_path):
    for version in range(1, SCHEMA_VERSION):
        path = tmp_path / f"{version}.sqlite"
        lay(path, version)
        kept = kept_fleet(path)
        assert (kept.id, kept.vms["tzar-01"].is_held) == ("0123456789abcdef0123456789abcdef", False)
        journal = opened(at=path)
        assert (journal.epoch, journal.vms()) == (2, kept.vms)


def test_a_migration_that_fails_leaves_the_journal_as_it_was(opened, path, monkeypatch):
    lay(path, 1)
    before = shape(path)

    def fails_late(db):
        MIGRATIONS[1](db)
        db.execute("INSERT INTO spooled VALUES (1, 2, 3)")

    monkeypatch.setattr("tzar_actors.journal.opening.MIGRATIONS", (MIGRATIONS[0], fails_late))
    with pytest.raises(JournalError):
        opened()
    assert shape(path) == before
    monkeypatch.undo()
    assert opened().epoch == 2


def test_a_row_that_cannot_be_migrated_is_told_with_both_versions_and_nothing_is_changed(opened, path):
    lay(path, 1)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE evaluations SET asked = x'01' WHERE key = 'big-over'")
        db.commit()
    with pytest.raises(JournalError, match=r"from version 1 to 2.*It is as it was"):
        opened()
    assert shape(path)[0] == 1


def test_a_new_journal_that_cannot_be_made_whole_is_not_there_at_all(opened, path, monkeypatch):
    monkeypatch.setattr("tzar_actors.journal.opening.MIGRATIONS", (MIGRATIONS[0], lambda db: db.execute("nonsense")))
    with pytest.raises(JournalError):
        opened()
    assert shape(path) == (0, [])
    monkeypatch.setattr("tzar_actors.journal.opening.MIGRATIONS", schema.MIGRATIONS)
    assert opened().epoch == 1
