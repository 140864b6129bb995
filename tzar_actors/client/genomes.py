"""How a genome gets from the trainer to the supervisor: small ones with the order, large ones into the spool.

A trainer that shares the supervisor's file system writes into the spool itself. Whether it does is seen from the token
that lies there: a path of the same name on another machine holds another one.
"""

import contextlib
import hashlib
import os
import secrets
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import zmq

from tzar_actors.client.protocol import TrainerWelcome
from tzar_actors.errors import RejectedError, SupervisorError, TzarError
from tzar_actors.gateway.keys import TrainerAccess
from tzar_agent.protocol.messages import (
    INLINE_LIMIT_BYTES,
    Chunk,
    Get,
    Missing,
    Offer,
    Stored,
    blob_codec,
)

__all__ = ["Blob", "GenomeStore"]

_ANSWER_S: Final = 60.0
_SILENCE_S: Final = 10.0  # after which what was said may be lost


@dataclass(frozen=True, slots=True)
class Blob:
    """A genome that lies where the supervisor finds it.

    Args:
        digest: its SHA-256.
        size: its bytes.
        inline: the bytes themselves, when they are few enough to travel with the order.
    """

    digest: bytes
    size: int
    inline: bytes | None


class GenomeStore:
    """Brings genomes to one supervisor. May be used from any thread.

    Args:
        access_file: where the supervisor says how it is reached.
    """

    def __init__(self, access_file: Path) -> None:
        self._access_file = access_file
        self._lock = threading.Lock()
        self._shared: tuple[str, bool] | None = None
        self._context: zmq.Context[Any] | None = None

    def put(self, genome: bytes, welcome: TrainerWelcome, key: str) -> Blob:
        """Brings `genome` to the supervisor, if it does not travel with the order.

        Args:
            genome: its bytes.
            welcome: what the supervisor said.
            key: of the evaluation, for errors.

        Raises:
            RejectedError: it is larger than the supervisor takes.
            TzarError: it could not be stored.
        """
        if len(genome) > welcome.genome_limit_bytes:
            limit = welcome.genome_limit_bytes
            reason = f"the genome has {len(genome)} bytes, allowed are {limit} (limits.genome_mib)"
            raise RejectedError(key, "genome_too_big", reason)
        digest = hashlib.sha256(genome).digest()
        if len(genome) <= INLINE_LIMIT_BYTES:
            return Blob(digest, len(genome), bytes(genome))
        if self._shares_files(welcome):
            self._write(genome, digest, Path(welcome.spool), key)
        else:
            with self._lock:
                self._upload(genome, digest, welcome, key)
        return Blob(digest, len(genome), None)

    def close(self) -> None:
        """Lets go of the blob connection."""
        if self._context is not None:
            self._context.destroy(linger=0)

    def _shares_files(self, welcome: TrainerWelcome) -> bool:
        if self._shared is None or self._shared[0] != welcome.spool_token:
            try:
                token = Path(welcome.spool, "token").read_text(encoding="ascii")
            except (OSError, ValueError):
                token = ""
            self._shared = (welcome.spool_token, token == welcome.spool_token)
        return self._shared[1]

    def _write(self, genome: bytes, digest: bytes, spool: Path, key: str) -> None:
        path = spool / digest.hex()
        try:
            os.utime(path)  # first: what was marked so is not taken out of the spool before it can be asked for
            if path.stat().st_size == len(genome):
                return
        except OSError:
            pass  # it is not here, or not ours to mark, and is written
        if (refusal := _read(spool / "full")) is not None:
            code, _, reason = refusal.partition("\n")
            raise RejectedError(key, code, reason)
        temporary = spool / f".{digest.hex()}.{os.getpid()}-{secrets.token_hex(4)}"
        try:
            temporary.write_bytes(genome)
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise RejectedError(key, "disk_full", f"its genome could not be written to {spool}: {error}") from error

    def _upload(self, genome: bytes, digest: bytes, welcome: TrainerWelcome, key: str) -> None:
        access, blobs = TrainerAccess.load(self._access_file), welcome.blobs
        if self._context is None:
            self._context = zmq.Context()
        give_up_at = time.monotonic() + _ANSWER_S
        while not self._offer(genome, digest, access, blobs, key):
            if time.monotonic() >= give_up_at:
                raise SupervisorError(
                    f"the genome of {key} could not be handed over: the blob server {blobs} did not answer within"
                    f" {_ANSWER_S:g} s. See that the supervisor runs, and that its port (fleet.blob_port) is open"
                )
            # A supervisor that was started again knows of no offer, and may listen elsewhere.
            with contextlib.suppress(SupervisorError):
                access = TrainerAccess.load(self._access_file)
                blobs = access.blobs

    def _offer(self, genome: bytes, digest: bytes, access: TrainerAccess, blobs: str, key: str) -> bool:
        """Whether the genome is there; False: nobody says anything any more."""
        codec = blob_codec()
        assert self._context is not None
        socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        try:
            socket.curve_serverkey = access.server_key.encode()
            socket.curve_publickey, socket.curve_secretkey = access.public_key.encode(), access.secret_key.encode()
            socket.setsockopt(zmq.LINGER, 0)
            # Both servers listen on one address: where the other one was reached, this one is.
            host, port = access.endpoint.rpartition(":")[0], blobs.rpartition(":")[2]
            socket.setsockopt(zmq.IPV6, int("[" in host))
            socket.connect(f"{host}:{port}")
            socket.send(codec.encode(Offer(digest, len(genome))))
            while socket.poll(int(_SILENCE_S * 1000)):
                match codec.decode(socket.recv()):
                    case Get(wanted, offset, length) if wanted == digest:
                        part = memoryview(genome)[offset : offset + length]
                        socket.send_multipart((codec.encode(Chunk(digest, offset)), part), copy=False)
                    case Stored():
                        return True
                    case Missing(_, reason):
                        raise RejectedError(key, "blob", reason)
                    case other:
                        raise TzarError(f"the blob server answered {other!r}")
            return False
        finally:
            socket.close()


def _read(path: Path) -> str | None:
    """What the supervisor left there, if it did."""
    try:
        return path.read_text(encoding="utf-8") or None
    except OSError:
        return None
