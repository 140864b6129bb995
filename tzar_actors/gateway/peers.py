"""Who is connected: what is known of each connection, and when its peer was last heard."""

from dataclasses import dataclass, field, replace
from typing import Any

import pykka

from tzar_actors.actors.messages import AgentHello, AgentResult
from tzar_agent.protocol.messages import Hello, Play, Playing

__all__ = ["AgentPeer", "Peers", "Stranger", "TrainerPeer"]


@dataclass(slots=True, eq=False)
class Stranger:
    """A connection that has not said who it is. Its key was accepted, so it is somebody's."""

    route: bytes
    fd: int
    public_key: str
    address: str


@dataclass(slots=True, eq=False)
class AgentPeer:
    """The connection of an agent."""

    route: bytes
    fd: int
    vm: str
    incarnation: int
    actor: "pykka.ActorRef[Any]"
    pid: int
    heard_at: float
    late_s: float  # the loop's lateness when it was heard
    hello: Hello
    missed: list[AgentResult] = field(default_factory=list)  # they came while its VM's actor was being replaced
    orders: dict[str, tuple[Play | Playing, float]] = field(
        default_factory=dict
    )  # with time limits; it plays the first
    play_due: float | None = None  # when what it plays must have ended, by our clock
    progress: int = 0
    load: float = 0.0
    memory_bytes: int = 0
    acknowledged: list[str] = field(default_factory=list)  # results whose acknowledgement is still to be sent

    def as_hello(self) -> AgentHello:
        """What the agent would say of itself if it came now, and could name what waits there."""
        row = [Playing(order.attempt, order.evaluation, order.game, order.digest) for order, _ in self.orders.values()]
        kept = tuple(message.result.attempt for message in self.missed)
        return AgentHello(replace(self.hello, playing=row[0] if row else None, kept=kept), tuple(row[1:]))

    def reported(self, attempt: str, spare_s: float) -> None:
        """It has reported `attempt`. If that was what it played, the time of what waited behind it begins.

        Args:
            attempt: of its row, or of an earlier one.
            spare_s: beyond the time limit of what it plays next.
        """
        was_first = attempt == next(iter(self.orders), None)
        self.orders.pop(attempt, None)
        if was_first:
            following = next(iter(self.orders.values()), None)
            self.play_due = None if following is None else self.heard_at + following[1] + spare_s


@dataclass(slots=True, eq=False)
class TrainerPeer:
    """The connection of a trainer, and the outcomes and acceptances that leave for it at the end of the turn."""

    route: bytes
    fd: int
    trainer: str
    ended: list[bytes] = field(default_factory=list)
    accepted: dict[str, None] = field(default_factory=dict)


Peer = Stranger | AgentPeer | TrainerPeer


class Peers:
    """All connections, by route and by file descriptor.

    A descriptor is used again by the system, so it speaks of the peer last heard since it was last accepted.
    """

    def __init__(self) -> None:
        self.by_route: dict[bytes, Peer] = {}
        self._by_fd: dict[int, Peer] = {}
        self.agents: dict[str, AgentPeer] = {}
        self.trainers: dict[str, TrainerPeer] = {}

    def add(self, peer: Peer) -> None:
        """`peer` takes the place of what had its route, and of an earlier connection of the same agent or trainer."""
        self.by_route[peer.route] = peer
        self._by_fd[peer.fd] = peer
        if isinstance(peer, AgentPeer):
            if (old := self.agents.get(peer.vm)) is not None and old.route != peer.route:
                self.drop(old)
            self.agents[peer.vm] = peer
        elif isinstance(peer, TrainerPeer):
            if (former := self.trainers.get(peer.trainer)) is not None and former.route != peer.route:
                self.drop(former)
            self.trainers[peer.trainer] = peer

    def drop(self, peer: Peer) -> None:
        """Nothing more is heard from this connection."""
        if self.by_route.get(peer.route) is peer:
            del self.by_route[peer.route]
        if self._by_fd.get(peer.fd) is peer:
            del self._by_fd[peer.fd]
        if isinstance(peer, AgentPeer):
            if self.agents.get(peer.vm) is peer:
                del self.agents[peer.vm]
        elif isinstance(peer, TrainerPeer) and self.trainers.get(peer.trainer) is peer:
            del self.trainers[peer.trainer]

    def accepted(self, fd: int) -> None:
        """The system gave this descriptor to a new connection."""
        self._by_fd.pop(fd, None)

    def of_fd(self, fd: int) -> Peer | None:
        """The peer that this descriptor speaks of."""
        return self._by_fd.get(fd)
