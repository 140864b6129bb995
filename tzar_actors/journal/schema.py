"""The journal's tables."""

from typing import Final

__all__ = ["SCHEMA", "SCHEMA_VERSION"]

SCHEMA_VERSION: Final = 1

# Evaluations and stories lie in them as the same bytes that go to the trainer; columns are what is searched for.
# Keys grow with time, so that what is written together lies together: a written page costs more than a row.
SCHEMA: Final = """
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
