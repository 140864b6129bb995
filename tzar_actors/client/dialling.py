"""How a trainer's socket is made, and the monitor that tells of its connection."""

from typing import Any

import zmq

from tzar_actors.gateway.keys import TrainerAccess

__all__ = ["dial"]


def dial(context: "zmq.Context[Any]", access: TrainerAccess) -> "tuple[zmq.Socket[bytes], zmq.Socket[bytes]]":
    """A socket that connects to the supervisor, and its monitor of handshakes and disconnections.

    Args:
        context: whose sockets they are.
        access: how the supervisor is reached.
    """
    socket: zmq.Socket[bytes] = context.socket(zmq.DEALER)
    socket.curve_serverkey = access.server_key.encode()
    socket.curve_publickey, socket.curve_secretkey = access.public_key.encode(), access.secret_key.encode()
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, 0)
    socket.setsockopt(zmq.RCVHWM, 0)
    socket.setsockopt(zmq.RECONNECT_IVL, 20)
    socket.setsockopt(zmq.IPV6, int("[" in access.endpoint))
    monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
    socket.connect(access.endpoint)
    return socket, monitor
