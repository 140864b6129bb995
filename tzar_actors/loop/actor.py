"""A Pykka actor that lives on the loop instead of on a thread of its own.

Pykka names three methods for implementors of new actor types; these are ours. The body of Pykka's private actor loop is
restated in `take_turn`, a message a turn, so Pykka is pinned. Two differences, both in `docs/design.md`: a
`BaseException` is not answered by stopping all actors, which would wait for itself on the loop, but ends the loop; and
an `ask` that arrives after the actor's end is answered by `ActorDeadError` instead of never.
"""

import logging
import sys
from collections import deque
from typing import TYPE_CHECKING, Any

import pykka
from pykka import messages

from tzar_actors.loop.loop import Loop

if TYPE_CHECKING:
    from pykka._envelope import Envelope

__all__ = ["LoopActor"]

# All others go to `on_receive` anyway, after Pykka has asked of each whether it is one of these.
_OF_PYKKA = (messages._ActorStop, messages.ProxyCall, messages.ProxyGetAttr, messages.ProxySetAttr)

_logger = logging.getLogger("pykka")


class _Inbox:
    """An actor's mail. The loop is bound when the actor starts: Pykka makes inboxes by a static method."""

    def __init__(self) -> None:
        self.mail: deque[Envelope[Any]] = deque()
        self._actor: LoopActor | None = None
        self._closed = False

    def bind(self, actor: "LoopActor") -> None:
        self._actor = actor
        for _ in range(len(self.mail)):
            actor.loop.schedule(actor)

    def put(self, envelope: "Envelope[Any]", /) -> None:
        self.mail.append(envelope)
        if self._closed:
            self.close()
        elif self._actor is not None:
            self._actor.loop.schedule(self._actor)

    def get(self) -> "Envelope[Any]":
        return self.mail.popleft()

    def empty(self) -> bool:
        return not self.mail

    def close(self) -> None:
        """Answers what nobody will handle any more."""
        self._closed = True
        while True:
            try:
                envelope = self.mail.popleft()
            except IndexError:  # another thread's put may close as well
                return
            if envelope.reply_to is None:
                continue
            if isinstance(envelope.message, messages._ActorStop):
                envelope.reply_to.set(None)
            else:
                dead = pykka.ActorDeadError("the actor stopped before it handled the message")
                envelope.reply_to.set_exception((pykka.ActorDeadError, dead, None))


class LoopActor(pykka.Actor):
    """An actor that decides. It never blocks: what may take long is asked of a `pykka.ThreadingActor`.

    Args:
        loop: where it lives.
    """

    actor_inbox: _Inbox

    def __init__(self, loop: Loop) -> None:
        super().__init__()
        self.loop = loop
        self._started = False

    @staticmethod
    def _create_actor_inbox() -> _Inbox:
        return _Inbox()

    @staticmethod
    def _create_future() -> "pykka.Future[Any]":
        return pykka.ThreadingFuture()

    def _start_actor_loop(self) -> None:
        self.loop.schedule(self)
        self.actor_inbox.bind(self)

    def take_turn(self) -> None:
        """Starts, or handles one message. Only the loop calls this."""
        if not self._started:
            self._started = True
            self._actor_loop_setup()
        elif mail := self.actor_inbox.mail:  # there is none once the actor has stopped
            self._handle(mail.popleft())
        if self.actor_stopped.is_set():
            self.actor_inbox.close()

    def _handle(self, envelope: "Envelope[Any]") -> None:
        reply_to = envelope.reply_to
        message = envelope.message
        try:
            response = self._handle_receive(message) if isinstance(message, _OF_PYKKA) else self.on_receive(message)
            if reply_to is not None:
                reply_to.set(response)
        except Exception:
            if reply_to is not None:
                _logger.info(f"Exception returned from {self} to caller:", exc_info=True)
                reply_to.set_exception()
                return
            self._handle_failure(*sys.exc_info())
            try:
                self.on_failure(*sys.exc_info())
            except Exception:  # noqa: BLE001 - what a failure hook raises is logged as Pykka does
                self._handle_failure(*sys.exc_info())
