"""The bare broker: what the way of an evaluation costs when nothing is promised.

The same shape as the fleet: the trainer (the bench) dials a ROUTER broker, eight workers dial it as well, each in a
process of its own; CURVE on every link, msgpack, the genome's SHA-256 made by the trainer and checked by the worker.
No actors, no journal, no types, no timers: the broker passes frames on that it never opens, a job at a time to the
worker that is idle for longest.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from typing import IO, Any

import msgpack
import zmq
from work import PARAMS, SEED, WORKERS, BenchError, System, digest_of, genomes, megabytes_per_s, play, times

__all__ = ["BareBroker"]

WINDOW = 256  # small genomes under way: more gain nothing
LARGE_WINDOW = 2 * WORKERS  # large ones, which lie in the broker's memory
LARGE_BYTES = 64 * 1024
PATIENCE_MS = 60_000
READY = b"r"
HELLO = b"h"


class BareBroker(System):
    """Starts broker and workers, and is their trainer. The broker's answers come in any order."""

    name = "bare"

    def __init__(self) -> None:
        self._context = zmq.Context()
        self._children: list[subprocess.Popen[str]] = []
        self._socket: zmq.Socket[bytes] | None = None

    def start(self) -> None:
        server, client = zmq.curve_keypair(), zmq.curve_keypair()
        keys = {"server": [k.decode() for k in server], "client": [k.decode() for k in client]}
        broker = self._spawn({"role": "broker", **keys})
        assert broker.stdout is not None
        endpoint = broker.stdout.readline().strip()
        if not endpoint:
            raise BenchError("bare broker: the broker's process ended before it had a port; see its words above")
        for _ in range(WORKERS):
            self._spawn({"role": "worker", "endpoint": endpoint, **keys})
        self._socket = _dial(self._context, endpoint, keys)
        self._socket.rcvtimeo = PATIENCE_MS
        self._socket.send(HELLO)
        self._receive()

    def stop(self) -> None:
        for child in self._children:
            assert child.stdin is not None
            child.stdin.close()
        for child in self._children:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            assert child.stdout is not None
            child.stdout.close()
        self._children.clear()
        self._context.destroy(linger=0)

    def throughput(self, count: int, size: int) -> float:
        return count / self._seconds(genomes(count, size), WINDOW)

    def idle_latency(self, count: int) -> list[float]:
        return times(self._once, count)

    def wire(self, count: int, size: int) -> float:
        return megabytes_per_s(count, size, self._seconds(genomes(count, size), LARGE_WINDOW))

    def _once(self, genome: bytes) -> None:
        self._send(0, genome)
        self._check(self._receive(), [genome])

    def _seconds(self, batch: list[bytes], window: int) -> float:
        begin = time.perf_counter()
        sent = received = 0
        while received < len(batch):
            while sent < len(batch) and sent - received < window:
                self._send(sent, batch[sent])
                sent += 1
            self._check(self._receive(), batch)
            received += 1
        return time.perf_counter() - begin

    def _send(self, index: int, genome: bytes) -> None:
        assert self._socket is not None
        if len(genome) > LARGE_BYTES:
            head = msgpack.packb((index, digest_of(genome), None, PARAMS, SEED))
            self._socket.send(head, zmq.SNDMORE)
            self._socket.send(genome, copy=False)
        else:
            self._socket.send(msgpack.packb((index, digest_of(genome), genome, PARAMS, SEED)))

    def _receive(self) -> bytes:
        assert self._socket is not None
        try:
            return self._socket.recv()
        except zmq.Again:
            codes = [child.poll() for child in self._children]
            raise BenchError(f"bare broker: no answer for {PATIENCE_MS // 1000} s; exit codes: {codes}") from None

    def _check(self, answer: bytes, batch: list[bytes]) -> None:
        index, fitness, _ = msgpack.unpackb(answer)
        if fitness != batch[index][0]:
            raise BenchError(f"bare broker: evaluation {index} came back with another genome's fitness")

    def _spawn(self, order: dict[str, Any]) -> "subprocess.Popen[str]":
        child = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self._children.append(child)
        assert child.stdin is not None
        child.stdin.write(json.dumps(order) + "\n")
        child.stdin.flush()
        return child


def _dial(context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str, keys: dict[str, list[str]]) -> "zmq.Socket[bytes]":
    socket = context.socket(zmq.DEALER)
    socket.sndhwm = socket.rcvhwm = 0
    socket.curve_serverkey = keys["server"][0].encode()
    socket.curve_publickey, socket.curve_secretkey = (key.encode() for key in keys["client"])
    socket.connect(endpoint)
    return socket


def _broker(order: dict[str, Any]) -> None:
    context = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    socket.sndhwm = socket.rcvhwm = 0
    socket.router_mandatory = True
    socket.curve_server = True
    socket.curve_publickey, socket.curve_secretkey = (key.encode() for key in order["server"])
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    print(f"tcp://127.0.0.1:{port}", flush=True)
    _serve(socket)


def _serve(socket: "zmq.Socket[bytes]") -> None:
    recv, send, more, noblock = socket.recv, socket.send, zmq.SNDMORE, zmq.NOBLOCK
    idle: deque[bytes] = deque()
    queue: deque[tuple[bytes, Any]] = deque()
    answers: list[bytes] = []
    workers: set[bytes] = set()
    trainer = b""
    greeted = False
    while True:
        sender = recv()  # waits; all that follows does not
        try:
            while True:
                head = recv()
                if sender in workers:
                    idle.append(sender)
                    answers.append(head)
                elif head == READY:
                    workers.add(sender)
                    idle.append(sender)
                elif head == HELLO:
                    trainer = sender
                else:
                    # The genome of a large one stays in the memory it was decrypted into.
                    queue.append((head, recv(copy=False) if socket.rcvmore else None))
                sender = recv(noblock)
        except zmq.Again:
            pass
        while idle and queue:
            head, genome = queue.popleft()
            send(idle.popleft(), more)
            if genome is None:
                send(head)
            else:
                send(head, more)
                send(genome, copy=False)
        for answer in answers:
            send(trainer, more)
            send(answer)
        answers.clear()
        if trainer and not greeted and len(workers) == WORKERS:
            greeted = True
            send(trainer, more)
            send(READY)


def _worker(order: dict[str, Any]) -> None:
    socket = _dial(zmq.Context(), order["endpoint"], order)
    socket.send(READY)
    while True:
        index, digest, genome, params, seed = msgpack.unpackb(socket.recv())
        if genome is None:
            genome = socket.recv(copy=False).buffer
        socket.send(msgpack.packb(play(index, digest, genome, params, seed)))


def _end_with(parent: IO[str]) -> None:
    parent.read()  # returns when the bench closes its end, or dies
    os._exit(0)


def main() -> None:
    """A broker's or a worker's process: its order is the first line of stdin."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the bench, which ends this process in its own time
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with, args=(sys.stdin,), daemon=True).start()
    if order["role"] == "broker":
        _broker(order)
    else:
        _worker(order)


if __name__ == "__main__":
    main()
