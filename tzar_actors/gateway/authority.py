"""Answers ZAP requests on the loop: pyzmq's authenticator, driven a message at a time."""

import logging
from collections.abc import Callable, Coroutine
from typing import Any

import zmq
from zmq.auth import Authenticator

from tzar_actors.gateway.keys import KeyRing

__all__ = ["Authority"]


class Authority(Authenticator):
    """Accepts the keys of a ring and nobody else.

    Args:
        context: of the sockets that ask.
        keys: who may connect.
        on_refusal: called with the address of a peer whose key is not in the ring.
    """

    def __init__(self, context: "zmq.Context[Any]", keys: KeyRing, on_refusal: Callable[[str], None]) -> None:
        super().__init__(context, log=logging.getLogger("tzar_actors.zap"))
        self.log.setLevel(logging.CRITICAL)  # every refusal is told by on_refusal already
        self._keys = keys
        self._on_refusal = on_refusal
        self._address = ""
        self.start()
        self.configure_curve_callback("*", self)

    def callback(self, domain: str, key: bytes) -> bool:
        """The authenticator's question about one key."""
        known = self._keys.callback(domain, key)
        if not known:
            self._on_refusal(self._address)
        return known

    def read(self) -> None:
        """Answers the requests that are waiting. Never waits."""
        while self.zap_socket.poll(0):
            frames = self.zap_socket.recv_multipart()
            self._address = frames[3].decode("utf-8", "replace") if len(frames) > 3 else "?"
            _drive(self.handle_zap_message(frames))


def _drive(handler: Coroutine[Any, Any, None]) -> None:
    """Runs a coroutine that never waits."""
    try:
        handler.send(None)
    except StopIteration:
        return
    raise RuntimeError("the authenticator waited for something, which would block the loop")
