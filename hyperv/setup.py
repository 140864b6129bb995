"""How a Hyper-V host is prepared and checked: `Initialize-TzarHost` and `Test-TzarHost`, asked through a lane."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from hyperv.lanes import Lanes
from hyperv.messages import Value
from tzar_actors.drivers.base import Check, Part
from tzar_actors.errors import DriverError

__all__ = ["HyperVSetup"]

_INITIALIZE_S: Final = 180.0
_CHECK_S: Final = 120.0


class HyperVSetup:
    """A host that is reached by lanes of its own.

    Args:
        host: its name, for errors.
        lanes: how it is reached; `close` ends them.
        initialize: the parameters of `Initialize-TzarHost`; None or 0 as its `Port`: there is none yet.
        check: the parameters of `Test-TzarHost`, but for the time.
        wall: seconds since 1970.
    """

    def __init__(
        self,
        host: str,
        lanes: Lanes,
        initialize: Mapping[str, Value],
        check: Mapping[str, Value],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._host = host
        self._lanes = lanes
        self._initialize = initialize
        self._check = check
        self._wall = wall

    def initialize(self) -> Sequence[Part]:
        """Makes the switch, the host's address on it, NAT where it is wanted, the firewall's rule, the folder.

        Raises:
            DriverError: no port is known that the firewall would have to let in, or as the host says.
        """
        if not self._initialize.get("Port"):
            raise DriverError(
                "the firewall cannot be told which port to let in: no port of the supervisor is chosen yet",
                host=self._host,
                cure="Set port and blob_port in [fleet]",
            )
        made = self._lanes.call("Initialize-TzarHost", self._initialize, _INITIALIZE_S)
        return tuple(Part(str(each["Name"]), str(each["Found"]), str(each["Detail"])) for each in made)

    def check(self) -> Sequence[Check]:
        """See `HostSetup`."""
        found = self._lanes.call("Test-TzarHost", {**self._check, "Time": self._wall()}, _CHECK_S)
        return tuple(
            Check(str(each["Name"]), each["Ok"], str(each["Found"]), str(each["Wanted"]), str(each["Cure"]))
            for each in found
        )

    def close(self) -> None:
        """Ends the lanes."""
        self._lanes.close()
