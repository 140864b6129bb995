"""What is asked of a host's lanes, and what they answer."""

from collections.abc import Mapping
from typing import Any

import pykka

from tzar_actors.actors.evidence import EvidenceAnswer, EvidenceCall
from tzar_actors.core.vm_events import Verb
from tzar_actors.drivers.base import VmStatus
from tzar_agent.protocol.identity import Identity
from tzar_agent.protocol.value import value

__all__ = ["CallAnswer", "DriverCall", "HostAnswer", "HostQuestion", "LaneDone", "LaneWork"]


@value
class DriverCall:
    """To a host's lanes: call this verb, and tell `reply_to` how it ended.

    Args:
        reply_to: who is told.
        generation: of the actor that asks; the answer to a dead actor's call is known by it.
        limit_s: how long it may take, in seconds, once a lane has begun it.
        identity: of verbs that deliver one.
        checkpoint: of `restore`.
    """

    reply_to: "pykka.ActorRef[Any]"
    generation: int
    vm: str
    verb: Verb
    limit_s: float
    identity: Identity | None = None
    checkpoint: str = ""


@value
class CallAnswer:
    """How a driver call ended; `error` is None when it ended well. `refused`: the host could not or would not do it.

    `is_unanswered`: it was given up at its limit, so that nobody knows what came of it.
    """

    generation: int
    verb: Verb
    seconds: float
    machine_id: str | None = None
    error: str | None = None
    refused: bool = False
    is_unanswered: bool = False


@value
class HostQuestion:
    """To a host's lanes: what of your host's VMs? `limit_s` as in `DriverCall`."""

    reply_to: "pykka.ActorRef[Any]"
    asked_at: float
    limit_s: float


@value
class LaneWork:
    """A host's lanes to one of them: do this, and tell `reply_to` about it."""

    reply_to: "pykka.ActorRef[Any]"
    lane: int
    work: DriverCall | HostQuestion | EvidenceCall


@value
class HostAnswer:
    """What a host said. `vms` is None when it could not be asked: then nothing is known."""

    host: str
    asked_at: float
    vms: Mapping[str, VmStatus] | None
    error: str = ""


@value
class LaneDone:
    """One of a host's lanes: this came of what it was handed last."""

    lane: int
    answer: CallAnswer | HostAnswer | EvidenceAnswer
