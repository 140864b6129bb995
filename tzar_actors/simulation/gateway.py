"""The gateway of a simulated supervisor: what the real one does for the actors, with connections instead of sockets.

It counts no heartbeats: a connection says when it has fallen silent, and the gateway tells its actor as late as the
real one would.
"""

from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Final

import pykka

from tzar_actors.actors.messages import (
    AgentHello,
    AgentLeft,
    AgentOverdue,
    AgentQuiet,
    AgentResult,
    TrainerCame,
    TrainerLeft,
    TrainerSaid,
)
from tzar_actors.client.protocol import AskPower, FromSupervisor, FromTrainer, PowerAnswer, Rejected
from tzar_actors.gateway.keys import KeyRing
from tzar_actors.loop import Loop, Timer
from tzar_actors.simulation.agenda import Agenda
from tzar_actors.simulation.journal import Doom
from tzar_agent.protocol.messages import Control, Hello, Play, Playing, Recall, Result, ResultAck, Unwelcome, Welcome

if TYPE_CHECKING:
    from tzar_actors.simulation.laws import Laws
    from tzar_actors.simulation.network import Connection
    from tzar_actors.simulation.trainer import Trainer

__all__ = ["SimulatedDesk", "SimulatedGateway"]

_ACKNOWLEDGE_S: Final = 0.05  # as the real gateway
_OVERDUE_S: Final = 30.0  # as the real gateway


class SimulatedDesk:
    """The trainers' end: what leaves for a trainer that is connected is handed to it, after a moment on the way.

    Args:
        laws: check what trainers are told.
    """

    def __init__(self, laws: "Laws") -> None:
        self._laws = laws
        self._trainers: dict[str, Trainer] = {}
        self.dispatcher: pykka.ActorRef[Any] | None = None
        self.fleet: pykka.ActorRef[Any] | None = None

    def connect(self, trainer: "Trainer") -> None:
        """A trainer is here."""
        self._trainers[trainer.name] = trainer
        if self.fleet is not None:
            self.fleet.tell(TrainerCame(trainer.name))

    def disconnect(self, trainer: "Trainer") -> None:
        """A trainer is gone."""
        if self._trainers.pop(trainer.name, None) is not None and self.fleet is not None:
            self.fleet.tell(TrainerLeft(trainer.name))

    def said(self, trainer: "Trainer", message: FromTrainer) -> None:
        """A trainer said something."""
        if trainer.name in self._trainers and self.dispatcher is not None:
            self.dispatcher.tell(TrainerSaid(trainer.name, message))

    def asked(self, person: str, asked: AskPower) -> None:
        """A person's command is here, and asks something of a VM."""
        if self.fleet is not None:
            self.fleet.tell(TrainerCame(person))
            self.fleet.tell(TrainerSaid(person, asked))

    def went(self, person: str) -> None:
        """A person's command has ended."""
        if self.fleet is not None:
            self.fleet.tell(TrainerLeft(person))

    def accept(self, trainer: str, key: str) -> None:
        """See `TrainerPort`."""
        self._laws.accepted(trainer, key)
        if (there := self._trainers.get(trainer)) is not None:
            there.accepted(key)

    def deliver(self, trainer: str, key: str, ended: bytes) -> None:
        """See `TrainerPort`."""
        outcome = self._laws.delivered(trainer, key, ended, is_there=trainer in self._trainers)
        if (there := self._trainers.get(trainer)) is not None:
            there.delivered(outcome)

    def tell(self, trainer: str, message: FromSupervisor) -> None:
        """See `TrainerPort`."""
        if isinstance(message, PowerAnswer):
            self._laws.by_hand.answered(trainer, message)
        elif isinstance(message, Rejected):
            self._laws.rejected(trainer, message)
            if (there := self._trainers.get(trainer)) is not None:
                there.rejected(message)


@dataclass(slots=True, eq=False)
class _Peer:
    """What is known of a connection, as in the real gateway."""

    connection: "Connection"
    hello: Hello
    missed: list[AgentResult] = field(default_factory=list)  # they came while its VM's actor was being replaced
    orders: dict[str, tuple[Playing, float]] = field(default_factory=dict)  # what it plays first; with its time limit
    play_due: float | None = None  # when what it plays must have ended
    overdue: Timer | None = None  # rings then, or before
    acknowledged: list[str] = field(default_factory=list)

    def as_hello(self) -> AgentHello:
        """What the agent would say of itself if it came now, and could name what waits there."""
        row = [order for order, _ in self.orders.values()]
        kept = tuple(message.result.attempt for message in self.missed)
        return AgentHello(replace(self.hello, playing=row[0] if row else None, kept=kept), tuple(row[1:]))


class SimulatedGateway:
    """The agents' end. One life of the supervisor has one.

    Args:
        loop: of this life.
        agenda: the world's.
        welcome: what an agent is told when it comes.
        silence_s: without a word until an agent is silent.
        interval_s: between two heartbeats.
        rng: for when exactly silence is noticed.
        laws: check what goes out.
        doom: when this life is to end.
    """

    def __init__(
        self,
        loop: Loop,
        agenda: Agenda,
        welcome: Welcome,
        silence_s: float,
        interval_s: float,
        rng: Random,
        laws: "Laws",
        doom: Doom,
    ) -> None:
        self.desk = SimulatedDesk(laws)
        self.keys = KeyRing("")
        self.peers: dict[str, _Peer] = {}
        self._loop = loop
        self._agenda = agenda
        self._welcome = welcome
        self._silence_s = silence_s
        self._interval_s = interval_s
        self._rng = rng
        self._laws = laws
        self._doom = doom
        self._actors: dict[str, pykka.ActorRef[Any]] = {}
        self._owed: dict[str, _Peer] = {}  # to whom acknowledgements are owed

    # --- what actors use: see `Gateway`

    def attach(self, vm: str, actor: "pykka.ActorRef[Any]") -> bool:
        """See `Gateway`."""
        self._actors[vm] = actor
        if (peer := self.peers.get(vm)) is None:
            return False
        actor.tell(peer.as_hello())
        missed, peer.missed = peer.missed, []
        for message in missed:
            actor.tell(message)
        return True

    def expect(self, vm: str, incarnation: int, public_key: str) -> None:
        """See `Gateway`."""
        self.keys.give(vm, incarnation, public_key)
        self._drop(vm)

    def send(self, vm: str, message: Control) -> bool:
        """See `Gateway`."""
        self._doom.strike("send")
        peer = self.peers.get(vm)
        if isinstance(message, Play):
            self._laws.ordered(vm, message, peer.hello.incarnation if peer is not None else None)
        if peer is None:
            return False
        if isinstance(message, Play):
            order = Playing(message.attempt, message.evaluation, message.game, message.digest)
            self.watch(vm, order, message.time_limit_s)
        elif isinstance(message, Recall):
            self._laws.ahead.called_back(vm, message)
        peer.connection.down(message)
        return True

    def watch(self, vm: str, order: Playing, time_limit_s: float) -> None:
        """See `Gateway`."""
        if (peer := self.peers.get(vm)) is None or order.attempt in peer.orders:
            return
        if not peer.orders:
            self._expect_end(peer, time_limit_s)
        peer.orders[order.attempt] = (order, time_limit_s)

    def acknowledge(self, vm: str, attempt: str) -> None:
        """See `Gateway`."""
        self._laws.acknowledged(vm, attempt)
        if (peer := self.peers.get(vm)) is None:
            return
        peer.acknowledged.append(attempt)
        if not self._owed:  # no actor has to know when they go: the supervisor is not woken for it
            self._agenda.after(_ACKNOWLEDGE_S, self._send_acknowledgements)
        self._owed[vm] = peer

    # --- what connections use

    def heard(self, connection: "Connection", message: Control) -> None:
        """An agent said this. One that has not said hello on its connection is not heard."""
        if self._doom.is_dead:
            return
        if isinstance(message, Hello) and self._peer_of(connection) is None:
            self._came(connection, message)
        elif isinstance(message, Result) and (peer := self._peer_of(connection)) is not None:
            self._reported(peer, message)

    def ended(self, connection: "Connection") -> None:
        """A connection broke, and that could be seen."""
        if not self._doom.is_dead and self._peer_of(connection) is not None:
            self._drop(connection.vm)
            self._tell(connection.vm, AgentLeft())

    def fell_silent(self, connection: "Connection") -> None:
        """From now on nothing is heard on this connection; it still stands."""
        if self._doom.is_dead or self._peer_of(connection) is None:
            return
        heard_before_s = self._rng.random() * self._interval_s
        after_s = self._silence_s - heard_before_s + self._rng.random() * self._interval_s / 4
        since = self._loop.now()
        self._loop.call_later(after_s, partial(self._look_at, connection, since, after_s + heard_before_s))

    # ---

    def _came(self, connection: "Connection", hello: Hello) -> None:
        owner = self.keys.owner(connection.public_key)
        if owner != (hello.vm, hello.incarnation) or hello.vm not in self._actors:
            connection.down(Unwelcome("incarnation", f"{hello.vm} is not at incarnation {hello.incarnation}"))
            return
        self._drop(hello.vm)
        self.peers[hello.vm] = _Peer(connection, hello)
        connection.came()
        self._laws.ahead.came(hello)
        connection.down(self._welcome)
        self._tell(hello.vm, AgentHello(hello))  # a dead actor's successor is told when it is attached
        if connection.silent_since is not None:
            self.fell_silent(connection)

    def _reported(self, peer: _Peer, result: Result) -> None:
        was_first = result.attempt == next(iter(peer.orders), None)
        peer.orders.pop(result.attempt, None)
        if was_first:
            following = next(iter(peer.orders.values()), None)
            if following is None:
                peer.play_due = None
            else:
                self._expect_end(peer, following[1])
        vm = peer.hello.vm
        self._laws.ahead.reported(vm, result)
        told = AgentResult(peer.hello.incarnation, result)
        if not self._tell(vm, told):
            peer.missed.append(told)

    def _peer_of(self, connection: "Connection") -> _Peer | None:
        """What is known of this connection; None: it is not listened to."""
        peer = self.peers.get(connection.vm)
        return peer if peer is not None and peer.connection is connection else None

    def _drop(self, vm: str) -> None:
        if (peer := self.peers.pop(vm, None)) is not None:
            if peer.overdue is not None:
                peer.overdue.cancel()
            peer.connection.dropped()

    def _expect_end(self, peer: _Peer, time_limit_s: float) -> None:
        peer.play_due = self._loop.now() + time_limit_s + _OVERDUE_S
        if peer.overdue is None:
            peer.overdue = self._loop.call_at(peer.play_due, partial(self._look_for_overdue, peer))

    def _look_for_overdue(self, peer: _Peer) -> None:
        # One timer for a connection, not one for each order: most are over long before it rings.
        peer.overdue = None
        if peer.play_due is None:
            return
        if self._loop.now() < peer.play_due:
            peer.overdue = self._loop.call_at(peer.play_due, partial(self._look_for_overdue, peer))
            return
        peer.play_due = None
        self._tell(peer.hello.vm, AgentOverdue(next(iter(peer.orders)), _OVERDUE_S))

    def _look_at(self, connection: "Connection", since: float, seconds: float) -> None:
        if self._peer_of(connection) is not None and connection.silent_since == since:
            self._drop(connection.vm)
            self._tell(connection.vm, AgentQuiet(seconds))

    def _send_acknowledgements(self) -> None:
        owed, self._owed = self._owed, {}
        if self._doom.is_dead:
            return
        for vm, peer in owed.items():
            if self.peers.get(vm) is peer:
                attempts, peer.acknowledged = peer.acknowledged, []
                peer.connection.down(ResultAck(tuple(attempts)))

    def _tell(self, vm: str, message: object) -> bool:
        actor = self._actors.get(vm)
        if actor is None or not actor.is_alive():
            return False
        actor.tell(message)
        return True
