"""The parts that actors reach each other and the world by. `app.py` fills it; everything in it is used on the loop."""

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import pykka

from tzar_actors.actors.board import Board
from tzar_actors.actors.evidence import EvidenceStore
from tzar_actors.actors.ports import BlobStore, Gateway
from tzar_actors.core.blame import BlamePolicy
from tzar_actors.core.call_limits import CallLimits
from tzar_actors.core.restart import RestartIntensity
from tzar_actors.core.room import Room
from tzar_actors.core.vm_limits import VmLimits
from tzar_actors.events.sink import EventSink
from tzar_actors.gateway.keys import KeyPair
from tzar_actors.journal.journal import Journal
from tzar_actors.journal.reserve import Reserve
from tzar_actors.loop import Loop

__all__ = ["Chance", "HostWiring", "Wiring"]


def _new_entropy() -> str:
    return secrets.token_hex(32)


@dataclass(frozen=True, slots=True)
class Chance:
    """All randomness that the actors use. A simulation puts seeded sources in their place, and replays exactly.

    Args:
        draw: a draw from [0, 1), for delays.
        keys: makes the key pair of a new incarnation.
        entropy: makes the 32 random bytes, in hex, that a new incarnation is given.
    """

    draw: Callable[[], float] = random.random
    keys: Callable[[], KeyPair] = KeyPair.make
    entropy: Callable[[], str] = _new_entropy


_BOUNDLESS: Final = Room(low_bytes=0, spool_limit_bytes=2**63)  # where nobody keeps house there is always room


@dataclass(slots=True)
class HostWiring:
    """What belongs to one host.

    Args:
        name: the host's name.
        vms: the names of its VMs.
        endpoint: where its agents dial.
        orphan_s: seconds without a supervisor after which its agents end; None: they park.
        open_lane: makes one more thread that calls the driver.
        checkpoint: the name of the checkpoint that a VM is restored to; "": there is none.
        boots_at_a_time: how many of its VMs may boot at the same time.
    """

    name: str
    vms: tuple[str, ...]
    endpoint: str
    orphan_s: float | None
    open_lane: "Callable[[], pykka.ActorRef[Any]]"
    checkpoint: str = ""
    boots_at_a_time: int = 4
    # These three are there once the fleet's actor has started them.
    actor: "pykka.ActorRef[Any]" = field(init=False)
    lanes: "pykka.ActorRef[Any]" = field(init=False)  # for calls
    questions: "pykka.ActorRef[Any]" = field(init=False)  # for status alone, so that a call that hangs blinds nobody


@dataclass(slots=True)
class Wiring:
    """What belongs to the supervisor. `dispatcher` and `fleet` are there once those actors have been started.

    `room` is what the housekeeper saw last, and `reserve` what it holds for when there is none.
    """

    loop: Loop
    journal: Journal
    log: EventSink
    board: Board
    gateway: Gateway
    spool: BlobStore
    fleet_id: str
    server_key: str
    wall: Callable[[], float]  # seconds since 1970
    hosts: tuple[HostWiring, ...]
    vm_limits: VmLimits
    intensity: RestartIntensity
    blame: BlamePolicy
    time_limit_s: float
    stall_s: float | None
    genome_limit_bytes: int
    queue_limit: int
    drain_grace_s: float
    on_trainer_exit: str
    burst_s: float = 1.5  # VMs of one host that fail within so many seconds fail at once
    probation_s: float = 600.0  # the length of a VM's first quarantine
    call_limits: CallLimits = field(default_factory=CallLimits)
    evidence: EvidenceStore | None = None  # None: none is kept
    chance: Chance = field(default_factory=Chance)
    dispatcher: "pykka.ActorRef[Any]" = field(init=False)
    fleet: "pykka.ActorRef[Any]" = field(init=False)
    room: Room = field(default=_BOUNDLESS)
    reserve: Reserve | None = None
    vm_actors: "dict[str, pykka.ActorRef[Any]]" = field(default_factory=dict)  # by VM: a restart makes a new actor
    supervisors: "dict[str, pykka.ActorRef[Any]]" = field(default_factory=dict)  # by VM

    def shortage(self, *, needs_spool: bool) -> tuple[str, str] | None:
        """Why there is no room for a new evaluation, as a code and a reason; None: there is.

        Args:
            needs_spool: its genome lies in the spool.
        """
        is_out = self.reserve is not None and self.reserve.is_spent
        return (self.room.ran_out() if is_out else self.room).shortage(needs_spool=needs_spool)
