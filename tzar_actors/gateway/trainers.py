"""The trainers' end of the control socket: says who came and went, and gathers what leaves for each at a turn's end."""

from collections.abc import Callable
from typing import Any

import pykka

from tzar_actors.actors.messages import TrainerCame, TrainerLeft, TrainerSaid
from tzar_actors.client.protocol import (
    TRAINER_PROTOCOL_VERSION,
    Accepted,
    AskPower,
    FromSupervisor,
    Outcomes,
    Pulse,
    PulseAnswer,
    Rejected,
    Shutdown,
    TrainerHello,
    TrainerWelcome,
    from_supervisor_codec,
    from_trainer_codec,
)
from tzar_actors.events.catalogue import TrainerConnected, TrainerDisconnected
from tzar_actors.events.sink import EventSink
from tzar_actors.gateway.peers import Peer, Peers, Stranger, TrainerPeer
from tzar_agent.protocol.codec import DecodeError

__all__ = ["TrainerDesk"]


class TrainerDesk:
    """Speaks with trainers.

    Args:
        peers: where connections are kept.
        send: sends a frame to a peer.
        log: for who came and went.
    """

    def __init__(self, peers: Peers, send: Callable[[Peer, bytes], bool], log: EventSink) -> None:
        self._peers = peers
        self._send = send
        self._log = log
        self._read_codec = from_trainer_codec()
        self._write_codec = from_supervisor_codec()
        self._waiting: dict[str, TrainerPeer] = {}
        self._welcome: Callable[[], TrainerWelcome] | None = None
        self._dispatcher: pykka.ActorRef[Any] | None = None
        self._fleet: pykka.ActorRef[Any] | None = None

    def open(
        self,
        welcome: Callable[[], TrainerWelcome],
        dispatcher: "pykka.ActorRef[Any]",
        fleet: "pykka.ActorRef[Any]",
    ) -> None:
        """What trainers say goes to `dispatcher`; `fleet` hears who is there, and what concerns the fleet."""
        self._welcome, self._dispatcher, self._fleet = welcome, dispatcher, fleet

    def came(self, peer: Stranger, frame: bytes) -> None:
        """The first frame of a connection with the trainers' key.

        Raises:
            DecodeError: it is no hello.
        """
        hello = self._read_codec.decode(frame)
        if not isinstance(hello, TrainerHello):
            raise DecodeError(f"a trainer's connection begins with trainer_hello, not with {hello.TAG}")
        if hello.version != TRAINER_PROTOCOL_VERSION:
            reason = f"this supervisor speaks version {TRAINER_PROTOCOL_VERSION} of the trainers' protocol"
            self._send(peer, self._write_codec.encode(Rejected("", "version", reason)))
            return
        if self._welcome is None or self._fleet is None:
            return
        trainer = TrainerPeer(peer.route, peer.fd, hello.trainer)
        self._peers.add(trainer)
        self._log.emit(TrainerConnected(hello.trainer))
        self._send(trainer, self._write_codec.encode(self._welcome()))
        self._fleet.tell(TrainerCame(hello.trainer))

    def said(self, peer: TrainerPeer, frame: bytes) -> None:
        """A frame of a trainer that is known."""
        message = self._read_codec.decode(frame)
        if isinstance(message, Pulse):
            self._send(peer, self._write_codec.encode(PulseAnswer(message.number)))
            return
        listener = self._fleet if isinstance(message, Shutdown | AskPower) else self._dispatcher
        if listener is not None:
            listener.tell(TrainerSaid(peer.trainer, message))

    def left(self, peer: TrainerPeer) -> None:
        """A trainer's connection is gone."""
        self._waiting.pop(peer.trainer, None)
        self._log.emit(TrainerDisconnected(peer.trainer))
        if self._fleet is not None:
            self._fleet.tell(TrainerLeft(peer.trainer))

    def accept(self, trainer: str, key: str) -> None:
        """Tells the trainer, at the turn's end, that `key` is accepted. Is it not connected, nothing is told."""
        if (peer := self._peers.trainers.get(trainer)) is not None:
            peer.accepted[key] = None
            self._waiting[trainer] = peer

    def deliver(self, trainer: str, key: str, ended: bytes) -> None:
        """Hands the trainer the outcome of `key` at the turn's end. Is it not connected, it will ask."""
        if (peer := self._peers.trainers.get(trainer)) is not None:
            peer.accepted.pop(key, None)  # its outcome says as much
            peer.ended.append(ended)
            self._waiting[trainer] = peer

    def tell(self, trainer: str, message: FromSupervisor) -> None:
        """Sends to the trainer, if it is connected."""
        if (peer := self._peers.trainers.get(trainer)) is not None:
            self._send(peer, self._write_codec.encode(message))

    def flush(self) -> None:
        """Sends what was gathered: one message for each trainer and kind, however much there is."""
        waiting, self._waiting = self._waiting, {}
        for peer in waiting.values():
            accepted, peer.accepted = peer.accepted, {}
            ended, peer.ended = peer.ended, []
            if accepted and not self._send(peer, self._write_codec.encode(Accepted(tuple(accepted)))):
                continue
            if ended:
                self._send(peer, self._write_codec.encode(Outcomes(tuple(ended))))
