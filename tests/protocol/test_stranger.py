"""The test client that was written from the page, against a supervisor as small as can be."""

import ast
import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import zmq

from tzar_agent.protocol.codec import pack_value
from tzar_agent.protocol.identity import Identity
from tzar_agent.protocol.messages import (
    BLOB_CHUNK_BYTES,
    BLOB_WINDOW,
    AgentHeartbeat,
    Bye,
    Cancel,
    Chunk,
    Get,
    Hello,
    Missing,
    Play,
    Playing,
    Progress,
    Result,
    ResultAck,
    SupervisorHeartbeat,
    Unwelcome,
    Welcome,
    blob_codec,
    control_codec,
)

STRANGER = Path(__file__).parents[1] / "e2e" / "stranger.py"
PATIENCE_S = 20.0
EMPTY = pack_value({}, 10)

Message = TypeVar("Message")


class TinySupervisor:
    """Two ROUTERs with CURVE. It answers heartbeats; all else a test says by itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.context: zmq.Context[Any] = zmq.Context()
        self.server, self.vm = zmq.curve_keypair(), zmq.curve_keypair()
        self.codec, self.blob_codec = control_codec(), blob_codec()
        self.heard: list[Any] = []
        self.answers_heartbeats = True
        self.route = b""
        self.control, self.blobs = self.bound("tcp://127.0.0.1:*"), self.bound("tcp://127.0.0.1:*")
        self.endpoint = self.control.getsockopt_string(zmq.LAST_ENDPOINT)
        self.processes: list[subprocess.Popen[str]] = []

    def bound(self, endpoint: str) -> Any:
        socket = self.context.socket(zmq.ROUTER)
        socket.curve_server = True
        socket.curve_publickey, socket.curve_secretkey = self.server
        socket.setsockopt(zmq.LINGER, 500)
        try:
            socket.bind(endpoint)
        except zmq.ZMQError:
            socket.close()
            raise
        return socket

    def restart(self) -> None:
        """Its death and its return on the same port."""
        self.control.close(linger=0)
        self.heard.clear()
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.control = self.bound(self.endpoint)
                return
            except zmq.ZMQError:  # the port is let go a moment after the close
                assert time.monotonic() < deadline

    def start(self, *options: str) -> "subprocess.Popen[str]":
        server, public, secret = (key.decode() for key in (self.server[0], *self.vm))
        identity = Identity("fleet-1", "tzar-07", 3, self.endpoint, server, public, secret, "00" * 32, 0.0, None)
        path = self.folder / "identity.json"
        path.write_text(identity.to_json(), encoding="utf-8")
        argv = [sys.executable, str(STRANGER), str(path), "--folder", str(self.folder / "kept"), *options]
        process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
        self.processes.append(process)
        return process

    def say(self, message: Any) -> None:
        self.control.send_multipart([self.route, self.codec.encode(message)])

    def wait_for(self, kind: type[Message], is_meant: Callable[[Message], bool] = lambda _: True) -> Message:
        """The first such message since the last `forget`."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for message in self.heard:
                if isinstance(message, kind) and is_meant(message):
                    return message
            assert self.control.poll(max(0, int(1000 * (deadline - time.monotonic())))), f"no {kind.__name__} came"
            self.listen()

    def listen(self) -> None:
        self.route, frame = self.control.recv_multipart()
        message = self.codec.decode(frame)
        self.heard.append(message)
        if isinstance(message, AgentHeartbeat) and self.answers_heartbeats:
            self.say(SupervisorHeartbeat(message.number))

    def welcome(self, interval_s: float = 0.1, misses: int = 100) -> Hello:
        hello = self.wait_for(Hello)
        blobs = self.blobs.getsockopt_string(zmq.LAST_ENDPOINT)
        self.say(Welcome(1, 1, interval_s, misses, EMPTY, blobs, None, 0))
        return hello

    def wait_for_get(self) -> tuple[bytes, Get]:
        assert self.blobs.poll(int(1000 * PATIENCE_S)), "no get came"
        route, frame = self.blobs.recv_multipart()
        message = self.blob_codec.decode(frame)
        assert isinstance(message, Get)
        return route, message

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()
        self.context.destroy(linger=0)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[TinySupervisor]:
    supervisor = TinySupervisor(tmp_path)
    yield supervisor
    supervisor.close()


def order(attempt: str, genome: bytes, *, inline: bool = True, limit_s: float = 60.0) -> Play:
    digest = hashlib.sha256(genome).digest()
    return Play(attempt, "e-1", 2, digest, len(genome), genome if inline else None, EMPTY, 7, limit_s, None)


def test_the_stranger_imports_nothing_of_ours() -> None:
    tree = ast.parse(STRANGER.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    others = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)
    assert others == {"msgpack", "zmq"}


def test_it_registers_and_lives_and_plays(supervisor: TinySupervisor, tmp_path: Path) -> None:
    process = supervisor.start()
    hello = supervisor.welcome()
    assert (hello.version, hello.vm, hello.incarnation, hello.pid) == (1, "tzar-07", 3, process.pid)
    assert (hello.playing, hello.kept) == (None, ())
    assert not (tmp_path / "identity.json").exists()
    supervisor.wait_for(AgentHeartbeat, lambda beat: beat.number == 3)
    play = order("1.1", b"genome" * 100)
    supervisor.say(play)
    assert supervisor.wait_for(Progress) == Progress("1.1", 0)
    result = supervisor.wait_for(Result)
    assert (result.attempt, result.evaluation, result.game, result.digest) == ("1.1", "e-1", 2, play.digest)
    assert (result.status, result.fitness) == ("scored", float(sum(b"genome" * 100) % 1000))


def test_it_fetches_a_genome_with_a_bounded_window(supervisor: TinySupervisor) -> None:
    genome = hashlib.sha256(b"seed").digest() * (12 * BLOB_CHUNK_BYTES // 32) + b"the end"
    supervisor.start()
    supervisor.welcome()
    supervisor.say(order("1.1", genome, inline=False))
    asked: list[int] = []
    under_way: list[tuple[bytes, Get]] = []
    while len(asked) < 13:
        while len(under_way) < min(BLOB_WINDOW, 13 - len(asked) + len(under_way)):
            under_way.append(supervisor.wait_for_get())
            asked.append(under_way[-1][1].offset)
        assert not supervisor.blobs.poll(50), "more gets are under way than the window allows"
        give(supervisor, *under_way.pop(0), genome)
    for route, get in under_way:
        give(supervisor, route, get, genome)
    assert asked == [i * BLOB_CHUNK_BYTES for i in range(13)]
    assert supervisor.wait_for(Result).fitness == float(sum(genome) % 1000)


def give(supervisor: TinySupervisor, route: bytes, get: Get, genome: bytes) -> None:
    head = supervisor.blob_codec.encode(Chunk(get.digest, get.offset))
    supervisor.blobs.send_multipart([route, head, genome[get.offset : get.offset + get.length]])


@pytest.mark.parametrize("answer", ["missing", "another"])
def test_a_genome_that_cannot_be_had_is_no_fault_of_the_genome(supervisor: TinySupervisor, answer: str) -> None:
    supervisor.start()
    supervisor.welcome()
    supervisor.say(order("1.1", b"a genome", inline=False))
    route, get = supervisor.wait_for_get()
    if answer == "missing":
        supervisor.blobs.send_multipart([route, supervisor.blob_codec.encode(Missing(get.digest, "no such blob"))])
    else:
        give(supervisor, route, get, b"a gnomee")
    result = supervisor.wait_for(Result)
    assert (result.status, result.fitness) == ("agent_fault", None)
    assert "genome cannot be had" in result.reason


def test_a_result_is_kept_until_it_is_acknowledged_whoever_dies(supervisor: TinySupervisor) -> None:
    process = supervisor.start()
    supervisor.welcome()
    supervisor.say(order("1.1", b"x"))
    first = supervisor.wait_for(Result)

    supervisor.restart()
    assert supervisor.welcome().kept == ("1.1",)
    assert supervisor.wait_for(Result) == first

    process.kill()
    process.wait(PATIENCE_S)
    supervisor.heard.clear()
    supervisor.start()
    assert supervisor.welcome().kept == ("1.1",)
    assert supervisor.wait_for(Result) == first

    supervisor.say(ResultAck(("1.1", "never heard of")))
    supervisor.wait_for(AgentHeartbeat)  # it has read the acknowledgement before it reads what follows
    supervisor.say(order("1.2", b"y"))
    supervisor.wait_for(Result, lambda result: result.attempt == "1.2")
    supervisor.restart()
    assert supervisor.welcome().kept == ("1.2",)


def test_a_repeated_order_is_not_played_twice_and_a_second_one_is_refused(supervisor: TinySupervisor) -> None:
    supervisor.start("--game-s", "1.5")
    supervisor.welcome()
    supervisor.say(order("1.1", b"x"))
    supervisor.say(order("1.1", b"x"))
    supervisor.say(order("1.2", b"y"))
    busy = supervisor.wait_for(Result)
    assert (busy.attempt, busy.status) == ("1.2", "agent_fault")
    assert "1.1" in busy.reason
    done = supervisor.wait_for(Result, lambda result: result.attempt == "1.1")
    assert done.fitness == float(ord("x"))
    supervisor.heard.clear()
    supervisor.say(order("1.1", b"x"))
    assert supervisor.wait_for(Result) == done
    assert not [message for message in supervisor.heard if isinstance(message, Progress)]


def test_it_names_the_game_under_way_and_plays_it_to_its_end(supervisor: TinySupervisor) -> None:
    supervisor.start("--game-s", "1.5")
    supervisor.welcome()
    play = order("1.1", b"x")
    supervisor.say(play)
    supervisor.wait_for(Progress)
    supervisor.restart()
    assert supervisor.welcome().playing == Playing("1.1", "e-1", 2, play.digest)
    assert supervisor.wait_for(Result).fitness == float(ord("x"))


def test_a_cancelled_game_ends_as_such_and_an_unknown_one_is_ignored(supervisor: TinySupervisor) -> None:
    supervisor.start("--game-s", "600")
    supervisor.welcome()
    supervisor.say(order("1.1", b"x"))
    supervisor.say(Cancel("1.0"))
    supervisor.wait_for(Progress)
    supervisor.say(Cancel("1.1"))
    result = supervisor.wait_for(Result)
    assert (result.attempt, result.status, result.fitness) == ("1.1", "cancelled", None)


def test_a_game_over_its_limit_is_timed_out(supervisor: TinySupervisor) -> None:
    supervisor.start("--game-s", "600")
    supervisor.welcome()
    supervisor.say(order("1.1", b"x", limit_s=0.1))
    result = supervisor.wait_for(Result)
    assert (result.status, result.fitness) == ("timed_out", None)
    assert result.seconds >= 0.1


def test_a_silent_supervisor_is_dialed_anew(supervisor: TinySupervisor) -> None:
    supervisor.start()
    supervisor.welcome(interval_s=0.1, misses=5)
    first_route = supervisor.route
    supervisor.answers_heartbeats = False
    supervisor.heard.clear()
    supervisor.welcome()
    assert supervisor.route != first_route


def test_bye_ends_it(supervisor: TinySupervisor) -> None:
    process = supervisor.start()
    supervisor.welcome()
    supervisor.say(Bye("the supervisor ends"))
    assert process.wait(PATIENCE_S) == 0


def test_unwelcome_ends_it(supervisor: TinySupervisor) -> None:
    process = supervisor.start()
    supervisor.wait_for(Hello)
    supervisor.say(Unwelcome("incarnation", "tzar-07 is at incarnation 4, not 3"))
    assert process.wait(PATIENCE_S) == 1


def test_garbage_is_dropped_and_the_connection_stays(supervisor: TinySupervisor) -> None:
    supervisor.start()
    supervisor.welcome()
    for garbage in (b"", b"\xc1", b"\x91\xa4what", b"\x90", b"\x05"):
        supervisor.control.send_multipart([supervisor.route, garbage])
    supervisor.say(order("1.1", b"x"))
    assert supervisor.wait_for(Result).fitness == float(ord("x"))
    assert len([message for message in supervisor.heard if isinstance(message, Hello)]) == 1
