"""A gateway on loopback, turned by the test itself, and peers that dial it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from tzar_actors.client.protocol import TRAINER_PROTOCOL_VERSION, TrainerHello, TrainerWelcome, from_supervisor_codec
from tzar_actors.client.protocol import from_trainer_codec as trainer_codec
from tzar_actors.events.catalogue import Event
from tzar_actors.events.sink import RecordedEvents
from tzar_actors.gateway.blobs import BlobServer
from tzar_actors.gateway.control import ControlServer, Heartbeats
from tzar_actors.gateway.keys import KeyPair, KeyRing
from tzar_actors.gateway.spool import Spool
from tzar_actors.loop import Loop, PollWaiter
from tzar_agent.protocol.messages import PROTOCOL_VERSION, Hello, Welcome, blob_codec, control_codec

PATIENCE_S = 20.0
INTERVAL_S, MISSES = 1.0, 3
BLOB_LIMIT_BYTES = 5_000_000
WELCOME = Welcome(PROTOCOL_VERSION, 1, INTERVAL_S, MISSES, b"\x80", "tcp://127.0.0.1:1", None, 0)
TRAINER_WELCOME = TrainerWelcome(TRAINER_PROTOCOL_VERSION, 1, "fleet", "{}", "tcp://127.0.0.1:1", "spool", "token", 10)


class Clock:
    """Monotonic seconds that a test may move ahead."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


class Told:
    """Stands for an actor, and keeps what it was told."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.lives = True

    def tell(self, message: Any) -> None:
        self.messages.append(message)

    def is_alive(self) -> bool:
        return self.lives

    def of(self, kind: type) -> list[Any]:
        return [message for message in self.messages if isinstance(message, kind)]


class Dialled:
    """A peer's socket, with the key pair that it was given or with none."""

    def __init__(self, context: "zmq.Context[Any]", endpoint: str, server_key: str, pair: KeyPair | None) -> None:
        self.codec = control_codec()
        self.socket: zmq.Socket[bytes] = context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        if pair is not None:
            self.socket.curve_serverkey = server_key.encode()
            self.socket.curve_publickey, self.socket.curve_secretkey = pair.public.encode(), pair.secret.encode()
        self.socket.connect(endpoint)

    def say(self, message: Any) -> None:
        self.socket.send(self.codec.encode(message))

    def heard(self) -> list[Any]:
        """All that has arrived."""
        messages = []
        while self.socket.poll(0):
            messages.append(self.codec.decode(self.socket.recv()))
        return messages


class Gateway:
    """A control server and a blob server, with the loop, the keys and the events they use."""

    def __init__(self, spool: Path) -> None:
        self.clock, self.waiter = Clock(), PollWaiter()
        self.loop = Loop(self.clock, self.waiter, finish_round=lambda: self.control.flush())
        self.events = RecordedEvents()
        self.server_keys, self.trainer_keys = KeyPair.make(), KeyPair.make()
        self.keys = KeyRing(self.trainer_keys.public)
        self.context: zmq.Context[Any] = zmq.Context(io_threads=2)
        self.outside: zmq.Context[Any] = zmq.Context()
        self.control = ControlServer(
            self.loop,
            self.context,
            "tcp://127.0.0.1:0",
            self.server_keys,
            self.keys,
            Heartbeats(INTERVAL_S, MISSES),
            self.events,
        )
        self.spool = Spool(spool)
        self._dialled: list[Dialled] = []
        self.stored: list[tuple[bytes, int]] = []
        self.dropped: list[str] = []
        self.blobs = BlobServer(
            self.context,
            "tcp://127.0.0.1:0",
            self.server_keys,
            self.spool,
            BLOB_LIMIT_BYTES,
            lambda digest, size: self.stored.append((digest, size)),
            self.dropped.append,
        )
        self.dispatcher, self.fleet = Told(), Told()
        self.control.desk.open(lambda: TRAINER_WELCOME, self.dispatcher, self.fleet)
        self.control.open(lambda vm: WELCOME)
        self.blobs.start()

    def vm(self, name: str, incarnation: int = 1) -> tuple[KeyPair, Told]:
        """A VM that may come: its keys, and its actor."""
        pair, actor = KeyPair.make(), Told()
        self.control.expect(name, incarnation, pair.public)
        self.control.attach(name, actor)
        return pair, actor

    def dial(self, pair: KeyPair | None) -> Dialled:
        return self._dial(self.control.endpoint, pair)

    def dial_blobs(self, pair: KeyPair | None) -> Dialled:
        peer = self._dial(self.blobs.endpoint, pair)
        peer.codec = blob_codec()
        return peer

    def dial_as_trainer(self) -> Dialled:
        peer = self.dial(self.trainer_keys)
        sends, reads = trainer_codec(), from_supervisor_codec()
        sends.decode = reads.decode
        peer.codec = sends
        return peer

    def agent(self, name: str, incarnation: int = 1) -> tuple[Dialled, Told]:
        """An agent that was welcomed."""
        pair, actor = self.vm(name, incarnation)
        peer = self.dial(pair)
        peer.say(hello(name, incarnation))
        self.turn_until(lambda: peer.socket.poll(0))
        assert peer.heard() == [WELCOME]
        return peer, actor

    def trainer(self, name: str = "trainer") -> Dialled:
        """A trainer that was welcomed."""
        peer = self.dial_as_trainer()
        peer.say(TrainerHello(TRAINER_PROTOCOL_VERSION, name, "test"))
        self.turn_until(lambda: peer.socket.poll(0))
        assert peer.heard() == [TRAINER_WELCOME]
        return peer

    def turn_until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"it did not come to that; events: {self.events.events}"
            self.loop.turn(0.02)

    def turn_for(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.loop.turn(0.02)

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events.events if isinstance(event, kind)]

    def _dial(self, endpoint: str, pair: KeyPair | None) -> Dialled:
        peer = Dialled(self.outside, endpoint, self.server_keys.public, pair)
        self._dialled.append(peer)
        return peer

    def close(self) -> None:
        for peer in self._dialled:
            peer.socket.close()
        self.outside.term()
        self.blobs.close()
        self.control.close()
        self.context.term()
        self.waiter.close()


def hello(vm: str, incarnation: int = 1, version: int = PROTOCOL_VERSION) -> Hello:
    return Hello(version, vm, incarnation, "test", 1, None, (), 1)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path / "spool")
    yield gateway
    gateway.close()


@pytest.fixture(name="hello")
def hello_of() -> Callable[..., Hello]:
    return hello
