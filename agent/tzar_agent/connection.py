"""One connection to the supervisor, on a fresh socket: it is never repaired, but thrown away and made anew.

So nothing that was said on an old connection is said again on a new one by the socket's own queue.
"""

import contextlib
import sys

import zmq

from tzar_agent.protocol.identity import Identity

__all__ = ["Connection", "curve_dealer"]

LINGER_MS = 500
_FAILURES = {
    zmq.EVENT_DISCONNECTED: "the connection broke",
    zmq.EVENT_CLOSED: "nobody answers there",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "the handshake failed",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "the handshake failed: not a supervisor's socket, or its key is another",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "the handshake failed: the supervisor refuses this VM's key",
}
_EVENTS = zmq.EVENT_HANDSHAKE_SUCCEEDED | sum(_FAILURES)


def curve_dealer(context: "zmq.Context[zmq.Socket[bytes]]", identity: Identity) -> "zmq.Socket[bytes]":
    """A DEALER with the keys of `identity`, not connected yet."""
    socket = context.socket(zmq.DEALER)
    socket.set(zmq.LINGER, LINGER_MS)
    socket.set_string(zmq.CURVE_SERVERKEY, identity.server_key)
    socket.set_string(zmq.CURVE_PUBLICKEY, identity.public_key)
    socket.set_string(zmq.CURVE_SECRETKEY, identity.secret_key)
    if identity.endpoint.startswith("tcp://["):
        socket.set(zmq.IPV6, 1)
    return socket


class Connection:
    """A dialed connection. It sends only once its handshake is done: until then nothing may queue up.

    Args:
        context: of ZeroMQ.
        identity: whom to dial, and with which keys.
    """

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", identity: Identity) -> None:
        self.socket = curve_dealer(context, identity)
        self.socket.set(zmq.RECONNECT_IVL, -1)
        self.monitor = self.socket.get_monitor_socket(_EVENTS)
        self.fd = int(self.socket.get(zmq.FD))
        self.monitor_fd = int(self.monitor.get(zmq.FD))
        self.happened()  # a descriptor tells of nothing until its socket was once found empty
        self.socket.set(zmq.IPV6, int("[" in identity.endpoint))
        self.socket.connect(identity.endpoint)

    def happened(self) -> list[str | None]:
        """What happened, in order: None for a handshake that succeeded, else why the connection ended."""
        happened = []
        with contextlib.suppress(zmq.Again):
            while True:
                head, _ = self.monitor.recv_multipart(zmq.NOBLOCK)
                event = int.from_bytes(head[:2], sys.byteorder)
                happened.append(None if event == zmq.EVENT_HANDSHAKE_SUCCEEDED else _FAILURES[zmq.Event(event)])
        return happened

    def read(self) -> bytes | None:
        """The next message that has come in, of one frame (one of more is read as empty); None: there is none."""
        try:
            part = self.socket.recv(zmq.NOBLOCK, copy=False)  # as a `Frame`, which knows whether more follows
        except zmq.Again:
            return None
        frame = part.bytes
        while part.more:
            part = self.socket.recv(zmq.NOBLOCK, copy=False)
            frame = b""
        return frame

    def send(self, frame: bytes) -> bool:
        """Sends a message of one frame; False: the connection takes none."""
        try:
            self.socket.send(frame, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def close(self, *, flush: bool = False) -> None:
        """Closes the socket; `flush`: what was sent may still go out for a moment."""
        self.socket.disable_monitor()
        self.monitor.close(linger=0)
        self.socket.close(linger=LINGER_MS if flush else 0)
