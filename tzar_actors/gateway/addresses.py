"""Where servers listen, and how that is written."""

from collections.abc import Callable
from typing import TypeVar

import zmq

from tzar_actors.errors import SupervisorError

__all__ = ["bound", "keep_alive", "reachable", "tcp"]

_IDLE_S = 60

Server = TypeVar("Server")


def bound(make: Callable[[int], Server], port: int, *, chosen: bool) -> Server:
    """A server on `port`; when that is taken and nobody chose it, on another. Agents that dial it then are reset.

    Raises:
        SupervisorError: the port that was chosen is taken, or this machine does not have the address.
    """
    try:
        return make(port)
    except zmq.ZMQError as error:
        if error.errno == zmq.EADDRNOTAVAIL:
            raise SupervisorError(
                "the address that [fleet] listen names is none of this machine's: name one that it has. That of a"
                " Hyper-V host on its VMs' switch is made by: tzar host init"
            ) from error
        if error.errno != zmq.EADDRINUSE:
            raise
        if chosen:
            raise SupervisorError(f"port {port} is in use by another program: choose another in [fleet]") from error
        return make(0)


def keep_alive(socket: "zmq.Socket[bytes]", endpoint: str) -> None:
    """Lets a server's socket notice who is gone without a goodbye, as a VM that was turned off; IPv6 where it is that.

    It is to be called before the socket is bound.
    """
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, _IDLE_S)
    socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, _IDLE_S // 4)
    socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, 4)
    socket.setsockopt(zmq.IPV6, int("[" in endpoint))


def tcp(address: str, port: int | str) -> str:
    """The endpoint of this port on an IP address or a name."""
    return f"tcp://[{address}]:{port}" if ":" in address else f"tcp://{address}:{port}"


def reachable(endpoint: str) -> str:
    """An endpoint that listens everywhere, as this machine dials it."""
    return endpoint.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
