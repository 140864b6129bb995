"""A call that is carried out: what functions are given beside their parameters, and what they put out."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hyperv.fake.binding import Given
from hyperv.fake.hypervisor import EndedError, Hypervisor
from hyperv.fake.machines import FakeVm
from hyperv.fake.records import tzar_error

__all__ = ["Call", "Handler", "Row", "summary"]

Row: TypeAlias = dict[str, Any]
Handler: TypeAlias = "Callable[[Hypervisor, Given, Call], list[Row]]"


@dataclass(slots=True)
class Call:
    """One call of a function.

    Args:
        host: where.
        ended: set when its PowerShell is ended.
        said: its warnings.
    """

    host: Hypervisor
    ended: threading.Event
    said: list[str] = field(default_factory=list)

    def pause(self, seconds: float) -> None:
        """Lets others at the host for a moment. Raises `EndedError`."""
        self.host.lock.wait(seconds)
        if self.ended.is_set():
            raise EndedError


def summary(vm: FakeVm) -> list[Row]:
    """What the verbs put out of a VM: Get-TzarSummary."""
    mark = vm.mark
    if mark is None:
        raise tzar_error("TzarForeignVM", f"The VM '{vm.name}' has lost its mark", target=vm.name)
    return [{"Name": mark.name, "Id": vm.id, "State": vm.state, "Incarnation": mark.incarnation}]
