"""What every boot of a VM begins with: a new incarnation for the journal, and the identity that tells the guest."""

from collections.abc import Callable
from dataclasses import dataclass

from tzar_actors.actors.wiring import Chance
from tzar_actors.core.records import IncarnationRecord
from tzar_agent.protocol.identity import Identity

__all__ = ["BootOffice"]


@dataclass(frozen=True, slots=True)
class BootOffice:
    """Makes the identities of one host's VMs.

    Args:
        fleet_id: the fleet's mark.
        host: the host's name.
        endpoint: where its agents dial.
        orphan_s: seconds without a supervisor after which its agents end; None: they park.
        server_key: the supervisor's public key.
        chance: where keys and entropy come from.
        wall: seconds since 1970.
    """

    fleet_id: str
    host: str
    endpoint: str
    orphan_s: float | None
    server_key: str
    chance: Chance
    wall: Callable[[], float]

    def issue(self, vm: str, incarnation: int) -> tuple[IncarnationRecord, Identity]:
        """The record, which must be committed before the driver is given the identity."""
        keys = self.chance.keys()
        identity = Identity(
            fleet=self.fleet_id,
            vm=vm,
            incarnation=incarnation,
            endpoint=self.endpoint,
            server_key=self.server_key,
            public_key=keys.public,
            secret_key=keys.secret,
            entropy=self.chance.entropy(),
            time=self.wall(),
            orphan_s=self.orphan_s,
        )
        return IncarnationRecord(vm, self.host, incarnation, keys.public), identity
