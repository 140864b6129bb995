"""Events of VMs, their agents, their hosts, and peers that would be agents. The catalogue has them all."""

from typing import ClassVar

from tzar_actors.events.level import Level
from tzar_agent.protocol.value import value

__all__ = [
    "AgentDisconnected",
    "AgentRefused",
    "AgentSilent",
    "DriverFailed",
    "FrameDropped",
    "HostDown",
    "HostUp",
    "PeerRejected",
    "VmAsked",
    "VmCreated",
    "VmFailed",
    "VmHeld",
    "VmQuarantined",
    "VmReady",
    "VmRecovering",
    "VmReleased",
    "VmRemoved",
    "VmReset",
    "VmStarted",
    "VmStopped",
    "VmStray",
]


@value
class VmCreated:
    """A driver made a VM; `machine_id` is the hypervisor's own id of it."""

    NAME: ClassVar[str] = "vm_created"
    LEVEL: ClassVar[Level] = Level.INFO
    TEXT: ClassVar[str] = "VM {vm} created on {host}"
    vm: str
    host: str
    machine_id: str


@value
class VmStarted:
    """A VM booted and has its identity; `seconds` is how long the driver took."""

    NAME: ClassVar[str] = "vm_started"
    LEVEL: ClassVar[Level] = Level.INFO
    TEXT: ClassVar[str] = "VM {vm} started on {host}, incarnation {incarnation}, in {seconds:.1f} s"
    vm: str
    host: str
    incarnation: int
    seconds: float


@value
class VmReady:
    """A VM's agent said hello and was welcomed; `seconds` since its start, or since the supervisor's if `adopted`."""

    NAME: ClassVar[str] = "vm_ready"
    LEVEL: ClassVar[Level] = Level.INFO
    TEXT: ClassVar[str] = "VM {vm} ready after {seconds:.1f} s, incarnation {incarnation}, agent pid {pid}"
    vm: str
    incarnation: int
    pid: int
    seconds: float
    adopted: bool


@value
class VmFailed:
    """A VM or its agent failed, and will be reset; `cause` says how it was seen."""

    NAME: ClassVar[str] = "vm_failed"
    LEVEL: ClassVar[Level] = Level.WARNING
    TEXT: ClassVar[str] = "VM {vm} failed: {cause}"
    vm: str
    incarnation: int
    cause: str


@value
class VmRecovering:
    """What is tried next for a VM that failed: a rung of the ladder, after `delay_s`."""

    NAME: ClassVar[str] = "vm_recovering"
    LEVEL: ClassVar[Level] = Level.INFO
    TEXT: ClassVar[str] = "VM {vm}: {rung} in {delay_s:.1f} s"
    vm: str
    rung: str
    delay_s: float


@value
class VmQuarantined:
    """Nothing brought the VM back: it is off for `for_s`, then has one trial. `evidence`: how it failed before."""

    NAME: ClassVar[str] = "vm_quarantined"
    LEVEL: ClassVar[Level] = Level.ERROR
    TEXT: ClassVar[str] = "VM {vm} is in quarantine for {for_s:.0f} s: {reason}"
    vm: str
    reason: str
    for_s: float
    evidence: str


@value
class VmReleased:
    """A VM's time in quarantine is over: it has one trial."""

    NAME: ClassVar[str] = "vm_released"
    LEVEL: ClassVar[Level] = Level.INFO
    TEXT: ClassVar[str] = "VM {vm} is out of quarantine, for one trial"
    vm: str


@value
class VmStray:
    """A VM that bears the fleet's mark and that neither configuration nor journal knows; it is removed."""

    NAME: ClassVar[str] = "vm_stray"
    LEVEL: ClassVar[Level] = Level.WARNING
    TEXT: ClassVar[str] = "VM {vm} on {host} is ours and nobody knows it: it is removed"
    vm: str
    host: str


@value
class HostDown:
    """A host cannot be asked, or many of its VMs failed at once: nothing that happens there counts against anybody."""

    NAME: ClassVar[str] = "host_down"
    LEVEL: ClassVar[Level] = Level.ERROR
    TEXT: ClassVar[str] = "host {host} has a fault: {reason}"
    host: str
    reason: str


@value
class HostUp:
    """A host works again after `host_down`, `seconds` ago."""

    NAME: ClassVar[str] = "host_up"
    LEVEL: ClassVar[Level] = Level.WARNING
    TEXT: ClassVar[str] = "host {host} works again after {seconds:.1f} s"
    host: str
    seconds: float


@value
class VmReset:
    """A VM is booted anew by command, which counts as no failure of it."""

    NAME: ClassVar[str] = "vm_reset"
    LEVEL: ClassVar[Level] = Level.INFO
    TEXT: ClassVar[str] = "VM {vm} is booted anew: {reason}"
    vm: str
    reason: str


@value
class VmAsked:
    """A person asked the supervisor to start, stop, restart or reset a VM; none of it counts as a failure."""

    NAME: ClassVar[str] = "vm_asked"
    LEVEL: ClassVar[Level] = Level.INFO
    TEXT: ClassVar[str] = "a person asked for a {verb} of VM {vm}"
    vm: str
    verb: str


@value
class VmHeld:
    """A supervisor has begun, and leaves a VM off that a person stopped."""

    NAME: ClassVar[str] = "vm_held"
    LEVEL: ClassVar[Level] = Level.WARNING
    TEXT: ClassVar[str] = "VM {vm} stays off, since a person stopped it. To start it: tzar vm start {vm}"
    vm: str


@value
class VmStopped:
    """A VM is off because it was told to be."""

    NAME: ClassVar[str] = "vm_stopped"
    LEVEL: ClassVar[Level] = Level.INFO
    TEXT: ClassVar[str] = "VM {vm} stopped"
    vm: str


@value
class VmRemoved:
    """A VM, its disks and its checkpoints are gone because they were told to be."""

    NAME: ClassVar[str] = "vm_removed"
    LEVEL: ClassVar[Level] = Level.INFO
    TEXT: ClassVar[str] = "VM {vm} removed"
    vm: str


@value
class DriverFailed:
    """A driver's verb failed; `vm` is None when it concerned the whole host."""

    NAME: ClassVar[str] = "driver_failed"
    LEVEL: ClassVar[Level] = Level.WARNING
    TEXT: ClassVar[str] = "{verb} failed: {error}"
    vm: str | None
    host: str
    verb: str
    error: str


@value
class AgentSilent:
    """An agent's heartbeats have been missing for so long."""

    NAME: ClassVar[str] = "agent_silent"
    LEVEL: ClassVar[Level] = Level.WARNING
    TEXT: ClassVar[str] = "the agent of VM {vm} has been silent for {seconds:.1f} s"
    vm: str
    seconds: float


@value
class AgentDisconnected:
    """The connection of an agent broke."""

    NAME: ClassVar[str] = "agent_disconnected"
    LEVEL: ClassVar[Level] = Level.WARNING
    TEXT: ClassVar[str] = "the agent of VM {vm} lost its connection"
    vm: str


@value
class AgentRefused:
    """A peer with a known key said a hello that does not fit: another version, VM or incarnation."""

    NAME: ClassVar[str] = "agent_refused"
    LEVEL: ClassVar[Level] = Level.WARNING
    TEXT: ClassVar[str] = "an agent at {address} was refused: {reason}"
    address: str
    reason: str


@value
class PeerRejected:
    """A peer had no key that the server knows; its connection never came to be."""

    NAME: ClassVar[str] = "peer_rejected"
    LEVEL: ClassVar[Level] = Level.WARNING
    TEXT: ClassVar[str] = "a peer at {address} was rejected: {reason}"
    address: str
    reason: str


@value
class FrameDropped:
    """A frame that is no message, or not one that this peer may send now, was dropped."""

    NAME: ClassVar[str] = "frame_dropped"
    LEVEL: ClassVar[Level] = Level.WARNING
    TEXT: ClassVar[str] = "a frame of {peer} was dropped: {reason}"
    peer: str
    reason: str
