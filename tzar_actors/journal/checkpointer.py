"""Keeps the write-ahead log short without making the loop wait.

The long part of a checkpoint is done on a thread. It never catches up with a loop that keeps writing, so the last
pages are checkpointed on the loop, once the thread is done; then SQLite begins the log anew.
"""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Final

__all__ = ["Checkpointer"]

_BEGIN_BYTES: Final = 8 * 1024 * 1024
_LOOK_EACH: Final = 64  # commits


class Checkpointer:
    """Watches the log of one journal. `committed` and `close` are called by the loop's thread.

    Args:
        path: the journal's file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wal = path.with_name(path.name + "-wal")
        self._commits = 0
        self._wanted = threading.Event()
        self._thread_done = False
        self._closing = False
        self._failure: sqlite3.Error | None = None
        self._thread: threading.Thread | None = None

    def committed(self, db: sqlite3.Connection) -> None:
        """A transaction was committed on `db`, which is outside of one now.

        Raises:
            sqlite3.Error: a checkpoint failed; without them the log would grow without end.
        """
        if self._failure is not None:
            raise self._failure
        if self._thread_done:
            self._thread_done = False
            _checkpoint(db)
        self._commits += 1
        if self._commits % _LOOK_EACH == 0 and not self._wanted.is_set() and self._wal_bytes() > _BEGIN_BYTES:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="journal-checkpoint", daemon=True)
                self._thread.start()
            self._wanted.set()

    def close(self) -> None:
        """Ends the thread. The log that is left is taken up when the journal's last connection closes."""
        self._closing = True
        if self._thread is not None:
            self._wanted.set()
            self._thread.join()

    def _wal_bytes(self) -> int:
        try:
            return self._wal.stat().st_size
        except FileNotFoundError:
            return 0

    def _run(self) -> None:
        try:
            with closing(sqlite3.connect(self._path, isolation_level=None)) as db:
                self._work(db)
        except sqlite3.Error as error:
            self._failure = error

    def _work(self, db: sqlite3.Connection) -> None:
        while not self._closing:
            self._wanted.wait()
            if not self._closing:
                _checkpoint(db)
                self._thread_done = True
            # Before the next look at `_closing`: `close` sets that first, so its own signal is never lost.
            self._wanted.clear()


def _checkpoint(db: sqlite3.Connection) -> None:
    try:
        db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    except sqlite3.OperationalError as error:
        # On a full disk what is committed stays in the log, and a later checkpoint takes it from there.
        if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise
