"""Puts the real parts of a supervisor together, runs it, and takes it apart. Nothing else knows them all."""

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import Any, Final

import pykka
import zmq

from tzar_actors.actors.board import Board
from tzar_actors.actors.disk_lane import DiskLane
from tzar_actors.actors.dispatcher import Dispatcher
from tzar_actors.actors.evidence import EvidenceStore
from tzar_actors.actors.fleet_actor import FleetActor
from tzar_actors.actors.host_lane import HostLane
from tzar_actors.actors.housekeeper import Housekeeper
from tzar_actors.actors.messages import Restore, Shut
from tzar_actors.actors.wiring import HostWiring, Wiring
from tzar_actors.client.fleet import ACCESS_FILE
from tzar_actors.client.protocol import TRAINER_PROTOCOL_VERSION, TrainerWelcome
from tzar_actors.core.blame import BlamePolicy
from tzar_actors.core.call_limits import CallLimits
from tzar_actors.core.restart import RestartIntensity
from tzar_actors.core.room import Room
from tzar_actors.core.vm_limits import VmLimits
from tzar_actors.drivers.base import Driver
from tzar_actors.drivers.choice import make_driver
from tzar_actors.drivers.processes import age_s
from tzar_actors.events import catalogue
from tzar_actors.events.log import EventLog
from tzar_actors.fleet_plan import host_plans, longest_boot_s, longest_stop_s
from tzar_actors.gateway.addresses import bound, reachable, tcp
from tzar_actors.gateway.blobs import BlobServer
from tzar_actors.gateway.control import ControlServer, Heartbeats
from tzar_actors.gateway.keys import KeyRing, TrainerAccess, load_or_make_keys
from tzar_actors.gateway.spool import Spool
from tzar_actors.journal.journal import Journal
from tzar_actors.journal.reserve import Reserve
from tzar_actors.journal.retention import Retention
from tzar_actors.loop import Loop, PollWaiter, Timer, Watchdog
from tzar_actors.settings import Settings, require_evaluator
from tzar_actors.state_folder import JOURNAL_FILE, held, ports
from tzar_agent.protocol.codec import pack_value
from tzar_agent.protocol.messages import PROTOCOL_VERSION, Welcome

__all__ = ["supervise"]

_STALL_S: Final = 60.0  # a disk may hang for some seconds; a loop that has not turned for a minute never will
_LOG_S: Final = 0.02  # in which events are written, without a pause: a record costs as much for one as for many
_SPEC_LIMIT_BYTES: Final = 256 * 1024
_MIB: Final = 1024 * 1024
_GIB: Final = 1024 * _MIB
_BURST_INTERVALS: Final = 1.5  # heartbeats apart, at most, the agents of a host that died fall silent


def supervise(settings: Settings, *, console: bool, on_ready: Callable[[TrainerAccess], None]) -> None:
    """Runs a supervisor until it is shut down, on the main thread.

    Args:
        settings: all that it is told; the evaluator must be among it.
        console: whether people see the important events on stderr.
        on_ready: called once trainers can connect.

    Raises:
        ConfigError: there is no evaluator.
        LockedError: another supervisor holds the state folder.
        TzarError: it cannot run, or cannot go on; the text says why.
    """
    require_evaluator(settings)
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(held(settings.state_dir))
        log = EventLog(settings, console=console)
        stack.callback(log.close)
        _run(settings, stack, log, on_ready)
        log.emit(catalogue.SupervisorStopped())


def _run(settings: Settings, stack: ExitStack, log: EventLog, on_ready: Callable[[TrainerAccess], None]) -> None:
    state_dir = settings.state_dir
    reserve = Reserve(state_dir / "reserve")
    journal = stack.enter_context(
        Journal(state_dir / JOURNAL_FILE, settings.fleet.durability, lambda: uuid.uuid4().hex, reserve.make_room)
    )
    stack.callback(reserve.close)  # it goes first, so that the journal's last commit has its room
    waiter = PollWaiter()
    stack.callback(waiter.close)
    servers: list[ControlServer] = []  # there is one as soon as the loop turns
    log_due: list[Timer] = []

    def flush_log() -> None:
        log_due.clear()
        log.flush()

    def finish_round() -> None:
        for server in servers:
            server.flush()

    def finish_turn() -> None:
        for server in servers:
            server.desk.flush()
        if log.is_waiting and not log_due:
            log_due.append(loop.call_later(_LOG_S, flush_log))

    loop = Loop(time.monotonic, waiter, commit=journal.commit, finish_round=finish_round, finish_turn=finish_turn)
    server, trainer = load_or_make_keys(state_dir)
    keys = KeyRing(trainer.public)
    context: zmq.Context[Any] = zmq.Context(io_threads=2)
    stack.callback(context.term)
    heartbeats = Heartbeats(settings.heartbeat.interval_s, settings.heartbeat.misses)
    control_port, blob_port = ports(settings)
    gateway = bound(
        lambda port: ControlServer(loop, context, tcp(settings.fleet.listen, port), server, keys, heartbeats, log),
        control_port,
        chosen=settings.fleet.port != 0,
    )
    stack.callback(gateway.close)
    servers.append(gateway)
    spool = Spool(state_dir / "spool")
    limit_bytes = settings.limits.genome_mib * _MIB
    blobs = bound(
        lambda port: BlobServer(
            context,
            tcp(settings.fleet.listen, port),
            server,
            spool,
            limit_bytes,
            lambda digest, size: log.emit(catalogue.BlobStored(digest.hex(), size)),
            lambda reason: gateway.complaints.tell(catalogue.FrameDropped("blobs", reason)),
            spool.refusal,
        ),
        blob_port,
        chosen=settings.fleet.blob_port != 0,
    )
    stack.callback(blobs.close)
    access = TrainerAccess(
        reachable(gateway.endpoint),
        reachable(blobs.endpoint),
        server.public,
        trainer.public,
        trainer.secret,
        os.getpid(),
    )
    log.emit(
        catalogue.SupervisorStarted(
            journal.epoch, os.getpid(), gateway.endpoint, version("tzar-actors"), str(state_dir)
        )
    )
    wiring = _wire(settings, stack, loop, journal, log, gateway, spool, server.public)
    _keep_house(settings, stack, wiring, spool, reserve)
    _open(settings, wiring, gateway, spool, blobs, access)

    def on_stall(seconds: float) -> None:
        log.emit(catalogue.Watchdog(seconds))
        log.flush()

    watchdog = Watchdog(loop, _STALL_S, on_stall)
    watchdog.start()
    stack.callback(watchdog.stop)
    access.save(state_dir / ACCESS_FILE)
    _stop_on_signals(wiring, waiter)
    log.emit(catalogue.SupervisorReady(age_s(os.getpid())))
    on_ready(access)
    loop.run()


def _wire(
    settings: Settings,
    stack: ExitStack,
    loop: Loop,
    journal: Journal,
    log: EventLog,
    gateway: ControlServer,
    spool: Spool,
    server_key: str,
) -> Wiring:
    evaluator = require_evaluator(settings)
    recovery, heartbeat = settings.recovery, settings.heartbeat
    call_limits = CallLimits(recovery.call_timeout_s, longest_boot_s(settings), longest_stop_s(settings))
    wiring = Wiring(
        loop=loop,
        journal=journal,
        log=log,
        board=Board(settings.fleet.name, journal.epoch, os.getpid()),
        gateway=gateway,
        spool=spool,
        fleet_id=journal.fleet,
        server_key=server_key,
        wall=time.time,
        hosts=tuple(_hosts(settings, stack, journal.fleet, gateway.endpoint, call_limits)),
        vm_limits=VmLimits(
            boot_timeout_s=recovery.boot_timeout_s,
            silence_s=heartbeat.interval_s * heartbeat.misses,
            reconnect_grace_s=heartbeat.reconnect_grace_s,
            settle_s=recovery.window_s,
        ),
        intensity=RestartIntensity(
            recovery.restarts, recovery.window_s, recovery.first_delay_s, recovery.longest_delay_s
        ),
        blame=BlamePolicy(evaluator.max_attempts, evaluator.time_out_votes),
        time_limit_s=evaluator.time_limit_s,
        stall_s=evaluator.stall_s,
        genome_limit_bytes=settings.limits.genome_mib * _MIB,
        queue_limit=settings.limits.queue,
        drain_grace_s=settings.fleet.drain_grace_s,
        on_trainer_exit=settings.fleet.on_trainer_exit,
        burst_s=_BURST_INTERVALS * heartbeat.interval_s,
        probation_s=recovery.probation_s,
        evidence=EvidenceStore(settings.state_dir / "evidence", settings.log_file),
        call_limits=call_limits,
    )
    wiring.dispatcher = Dispatcher.start(wiring)
    wiring.dispatcher.tell(Restore(time.time()))
    wiring.fleet = FleetActor.start(wiring)
    return wiring


def _keep_house(settings: Settings, stack: ExitStack, wiring: Wiring, spool: Spool, reserve: Reserve) -> None:
    wiring.room = Room(settings.limits.disk_low_mib * _MIB, settings.limits.spool_gib * _GIB)
    wiring.reserve = reserve
    lane = DiskLane.start(spool, reserve)
    stack.callback(lane.stop, block=False)
    keep_s = settings.retention.keep_days * 86400.0
    retention = Retention(wiring.journal, keep_s, settings.retention.journal_gib * _GIB, wiring.loop.now)
    Housekeeper.start(wiring, spool, retention, lane)


def _hosts(
    settings: Settings, stack: ExitStack, fleet_id: str, endpoint: str, limits: CallLimits
) -> Iterator[HostWiring]:
    for plan in host_plans(settings):
        host = plan.host
        driver = make_driver(host, fleet_id, settings.state_dir, limits.limit_s)
        stack.callback(driver.close)
        yield HostWiring(
            host.name,
            plan.vms,
            plan.dialled(endpoint),
            plan.orphan_s,
            partial(_open_lane, stack, host.name, driver, plan.stop_timeout_s),
            plan.checkpoint,
            host.boots_at_a_time,
        )


def _open_lane(stack: ExitStack, host: str, driver: Driver, stop_timeout_s: float) -> "pykka.ActorRef[HostLane]":
    lane = HostLane.start(host, driver, stop_timeout_s)
    stack.callback(lane.stop, block=False)
    return lane


def _open(
    settings: Settings,
    wiring: Wiring,
    gateway: ControlServer,
    spool: Spool,
    blobs: BlobServer,
    access: TrainerAccess,
) -> None:
    evaluator = pack_value(require_evaluator(settings).spec(), _SPEC_LIMIT_BYTES, "the evaluator's settings")
    to_agents = Welcome(
        PROTOCOL_VERSION,
        wiring.journal.epoch,
        settings.heartbeat.interval_s,
        settings.heartbeat.misses,
        evaluator,
        access.blobs,
        str(spool.folder) if settings.fleet.share_blobs else None,
        settings.limits.cache_mib * _MIB,
    )
    to_trainers = TrainerWelcome(
        TRAINER_PROTOCOL_VERSION,
        wiring.journal.epoch,
        settings.fleet.name,
        settings.model_dump_json(),
        access.blobs,
        str(spool.folder),
        spool.token,
        wiring.genome_limit_bytes,
    )
    gateway.desk.open(lambda: to_trainers, wiring.dispatcher, wiring.fleet)
    blobs_of = {vm: plan.dialled(blobs.endpoint) for plan in host_plans(settings) for vm in plan.vms}
    gateway.open(lambda vm: replace(to_agents, blobs=blobs_of.get(vm, access.blobs)))
    blobs.start()


def _stop_on_signals(wiring: Wiring, waiter: PollWaiter) -> None:
    def stop(number: int, frame: object) -> None:
        if wiring.fleet.is_alive():
            wiring.fleet.tell(Shut("stop", f"signal {signal.Signals(number).name}"))
            waiter.wake()  # this runs on the loop's own thread, which may be waiting

    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, stop)
