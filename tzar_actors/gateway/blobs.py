"""The blob socket, on a thread of its own: genomes are megabytes, and reading, hashing and copying them takes long.

It knows no VMs and no games. Who may ask is the keys' matter, answered on the loop; what is asked for is named by its
digest, which nobody can guess.
"""

import mmap
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import zmq

from tzar_actors.gateway.addresses import keep_alive
from tzar_actors.gateway.keys import KeyPair
from tzar_actors.gateway.spool import Incoming, Spool
from tzar_agent.protocol.codec import DecodeError
from tzar_agent.protocol.messages import (
    BLOB_CHUNK_BYTES,
    BLOB_WINDOW,
    Blob,
    Chunk,
    Get,
    Missing,
    Offer,
    Stored,
    blob_codec,
)

__all__ = ["BlobServer"]

_OPEN_FILES: Final = 32
_UPLOADS: Final = 64


class BlobServer:
    """Serves blobs from a spool and takes blobs into it.

    Args:
        context: that of the control server, so that the same keys open both.
        endpoint: where to listen; port 0: any that is free.
        server: the server's key pair.
        spool: where the blobs lie.
        limit_bytes: the largest blob that is taken.
        on_stored: called on the server's thread with digest and size of each blob that was taken.
        on_drop: called on the server's thread with the reason why a frame or a blob was not taken.
        shortage: called on the server's thread: why no further blob is taken now, or None.
    """

    def __init__(
        self,
        context: "zmq.Context[Any]",
        endpoint: str,
        server: KeyPair,
        spool: Spool,
        limit_bytes: int,
        on_stored: Callable[[bytes, int], None],
        on_drop: Callable[[str], None],
        shortage: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._spool = spool
        self._limit_bytes = limit_bytes
        self._on_stored = on_stored
        self._on_drop = on_drop
        self._shortage = shortage
        self._codec = blob_codec()
        self._open: OrderedDict[bytes, mmap.mmap] = OrderedDict()
        self._uploads: OrderedDict[tuple[bytes, bytes], Upload] = OrderedDict()
        self._socket: zmq.Socket[bytes] = context.socket(zmq.ROUTER)
        self._socket.curve_server = True
        self._socket.curve_publickey, self._socket.curve_secretkey = server.public.encode(), server.secret.encode()
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._socket.setsockopt(zmq.MAXMSGSIZE, BLOB_CHUNK_BYTES + 1024)
        self._socket.setsockopt(zmq.SNDHWM, 4 * BLOB_WINDOW)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.AFFINITY, 2)  # the second input/output thread: heartbeats wait behind no genome
        keep_alive(self._socket, endpoint)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError:  # a socket that is open would keep the context from its end
            self._socket.close()
            raise
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        name = f"inproc://blobs-{id(self)}"
        self._stop_in: zmq.Socket[bytes] = context.socket(zmq.PAIR)
        self._stop_in.bind(name)
        self._stop_out: zmq.Socket[bytes] = context.socket(zmq.PAIR)
        self._stop_out.connect(name)
        self._thread = threading.Thread(target=self._run, name="blobs", daemon=True)

    def start(self) -> None:
        """Begins to serve."""
        self._thread.start()

    def close(self) -> None:
        """Ends the thread and stops listening; it may never have begun to serve."""
        if self._thread.ident is None:
            self._let_go()
        else:
            self._stop_out.send(b"")
            self._thread.join()
        self._stop_out.close()

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._stop_in, zmq.POLLIN)
        while True:
            ready = dict(poller.poll())
            if self._stop_in in ready:
                break
            self._read()
        for upload in self._uploads.values():
            upload.incoming.abandon()
        self._let_go()

    def _let_go(self) -> None:
        self._socket.close()
        self._stop_in.close()

    def _read(self) -> None:
        while True:
            try:
                route, head, *rest = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            except ValueError:
                self._on_drop("a frame without a message")
                continue
            try:
                message = self._codec.decode(head.bytes)
                try:
                    self._handle(route.bytes, message, [part.buffer for part in rest])
                except OSError as error:
                    self._fail(route.bytes, message.digest, f"the spool {self._spool.folder} failed: {error}")
            except DecodeError as error:
                self._on_drop(str(error))

    def _handle(self, route: bytes, message: Blob, data: list[memoryview]) -> None:
        match message:
            case Get():
                self._give(route, message)
            case Offer():
                self._take(route, message)
            case Chunk():
                if len(data) != 1:
                    raise DecodeError("a chunk's bytes are the frame behind it")
                self._arrived(route, message, data[0])
            case Missing(digest):
                self._forget(route, digest)
            case Stored():
                raise DecodeError("nothing was offered to that peer")

    def _fail(self, route: bytes, digest: bytes, reason: str) -> None:
        self._on_drop(reason)
        self._forget(route, digest)
        self._send(route, Missing(digest, reason))

    def _forget(self, route: bytes, digest: bytes) -> None:
        if (upload := self._uploads.pop((route, digest), None)) is not None:
            upload.incoming.abandon()

    def _give(self, route: bytes, get: Get) -> None:
        blob = self._blob(get.digest)
        if blob is None or get.offset >= len(blob):
            what = "is not here" if blob is None else f"has {len(blob)} bytes only"
            self._send(route, Missing(get.digest, f"the blob {get.digest.hex()} {what}"))
            return
        view = memoryview(blob)[get.offset : get.offset + get.length]
        self._send(route, Chunk(get.digest, get.offset), view)

    def _blob(self, digest: bytes) -> mmap.mmap | None:
        blob = self._open.get(digest)
        if blob is not None:
            self._open.move_to_end(digest)
            return blob
        path: Path = self._spool.path(digest)
        try:
            with path.open("rb") as file:
                blob = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):  # ValueError: an empty file cannot be mapped, and has nothing to give
            return None
        self._open[digest] = blob
        if len(self._open) > _OPEN_FILES:
            self._open.popitem(last=False)  # unmapped when the last chunk of it has left
        return blob

    def _take(self, route: bytes, offer: Offer) -> None:
        if self._spool.holds(offer.digest, offer.size):
            self._send(route, Stored(offer.digest))
            return
        if not 0 < offer.size <= self._limit_bytes:
            reason = f"{offer.size} bytes are over the limit of {self._limit_bytes} bytes (limits.genome_mib)"
            self._send(route, Missing(offer.digest, reason))
            return
        if (shortage := self._shortage()) is not None:
            self._send(route, Missing(offer.digest, shortage))
            return
        self._forget(route, offer.digest)
        while len(self._uploads) >= _UPLOADS:
            _, oldest = self._uploads.popitem(last=False)
            oldest.incoming.abandon()
        upload = Upload(Incoming(self._spool, offer.digest, offer.size), offer.size)
        self._uploads[route, offer.digest] = upload
        self._ask(route, offer.digest, upload)

    def _ask(self, route: bytes, digest: bytes, upload: "Upload") -> None:
        while upload.asked < upload.size and upload.asked - upload.incoming.received < BLOB_WINDOW * BLOB_CHUNK_BYTES:
            length = min(BLOB_CHUNK_BYTES, upload.size - upload.asked)
            self._send(route, Get(digest, upload.asked, length))
            upload.asked += length

    def _arrived(self, route: bytes, chunk: Chunk, data: memoryview) -> None:
        upload = self._uploads.get((route, chunk.digest))
        if upload is None or chunk.offset != upload.incoming.received:
            raise DecodeError("a chunk that was not asked for")
        upload.incoming.write(data)
        if upload.incoming.received < upload.size:
            self._ask(route, chunk.digest, upload)
            return
        problem = upload.incoming.finish()
        del self._uploads[route, chunk.digest]
        if problem is None:
            self._on_stored(chunk.digest, upload.size)
            self._send(route, Stored(chunk.digest))
        else:
            self._send(route, Missing(chunk.digest, problem))

    def _send(self, route: bytes, message: Blob, data: memoryview | None = None) -> None:
        head = self._codec.encode(message)
        frames: list[Any] = [route, head] if data is None else [route, head, data]
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK, copy=False)
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                raise
            self._on_drop(f"a peer went away, or asks faster than it reads: {error}")


class Upload:
    """How far a blob has come in, and how much of it was asked for."""

    __slots__ = ("asked", "incoming", "size")

    def __init__(self, incoming: Incoming, size: int) -> None:
        self.incoming = incoming
        self.size = size
        self.asked = 0
