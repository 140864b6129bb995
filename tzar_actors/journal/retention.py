"""Forgets evaluations that ended long ago, in pieces of a few milliseconds, between the commits of the loop.

The room they leave in the file is used again for new ones, so the file never grows beyond the most that it held at one
time; it does not shrink by itself. Deletions wait for no disk: one that is lost in a power cut is made again.
"""

import sqlite3
from collections.abc import Callable
from typing import Final

from tzar_actors.core.evaluation import EvaluationEnded
from tzar_actors.journal.journal import Journal, JournalError
from tzar_actors.journal.opening import is_full

__all__ = ["KEPT_AT_LEAST_S", "Retention"]

KEPT_AT_LEAST_S: Final = 3600.0  # however full the journal is: a trainer that reconnects gets what it missed
_PIECE_S: Final = 0.003
_MOST: Final = 256
_FIRST: Final = 16
_OLDEST: Final = (
    "SELECT key, accepted_at, ended FROM evaluations INDEXED BY ended_evaluations"
    " WHERE ended IS NOT NULL AND (accepted_at, key) > (?, ?) AND accepted_at < ? ORDER BY accepted_at, key LIMIT ?"
)
_START: Final = (float("-inf"), "")
_OF_KEY: Final = tuple(
    f"DELETE FROM {table} WHERE key = ?" for table in ("evaluations", "attempts", "games", "genomes")
)


class Retention:
    """Works on one journal, on the loop's thread.

    Args:
        journal: the journal.
        keep_s: seconds after its end for which an evaluation is kept.
        limit_bytes: how much the journal may hold; beyond it the oldest go before their time.
        clock: gives monotonic seconds, by which pieces are kept short.
    """

    def __init__(self, journal: Journal, keep_s: float, limit_bytes: int, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._db = journal.connection
        self._keep_s = keep_s
        self._limit_bytes = limit_bytes
        self._clock = clock
        self._looked_at = _START  # acceptance and key of the last that was looked at in this round
        self._piece = _FIRST
        self._forgotten = 0

    def forget_some(self, wall: float) -> bool:
        """Forgets a few evaluations whose time is over.

        Args:
            wall: seconds since 1970.

        Returns:
            Whether there is more to do now. If not, the next call begins a new round.

        Raises:
            JournalError: the journal could not be read or written.
        """
        began = self._clock()
        kept_s = self._keep_s
        if self.held_bytes() > self._limit_bytes:
            kept_s = min(kept_s, KEPT_AT_LEAST_S)
        before = wall - kept_s
        try:
            rows = self._db.execute(_OLDEST, (*self._looked_at, before, self._piece)).fetchall()
            self._delete([ended for _, at, packed in rows if (ended := self._due(at, packed, before))])
        except sqlite3.Error as error:
            if is_full(error):
                return False  # another time, when there is room
            raise JournalError(f"the journal {self._journal.path} could not forget: {error}") from error
        is_more = len(rows) == self._piece
        self._looked_at = (rows[-1][1], rows[-1][0]) if is_more else _START  # what is not due yet is passed over
        self._set_pace(self._clock() - began)
        return is_more

    def take_count(self) -> int:
        """How many were forgotten since the last call."""
        count, self._forgotten = self._forgotten, 0
        return count

    def held_bytes(self) -> int:
        """How much the journal holds, without pages that are free to be used again."""
        ((pages,),), ((free,),), ((size,),) = (
            self._db.execute(f"PRAGMA {name}").fetchall() for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _due(self, accepted_at: float, packed: bytes, before: float) -> EvaluationEnded | None:
        ended = self._journal.codec.decode(packed)
        if not isinstance(ended, EvaluationEnded):
            raise JournalError(f"the journal {self._journal.path} holds a {type(ended).__name__} where an end belongs")
        return ended if accepted_at + ended.seconds < before else None

    def _delete(self, due: list[EvaluationEnded]) -> None:
        if not due:
            return
        db = self._db
        synchronous = db.execute("PRAGMA synchronous").fetchone()[0]
        db.execute("PRAGMA synchronous = NORMAL")
        try:
            db.execute("BEGIN IMMEDIATE")
            for statement in _OF_KEY:
                db.executemany(statement, [(ended.key,) for ended in due])
            db.executemany("DELETE FROM spooled WHERE digest = ? AND key = ?", [(e.digest, e.key) for e in due])
            db.execute("COMMIT")
            self._journal.was_written()
        except sqlite3.Error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        finally:
            db.execute(f"PRAGMA synchronous = {synchronous}")
        self._forgotten += len(due)

    def _set_pace(self, took_s: float) -> None:
        if took_s > _PIECE_S:
            self._piece = max(1, self._piece // 2)
        elif took_s < _PIECE_S / 3:
            self._piece = min(_MOST, self._piece * 2)
