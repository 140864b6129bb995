"""The journal: what must survive the supervisor's death, in SQLite.

Records are gathered during a turn of the loop and written in one transaction at its end. Whoever must not be told
before that is held by the loop until `commit` returns. If a commit fails, the process must end: there is one way back.
"""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from tzar_actors.core.evaluation import Evaluation, EvaluationEnded
from tzar_actors.core.records import Record
from tzar_actors.journal.checkpointer import Checkpointer
from tzar_actors.journal.error import JournalError
from tzar_actors.journal.gathered import Gathered
from tzar_actors.journal.integrity import is_damage, mark_suspect
from tzar_actors.journal.opening import is_full, open_database
from tzar_actors.journal.schema import SCHEMA_VERSION
from tzar_actors.journal.stored import stored_codec
from tzar_actors.journal.vms import JournalledVm, vms_in

__all__ = ["Journal", "JournalError"]

_TRIES = 3  # on a full disk: what is freed may be taken by others at once


class Journal:
    """An open journal, for use by the loop's thread alone.

    Args:
        path: its file; made when it is not there.
        durability: "power": what is committed survives a power failure; "process": it survives the end of the process.
        new_fleet: called once in the life of the journal for the fleet's id.
        make_room: called when the disk is full; whether it freed any, so that trying once more makes sense.

    Raises:
        JournalError: the file is none of ours, of a newer version, damaged and set aside, or cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        durability: Literal["power", "process"],
        new_fleet: Callable[[], str],
        make_room: Callable[[], bool] = lambda: False,
    ) -> None:
        self.path = path
        self.codec = stored_codec()
        self._gathered = Gathered(self.codec.encode)
        self._has_failed = False
        self._make_room = make_room
        self._db, self.fleet, self.epoch = open_database(path, durability, new_fleet, make_room)
        self._checkpointer = Checkpointer(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Commits what is gathered and closes the file. After a commit that failed nothing more is written."""
        try:
            if not self._has_failed:
                self.commit()
        finally:
            self._checkpointer.close()
            self._db.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """For what else the loop's thread does with the file, between commits; `was_written` after each transaction."""
        return self._db

    def was_written(self) -> None:
        """A transaction was committed by `connection`: its log is kept short as well."""
        self._checkpointer.committed(self._db)

    def append(self, record: Record) -> None:
        """Gathers `record` for the next commit."""
        self._gathered.add(record)

    def append_ended(self, key: str, encoded: bytes) -> None:
        """Gathers an outcome that `codec` has encoded already."""
        self._gathered.ended[key] = encoded

    def append_genome(self, key: str, body: bytes) -> None:
        """Gathers the genome of an evaluation, small enough to lie here."""
        self._gathered.genomes.setdefault(key, body)

    def commit(self) -> None:
        """Writes what was gathered, durably.

        Raises:
            JournalError: it could not be written; nothing of it may be assumed.
        """
        if not self._gathered:
            return
        try:
            self._write()
        except sqlite3.Error as error:
            self._has_failed = True
            if is_damage(error):
                mark_suspect(self.path)
            raise JournalError(f"the journal {self.path} could not be written: {error}") from error
        self._gathered.clear()

    def genome(self, key: str) -> bytes | None:
        """The genome of an evaluation, if it lies here."""
        if (waiting := self._gathered.genomes.get(key)) is not None:
            return waiting
        row = self._db.execute("SELECT body FROM genomes WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def answer(self, key: str) -> tuple[Evaluation, EvaluationEnded] | None:
        """The question and the outcome of an evaluation that is over."""
        row = self._db.execute(
            "SELECT asked, ended FROM evaluations WHERE key = ? AND ended IS NOT NULL", (key,)
        ).fetchone()
        if row is None:
            return None
        asked, ended = self.codec.decode(row[0]), self.codec.decode(row[1])
        if not isinstance(asked, Evaluation) or not isinstance(ended, EvaluationEnded):
            raise JournalError(f"the journal {self.path} holds something else under the key {key}")
        return asked, ended

    def outcomes(self, generation: int) -> Iterator[tuple[str, bytes | None]]:
        """Keys and encoded outcomes (None: still open) of one generation."""
        for row in self._db.execute(
            "SELECT key, ended FROM evaluations WHERE generation = ? ORDER BY accepted_at, key", (generation,)
        ):
            yield str(row[0]), row[1]

    def outcome(self, key: str) -> tuple[bool, bytes | None]:
        """Whether the key is known, and its encoded outcome, None while it is open."""
        row = self._db.execute("SELECT ended FROM evaluations WHERE key = ?", (key,)).fetchone()
        return (False, None) if row is None else (True, row[0])

    def spool_use(self, digest: bytes) -> Literal["open", "ended"] | None:
        """Who needs a genome of the spool, as far as it is committed: an open evaluation, only such as have ended, or
        none that is known."""
        (is_open,) = self._db.execute(
            "SELECT max(ended IS NULL) FROM spooled JOIN evaluations USING (key) WHERE digest = ?", (digest,)
        ).fetchone()
        return None if is_open is None else "open" if is_open else "ended"

    def vms(self) -> dict[str, JournalledVm]:
        """All VMs that it ever heard of, by name."""
        return vms_in(self._db, SCHEMA_VERSION)

    def open_rows(self) -> tuple[list[Any], list[Any], list[Any]]:
        """What is open: (asked, accepted_at), (key, game, ended) and (key, game, attempt, vm, incarnation, story)."""
        unfinished = "(SELECT key FROM evaluations WHERE ended IS NULL)"
        return (
            self._db.execute(
                "SELECT asked, accepted_at FROM evaluations WHERE ended IS NULL ORDER BY accepted_at, key"
            ).fetchall(),
            self._db.execute(f"SELECT key, game, ended FROM games WHERE key IN {unfinished}").fetchall(),
            self._db.execute(
                f"SELECT key, game, attempt, vm, incarnation, story FROM attempts WHERE key IN {unfinished}"
            ).fetchall(),
        )

    def _write(self) -> None:
        for tries_left in reversed(range(_TRIES)):
            try:
                self._write_once()
                break
            except sqlite3.OperationalError as error:
                if self._db.in_transaction:  # SQLite may have rolled back by itself: nothing is written twice
                    self._db.execute("ROLLBACK")
                if not (tries_left and is_full(error) and self._make_room()):
                    raise
        self._checkpointer.committed(self._db)

    def _write_once(self) -> None:
        work = list(self._gathered.rows())
        if len(work) == 1 and len(work[0][1]) == 1:
            self._db.execute(work[0][0], work[0][1][0])  # a transaction of its own
            return
        self._db.execute("BEGIN IMMEDIATE")
        for statement, rows in work:
            self._db.executemany(statement, rows)
        self._db.execute("COMMIT")
