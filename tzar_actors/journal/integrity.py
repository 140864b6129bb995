"""Whether a journal's file is whole, and what becomes of one that is not: it is set aside, and nothing begins anew.

A supervisor that began with an empty journal by itself would forget what it had accepted and which VMs are its own. So
as long as a journal that was set aside lies in the folder, and no other stands in its place, the folder is refused.
"""

import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NoReturn

from tzar_actors.journal.error import JournalError

__all__ = ["check", "is_damage", "mark_suspect", "refuse_what_was_lost", "set_aside"]

_CHECK_S: Final = 5.0  # about 8 GB of a journal that lies in the page cache
_SIDES: Final = ("-wal", "-shm")


def refuse_what_was_lost(path: Path) -> None:
    """Raises when a journal was here and is not any more, so that no empty one is put in its place.

    Args:
        path: where the journal belongs.

    Raises:
        JournalError: it names what lies there, and the ways on.
    """
    if path.exists() and path.stat().st_size:
        return
    if aside := sorted(path.parent.glob(f"{path.stem}.damaged-*{path.suffix}")):
        raise JournalError(
            f"there is no journal {path}, and a damaged one was set aside as {aside[-1]}. Nothing begins anew by"
            f" itself. {_cure(path, aside[-1])}"
        )
    wal = path.with_name(path.name + "-wal")
    if wal.exists() and wal.stat().st_size:
        raise JournalError(
            f"there is no journal {path}, but its log {wal}, with what was committed last. Put the journal back"
            f" beside it; or, to begin anew, move {wal} out of the folder"
        )


def check(db: sqlite3.Connection, path: Path, limit_s: float = _CHECK_S) -> bool:
    """Looks through the whole file, or as much of it as can be read in the time there is.

    Args:
        db: the journal, outside of a transaction.
        path: its file; where it was suspected before, all of it is looked at.
        limit_s: seconds after which a file that was not suspected counts as whole.

    Returns:
        Whether all of it was looked at.

    Raises:
        sqlite3.DatabaseError: it is damaged, see `is_damage`.
    """
    suspect = _suspect(path)
    timer = threading.Timer(limit_s, db.interrupt)
    timer.daemon = True
    if not suspect.exists():
        timer.start()
    try:
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return False
        raise
    finally:
        timer.cancel()
    if found != "ok":
        raise _damage(str(found))
    suspect.unlink(missing_ok=True)
    return True


def is_damage(error: sqlite3.Error) -> bool:
    """Whether `error` says that the file itself is damaged, and not that it cannot be reached or written."""
    code = getattr(error, "sqlite_errorcode", None)  # errors of the module itself have none
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def mark_suspect(path: Path) -> None:
    """Damage was met while the journal was in use: the next `check` looks at all of it, however long it takes."""
    _suspect(path).touch()


def set_aside(path: Path, error: sqlite3.Error) -> NoReturn:
    """Renames a damaged journal, closed by now, with its log. The name holds the time.

    Raises:
        JournalError: always; it names the new file, and the ways on.
    """
    aside = path.with_name(f"{path.stem}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}Z{path.suffix}")
    # The log goes first: a crash in between leaves a journal without its log, which is set aside as well, and not a
    # log that would be taken for that of another journal.
    for side in _SIDES:
        if (file := path.with_name(path.name + side)).exists():
            file.rename(aside.with_name(aside.name + side))
    path.rename(aside)
    _suspect(path).unlink(missing_ok=True)
    raise JournalError(
        f"the journal {path} is damaged ({error}) and was set aside as {aside}. {_cure(path, aside)}"
    ) from error


def _cure(path: Path, aside: Path) -> str:
    return (
        f"To go on, put a backup at {path}, or what SQLite's own shell can save of {aside.name} (its command .recover)."
        f" To begin anew, move {aside.name} out of the folder: what was open is then lost, and VMs of this fleet that"
        " still run belong to nobody"
    )


def _suspect(path: Path) -> Path:
    return path.with_name(f"{path.name}-suspect")


def _damage(found: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(found)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error
