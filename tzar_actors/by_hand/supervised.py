"""Has a running supervisor power VMs, and waits until they are as was asked."""

import time
from collections.abc import Iterator, Mapping
from typing import Final

from tzar_actors.by_hand.power import Done
from tzar_actors.client.fleet import Fleet
from tzar_actors.client.protocol import PowerVerb
from tzar_actors.client.results import VmSnapshot
from tzar_actors.errors import SupervisorError

__all__ = ["is_reached", "power"]

_LOOK_EACH_S: Final = 0.1
_HERE: Final = ("idle", "playing")


def power(fleet: Fleet, verb: PowerVerb, vms: Mapping[str, str], timeout_s: float) -> Iterator[Done]:
    """Asks for it for every one of `vms`, given with their hosts.

    Args:
        fleet: whose supervisor runs.
        verb: what to do.
        vms: to which VMs.
        timeout_s: seconds within which each should be as was asked; what was not is still on its way.

    Yields:
        how each ended, as it ends.

    Raises:
        SupervisorError: the supervisor answers no more.
    """
    deadline = time.monotonic() + timeout_s
    before = _rows(fleet)
    waiting = dict(vms)
    for vm, host in vms.items():
        try:
            fleet.power(vm, verb)
        except SupervisorError as error:
            del waiting[vm]
            yield Done(vm, host, verb, ok=False, text=str(error))
    while waiting:
        now = _rows(fleet)
        is_late = time.monotonic() >= deadline
        for vm, host in list(waiting.items()):
            row = now[vm]
            if is_reached(verb, before[vm], row):
                del waiting[vm]
                yield Done(vm, host, verb, ok=True, text=_said(verb, row), incarnation=row.incarnation)
            elif is_late:
                del waiting[vm]
                where = f"{row.state}, {row.detail}" if row.detail else row.state
                text = f"VM {vm} on {host}: it was asked for a {verb}, and after {timeout_s:g} s it is {where}"
                yield Done(vm, host, verb, ok=False, text=text, incarnation=row.incarnation)
        if waiting:
            time.sleep(_LOOK_EACH_S)


def is_reached(verb: PowerVerb, before: VmSnapshot, now: VmSnapshot) -> bool:
    """Whether a VM that was as `before` when it was asked for `verb` is `now` as was asked."""
    if verb == "stop":
        return now.is_held and now.state in ("off", "quarantined")
    if verb == "start":
        return now.state in _HERE
    # A restart that was asked for in the middle of a boot may be that boot.
    is_new = now.incarnation > before.incarnation or (verb == "restart" and before.state == "booting")
    return is_new and now.state in _HERE


def _rows(fleet: Fleet) -> dict[str, VmSnapshot]:
    return {row.vm: row for row in fleet.status().vms}


def _said(verb: PowerVerb, row: VmSnapshot) -> str:
    if verb == "stop":
        return "is off, and stays so until a person starts it"
    return f"runs, incarnation {row.incarnation}"
