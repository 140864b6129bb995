"""The gateway of a simulated supervisor: what the real one does for the actors, with connections instead of sockets.

It counts no heartbeats: a connection says when it has fallen silent, and the gateway tells its actor as late as the
real one would.
"""

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
from tzar_actors.client.protocol import FromSupervisor, FromTrainer, Rejected
from tzar_actors.gateway.keys import KeyRing
from tzar_actors.loop import Loop, Timer
from tzar_actors.simulation.journal import Doom
from tzar_agent.protocol.messages import Control, Hello, Play, Result, ResultAck, Unwelcome, Welcome

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

    def accept(self, trainer: str, key: str) -> None:
        """See `TrainerPort`."""
        self._laws.accepted(trainer, key)
        if (there := self._trainers.get(trainer)) is not None:
            there.accepted(key)

    def deliver(self, trainer: str, ended: bytes) -> None:
        """See `TrainerPort`."""
        outcome = self._laws.delivered(trainer, ended, is_there=trainer in self._trainers)
        if (there := self._trainers.get(trainer)) is not None:
            there.delivered(outcome)

    def tell(self, trainer: str, message: FromSupervisor) -> None:
        """See `TrainerPort`."""
        if isinstance(message, Rejected):
            self._laws.rejected(trainer, message)
            if (there := self._trainers.get(trainer)) is not None:
                there.rejected(message)


class SimulatedGateway:
    """The agents' end. One life of the supervisor has one.

    Args:
        loop: of this life.
        welcome: what an agent is told when it comes.
        silence_s: without a word until an agent is silent.
        interval_s: between two heartbeats.
        rng: for when exactly silence is noticed.
        laws: check what goes out.
        doom: when this life is to end.
    """

    def __init__(
        self, loop: Loop, welcome: Welcome, silence_s: float, interval_s: float, rng: Random, laws: "Laws", doom: Doom
    ) -> None:
        self.desk = SimulatedDesk(laws)
        self.keys = KeyRing("")
        self.peers: dict[str, Connection] = {}
        self._loop = loop
        self._welcome = welcome
        self._silence_s = silence_s
        self._interval_s = interval_s
        self._rng = rng
        self._laws = laws
        self._doom = doom
        self._actors: dict[str, pykka.ActorRef[Any]] = {}
        self._overdue: dict[str, Timer] = {}
        self._acknowledged: dict[str, list[str]] = {}

    # --- what actors use: see `Gateway`

    def attach(self, vm: str, actor: "pykka.ActorRef[Any]") -> None:
        """See `Gateway`."""
        self._actors[vm] = actor

    def expect(self, vm: str, incarnation: int, public_key: str) -> None:
        """See `Gateway`."""
        self.keys.give(vm, incarnation, public_key)
        self._drop(vm)

    def send(self, vm: str, message: Control) -> bool:
        """See `Gateway`."""
        self._doom.strike("send")
        peer = self.peers.get(vm)
        if isinstance(message, Play):
            self._laws.ordered(vm, message, peer.incarnation if peer is not None else None)
        if peer is None:
            return False
        if isinstance(message, Play):
            self.watch(vm, message.attempt, message.time_limit_s)
        peer.down(message)
        return True

    def watch(self, vm: str, attempt: str, time_limit_s: float) -> None:
        """See `Gateway`."""
        if (connection := self.peers.get(vm)) is None:
            return
        connection.attempt = attempt
        if (timer := self._overdue.get(vm)) is not None:
            timer.cancel()

        def overdue() -> None:
            if self.peers.get(vm) is connection and connection.silent_since is None:
                self._tell(vm, AgentOverdue(attempt, _OVERDUE_S))

        self._overdue[vm] = self._loop.call_later(time_limit_s + _OVERDUE_S, overdue)

    def acknowledge(self, vm: str, attempt: str) -> None:
        """See `Gateway`."""
        self._laws.acknowledged(vm, attempt)
        if vm not in self.peers:
            return
        if not self._acknowledged:
            self._loop.call_later(_ACKNOWLEDGE_S, self._send_acknowledgements)
        self._acknowledged.setdefault(vm, []).append(attempt)

    # --- what connections use

    def heard(self, connection: "Connection", message: Control) -> None:
        """An agent said this. One that has not said hello on its connection is not heard."""
        if self._doom.is_dead:
            return
        if isinstance(message, Hello) and self.peers.get(connection.vm) is not connection:
            self._came(connection, message)
        elif self.peers.get(connection.vm) is connection and isinstance(message, Result):
            if (timer := self._overdue.get(connection.vm)) is not None and connection.attempt == message.attempt:
                timer.cancel()
            self._laws.reported(connection.vm, message)
            self._tell(connection.vm, AgentResult(connection.incarnation, message))

    def ended(self, connection: "Connection") -> None:
        """A connection broke, and that could be seen."""
        if not self._doom.is_dead and self.peers.get(connection.vm) is connection:
            self._drop(connection.vm)
            self._tell(connection.vm, AgentLeft())

    def fell_silent(self, connection: "Connection") -> None:
        """From now on nothing is heard on this connection; it still stands."""
        if self._doom.is_dead or self.peers.get(connection.vm) is not connection:
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
        self.peers[hello.vm] = connection
        connection.came(hello)
        self._laws.came(hello)
        connection.down(self._welcome)
        self._tell(hello.vm, AgentHello(hello))
        if connection.silent_since is not None:
            self.fell_silent(connection)

    def _drop(self, vm: str) -> None:
        if (peer := self.peers.pop(vm, None)) is not None:
            if (timer := self._overdue.pop(vm, None)) is not None:
                timer.cancel()
            self._acknowledged.pop(vm, None)
            peer.dropped()

    def _look_at(self, connection: "Connection", since: float, seconds: float) -> None:
        if self.peers.get(connection.vm) is connection and connection.silent_since == since:
            self._drop(connection.vm)
            self._tell(connection.vm, AgentQuiet(seconds))

    def _send_acknowledgements(self) -> None:
        waiting, self._acknowledged = self._acknowledged, {}
        for vm, attempts in waiting.items():
            if (peer := self.peers.get(vm)) is not None:
                peer.down(ResultAck(tuple(attempts)))

    def _tell(self, vm: str, message: object) -> None:
        actor = self._actors.get(vm)
        if actor is not None and actor.is_alive():
            actor.tell(message)
