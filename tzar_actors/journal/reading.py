"""What lies in a journal, for those who do not write it: a supervisor may have it open, have ended, or have died."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tzar_actors.journal.error import JournalError
from tzar_actors.journal.integrity import refuse_what_was_lost
from tzar_actors.journal.schema import SCHEMA_VERSION
from tzar_actors.journal.vms import JournalledVm, vms_in

__all__ = ["KeptFleet", "kept_fleet", "kept_outcomes"]


@dataclass(frozen=True, slots=True)
class KeptFleet:
    """The fleet that a journal is of.

    Args:
        id: the mark that everything of it carries.
        vms: those that the journal ever heard of, by name.
    """

    id: str
    vms: dict[str, JournalledVm]


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
    with _opened(path) as (db, _):
        if keys:
            found = (db.execute("SELECT key, ended FROM evaluations WHERE key = ?", (key,)) for key in keys)
            rows = [row for cursor in found for row in cursor]
        else:
            by_age = "SELECT key, ended FROM evaluations WHERE generation = ? ORDER BY accepted_at, key"
            rows = db.execute(by_age, (generation,)).fetchall()
    return [ended for _, ended in rows if ended is not None], [key for key, ended in rows if ended is None]


def kept_fleet(path: Path) -> KeptFleet | None:
    """The fleet of the journal; None when there is no journal, and so no fleet yet. Nothing is changed by it.

    Args:
        path: the journal's file.

    Raises:
        JournalError: it cannot be read, or was lost: then nobody knows which VMs are the fleet's.
    """
    if not path.exists():
        refuse_what_was_lost(path)
        return None
    with _opened(path) as (db, version):
        (fleet,) = db.execute("SELECT value FROM meta WHERE name = 'fleet'").fetchone()
        return KeptFleet(str(fleet), vms_in(db, version))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[sqlite3.Connection, int]]:
    try:
        # Not read-only: what a supervisor that died had committed last is in the log, and has to be taken from there.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if not 0 < version <= SCHEMA_VERSION:
                raise JournalError(f"the journal {path} is of version {version}: use the program that wrote it")
            yield db, version
    except sqlite3.Error as error:
        raise JournalError(f"the journal {path} could not be read: {error}") from error
