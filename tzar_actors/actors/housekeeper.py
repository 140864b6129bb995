"""Keeps the journal and the spool within their bounds, and says when there is no room for new work.

It works in pieces of a few milliseconds. What takes longer is done by the disk's lane; deletions of the journal, and
which blob may go, stay on the loop, so that nothing is accepted between the look and the deed.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any, Final

import pykka

from tzar_actors.actors.base import MachineActor
from tzar_actors.actors.disk_lane import AskDisk, DiskAnswer
from tzar_actors.actors.messages import TimerRang
from tzar_actors.actors.wiring import Wiring
from tzar_actors.events import catalogue
from tzar_actors.gateway.spool import Spool, Survey
from tzar_actors.journal.retention import Retention

__all__ = ["Housekeeper"]

_ASK_EACH_S: Final = 1.0
_SURVEY_EACH: Final = 10  # questions, while the spool is far from its bound
_FORGET_EACH_S: Final = 60.0
_PAUSE_S: Final = 0.05  # between two pieces: the loop belongs to the games
_BLOBS_AT_ONCE: Final = 32
# A genome may have been brought, and its submission be on its way. Brought or asked about means the same here.
_GRACE_S: Final = 3600.0
_PRESSED_GRACE_S: Final = 60.0  # of genomes whose evaluations have ended, when the spool is over its bound


class Housekeeper(MachineActor[None]):
    """The actor.

    Args:
        wiring: the supervisor's parts; its `room` is kept up to date.
        spool: where the large genomes lie.
        retention: forgets what ended long ago.
        lane: the disk's.
    """

    def __init__(self, wiring: Wiring, spool: Spool, retention: Retention, lane: "pykka.ActorRef[Any]") -> None:
        super().__init__(wiring.loop, wiring.journal)
        self._wiring = wiring
        self._spool = spool
        self._retention = retention
        self._lane = lane
        self._asked = 0
        self._is_waiting = False
        self._began = self.loop.now()
        self._blobs: deque[tuple[float, int, bytes]] = deque()
        self._held_bytes = 0
        self._discarded = self._discarded_bytes = 0
        self._told_problems: tuple[str, ...] = ()
        self._told: tuple[str, str] | None = None

    def on_start(self) -> None:
        """Pykka's hook."""
        self.set_timer("ask", 0.0)
        self.set_timer("forget", _PAUSE_S)

    def on_failure(self, *error: Any) -> None:
        """Pykka's hook: a disk that nobody watches fills. The process ends, and its restart is the way back."""
        raise SystemExit(f"the housekeeper failed: {error[0].__name__}: {error[1]}")

    def decide(self, message: Any) -> Iterable[None]:
        """See `MachineActor`."""
        match message:
            case TimerRang("ask"):
                self._ask()
            case DiskAnswer():
                self._is_waiting = False
                self._answered(message)
            case TimerRang("discard"):
                self._discard_some()
            case TimerRang("forget"):
                self._forget()
            case _:
                raise TypeError(f"the housekeeper cannot handle {message!r}")
        return ()

    def carry_out(self, command: None) -> None:
        """See `MachineActor`: there is no machine behind it, and so no command."""

    def _ask(self) -> None:
        if not self._is_waiting:  # a disk that hangs is asked once
            room = self._wiring.room
            is_near = self._held_bytes > room.spool_limit_bytes * 3 // 4
            surveys = not self._blobs and (is_near or self._asked % _SURVEY_EACH == 0)
            self._lane.tell(AskDisk(self.actor_ref, surveys, fills=not room.is_low))
            self._asked += 1
            self._is_waiting = True
        self.set_timer("ask", _ASK_EACH_S)

    def _answered(self, answer: DiskAnswer) -> None:
        if answer.problems != self._told_problems:
            self._told_problems = answer.problems
            for problem in answer.problems:
                self._wiring.log.emit(catalogue.Message(__name__, problem, None))
        if answer.survey is not None:
            self._begin_to_discard(answer.survey)
        if answer.free_bytes is not None:
            self._wiring.room = self._wiring.room.disk_seen(answer.free_bytes)
        self._tell(answer.free_bytes)

    def _begin_to_discard(self, survey: Survey) -> None:
        self._blobs.extend(survey.blobs)
        self._held_bytes = survey.held_bytes
        self._discard_some()

    def _discard_some(self) -> None:
        now, wiring = self._wiring.wall(), self._wiring
        up_s = self.loop.now() - self._began  # trainers have that long been able to come back and say what they want
        for _ in range(min(_BLOBS_AT_ONCE, len(self._blobs))):
            seen_at, size, digest = self._blobs.popleft()
            is_pressed = self._held_bytes > wiring.room.spool_limit_bytes * 19 // 20
            use = self.journal.spool_use(digest)
            grace_s = _PRESSED_GRACE_S if use == "ended" else _GRACE_S
            if use == "open" or (use == "ended" and not is_pressed) or up_s < grace_s or seen_at >= now - grace_s:
                continue
            if self._spool.discard(digest, now - grace_s):
                self._held_bytes -= size
                self._discarded += 1
                self._discarded_bytes += size
        if self._blobs:
            self.set_timer("discard", _PAUSE_S)
            return
        wiring.room = wiring.room.spool_seen(self._held_bytes)
        if self._discarded:
            wiring.log.emit(catalogue.BlobsDiscarded(self._discarded, self._discarded_bytes))
            self._discarded = self._discarded_bytes = 0
        self._tell(None)

    def _tell(self, free_bytes: int | None) -> None:
        wiring = self._wiring
        shortage = wiring.shortage(needs_spool=True)
        if shortage == self._told:
            return
        self._told = shortage
        if shortage is None:
            wiring.log.emit(catalogue.RoomEnough(free_bytes))
            self._spool.take_more()
        else:
            wiring.log.emit(catalogue.RoomShort(*shortage, free_bytes))
            self._spool.take_no_more(*shortage)

    def _forget(self) -> None:
        if self._retention.forget_some(self._wiring.wall()):
            self.set_timer("forget", _PAUSE_S)
            return
        if forgotten := self._retention.take_count():
            self._wiring.log.emit(catalogue.EvaluationsForgotten(forgotten))
        self.set_timer("forget", _FORGET_EACH_S)
