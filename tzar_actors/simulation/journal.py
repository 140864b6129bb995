"""The real journal, which can be killed at any record and around its commits, and tells the laws what it was given."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tzar_actors.core.records import IncarnationRecord, Record, VmHeldRecord
from tzar_actors.journal.journal import Journal
from tzar_actors.simulation.story import Killed

if TYPE_CHECKING:
    from tzar_actors.simulation.laws import Laws

__all__ = ["Doom", "SimulatedJournal"]

Moment = Literal["record", "before commit", "after commit", "send"]


class Doom:
    """When the supervisor is to be killed: at the next moment of this kind."""

    def __init__(self) -> None:
        self.moment: Moment | None = None
        self.is_dead = False

    def strike(self, moment: Moment) -> None:
        """Kills the supervisor if this is its moment.

        Raises:
            Killed: it is.
        """
        if self.moment == moment:
            self.is_dead = True
            raise Killed(moment)


class SimulatedJournal(Journal):
    """A `Journal` in a world.

    Args:
        path: its file.
        fleet: the fleet's id, should the journal be new.
        laws: are told of each record and each commit.
        doom: when the supervisor is to be killed.
        make_room: see `Journal`; None: the disk is never full.
    """

    def __init__(
        self, path: Path, fleet: str, laws: "Laws", doom: Doom, make_room: Callable[[], bool] | None = None
    ) -> None:
        super().__init__(path, "process", lambda: fleet, make_room or (lambda: False))
        # Here the supervisor dies between two statements, never in one: SQLite's own care for that would cost a fifth
        # of the time and show nothing. It is tested where processes really die.
        # Only on a disk that may be full is a transaction ever rolled back.
        rollback = "OFF" if make_room is None else "MEMORY"
        for mode in ("locking_mode = EXCLUSIVE", f"journal_mode = {rollback}", "synchronous = OFF"):
            self.connection.execute(f"PRAGMA {mode}")
        self._laws = laws
        self._doom = doom

    def append(self, record: Record) -> None:
        """See `Journal`."""
        self._doom.strike("record")
        super().append(record)
        self._laws.recorded(record)
        if isinstance(record, (IncarnationRecord, VmHeldRecord)):
            self._laws.by_hand.recorded(record)

    def append_ended(self, key: str, encoded: bytes) -> None:
        """See `Journal`."""
        self._doom.strike("record")
        super().append_ended(key, encoded)
        self._laws.ended(key, encoded, self.codec.decode(encoded))

    def commit(self) -> None:
        """See `Journal`. A dead supervisor commits nothing any more."""
        if self._doom.is_dead:
            return
        self._doom.strike("before commit")
        super().commit()
        self._laws.committed()
        self._laws.by_hand.committed()
        self._doom.strike("after commit")
