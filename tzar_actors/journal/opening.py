"""Opens a journal's file: refuses what cannot be its own, checks it, brings it to this version, begins an epoch."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from tzar_actors.journal.error import JournalError
from tzar_actors.journal.integrity import check, is_damage, refuse_what_was_lost, set_aside
from tzar_actors.journal.schema import MIGRATIONS, SCHEMA_VERSION

__all__ = ["is_full", "open_database"]


def open_database(
    path: Path,
    durability: Literal["power", "process"],
    new_fleet: Callable[[], str],
    make_room: Callable[[], bool],
) -> tuple[sqlite3.Connection, str, int]:
    """The journal's connection, the fleet's id and this start's epoch, which is committed.

    Args:
        path: its file; made when there never was one.
        durability: see `Journal`.
        new_fleet: called once in the life of the journal for the fleet's id.
        make_room: called when the disk is full; whether it freed any.

    Raises:
        JournalError: see `Journal`.
    """
    refuse_what_was_lost(path)
    try:
        db = sqlite3.connect(path, isolation_level=None)
        try:
            return _begin(db, path, durability, new_fleet, make_room)
        except BaseException:
            db.close()
            raise
    except sqlite3.Error as error:
        if is_damage(error):
            set_aside(path, error)
        cure = "Make room on its disk" if is_full(error) else "Move its folder away to begin anew"
        raise JournalError(f"the journal {path} cannot be used: {error}. {cure}") from error


def is_full(error: sqlite3.Error) -> bool:
    """Whether `error` says that the disk has no room, or the journal's file is as long as it may be."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL  # errors of the module itself have none


def _begin(
    db: sqlite3.Connection,
    path: Path,
    durability: Literal["power", "process"],
    new_fleet: Callable[[], str],
    make_room: Callable[[], bool],
) -> tuple[sqlite3.Connection, str, int]:
    _refuse_strangers(db, path)
    check(db, path)
    db.execute("PRAGMA wal_autocheckpoint = 0")
    db.execute("PRAGMA synchronous = FULL")
    try:
        epoch = _write(db, path, new_fleet)
    except sqlite3.OperationalError as error:
        if not (is_full(error) and make_room()):
            raise
        epoch = _write(db, path, new_fleet)
    db.execute(f"PRAGMA synchronous = {'FULL' if durability == 'power' else 'NORMAL'}")
    return db, str(_meta(db, "fleet")), epoch


def _write(db: sqlite3.Connection, path: Path, new_fleet: Callable[[], str]) -> int:
    _migrate(db, path, new_fleet)
    db.execute("PRAGMA journal_mode = WAL")
    epoch = int(_meta(db, "epoch")) + 1
    db.execute("UPDATE meta SET value = ? WHERE name = 'epoch'", (epoch,))
    return epoch


def _refuse_strangers(db: sqlite3.Connection, path: Path) -> None:
    version = _version(db)
    if 0 < version <= SCHEMA_VERSION:
        return
    if version or db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        raise JournalError(
            f"the journal {path} is of version {version}, this program knows version {SCHEMA_VERSION}"
            " and older ones: use the program that wrote it, or move its folder away to begin anew"
        )


def _migrate(db: sqlite3.Connection, path: Path, new_fleet: Callable[[], str]) -> None:
    """Each version in a transaction of its own; a new journal is made in one, so that it is never half there."""
    version = _version(db)
    if version == 0:
        with _transaction(db):
            for migrate in MIGRATIONS:
                migrate(db)
            db.execute("INSERT INTO meta VALUES ('fleet', ?), ('epoch', 0)", (new_fleet(),))
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        return
    for number in range(version, SCHEMA_VERSION):
        with _transaction(db):
            try:
                MIGRATIONS[number](db)
            except ValueError as error:  # what lies in a row cannot be read
                raise JournalError(
                    f"the journal {path} cannot be brought from version {number} to {number + 1}: {error}. It is as it"
                    " was: use the program that wrote it, or move its folder away to begin anew"
                ) from error
            db.execute(f"PRAGMA user_version = {number + 1}")


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite may have rolled back by itself
            db.execute("ROLLBACK")
        raise


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _meta(db: sqlite3.Connection, name: str) -> int | str:
    value: int | str = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()[0]
    return value
