"""When a simulated agent's session is woken because something in it is due."""

from collections.abc import Callable
from typing import Final

from tzar_actors.simulation.agenda import Agenda, Appointment
from tzar_agent.session import Session

__all__ = ["Wakes"]

_NEVER: Final = float("inf")


class Wakes:
    """The appointment of one session: never later than something is due, and at times before that.

    An appointment that is too early costs less than one that is made and called off for each game.

    Args:
        agenda: the world's.
        session: whose time it is.
        is_sound: whether the session hears the supervisor, so that no missed heartbeat is due.
        wake: called when something is due.
    """

    def __init__(
        self, agenda: Agenda, session: Session, is_sound: Callable[[], bool], wake: Callable[[], None]
    ) -> None:
        self._agenda = agenda
        self._session = session
        self._is_sound = is_sound
        self._wake = wake
        self._next: Appointment | None = None

    def plan(self) -> None:
        """Looks anew at what is due."""
        due, current = self._due(), self._next
        if current is not None:
            if current.callback is not None and current.due <= due:
                return
            current.call_off()
        self._next = None
        if due < _NEVER:
            self._next = self._agenda.at(max(due, self._agenda.clock.now), self._ring)

    def call_off(self) -> None:
        """It will not be woken any more."""
        if self._next is not None:
            self._next.call_off()

    def _ring(self) -> None:
        if self._due() <= self._agenda.clock.now:
            self._wake()
        else:  # what it was to be woken for is over
            self.plan()

    def _due(self) -> float:
        session = self._session
        due = session.dial_at or _NEVER
        if session.answer_by is not None and session.answer_by < due:
            due = session.answer_by
        if session.job is not None and (next_at := session.job.next_at()) is not None and next_at < due:
            due = next_at
        if session.welcome is not None:
            if not self._is_sound():
                due = min(due, session.heard_at + session.misses * session.interval)
            if (resend_at := session.kept.due_at()) is not None and resend_at < due:
                due = resend_at
        return due
