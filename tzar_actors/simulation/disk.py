"""The disk of the state folder, which others fill now and then; it outlives the supervisor. The journal's file is real.

SQLite is told that the file may not grow, and says what it says on a full disk. Opening the journal finds room always.
"""

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tzar_actors.actors.disk_lane import AskDisk, DiskLane
from tzar_actors.actors.housekeeper import Housekeeper
from tzar_actors.actors.wiring import Wiring
from tzar_actors.core.room import Room
from tzar_actors.gateway.spool import Spool
from tzar_actors.journal.reserve import RESERVE_BYTES, Reserve
from tzar_actors.journal.retention import Retention
from tzar_actors.loop import Loop, LoopActor

if TYPE_CHECKING:
    from tzar_actors.simulation.surroundings import Surroundings

__all__ = ["SimulatedDisk", "SimulatedReserve", "keep_house"]

_LOW_BYTES: Final = 1024 * 1024 * 1024
_ROOMY_BYTES: Final = 100 * _LOW_BYTES
_PAGE_BYTES: Final = 4096
_MOST_PAGES: Final = 4_294_967_294  # SQLite's own limit
_NOTICED_S: Final = 3.0  # it is asked each second
_LOOK_S: Final = 0.01
_KEEP_S: Final = 1e9  # nothing is forgotten


class SimulatedDisk:
    """One disk.

    Args:
        surroundings: the world's shared parts.
    """

    def __init__(self, surroundings: "Surroundings") -> None:
        self.is_held = False  # the reserve's file lies there
        self.spent = 0  # how often a commit needed it
        self._world = surroundings
        self._db: sqlite3.Connection | None = None
        self._free_bytes = _ROOMY_BYTES
        self._short_since: float | None = None
        self._roomy_since = float("-inf")
        self._watched_since = 0.0
        self._times = 0

    @property
    def free_bytes(self) -> int:
        """What the journal may take."""
        return self._free_bytes

    @property
    def is_known_to_be_short(self) -> bool:
        """It has been short of room for so long that the supervisor must know."""
        since = self._short_since
        return since is not None and self._world.now - max(since, self._watched_since) > _NOTICED_S

    @property
    def is_known_to_be_roomy(self) -> bool:
        """It has had room for so long that the supervisor must know."""
        return self._short_since is None and self._world.now - self._roomy_since > _NOTICED_S

    def opened(self, db: sqlite3.Connection) -> None:
        """A supervisor has opened its journal."""
        self._db = db
        self._watched_since = self._world.now
        self._limit()

    def closed(self) -> None:
        """That supervisor is dead."""
        self._db = None

    def run_short(self, seconds: float, free_bytes: int) -> None:
        """Others leave only so much of it, for a while."""
        self._world.befall("disk full" if free_bytes == 0 else "disk low", "disk", f"for {seconds:.0f} s")
        self._times += 1
        self._short_since, self._free_bytes = self._world.now, free_bytes
        self._limit()
        times = self._times
        self._world.agenda.after(seconds, lambda: self._get_room(times))

    def spend(self) -> bool:
        """The reserve is removed. Returns whether there was any; what it held is the journal's."""
        was_held, self.is_held = self.is_held, False
        if was_held:
            self._world.story.tell("disk", "the reserve is spent")
            self.spent += 1
            self._free_bytes += RESERVE_BYTES
            self._limit()
        return was_held

    def hold(self) -> bool:
        """The reserve is made, if there is room for it. Returns whether it is there."""
        if not self.is_held and self._free_bytes >= RESERVE_BYTES:
            self._free_bytes -= RESERVE_BYTES
            self.is_held = True
        return self.is_held

    def _get_room(self, times: int) -> None:
        if times != self._times:
            return
        self._world.story.tell("disk", "has room again")
        self._short_since, self._roomy_since, self._free_bytes = None, self._world.now, _ROOMY_BYTES
        self._limit()

    def _limit(self) -> None:
        if self._db is None:
            return
        pages = _MOST_PAGES
        if self._short_since is not None:
            (has,) = self._db.execute("PRAGMA page_count").fetchone()
            pages = has + self._free_bytes // _PAGE_BYTES
        self._db.execute(f"PRAGMA max_page_count = {pages}")


class SimulatedReserve(Reserve):
    """The `Reserve` of one life of the supervisor.

    Args:
        disk: where it lies.
    """

    def __init__(self, disk: SimulatedDisk) -> None:
        super().__init__(Path("reserve"), RESERVE_BYTES)
        self._disk = disk

    def fill(self) -> None:
        """See `Reserve`."""
        if not self._disk.hold():
            raise OSError(28, "No space left on device")
        self.is_spent = False

    def spend(self) -> bool:
        """See `Reserve`."""
        if not self._disk.spend():
            return False
        self.is_spent = True
        return True

    def make_room(self) -> bool:
        """See `Reserve`. It waits for nothing: the clock is virtual, and nobody would do anything meanwhile."""
        return self.spend()


class _Lane(LoopActor):
    """A `DiskLane` without a thread."""

    _look = DiskLane._look

    def __init__(self, loop: Loop, spool: Spool, reserve: Reserve, disk: SimulatedDisk) -> None:
        super().__init__(loop)
        self._spool = spool
        self._reserve = reserve
        self._free_bytes = lambda folder: disk.free_bytes

    def on_receive(self, message: Any) -> None:
        """Pykka's hook: one question."""
        self.loop.call_later(_LOOK_S, lambda: self._answer(message))

    def _answer(self, ask: AskDisk) -> None:
        if ask.reply_to.is_alive():
            ask.reply_to.tell(self._look(ask))  # type: ignore[misc]  # it has all that a DiskLane looks with


def keep_house(wiring: Wiring, disk: SimulatedDisk, reserve: Reserve, folder: Path) -> None:
    """Starts the real housekeeper of one life, with an empty spool in `folder`."""
    wiring.room, wiring.reserve = Room(_LOW_BYTES, _ROOMY_BYTES), reserve
    spool = Spool(folder)
    lane = _Lane.start(wiring.loop, spool, reserve, disk)
    Housekeeper.start(wiring, spool, Retention(wiring.journal, _KEEP_S, _ROOMY_BYTES, wiring.loop.now), lane)
