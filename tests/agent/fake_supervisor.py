"""A supervisor as small as can be: one ROUTER with CURVE that says what a test tells it to, and records what it hears.

The agent on the other side is a real process.
"""

import contextlib
import hashlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import zmq

from tzar_agent.protocol.codec import pack_value
from tzar_agent.protocol.identity import Identity
from tzar_agent.protocol.messages import (
    AgentHeartbeat,
    Chunk,
    Control,
    Get,
    Hello,
    Missing,
    Play,
    Result,
    ResultAck,
    SupervisorHeartbeat,
    Welcome,
    blob_codec,
    control_codec,
)
from tzar_agent.tree import end_marked

Message = TypeVar("Message")


class FakeSupervisor:
    """Answers heartbeats and requests for blobs by itself; everything else a test does."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.fleet = f"test-{secrets.token_hex(6)}"
        self.vm = "vm-1"
        self.evaluator: Mapping[str, Any] = {"kind": "inline", "target": "games:one", "path": []}
        self.interval_s = 0.1
        self.misses = 50
        self.spool: Path | None = None
        self.cache_bytes = 64 * 1024 * 1024
        self.blobs: dict[bytes, bytes] = {}
        self.gets = 0
        self.holds_blobs = False  # requests for blobs stay without an answer
        self.answers_heartbeats = True
        self.heard: list[Control] = []
        self.agents: list[subprocess.Popen[bytes]] = []
        self._server_public, self._server_secret = zmq.curve_keypair()
        self._vm_public, self._vm_secret = zmq.curve_keypair()
        self._control, self._blob = control_codec(), blob_codec()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._port = 0
        self._router: zmq.Socket[bytes] | None = None
        self._peer = b""
        self._blob_router = self._bound(0)
        self.listen()

    # the socket

    def listen(self) -> None:
        """Binds the control socket; after `vanish`, on the same port."""
        self._router = self._bound(self._port)
        self._port = int(self._router.get_string(zmq.LAST_ENDPOINT).rpartition(":")[2])

    def vanish(self) -> None:
        """Closes the control socket, as a supervisor's death does."""
        assert self._router is not None
        self._router.close(linger=0)
        self._router = None

    def _bound(self, port: int) -> "zmq.Socket[bytes]":
        socket = self._context.socket(zmq.ROUTER)
        socket.set(zmq.CURVE_SERVER, 1)
        socket.set_string(zmq.CURVE_SECRETKEY, self._server_secret.decode())
        give_up_at = time.monotonic() + 5
        while True:
            try:
                socket.bind(f"tcp://127.0.0.1:{port or '*'}")
                return socket
            except zmq.ZMQError:  # a socket is closed by another thread, a moment after `close`
                if time.monotonic() > give_up_at:
                    socket.close(linger=0)
                    raise

    def send(self, message: Control) -> None:
        self.send_raw(self._control.encode(message))

    def send_raw(self, *frames: bytes) -> None:
        assert self._router is not None
        self._router.send_multipart([self._peer, *frames])

    def pump(self, seconds: float) -> list[Control]:
        """Reads for at most `seconds`, until something came in that is no heartbeat; returns what was heard."""
        poller = zmq.Poller()
        for socket in (self._router, self._blob_router):
            if socket is not None:
                poller.register(socket, zmq.POLLIN)
        fresh: list[Control] = []
        for socket, _ in poller.poll(int(seconds * 1000)):
            peer, *frames = socket.recv_multipart()
            if socket is self._blob_router:
                self._serve_blob(peer, frames)
                continue
            message = self._control.decode(frames[0])
            if isinstance(message, Hello):
                self._peer = peer
            if isinstance(message, AgentHeartbeat) and self.answers_heartbeats and peer == self._peer:
                self.send(SupervisorHeartbeat(message.number))
            fresh.append(message)
        self.heard += fresh
        return fresh

    def _serve_blob(self, peer: bytes, frames: list[bytes]) -> None:
        request = self._blob.decode(frames[0])
        assert isinstance(request, Get)
        self.gets += 1
        if self.holds_blobs:
            return
        data = self.blobs.get(request.digest)
        if data is None:
            self._blob_router.send_multipart([peer, self._blob.encode(Missing(request.digest, "never heard of it"))])
            return
        head = self._blob.encode(Chunk(request.digest, request.offset))
        chunk = data[request.offset : request.offset + request.length]
        self._blob_router.send_multipart([peer, head, chunk])

    # expectations

    def until(self, condition: Callable[[], object], timeout_s: float = 15.0) -> None:
        """Pumps until `condition` holds."""
        give_up_at = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < give_up_at, f"waited {timeout_s} s; heard {self.heard[-8:]}\n{self.log()}"
            self.pump(0.02)

    def expect(self, kind: type[Message], where: Callable[[Message], object] = lambda _: True) -> Message:
        """The next message of this kind (from now on), which it takes out of `heard`."""
        found: list[Message] = []

        def look() -> bool:
            for message in self.heard:
                if isinstance(message, kind) and where(message):
                    self.heard.remove(message)
                    found.append(message)
                    return True
            return False

        self.until(look)
        return found[0]

    def result(self, attempt: str, *, ack: bool = True) -> Result:
        result = self.expect(Result, lambda r: r.attempt == attempt)
        if ack:
            self.send(ResultAck((attempt,)))
        return result

    def welcome(self) -> Hello:
        """Waits for a hello and answers it with a welcome."""
        hello = self.expect(Hello)
        self.send(
            Welcome(
                version=1,
                epoch=1,
                heartbeat_interval_s=self.interval_s,
                misses=self.misses,
                evaluator=pack_value(self.evaluator, 65536),
                blobs=self._blob_router.get_string(zmq.LAST_ENDPOINT),
                spool=None if self.spool is None else str(self.spool),
                cache_bytes=self.cache_bytes,
            )
        )
        return hello

    def play(
        self,
        attempt: str,
        genome: bytes = b"genome",
        *,
        inline: bool = True,
        seed: int = 7,
        params: Mapping[str, Any] | None = None,
        time_limit_s: float = 60.0,
        stall_s: float | None = None,
    ) -> Play:
        digest = hashlib.sha256(genome).digest()
        play = Play(
            attempt=attempt,
            evaluation=f"evaluation of {attempt}",
            game=0,
            digest=digest,
            size=len(genome),
            genome=genome if inline else None,
            params=pack_value(dict(params or {}), 65536),
            seed=seed,
            time_limit_s=time_limit_s,
            stall_s=stall_s,
        )
        self.send(play)
        return play

    # the agent

    def identify(self, incarnation: int = 1, orphan_s: float | None = None) -> None:
        """Delivers an identity."""
        identity = Identity(
            fleet=self.fleet,
            vm=self.vm,
            incarnation=incarnation,
            endpoint=f"tcp://127.0.0.1:{self._port}",
            server_key=self._server_public.decode(),
            public_key=self._vm_public.decode(),
            secret_key=self._vm_secret.decode(),
            entropy=secrets.token_hex(32),
            time=time.time(),
            orphan_s=orphan_s,
        )
        self.home.mkdir(parents=True, exist_ok=True)
        fresh = self.home / "identity.new"
        fresh.write_text(identity.to_json(), encoding="utf-8")
        fresh.replace(self.home / "identity.json")

    def start_agent(self) -> "subprocess.Popen[bytes]":
        """Starts an agent in the home, marked as the local driver marks its agents."""
        env = {**os.environ, "TZAR_FLEET": self.fleet, "TZAR_VM": self.vm}
        argv = [sys.executable, "-m", "tzar_agent", "run", "--home", str(self.home)]
        agent = subprocess.Popen(argv, env=env)
        self.agents.append(agent)
        return agent

    def log(self) -> str:
        path = self.home / "agent.log"
        return path.read_text(encoding="utf-8") if path.exists() else "no log"

    def close(self) -> None:
        for agent in self.agents:
            if agent.poll() is None:
                agent.send_signal(signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
            agent.wait(10)
        end_marked(self.fleet)
        for socket in (self._router, self._blob_router):
            if socket is not None:
                socket.close(linger=0)
        self._context.term()


@contextlib.contextmanager
def fake_supervisor(home: Path) -> Iterator[FakeSupervisor]:
    supervisor = FakeSupervisor(home)
    try:
        yield supervisor
    finally:
        supervisor.close()


def python_evaluator(folder: Path, source: str, **keys: Any) -> dict[str, Any]:
    """An evaluator of kind `python` whose function `play` is defined by `source`."""
    name = f"game_{secrets.token_hex(4)}"
    (folder / f"{name}.py").write_text(source, encoding="utf-8")
    return {"kind": "python", "target": f"{name}:play", "path": [str(folder)], **keys}


def details_of(result: Result) -> Any:
    from tzar_agent.protocol.codec import unpack_value

    return unpack_value(result.details)


def describe(result: Result) -> str:
    return json.dumps({"status": result.status, "reason": result.reason}, indent=1)
