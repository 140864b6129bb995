"""The control socket: decodes what arrives, tells the actor it is for, and sends what actors say.

It decides only who somebody is. Heartbeats are counted here; actors hear of silence, never of single beats.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pykka
import zmq
from zmq.utils.monitor import recv_monitor_message

from tzar_actors.actors.messages import AgentHello, AgentLeft, AgentOverdue, AgentQuiet, AgentResult
from tzar_actors.client.protocol import SUBMIT_LIMIT_BYTES
from tzar_actors.events.catalogue import AgentRefused, FrameDropped, LoopLate, PeerRejected
from tzar_actors.events.sink import EventSink
from tzar_actors.gateway.addresses import keep_alive
from tzar_actors.gateway.agent_mail import AgentMail
from tzar_actors.gateway.authority import Authority
from tzar_actors.gateway.complaints import Complaints
from tzar_actors.gateway.keys import KeyPair, KeyRing
from tzar_actors.gateway.peers import AgentPeer, Peer, Peers, Stranger, TrainerPeer
from tzar_actors.gateway.trainers import TrainerDesk
from tzar_actors.gateway.welcome import refusal_of
from tzar_actors.loop import Loop
from tzar_agent.protocol.codec import DecodeError
from tzar_agent.protocol.messages import (
    AgentHeartbeat,
    Bye,
    Control,
    Hello,
    Play,
    Playing,
    Progress,
    Result,
    SupervisorHeartbeat,
    Welcome,
    control_codec,
)

__all__ = ["ControlServer", "Heartbeats"]

_READ_AT_ONCE_BYTES: Final = 100_000  # in one turn, and 500 for each frame: much to read keeps nobody waiting
_MORE: Final = zmq.SNDMORE | zmq.NOBLOCK  # made once: an enumeration's `|` costs as much as sending does
_OVERDUE_S: Final = 30.0  # after a game's own limit: the agent should have ended it by itself
_SEND_QUEUE: Final = 10_000  # messages that wait for a peer that does not read


@dataclass(frozen=True, slots=True)
class Heartbeats:
    """How long silence may last.

    Args:
        interval_s: between two heartbeats of an agent.
        misses: that many intervals without a word, and it is silent.
    """

    interval_s: float
    misses: int


class ControlServer:
    """The ROUTER that agents and trainers dial.

    Args:
        loop: whose thread owns the socket.
        context: shared with the blob server, whose peers are let in by the same keys.
        endpoint: where to listen, as ZeroMQ writes it; port 0: any that is free.
        server: its own key pair.
        keys: who may come in.
        heartbeats: when silence counts.
        log: for what is refused and dropped.
    """

    def __init__(
        self,
        loop: Loop,
        context: "zmq.Context[Any]",
        endpoint: str,
        server: KeyPair,
        keys: KeyRing,
        heartbeats: Heartbeats,
        log: EventSink,
    ) -> None:
        self.keys = keys
        self.peers = Peers()
        self._loop = loop
        self._log = log
        self._heartbeats = heartbeats
        self._codec = control_codec()
        self._mail = AgentMail(loop, self.peers, self._send_to)
        self._late_told_s = 0.0
        self._welcome: Callable[[str], Welcome] | None = None
        self._actors: dict[str, pykka.ActorRef[Any]] = {}
        self.complaints = Complaints(loop.now, log)
        self._authority = Authority(
            context, keys, lambda address: self.complaints.tell(PeerRejected(address, "unknown key"))
        )
        self._socket: zmq.Socket[bytes] = context.socket(zmq.ROUTER)
        self._socket.curve_server = True
        self._socket.curve_publickey, self._socket.curve_secretkey = server.public.encode(), server.secret.encode()
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._socket.setsockopt(zmq.MAXMSGSIZE, SUBMIT_LIMIT_BYTES)
        self._socket.setsockopt(zmq.SNDHWM, _SEND_QUEUE)
        self._socket.setsockopt(zmq.RCVHWM, _SEND_QUEUE)
        self._socket.setsockopt(zmq.LINGER, 500)
        keep_alive(self._socket, endpoint)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError:  # what is open would keep the context from its end, and another server from its beginning
            self._socket.close(0)
            self._authority.stop()
            raise
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self.desk = TrainerDesk(self.peers, self._send_to, log)

    def open(self, welcome: Callable[[str], Welcome]) -> None:
        """Begins to read. `welcome` is what the agent of a VM is told when it comes."""
        self._welcome = welcome
        self._loop.waiter.watch(self._monitor, self._read_monitor, reads_all=True)
        self._loop.waiter.watch(self._socket, self._read)
        self._loop.waiter.watch(self._authority.zap_socket, self._authority.read, reads_all=True)
        self._look_for_silence()

    def close(self) -> None:
        """Stops listening. What was sent before still goes out, for half a second."""
        self.flush()
        for source in (self._monitor, self._socket, self._authority.zap_socket):
            self._loop.waiter.unwatch(source)
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.close()
        self._authority.stop()
        self.complaints.close()

    def attach(self, vm: str, actor: "pykka.ActorRef[Any]") -> bool:
        """What the agent of `vm` says is told to `actor`, from the hello of a connection that is there already.

        Returns whether there is one.
        """
        self._actors[vm] = actor
        if (peer := self.peers.agents.get(vm)) is None:
            return False
        peer.actor = actor
        actor.tell(peer.as_hello())
        missed, peer.missed = peer.missed, []
        for message in missed:
            actor.tell(message)
        return True

    def expect(self, vm: str, incarnation: int, public_key: str) -> None:
        """From now on only this key speaks for `vm`; an older incarnation's connection is heard no more."""
        self.keys.give(vm, incarnation, public_key)
        if (peer := self.peers.agents.get(vm)) is not None:
            self.peers.drop(peer)

    def send(self, vm: str, message: Control) -> bool:
        """Sends to the VM's agent with the next `flush`. False: it is not connected, so nothing will be sent."""
        peer = self.peers.agents.get(vm)
        if peer is None:
            return False
        if isinstance(message, Play):
            self.watch(vm, message, message.time_limit_s)
        self._mail.say(peer, message)
        return True

    def flush(self) -> None:
        """Sends what was said to agents. Called when the loop has no mail left, and before it commits."""
        self._mail.flush()

    def watch(self, vm: str, order: Play | Playing, time_limit_s: float) -> None:
        """The VM's agent has this order: its actor is told when it has not ended a while after its limit.

        Args:
            vm: its name.
            order: what it plays, or what it plays after the orders that it has already.
            time_limit_s: that its game may last, from now on or from the end of the one before.
        """
        if (peer := self.peers.agents.get(vm)) is not None and order.attempt not in peer.orders:
            if not peer.orders:
                peer.play_due = self._loop.now() + time_limit_s + _OVERDUE_S
            peer.orders[order.attempt] = (order, time_limit_s)

    def acknowledge(self, vm: str, attempt: str) -> None:
        """Tells the VM's agent, soon, that it may forget this result. Is it not connected, it will send it again."""
        if (peer := self.peers.agents.get(vm)) is not None:
            self._mail.acknowledge(peer, attempt)

    def _send_to(self, peer: Peer, frame: bytes) -> bool:
        try:
            self._socket.send(peer.route, _MORE)
            self._socket.send(frame, zmq.NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                raise
            # It is gone, or does not read: in both cases its next connection is a new start.
            self.complaints.tell(FrameDropped(_name(peer), f"could not be sent: {error}"))
            self._lose(peer)
            return False
        return True

    def _read(self) -> None:
        socket, routes = self._socket, self.peers.by_route
        budget = _READ_AT_ONCE_BYTES
        while budget > 0:
            try:
                route = socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            part = socket.recv(zmq.NOBLOCK, copy=False)  # as a `Frame`, which knows its peer and whether more follows
            frame = part.bytes
            peer = routes.get(route)
            if peer is None:
                key, address = str(part.get("User-Id")), str(part.get("Peer-Address"))
                peer = Stranger(route, _number(part.get(zmq.SRCFD)), key, address)
                self.peers.add(peer)
            while part.more:
                part = socket.recv(zmq.NOBLOCK, copy=False)
                frame = b""  # nobody sends more than one frame here
            budget -= 500 + len(frame)
            try:
                self._handle(peer, frame)
            except DecodeError as error:
                self.complaints.tell(FrameDropped(_name(peer), str(error)))

    def _handle(self, peer: Peer, frame: bytes) -> None:
        match peer:
            case AgentPeer():
                self._from_agent(peer, self._codec.decode(frame))
            case TrainerPeer():
                self.desk.said(peer, frame)
            case Stranger():
                if self.keys.is_trainer(peer.public_key):
                    self.desk.came(peer, frame)
                else:
                    self._agent_came(peer, self._codec.decode(frame))

    def _agent_came(self, peer: Stranger, message: Control) -> None:
        if not isinstance(message, Hello):
            raise DecodeError(f"a connection begins with hello, not with {message.TAG}")
        refusal = refusal_of(message, self.keys.owner(peer.public_key), message.vm in self._actors)
        if refusal is not None:
            self.complaints.tell(AgentRefused(peer.address, refusal.reason))
            self._send_to(peer, self._codec.encode(refusal))
            return
        actor = self._actors[message.vm]
        agent = AgentPeer(
            peer.route,
            peer.fd,
            message.vm,
            message.incarnation,
            actor,
            message.pid,
            self._loop.now(),
            self._loop.late_s,
            message,
        )
        self.peers.add(agent)
        if self._welcome is None:
            return
        self._mail.say(agent, self._welcome(message.vm))
        if actor.is_alive():  # else its successor is told
            actor.tell(AgentHello(message))

    def _from_agent(self, peer: AgentPeer, message: Control) -> None:
        peer.heard_at, peer.late_s = self._loop.now(), self._loop.late_s
        match message:
            case Result():
                peer.reported(message.attempt, _OVERDUE_S)
                told = AgentResult(peer.incarnation, message)
                if peer.actor.is_alive():
                    peer.actor.tell(told)
                else:
                    peer.missed.append(told)
            case AgentHeartbeat():
                peer.progress, peer.load, peer.memory_bytes = message.progress, message.load, message.memory_bytes
                self._mail.say(peer, SupervisorHeartbeat(message.number))
            case Progress():
                peer.progress = message.count
            case Bye():
                self._lose(peer)
            case _:
                raise DecodeError(f"an agent does not send {message.TAG} here")

    def _lose(self, peer: Peer) -> None:
        self.peers.drop(peer)
        if isinstance(peer, AgentPeer):
            if peer.actor.is_alive():  # else its successor learns of the connection by its absence
                peer.actor.tell(AgentLeft())
        elif isinstance(peer, TrainerPeer):
            self.desk.left(peer)

    def _read_monitor(self) -> None:
        gone: list[Peer] = []
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)
            if event["event"] == zmq.EVENT_ACCEPTED:
                self.peers.accepted(event["value"])
            elif event["event"] == zmq.EVENT_DISCONNECTED and (peer := self.peers.of_fd(event["value"])) is not None:
                gone.append(peer)
        if gone:
            self._read()  # its last words came before its end
        for peer in gone:
            if self.peers.by_route.get(peer.route) is peer:
                self._lose(peer)

    def _look_for_silence(self) -> None:
        now, late_s = self._loop.now(), self._loop.late_s
        if late_s > self._late_told_s:
            self._log.emit(LoopLate(late_s - self._late_told_s))
            self._late_told_s = late_s
        self.complaints.sweep()
        limit_s = self._heartbeats.interval_s * self._heartbeats.misses
        for peer in list(self.peers.agents.values()):
            silent_s = now - peer.heard_at - (late_s - peer.late_s)
            if silent_s > limit_s:
                self.peers.drop(peer)
                if peer.actor.is_alive():
                    peer.actor.tell(AgentQuiet(silent_s))
            elif peer.play_due is not None and now > peer.play_due:
                attempt, overdue_s = next(iter(peer.orders)), now - peer.play_due + _OVERDUE_S
                peer.play_due = None
                if peer.actor.is_alive():
                    peer.actor.tell(AgentOverdue(attempt, overdue_s))
        self._loop.call_later(self._heartbeats.interval_s / 4, self._look_for_silence)


def _number(value: object) -> int:
    return value if isinstance(value, int) else -1


def _name(peer: Peer) -> str:
    match peer:
        case AgentPeer():
            return peer.vm
        case TrainerPeer():
            return peer.trainer
        case Stranger():
            return f"key {peer.public_key[:8]}"
