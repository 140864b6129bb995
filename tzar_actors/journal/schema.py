"""The journal's tables, as the migrations that lead to them: a new journal goes through all of them at once.

Evaluations and stories lie in the tables as the same bytes that go to the trainer; columns are what is searched for.
Keys grow with time, so that what is written together lies together: a written page costs more than a row.
"""

import sqlite3
from collections.abc import Callable
from typing import Final

from tzar_actors.core.evaluation import Evaluation
from tzar_actors.journal.error import JournalError
from tzar_actors.journal.stored import stored_codec
from tzar_agent.protocol.messages import INLINE_LIMIT_BYTES

__all__ = ["MIGRATIONS", "SCHEMA_VERSION"]

_VERSION_1: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE genomes (key TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE evaluations (
    key TEXT PRIMARY KEY, generation INTEGER, accepted_at REAL NOT NULL, asked BLOB NOT NULL, ended BLOB
) WITHOUT ROWID;
CREATE INDEX open_evaluations ON evaluations (accepted_at) WHERE ended IS NULL;
CREATE INDEX generations ON evaluations (generation) WHERE generation IS NOT NULL;
CREATE TABLE attempts (
    key TEXT, game INTEGER, attempt TEXT, vm TEXT NOT NULL, incarnation INTEGER NOT NULL, story BLOB,
    PRIMARY KEY (key, game, attempt)
) WITHOUT ROWID;
CREATE TABLE games (key TEXT, game INTEGER, ended BLOB NOT NULL, PRIMARY KEY (key, game)) WITHOUT ROWID;
CREATE TABLE vms (
    vm TEXT PRIMARY KEY, host TEXT NOT NULL, machine_id TEXT, incarnation INTEGER NOT NULL DEFAULT 0, public_key TEXT
) WITHOUT ROWID;
"""

# What retention asks: which evaluations ended, oldest first, and who needs a genome of the spool.
_VERSION_2: Final = """
CREATE INDEX ended_evaluations ON evaluations (accepted_at) WHERE ended IS NOT NULL;
CREATE TABLE spooled (digest BLOB, key TEXT, PRIMARY KEY (digest, key)) WITHOUT ROWID;
"""

# Which VMs a person stopped: they stay off, whoever supervises them next.
_VERSION_3: Final = "ALTER TABLE vms ADD COLUMN held INTEGER NOT NULL DEFAULT 0"


def _run(db: sqlite3.Connection, script: str) -> None:
    for statement in script.split(";"):  # executescript would commit what was begun
        db.execute(statement)


def _to_version_1(db: sqlite3.Connection) -> None:
    _run(db, _VERSION_1)


def _to_version_2(db: sqlite3.Connection) -> None:
    _run(db, _VERSION_2)
    codec = stored_codec()
    for key, packed in db.execute("SELECT key, asked FROM evaluations"):
        if not isinstance(asked := codec.decode(packed), Evaluation):
            raise JournalError(f"under the key {key} lies a {type(asked).__name__} where an evaluation belongs")
        if asked.size > INLINE_LIMIT_BYTES:
            db.execute("INSERT INTO spooled VALUES (?, ?)", (asked.digest, key))


def _to_version_3(db: sqlite3.Connection) -> None:
    _run(db, _VERSION_3)


# The nth leads from version n to version n + 1, inside of a transaction that whoever calls it begins and ends.
# One that was released never changes: journals in the field went through it as it was.
MIGRATIONS: Final[tuple[Callable[[sqlite3.Connection], None], ...]] = (_to_version_1, _to_version_2, _to_version_3)
SCHEMA_VERSION: Final = len(MIGRATIONS)
