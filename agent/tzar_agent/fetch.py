"""Gets genomes over the blob socket: a bounded window of chunks, hashed while they come in."""

import hashlib
import os
import time

import zmq

from tzar_agent.connection import curve_dealer
from tzar_agent.events import Genome
from tzar_agent.genomes import GenomeError, Genomes
from tzar_agent.protocol.codec import DecodeError
from tzar_agent.protocol.identity import Identity
from tzar_agent.protocol.messages import BLOB_CHUNK_BYTES, BLOB_WINDOW, Chunk, Get, Missing, blob_codec

__all__ = ["BlobLink"]

SILENT_S = 30.0  # without any chunk for so long, a fetch has failed
_FRAMES_A_TURN = 32


class BlobLink:
    """The connection to a supervisor's blob socket, which gets one genome at a time.

    Args:
        context: of ZeroMQ.
        identity: whose keys are used.
        endpoint: of the blob socket.
        genomes: the cache that takes what was got.
    """

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", identity: Identity, endpoint: str, genomes: Genomes):
        self.socket = curve_dealer(context, identity)
        self.fd = int(self.socket.get(zmq.FD))
        # Chunks of a fetch that was given up may still come in, and must not stop the next one.
        self.socket.set(zmq.RCVHWM, 4 * BLOB_WINDOW)
        self.socket.set(zmq.IPV6, int("[" in endpoint))
        self.socket.connect(endpoint)
        self.attempt: str | None = None  # for which a genome is being got
        self.dropped = 0  # messages that were none of the protocol
        self._genomes = genomes
        self._codec = blob_codec()
        self._fd: int | None = None

    def begin(self, attempt: str, digest: bytes, size: int) -> None:
        """Begins to get a genome of `size` bytes for `attempt`. What was under way is given up.

        Raises:
            GenomeError: it cannot be stored.
        """
        self.abandon()
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
            self._fd = os.open(self._genomes.part_of(digest), flags, 0o600)
        except OSError as error:
            raise GenomeError(f"genome {digest.hex()} cannot be stored in the cache: {error}") from error
        self.attempt = attempt
        self._digest, self._size = digest, size
        self._asked = self._got = 0
        self._sha = hashlib.sha256()
        self._heard_at = time.monotonic()
        for _ in range(BLOB_WINDOW):
            self._ask()

    def abandon(self) -> None:
        """Gives up what is under way, if anything is."""
        self.attempt = None
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def read(self) -> Genome | None:
        """Reads what has come in; the genome when it is whole and verified.

        Raises:
            GenomeError: it cannot be had.
        """
        for _ in range(_FRAMES_A_TURN):
            if self.attempt is not None and self._got == self._size:
                return self._finish()
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return None
            try:
                message = self._codec.decode(frames[0].bytes)
            except DecodeError:
                self.dropped += 1
                continue
            if self.attempt is None:
                continue
            match message:
                case Chunk(digest, offset) if len(frames) == 2:
                    if digest == self._digest and offset == self._got:
                        self._take(frames[1].buffer)
                case Missing(digest, reason) if digest == self._digest:
                    raise GenomeError(f"genome {digest.hex()} cannot be had from the supervisor: {reason}")
                case _:
                    self.dropped += 1
        return None

    def has_come(self) -> bool:
        """Whether something of the fetch under way can be read."""
        return self.attempt is not None and bool(int(self.socket.get(zmq.EVENTS)) & zmq.POLLIN)

    def next_at(self) -> float | None:
        """When the fetch counts as failed unless something comes in, in monotonic seconds."""
        return self._heard_at + SILENT_S if self.attempt is not None else None

    def close(self) -> None:
        """Gives up what is under way, and the connection."""
        self.abandon()
        self.socket.close(linger=0)

    def _ask(self) -> None:
        length = min(BLOB_CHUNK_BYTES, self._size - self._asked)
        if length > 0:
            try:
                self.socket.send(self._codec.encode(Get(self._digest, self._asked, length)), zmq.NOBLOCK)
            except zmq.Again as error:
                raise GenomeError("the blob socket takes no requests") from error
            self._asked += length

    def _take(self, data: memoryview) -> None:
        if len(data) != min(BLOB_CHUNK_BYTES, self._size - self._got) or self._fd is None:
            raise GenomeError(f"genome {self._digest.hex()}: a chunk at {self._got} has {len(data)} bytes")
        self._ask()
        self._heard_at = time.monotonic()
        self._sha.update(data)
        try:
            rest = data
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            raise GenomeError(f"genome {self._digest.hex()} cannot be stored in the cache: {error}") from error
        self._got += len(data)

    def _finish(self) -> Genome:
        self.abandon()
        if self._sha.digest() != self._digest:
            raise GenomeError(f"genome {self._digest.hex()}: what the supervisor sent has another SHA-256")
        return self._genomes.take(self._digest, self._size)
