"""Events of VMs, their agents, their hosts, and peers that would be agents. The catalogue has them all."""

from typing import ClassVar

from tzar_actors.events.level import Level
from tzar_agent.protocol.value import value

__all__ = [
    "AgentDisconnected",
    "AgentRefused",
    "AgentSilent",
    "DriverFailed",
    "FloodCounted",
    "FrameDropped",
    "HostDown",
    "HostUp",
    "LaneAbandoned",
    "LaneFreed",
    "PeerRejected",
    "VmAsked",
    "VmCreated",
    "VmEvidence",
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
    """Nothing brought the VM back: it is off for `for_s`, then has one trial. `evidence`: how it failed before.

    `folder`: what more there is to see of it, once `vm_evidence` has come; empty when there is no room for that.
    """

    NAME: ClassVar[str] = "vm_quarantined"
    LEVEL: ClassVar[Level] = Level.ERROR
    TEXT: ClassVar[str] = "VM {vm} is in quarantine for {for_s:.0f} s: {reason}"
    vm: str
    reason: str
    for_s: float
    evidence: str
    folder: str


@value
class VmEvidence:
    """The evidence of a quarantine lies in `folder`, in so many `files`. `lacks`: what it has not, and why."""

    NAME: ClassVar[str] = "vm_evidence"
    LEVEL: ClassVar[Level] = Level.INFO
    TEXT: ClassVar[str] = "VM {vm}: what is known of its failures lies in {folder}"
    vm: str
    folder: str
    files: int
    lacks: str


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
    """A driver's verb failed; `vm` is None when it concerned the whole host.

    That a host cannot be asked for its status is told when it begins, and when the reason becomes another one.
    """

    NAME: ClassVar[str] = "driver_failed"
    LEVEL: ClassVar[Level] = Level.WARNING
    TEXT: ClassVar[str] = "{verb} failed: {error}"
    vm: str | None
    host: str
    verb: str
    error: str


@value
class LaneAbandoned:
    """A driver's call was not answered in its time, `seconds`: it is given up, with the thread that waits for it.

    `call` has verb and VM for people; `vm` is None when it concerned the whole host. `stuck`: how many threads wait in
    vain in this host's driver now.
    """

    NAME: ClassVar[str] = "lane_abandoned"
    LEVEL: ClassVar[Level] = Level.WARNING
    TEXT: ClassVar[str] = "{call} was not answered within {seconds:.0f} s: {stuck} calls of host {host} are stuck"
    vm: str | None
    host: str
    verb: str
    call: str
    seconds: float
    stuck: int


@value
class LaneFreed:
    """A driver's call that was given up was answered after `seconds`. What it said is dropped: status shows what is."""

    NAME: ClassVar[str] = "lane_freed"
    LEVEL: ClassVar[Level] = Level.INFO
    TEXT: ClassVar[str] = "{call} on host {host}, which was given up, was answered after {seconds:.0f} s"
    vm: str | None
    host: str
    verb: str
    call: str
    seconds: float


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


@value
class FloodCounted:
    """So many events named `of` about this peer were counted within `seconds`, and not told one by one.

    The first ones of each minute are told. `reason`: of the last one that was counted; `peer` is "others" for those of
    many peers together.
    """

    NAME: ClassVar[str] = "flood_counted"
    LEVEL: ClassVar[Level] = Level.WARNING
    TEXT: ClassVar[str] = "{count} more of {of} about {peer} within {seconds:.0f} s, the last one: {reason}"
    of: str
    peer: str
    count: int
    seconds: float
    reason: str
