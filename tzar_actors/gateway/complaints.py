"""What is refused and dropped, as events: of each peer so many a minute, and the others as a count, which loses none.

A peer that sends garbage without end, or dials again and again with a key that nobody knows, must not fill the log.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from tzar_actors.events.catalogue import AgentRefused, FloodCounted, FrameDropped, PeerRejected
from tzar_actors.events.sink import EventSink

__all__ = ["Complaint", "Complaints"]

Complaint: TypeAlias = FrameDropped | AgentRefused | PeerRejected

_MINUTE_S: Final = 60.0
_EACH: Final = 10  # events of one kind about one peer, in a minute
_PEERS: Final = 20  # of one kind, in a minute; further ones are counted together
_OTHERS: Final = "others"


@dataclass(slots=True)
class _Minute:
    began: float
    told: int = 0
    untold: int = 0
    reason: str = ""


class Complaints:
    """Tells the log. May be used by several threads.

    Args:
        clock: gives monotonic seconds.
        log: where events go.
    """

    def __init__(self, clock: Callable[[], float], log: EventSink) -> None:
        self._clock = clock
        self._log = log
        self._lock = threading.Lock()
        self._minutes: dict[type[Complaint], dict[str, _Minute]] = {
            FrameDropped: {},
            AgentRefused: {},
            PeerRejected: {},
        }

    def tell(self, complaint: Complaint) -> None:
        """Tells it, or counts it when this peer has had its share of the minute."""
        with self._lock:
            now, minutes = self._clock(), self._minutes[type(complaint)]
            self._tell_those_over(now)
            peer = complaint.peer if isinstance(complaint, FrameDropped) else complaint.address
            if peer not in minutes and len(minutes) >= _PEERS:
                peer = _OTHERS
            minute = minutes.setdefault(peer, _Minute(now))
            if minute.told < _EACH:
                minute.told += 1
                self._log.emit(complaint)
            else:
                minute.untold += 1
                minute.reason = complaint.reason

    def sweep(self) -> None:
        """Tells the counts of the minutes that are over. Called now and then."""
        with self._lock:
            self._tell_those_over(self._clock())

    def close(self) -> None:
        """Tells every count there is."""
        with self._lock:
            self._tell_those_over(float("inf"))

    def _tell_those_over(self, now: float) -> None:
        for kind, minutes in self._minutes.items():
            for peer, minute in list(minutes.items()):
                if now - minute.began < _MINUTE_S:
                    continue
                del minutes[peer]
                if minute.untold:
                    seconds = min(now, self._clock()) - minute.began
                    self._log.emit(FloodCounted(kind.NAME, peer, minute.untold, seconds, minute.reason))
