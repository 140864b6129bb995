"""A VM's machine, brought to where a story begins."""

from tzar_actors.core.vm import Vm
from tzar_actors.core.vm_events import (
    AgentCame,
    AgentFaulted,
    AskStatus,
    CallDone,
    CancelTimer,
    ReportAway,
    Seen,
    SetTimer,
)
from tzar_actors.core.vm_limits import VmLimits
from tzar_actors.core.vm_table import AgentPhase

LIMITS = VmLimits(boot_timeout_s=60.0, silence_s=6.0, reconnect_grace_s=20.0, settle_s=600.0)
QUIET = [CancelTimer("silence"), CancelTimer("grace"), CancelTimer("recheck")]
ENDED = [CancelTimer("boot"), CancelTimer("settle"), *QUIET]
AWAY = [ReportAway(), AskStatus(), SetTimer("recheck", 0.01), SetTimer("silence", 6.0), SetTimer("grace", 20.0)]


def seen(power, incarnation=1, asked_at=1000.0, machine_id=""):
    return Seen(power, incarnation, asked_at, machine_id)


def steps(vm, *events):
    """The commands of the last of these events."""
    commands = []
    for event in events:
        commands = vm.step(event)
    return commands


def ready_vm():
    """A VM whose agent of incarnation 1 is here."""
    vm = Vm(LIMITS)
    steps(vm, seen("off", 0, 0.0), CallDone(1.0), AgentCame(1))
    assert vm.phase is AgentPhase.READY
    return vm


def failed_vm():
    """A running VM that failed."""
    vm = ready_vm()
    vm.step(AgentFaulted("no use"))
    return vm
