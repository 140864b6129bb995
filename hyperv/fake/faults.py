"""What goes wrong on the fake host, switched on from outside: the same as on a real one."""

from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field

from hyperv.fake.records import ScriptError
from hyperv.lane_rules import Trouble

__all__ = ["Faults"]


@dataclass(slots=True)
class Faults:
    """Set these at will; each holds until it is taken back. What is only for the next call has a method of the host.

    Args:
        is_down: nobody answers at the host's address.
        service_stopped: Hyper-V's service does not run.
        access_denied: the account may not use Hyper-V.
        disk_full: what writes to the host's disk fails.
        damages_pushes: what is copied to guests arrives changed.
        never_heartbeat: names of VMs whose guests never answer.
        openings: how the next PowerShells fail to open.
        failures: how the next calls of a function fail.
        hangs: how many of the next calls of a function never end.
        lost_answers: how many of the next calls of a function are carried out while their connection breaks.
    """

    is_down: bool = False
    service_stopped: bool = False
    access_denied: bool = False
    disk_full: bool = False
    damages_pushes: bool = False
    never_heartbeat: set[str] = field(default_factory=set)
    openings: deque[Trouble] = field(default_factory=deque)
    failures: defaultdict[str, deque[ScriptError]] = field(default_factory=lambda: defaultdict(deque))
    hangs: Counter[str] = field(default_factory=Counter)
    lost_answers: Counter[str] = field(default_factory=Counter)

    def takes(self, counter: Counter[str], function: str) -> bool:
        """Whether this call of the function is one that the counter is for; it is counted down."""
        if not counter[function]:
            return False
        counter[function] -= 1
        return True
