"""A Hyper-V host as such: what is prepared on it once, and whether it can carry the fleet's VMs."""

import ipaddress
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hyperv.lanes import Lanes
from hyperv.messages import Value
from hyperv.plans import VmPlan
from tzar_actors.drivers.base import Check, Part
from tzar_actors.errors import DriverError

__all__ = ["HyperVSetup", "Listening", "NetworkPlan"]

_CALL_S = 120.0
_INITIALIZE = r".\Initialize-TzarHost.ps1"  # what the functions' cures for the network begin with


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the supervisor is to be reached by guests.

    Args:
        address: the one on which it listens; that of no network in particular is every one of its machine.
        advertised: what guests are told in its place; "": just it.
    """

    address: str
    advertised: str = ""

    @property
    def is_for_this_machine_alone(self) -> bool:
        """Whether no guest can reach it."""
        return _is_loopback(self.address) or _is_loopback(self.dialled)

    @property
    def dialled(self) -> str:
        """What guests are told."""
        address = ipaddress.ip_address(self.address)
        own = {4: "127.0.0.1", 6: "::1"}[address.version] if address.is_unspecified else self.address
        return self.advertised or own


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """The network of the host's VMs.

    Args:
        host_address: the host's own on an internal switch.
        prefix_length: of the network there.
        nat: whether the host lets guests out.
        is_elsewhere: whether the supervisor does not run on the host.
        ports: where it listens for control and for blobs; 0: it has not chosen yet.
        listening: where guests reach it; None: they are processes of its own machine.
    """

    host_address: str
    prefix_length: int
    nat: bool
    is_elsewhere: bool
    ports: tuple[int, int]
    listening: Listening | None = None


class HyperVSetup:
    """Prepares and checks one host.

    Args:
        host: its name, for errors.
        fleet: the fleet's id, 32 hex digits.
        lanes: to the host; they are closed with this.
        vms: how VMs are made there.
        network: of these VMs.
        count: how many VMs it is to carry.
    """

    def __init__(self, host: str, fleet: str, lanes: Lanes, vms: VmPlan, network: NetworkPlan, count: int) -> None:
        self._host = host
        self._fleet = fleet
        self._lanes = lanes
        self._vms = vms
        self._network = network
        self._count = count

    def initialize(self) -> Sequence[Part]:
        """Makes the switch, the host's address on it, NAT if wanted, the firewall's rule and the folder.

        Raises:
            DriverError: a part could not be made; or the firewall cannot be told of ports that nobody has chosen yet.
        """
        port, blob_port = self._network.ports
        if not (port and blob_port):
            raise DriverError(
                "the firewall's rule needs the supervisor's ports, and they are not chosen yet",
                host=self._host,
                cure="Set port and blob_port in [fleet], or start the supervisor once",
            )
        given: dict[str, Value] = {**self._address(), "Nat": self._network.nat, "Port": port, "BlobPort": blob_port}
        made = self._lanes.call("Initialize-TzarHost", {**given, "Folder": self._vms.folder}, _CALL_S)
        return [Part(part["Name"], part["Found"], part["Detail"]) for part in made]

    def check(self) -> Sequence[Check]:
        """What `Test-TzarHost` finds, once the host was reached and took the account."""
        self._lanes.call("Get-TzarWorkerVM", {"Fleet": self._fleet}, _CALL_S)  # or opening the lane would be clock skew
        port, blob_port = self._network.ports
        given: dict[str, Value] = {
            "Fleet": self._fleet,
            **self._address(),
            "SupervisorIsElsewhere": self._network.is_elsewhere,
            "Port": port,
            "BlobPort": blob_port,
            "Folder": self._vms.folder,
            "Template": self._vms.template,
            "Generation": self._vms.generation,
            "Count": self._count,
            "MemoryMB": self._vms.memory,
            "DiskMB": self._vms.disk,
            "ReserveMemoryMB": self._vms.reserve_memory,
            "ReserveDiskMB": self._vms.reserve_disk,
            "GpuPartition": self._vms.gpu_partition,
            "Time": time.time(),
        }
        found = self._lanes.call("Test-TzarHost", given, _CALL_S)
        reached = Check("reached", True, "PowerShell answers, and took the account", "the host can be asked")
        return [
            reached,
            *self._listening_checks(),
            *(
                self._by_tzar(Check(*(each[name] for name in ("Name", "Ok", "Found", "Wanted", "Cure"))))
                for each in found
            ),
        ]

    def close(self) -> None:
        """Ends the PowerShells on the host."""
        self._lanes.close()

    def _listening_checks(self) -> Sequence[Check]:
        listening, network = self._network.listening, self._network
        if listening is None:
            return ()
        found = f"the supervisor listens on {listening.address}, and guests dial {listening.dialled}"
        wanted = "an address of the supervisor that guests reach"
        if not listening.is_for_this_machine_alone:
            return (Check("listen", True, found, wanted),)
        cure = f'Set listen = "{network.host_address}" in [fleet]: the address on the guests\' switch'
        if network.is_elsewhere:
            cure = (
                'Set listen = "0.0.0.0" in [fleet], and advertise in [[hosts]] to the address of the supervisor\'s'
                " machine as the host reaches it"
            )
        return (Check("listen", False, f"{found}; a loopback address is each guest's own", wanted, cure),)

    def _by_tzar(self, check: Check) -> Check:
        """The check with the cure for people who asked by `tzar`: the scripts' comes after."""
        if not check.cure.startswith(_INITIALIZE):
            return check
        setting = "Set nat = true in [hosts.hyperv], then: " if check.name == "nat" and not self._network.nat else ""
        return replace(check, cure=f"{setting}tzar host init {self._host}; or on the host: {check.cure}")

    def _address(self) -> dict[str, Value]:
        return {
            "SwitchName": self._vms.switch,
            "HostAddress": self._network.host_address,
            "PrefixLength": self._network.prefix_length,
        }


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:  # a name
        return address == "localhost"
