"""The orders of one VM: what its agent plays and has to play, how long its games are, and how many it may have."""

from dataclasses import dataclass, field
from typing import Final

__all__ = ["VmOrders"]

_AHEAD_S: Final = 0.01  # of games that wait at a VM: as long as another VM would need to get them instead


@dataclass(slots=True)
class VmOrders:
    """One VM. Times are monotonic seconds."""

    incarnation: int = 0
    is_here: bool = False
    orders: dict[str, None] = field(default_factory=dict)  # what its agent plays and has to play, counting or not
    room: int = 1  # orders that its agent takes at once
    pace_s: float | None = None  # a game's length here, since its boot; None: it has played none
    is_alone: bool = False  # what it plays was tried before
    turn_at: float = 0.0  # when the turn of its first order came
    is_faulty: bool = False  # its agent cannot play, and is being given up
    recalled: set[str] = field(default_factory=set)  # orders that were asked for again
    last_digest: bytes = b""
    attempts: set[str] = field(default_factory=set)

    def depth(self) -> int:
        """How many orders it may have now."""
        if self.is_alone or self.pace_s is None:
            return 1
        return self.room if self.pace_s * self.room <= _AHEAD_S else max(1, int(_AHEAD_S / self.pace_s))

    def come(self, incarnation: int, playing: str | None, room: int) -> None:
        """Its agent is here; it plays `playing`, or nothing, and takes `room` orders at once."""
        if self.incarnation != incarnation:
            self.pace_s = None
        self.recalled &= self.attempts  # of what may still be on its way here
        self.incarnation, self.is_here, self.room = incarnation, True, room
        self.orders = {} if playing is None else {playing: None}
        self.is_faulty = False
        self.is_alone = playing is not None

    def finish(self, at: float, attempt: str, seconds: float | None, *, is_faulty: bool) -> bool:
        """`attempt` is played no longer; see `Leases.vm_finished`. False: it was not ordered."""
        self.recalled.discard(attempt)
        if attempt not in self.orders:
            return False
        if attempt == next(iter(self.orders)):  # what is given back from behind it changes no turn
            self.turn_at = at
        del self.orders[attempt]
        self.is_faulty = self.is_faulty or is_faulty
        if seconds is not None:
            pace_s = self.pace_s
            # One slow game is believed at once, fast ones by and by: what waits behind a slow one waits for long.
            self.pace_s = seconds if pace_s is None or seconds >= pace_s else (pace_s + seconds) / 2
        return True
