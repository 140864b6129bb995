"""Outcomes from a journal that no supervisor has open: it was drained and has ended, or died."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from tzar_actors.journal.error import JournalError
from tzar_actors.journal.schema import SCHEMA_VERSION

__all__ = ["kept_outcomes"]


def kept_outcomes(path: Path, keys: Sequence[str], generation: int | None) -> tuple[list[bytes], list[str]]:
    """The encoded outcomes that there are, and the keys of those that have none. Nothing is changed by it.

    Args:
        path: the journal's file.
        keys: the evaluations; where there are none, those of the generation.
        generation: as the trainer numbered it.

    Raises:
        JournalError: it is not there, or cannot be read.
    """
    if not path.exists():
        raise JournalError(f"there is no journal {path}: no supervisor has run there")
    try:
        # Not read-only: what a supervisor that died had committed last is in the log, and has to be taken from there.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if not 0 < version <= SCHEMA_VERSION:
                raise JournalError(f"the journal {path} is of version {version}: use the program that wrote it")
            if keys:
                found = (db.execute("SELECT key, ended FROM evaluations WHERE key = ?", (key,)) for key in keys)
                rows = [row for cursor in found for row in cursor]
            else:
                by_age = "SELECT key, ended FROM evaluations WHERE generation = ? ORDER BY accepted_at, key"
                rows = db.execute(by_age, (generation,)).fetchall()
    except sqlite3.Error as error:
        raise JournalError(f"the journal {path} could not be read: {error}") from error
    return [ended for _, ended in rows if ended is not None], [key for key, ended in rows if ended is None]
