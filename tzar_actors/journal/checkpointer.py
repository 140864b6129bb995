"""Keeps the write-ahead log short without making the loop wait.

The long part of a checkpoint is done on a thread. It never catches up with a loop that keeps writing, so the last
pages are checkpointed on the loop, once the thread is done; then SQLite begins the log anew.
"""

import sqlite3
import threading
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
        self._thread: threading.Thread | None = None

    def committed(self, db: sqlite3.Connection) -> None:
        """A transaction was committed on `db`, which is outside of one now."""
        if self._thread_done:
            self._thread_done = False
            db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
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
        db = sqlite3.connect(self._path, isolation_level=None)
        try:
            while self._wanted.wait() and not self._closing:
                db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                self._thread_done = True
                self._wanted.clear()
        finally:
            db.close()
