"""The edges as the actors see them: what the real gateway and spool offer, and the simulated ones as well."""

from typing import Any, Protocol

import pykka

from tzar_actors.client.protocol import FromSupervisor
from tzar_agent.protocol.messages import Control, Playing

__all__ = ["BlobStore", "Gateway", "TrainerPort"]


class TrainerPort(Protocol):
    """Speaks with trainers. To a trainer that is not connected nothing is told: it asks when it comes back."""

    def accept(self, trainer: str, key: str) -> None:
        """Tells the trainer, soon, that `key` is accepted."""
        ...

    def deliver(self, trainer: str, key: str, ended: bytes) -> None:
        """Hands the trainer, soon, the encoded outcome of `key`."""
        ...

    def tell(self, trainer: str, message: FromSupervisor) -> None:
        """Sends a message."""
        ...


class Gateway(Protocol):
    """Speaks with the agents of VMs, and says which of them may speak."""

    @property
    def desk(self) -> TrainerPort:
        """The trainers' end."""
        ...

    def attach(self, vm: str, actor: "pykka.ActorRef[Any]") -> bool:
        """What the agent of `vm` says is told to `actor` from now on, its hello first if it is here already.

        Returns whether it is.
        """
        ...

    def expect(self, vm: str, incarnation: int, public_key: str) -> None:
        """From now on only this key speaks for `vm`; an older incarnation's connection is heard no more."""
        ...

    def send(self, vm: str, message: Control) -> bool:
        """Sends to the VM's agent. False: it is not connected, so nothing was sent."""
        ...

    def watch(self, vm: str, order: Playing, time_limit_s: float) -> None:
        """The VM's agent has this order: its actor is told when it has not ended a while after its limit.

        The limit counts from now on, or from the end of the order before it.
        """
        ...

    def acknowledge(self, vm: str, attempt: str) -> None:
        """Tells the VM's agent, soon, that it may forget this result."""
        ...


class BlobStore(Protocol):
    """Where large genomes lie by their digest."""

    def holds(self, digest: bytes, size: int) -> bool:
        """Whether the blob lies there with that many bytes."""
        ...
