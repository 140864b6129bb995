"""What is said to agents: gathered, and sent together.

Each message that is sent by itself wakes the thread that encrypts it, which on a busy machine costs more than the rest
of an evaluation; a few that are sent in a row wake it once.
"""

from collections.abc import Callable
from typing import Final

from tzar_actors.gateway.peers import AgentPeer, Peers
from tzar_actors.loop import Loop
from tzar_agent.protocol.messages import Control, ResultAck, control_codec

__all__ = ["AgentMail"]

_AT_ONCE: Final = 16  # more wait for no round's end: the first agents play while the others' orders are made
_ACKNOWLEDGE_S: Final = 0.05  # an agent in no hurry is woken once for many acknowledgements
_ACKNOWLEDGED_AT_ONCE: Final = 4_000


class AgentMail:
    """What waits to be sent to agents.

    Args:
        loop: gives the time for acknowledgements.
        peers: who is there.
        send: sends a frame to an agent.
    """

    def __init__(self, loop: Loop, peers: Peers, send: Callable[[AgentPeer, bytes], bool]) -> None:
        self._loop = loop
        self._peers = peers
        self._send = send
        self._codec = control_codec()
        self._outgoing: list[tuple[AgentPeer, bytes]] = []
        self._acknowledging = False

    def say(self, peer: AgentPeer, message: Control) -> None:
        """Sends `message` with the next `flush`, in the order in which things are said."""
        self._outgoing.append((peer, self._codec.encode(message)))
        if len(self._outgoing) >= _AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Sends what was said. Who has gone meanwhile misses it."""
        outgoing, self._outgoing = self._outgoing, []
        for peer, frame in outgoing:
            if self._peers.by_route.get(peer.route) is peer:
                self._send(peer, frame)

    def acknowledge(self, peer: AgentPeer, attempt: str) -> None:
        """Tells the agent, soon, that it may forget this result."""
        peer.acknowledged.append(attempt)
        if not self._acknowledging:
            self._acknowledging = True
            self._loop.call_later(_ACKNOWLEDGE_S, self._send_acknowledgements)

    def _send_acknowledgements(self) -> None:
        self._acknowledging = False
        for peer in list(self._peers.agents.values()):
            attempts, peer.acknowledged = peer.acknowledged, []
            for start in range(0, len(attempts), _ACKNOWLEDGED_AT_ONCE):
                self.say(peer, ResultAck(tuple(attempts[start : start + _ACKNOWLEDGED_AT_ONCE])))
