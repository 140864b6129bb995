"""An agent written from `docs/protocol.md` alone: it imports nothing of this project, so it tests the page.

Its game needs no evaluator: the fitness is the sum of the genome's bytes, modulo 1000.

    python stranger.py IDENTITY.json --folder FOLDER [--game-s SECONDS]

It ends with 0 after a `bye`, with 1 after an `unwelcome`, with 3 when no supervisor was heard for `orphan_s` seconds.
"""

import argparse
import hashlib
import json
import logging
import os
import random
import threading
import time
from pathlib import Path
from typing import Any

import msgpack
import zmq
from zmq.utils.monitor import recv_monitor_message

VERSION = 1
CHUNK_BYTES, WINDOW = 524_288, 8
ANSWER_WITHIN_S, FETCH_SILENT_S = 10.0, 30.0
FIRST_DELAY_S, LONGEST_DELAY_S = 0.05, 2.0
BYE, UNWELCOME, ORPHAN = 0, 1, 3

SHAKEN = zmq.EVENT_HANDSHAKE_SUCCEEDED
BROKEN = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)

log = logging.getLogger("stranger")


class Kept:
    """Results that wait for their acknowledgement: a file each, oldest first by its name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.files = {msgpack.unpackb(file.read_bytes())[1]: file for file in sorted(folder.glob("*.result"))}
        self.number = max((int(file.stem) for file in self.files.values()), default=0)

    def keep(self, attempt: str, frame: bytes) -> None:
        self.number += 1
        file = self.folder / f"{self.number:012d}.result"
        with file.with_suffix(".part").open("wb") as part:
            part.write(frame)
            part.flush()
            os.fsync(part.fileno())
        file.with_suffix(".part").replace(file)
        self.files[attempt] = file

    def forget(self, attempt: str) -> None:
        if (file := self.files.pop(attempt, None)) is not None:
            file.unlink()


class Fetch:
    """A genome that comes over the blob socket."""

    def __init__(self, socket: Any, digest: bytes, size: int) -> None:
        self.socket, self.digest, self.size = socket, digest, size
        self.data = bytearray()
        self.asked = 0
        self.heard_at = time.monotonic()
        for _ in range(WINDOW):
            self.ask()

    def ask(self) -> None:
        if (length := min(CHUNK_BYTES, self.size - self.asked)) > 0:
            self.socket.send(msgpack.packb(["get", self.digest, self.asked, length]))
            self.asked += length

    def take(self, frames: list[bytes]) -> str | None:
        """Takes what came in. Returns what is wrong, if the genome cannot be had."""
        match msgpack.unpackb(frames[0]):
            case ["chunk", self.digest, offset] if len(frames) == 2 and offset == len(self.data):
                self.data += frames[1]
                self.heard_at = time.monotonic()
                self.ask()
            case ["missing", self.digest, reason]:
                return str(reason)
        if len(self.data) >= self.size and hashlib.sha256(self.data).digest() != self.digest:
            return "what came in has another SHA-256"
        return None


class Game:
    """The attempt under way."""

    def __init__(self, play: list[Any]) -> None:
        _, self.attempt, self.evaluation, self.game, self.digest, self.size, self.genome, *rest = play
        _, _, self.time_limit_s, _ = rest
        self.began_at: float | None = None
        self.fetch: Fetch | None = None

    def whose(self) -> list[Any]:
        return [self.attempt, self.evaluation, self.game, self.digest]


class Stranger:
    """The agent."""

    def __init__(self, identity: dict[str, Any], folder: Path, game_s: float) -> None:
        self.identity = identity
        self.game_s = game_s
        self.context: zmq.Context[Any] = zmq.Context()
        self.kept = Kept(folder / f"{identity['fleet']}-{identity['vm']}")
        self.cache: dict[bytes, bytes] = {}
        self.game: Game | None = None
        self.failures = 0
        self.heard_at = time.monotonic()
        self.socket: Any = None
        self.blobs: Any = None
        self.is_welcome = False
        self.interval_s, self.misses = 1.0, 5
        self.number = 0
        self.beat_at = 0.0

    def run(self) -> int:
        while True:
            end = self.connect()
            if end is not None:
                return end
            orphan_s = self.identity["orphan_s"]
            if orphan_s is not None and self.game is None and time.monotonic() - self.heard_at > orphan_s:
                return ORPHAN
            delay = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(self.failures, 10)) * random.uniform(0.5, 1.0)
            self.failures += 1
            threading.Event().wait(delay)  # between two dials there is nothing else to do
            self.play_on()

    def dealer(self, endpoint: str) -> Any:
        socket = self.context.socket(zmq.DEALER)
        socket.setsockopt_string(zmq.CURVE_SERVERKEY, self.identity["server_key"])
        socket.setsockopt_string(zmq.CURVE_PUBLICKEY, self.identity["public_key"])
        socket.setsockopt_string(zmq.CURVE_SECRETKEY, self.identity["secret_key"])
        socket.setsockopt(zmq.RECONNECT_IVL, -1)
        socket.setsockopt(zmq.LINGER, 0)
        if "[" in endpoint:
            socket.setsockopt(zmq.IPV6, 1)
        return socket

    def connect(self) -> int | None:
        """One connection, from its dial to its end. Returns with what the process ends; None: dial again."""
        self.socket = self.dealer(self.identity["endpoint"])
        monitor = self.socket.get_monitor_socket(SHAKEN | BROKEN)
        self.socket.connect(self.identity["endpoint"])
        self.is_welcome = False
        answer_by = time.monotonic() + ANSWER_WITHIN_S
        try:
            while True:
                poller = zmq.Poller()
                for source in (self.socket, monitor, *([self.blobs] if self.blobs else [])):
                    poller.register(source, zmq.POLLIN)
                ready = dict(poller.poll(self.wait_ms(answer_by)))
                if monitor in ready:
                    event = recv_monitor_message(monitor)["event"]
                    if event != SHAKEN:
                        log.info("the connection ended: %s", zmq.Event(event).name)
                        return None
                    answer_by = time.monotonic() + ANSWER_WITHIN_S
                    self.hello()
                if self.socket in ready:
                    end = self.take(self.socket.recv_multipart())
                    if end is not None:
                        return end
                if self.blobs in ready:
                    self.take_blob(self.blobs.recv_multipart())
                now = time.monotonic()
                silent_at = self.heard_at + self.misses * self.interval_s if self.is_welcome else answer_by
                if now >= silent_at:
                    log.info("the supervisor is silent")
                    return None
                self.beat(now)
                self.play_on()
        finally:
            self.is_welcome = False
            self.socket.disable_monitor()
            monitor.close(linger=0)
            self.socket.close()

    def wait_ms(self, answer_by: float) -> int:
        moments = [answer_by]
        if self.is_welcome:
            moments = [self.beat_at, self.heard_at + self.misses * self.interval_s]
        if self.game is not None:
            if self.game.began_at is not None:
                moments.append(self.game.began_at + min(self.game_s, self.game.time_limit_s))
            elif self.game.fetch is not None:
                moments.append(self.game.fetch.heard_at + FETCH_SILENT_S)
        return max(0, int(1000 * (min(moments) - time.monotonic())) + 1)

    def hello(self) -> None:
        playing = self.game.whose() if self.game else None
        vm, incarnation = self.identity["vm"], self.identity["incarnation"]
        self.say(
            "hello", VERSION, vm, incarnation, "stranger 1", os.getpid(), playing, list(self.kept.files)[-4000:], 1
        )

    def say(self, *message: Any) -> None:
        self.socket.send(msgpack.packb(message))

    def take(self, frames: list[bytes]) -> int | None:
        """Does what the supervisor says. Returns with what the process ends, if it does."""
        self.heard_at = time.monotonic()
        try:
            message = msgpack.unpackb(frames[0])
        except ValueError as error:
            log.warning("dropped a frame: %s", error)
            return None
        match message:
            case ["welcome", _version, _epoch, interval_s, misses, _evaluator, blobs, _spool, _cache_bytes]:
                self.interval_s, self.misses = float(interval_s), misses
                self.welcomed(blobs)
            case ["unwelcome", code, reason]:
                log.error("unwelcome (%s): %s", code, reason)
                return UNWELCOME
            case ["supervisor_heartbeat", _]:
                pass
            case ["play", *_] if len(message) == 11 and self.is_welcome:
                self.ordered(Game(message))
            case ["cancel", attempt]:
                if self.game is not None and self.game.attempt == attempt:
                    self.ended("cancelled", reason="cancelled by the supervisor")
                elif attempt in self.kept.files:
                    self.send_kept(attempt)
            case ["result_ack", attempts]:
                for attempt in attempts:
                    self.kept.forget(attempt)
            case ["bye", reason]:
                log.info("bye: %s", reason)
                return BYE
            case _:
                log.warning("dropped what is no message: %.80r", message)
        return None

    def welcomed(self, blobs: str) -> None:
        self.is_welcome, self.failures = True, 0
        self.beat_at = time.monotonic() + self.interval_s
        if self.blobs is not None:
            self.blobs.close()
        self.blobs = self.dealer(blobs)
        self.blobs.connect(blobs)
        for attempt in self.kept.files:
            self.send_kept(attempt)
        if self.game is not None and self.game.fetch is not None:
            self.game.fetch = Fetch(self.blobs, self.game.digest, self.game.size)

    def send_kept(self, attempt: str) -> None:
        self.socket.send(self.kept.files[attempt].read_bytes())

    def beat(self, now: float) -> None:
        if self.is_welcome and now >= self.beat_at:
            self.beat_at = max(now, self.beat_at + self.interval_s)
            self.number += 1
            game = self.game
            state = "idle" if game is None else "fetching" if game.began_at is None else "playing"
            self.say("agent_heartbeat", self.number, state, game.attempt if game else None, 0, 0.0, 0)

    def ordered(self, game: Game) -> None:
        if game.attempt in self.kept.files:
            self.send_kept(game.attempt)
        elif self.game is not None:
            if self.game.attempt != game.attempt:
                self.report(game, "agent_fault", reason=f"busy with attempt {self.game.attempt}")
        else:
            self.game = game
            game.genome = game.genome if game.genome is not None else self.cache.get(game.digest)
            if game.genome is None:
                game.fetch = Fetch(self.blobs, game.digest, game.size)
            else:
                self.begin(game)

    def take_blob(self, frames: list[bytes]) -> None:
        if self.game is None or self.game.fetch is None:
            return
        fetch = self.game.fetch
        if (problem := fetch.take(frames)) is not None:
            self.ended("agent_fault", reason=f"the genome cannot be had: {problem}")
        elif len(fetch.data) >= fetch.size:
            self.game.genome = self.cache[self.game.digest] = bytes(fetch.data)
            self.begin(self.game)

    def begin(self, game: Game) -> None:
        game.fetch, game.began_at = None, time.monotonic()
        if self.is_welcome:
            self.say("progress", game.attempt, 0)

    def play_on(self) -> None:
        """Ends the game when its time has come."""
        game, now = self.game, time.monotonic()
        if game is None:
            return
        if game.fetch is not None and now >= game.fetch.heard_at + FETCH_SILENT_S:
            self.ended("agent_fault", reason=f"nothing came over the blob socket for {FETCH_SILENT_S:g} s")
        elif game.began_at is not None and now >= game.began_at + min(self.game_s, game.time_limit_s):
            if game.time_limit_s < self.game_s:
                self.ended("timed_out", reason=f"the game ran longer than {game.time_limit_s:g} s")
            else:
                self.ended("scored", fitness=float(sum(game.genome) % 1000))

    def ended(self, status: str, fitness: float | None = None, reason: str = "") -> None:
        game, self.game = self.game, None
        assert game is not None
        self.report(game, status, fitness, reason)

    def report(self, game: Game, status: str, fitness: float | None = None, reason: str = "") -> None:
        seconds = time.monotonic() - game.began_at if game.began_at is not None else 0.0
        details = msgpack.packb({"player": "stranger"})
        result = ["result", *game.whose(), status, fitness, details, seconds, reason[:4000], None]
        self.kept.keep(game.attempt, msgpack.packb(result))
        if self.is_welcome:
            self.send_kept(game.attempt)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("identity", type=Path, help="the identity's document; it is read once and removed")
    parser.add_argument("--folder", type=Path, required=True, help="where results are kept")
    parser.add_argument("--game-s", type=float, default=0.0, help="seconds that a game takes")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    identity = json.loads(arguments.identity.read_text(encoding="utf-8"))
    arguments.identity.unlink()
    if identity["tzar_identity"] != 1:
        parser.error("the identity is of another version")
    random.seed(identity["entropy"])
    return Stranger(identity, arguments.folder, arguments.game_s).run()


if __name__ == "__main__":
    raise SystemExit(main())
