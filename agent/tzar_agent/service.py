"""Runs the session: one thread that waits for sockets and the clock, and carries out what the session decides.

Nothing here waits for a game: evaluator processes are watched by small threads of their own, which post to the loop.
"""

import contextlib
import os
import random
import selectors
import sys
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import assert_never

import psutil
import zmq
from loguru import logger

import tzar_agent
from tzar_agent import commands as do
from tzar_agent.connection import Connection
from tzar_agent.evaluators.base import Evaluator, Place
from tzar_agent.evaluators.broken import Broken
from tzar_agent.evaluators.spec import SpecError, make_evaluator
from tzar_agent.events import Event, GenomeFailed, GenomeReady, HandshakeSucceeded, LinkLost, Received, Tick
from tzar_agent.fetch import SILENT_S, BlobLink
from tzar_agent.genomes import GenomeError, Genomes
from tzar_agent.home import Home
from tzar_agent.load import Load
from tzar_agent.outbox import Outbox
from tzar_agent.protocol.codec import DecodeError
from tzar_agent.protocol.identity import Identity
from tzar_agent.protocol.messages import AgentHeartbeat, Bye, Play, Welcome, control_codec
from tzar_agent.session import Session, Who
from tzar_agent.stop import StopSignal
from tzar_agent.tree import SurvivorsError, end_marked
from tzar_agent.wakeup import Mailbox

__all__ = ["Service"]

IDENTITY_POLL_S = 0.5  # while serving: a VM that was restored from a checkpoint in full swing gets a new one
_MESSAGES_A_TURN = 200
_HURRY_S = 0.001  # what was said is sent when a turn lasts longer than this


class Service:
    """The time under one identity, from the first dial until it is given up.

    Args:
        home: the agent's folder.
        identity: whom to serve, and as whom.
        context: of ZeroMQ.
        mailbox: how other threads reach the loop.
        stop: whether the agent was told to end.
    """

    def __init__(
        self,
        home: Home,
        identity: Identity,
        context: "zmq.Context[zmq.Socket[bytes]]",
        mailbox: Mailbox,
        stop: StopSignal,
    ) -> None:
        _stir_in(identity)
        self._home, self._identity, self._context, self._mailbox, self._stop = home, identity, context, mailbox, stop
        _sweep(identity)
        home.clear_work()
        self._codec = control_codec()
        self._outbox = Outbox(home.outbox, f"{identity.fleet}/{identity.vm}")
        self._genomes = Genomes(home.cache)
        self._place = Place(identity.fleet, identity.vm, home.folder, home.work, mailbox.post)
        self._load = Load()
        self._evaluator: Evaluator = Broken("no welcome has named an evaluator yet")
        self._connection: Connection | None = None
        self._blobs: BlobLink | None = None
        # On the sockets' own descriptors: zmq's poll asks each socket twice, which costs more than a small game.
        self._selector = selectors.DefaultSelector()
        self._selector.register(mailbox.reader, selectors.EVENT_READ)
        self._is_unread = False  # a descriptor tells only of what came since its socket was last used
        who = Who(identity.vm, identity.incarnation, f"tzar-agent {tzar_agent.__version__}", os.getpid())
        self._session = Session(who, identity.orphan_s, self._outbox.frames, time.monotonic())
        self._events: deque[Event] = deque()
        self._welcome: Welcome | None = None
        self._unsent: list[bytes] = []
        self._dropped = 0
        self._ends: do.Park | do.Exit | None = None
        self._random = random.Random(identity.entropy)

    def run(self) -> bool:
        """Serves. Returns whether the agent shall end; else it shall park."""
        identity = self._identity
        logger.info("VM {}, incarnation {}: dialing {}", identity.vm, identity.incarnation, identity.endpoint)
        look_at = next_at = 0.0
        try:
            while self._ends is None:
                if self._stop.is_wanted:
                    self._ends = do.Exit("told to end")
                    break
                now = time.monotonic()
                if now >= look_at:
                    look_at = now + IDENTITY_POLL_S
                    if self._home.has_identity():
                        self._ends = do.Park("a new identity has come in")
                        break
                self._turn(min(look_at, next_at) - now)
                next_at = self._keep_time()
        finally:
            self._close()
        return isinstance(self._ends, do.Exit)

    def _turn(self, wait_s: float) -> None:
        if self._is_unread or (self._blobs is not None and self._blobs.has_come()):
            wait_s = 0
        ready = {key.fd for key, _ in self._selector.select(max(0.0, wait_s))}
        if (connection := self._connection) is not None:
            if connection.fd in ready or self._is_unread:
                self._listen(connection)
            if connection.monitor_fd in ready and connection is self._connection:
                self._watch(connection)
        if self._mailbox.reader.fileno() in ready:
            for posted in self._mailbox.drain():
                self._feed(self._evaluator.absorb(posted))  # what an evaluator of before posted is not taken
        if (blobs := self._blobs) is not None and (blobs.attempt is not None or blobs.fd in ready):
            self._collect(blobs)
        self._send_out()

    def _keep_time(self) -> float:
        """Does what is due, and returns when something is next, in monotonic seconds."""
        now = time.monotonic()
        evaluator_at, session_at = self._evaluator.next_at(), self._session.next_at()
        if now >= session_at or (evaluator_at is not None and now >= evaluator_at):
            if evaluator_at is not None and now >= evaluator_at:
                self._feed(self._evaluator.tick(now))
            self._feed([Tick(now, self._random.random())])
            self._send_out()
            evaluator_at, session_at = self._evaluator.next_at(), self._session.next_at()
        fetch_at = self._blobs.next_at() if self._blobs is not None else None
        return min(moment for moment in (session_at, evaluator_at, fetch_at) if moment is not None)

    def _listen(self, connection: Connection) -> None:
        began = time.monotonic()
        for _ in range(_MESSAGES_A_TURN):
            frame = connection.read()
            if frame is None:
                self._is_unread = False
                return
            try:
                message = self._codec.decode(frame)
            except DecodeError as error:
                self._drop(str(error))
            else:
                now = time.monotonic()
                self._feed([Received(now, message)])
                if now - began > _HURRY_S:
                    self._send_out()
            if connection is not self._connection:
                return
        self._is_unread = True

    def _watch(self, connection: Connection) -> None:
        for failure in connection.happened():
            now = time.monotonic()
            if failure is None:
                self._feed([HandshakeSucceeded(now)])
            else:
                self._feed([LinkLost(now, self._random.random(), failure)])
                return

    def _collect(self, blobs: BlobLink) -> None:
        attempt, now = blobs.attempt, time.monotonic()
        try:
            genome = blobs.read()
            if attempt is None:
                return  # chunks of a fetch that was given up: they were read, and nobody wants them
            if genome is not None:
                self._feed([GenomeReady(now, attempt, genome)])
            elif (fails_at := blobs.next_at()) is not None and now >= fails_at:
                raise GenomeError(f"nothing came over the blob socket for {SILENT_S:g} s")
        except GenomeError as error:
            blobs.abandon()
            if attempt is not None:
                self._feed([GenomeFailed(now, attempt, str(error))])

    def _feed(self, events: Iterable[Event]) -> None:
        """Steps the session with each event, and with those that carrying out its commands leads to."""
        was_empty = not self._events
        self._events.extend(events)
        if not was_empty:
            return  # a call further up is at it
        while self._events:
            for command in self._session.step(self._events[0]):
                self._carry_out(command)
            self._events.popleft()

    def _carry_out(self, command: do.Command) -> None:
        match command:
            case do.Obtain(play):
                self._obtain(play)
            case do.Start(play, genome):
                self._events.extend(self._evaluator.start(play, genome))
            case do.Keep(result, send):
                frame = self._codec.encode(result)
                self._outbox.keep(result.attempt, frame)
                if result.status != "scored":
                    logger.info("attempt {}: {} {}", result.attempt, result.status, result.reason)
                if send:
                    self._send(frame)
            case do.Forget(attempt):
                self._outbox.forget(attempt)
            case do.Send(message):
                self._send(self._codec.encode(message))
            case do.Beat(number, state, attempt, progress):
                load, memory = self._load.processors(), self._load.memory_bytes(self._evaluator.pid())
                self._send(self._codec.encode(AgentHeartbeat(number, state, attempt, progress, load, memory)))
            case do.Resend(attempt):
                self._send(self._outbox.frames[attempt])
            case do.EndTree(attempt):
                self._events.extend(self._evaluator.end(attempt))
            case do.Abandon(attempt):
                self._evaluator.end(attempt)
                if self._blobs is not None:
                    self._blobs.abandon()
            case do.Dial():
                self._dial()
            case do.Hangup():
                self._hangup(flush=False)
            case do.Adopt(welcome):
                self._adopt(welcome)
            case do.Equip(evaluator):
                self._equip(evaluator)
            case do.Note(level, text):
                logger.log(level.upper(), text)
            case do.Park() | do.Exit():
                self._ends = command
            case _:
                assert_never(command)

    def _obtain(self, play: Play) -> None:
        now = time.monotonic()
        try:
            genome = self._genomes.find(play, self._evaluator.needs_path)
            if genome is not None:
                self._events.append(GenomeReady(now, play.attempt, genome))
            elif self._blobs is not None:
                self._blobs.begin(play.attempt, play.digest, play.size)
        except GenomeError as error:
            self._events.append(GenomeFailed(now, play.attempt, str(error)))

    def _send(self, frame: bytes) -> None:
        if self._connection is not None:
            self._unsent.append(frame)

    def _send_out(self) -> None:
        """Sends what was said since: together it costs either side one wake-up. Before it, results are on the disk."""
        self._outbox.flush()
        while self._unsent:
            unsent, self._unsent = self._unsent, []
            self._is_unread = True
            connection = self._connection
            if connection is not None and not all(connection.send(frame) for frame in unsent):
                # Its queue is full, or its peer is gone: a new connection tells all that this one did not.
                self._feed([LinkLost(time.monotonic(), self._random.random(), "it takes no messages any more")])

    def _dial(self) -> None:
        self._hangup(flush=False)
        self._connection = Connection(self._context, self._identity)
        self._selector.register(self._connection.fd, selectors.EVENT_READ)
        self._selector.register(self._connection.monitor_fd, selectors.EVENT_READ)
        self._is_unread = True

    def _hangup(self, *, flush: bool) -> None:
        if self._connection is not None:
            self._selector.unregister(self._connection.fd)
            self._selector.unregister(self._connection.monitor_fd)
            self._connection.close(flush=flush)
            self._connection = None
        self._unsent.clear()
        self._is_unread = False

    def _adopt(self, welcome: Welcome) -> None:
        logger.info("welcomed by epoch {}", welcome.epoch)
        self._genomes.adopt(welcome.spool, welcome.cache_bytes)
        if self._blobs is not None:
            self._selector.unregister(self._blobs.fd)
            self._blobs.close()
        self._blobs = BlobLink(self._context, self._identity, welcome.blobs, self._genomes)
        self._selector.register(self._blobs.fd, selectors.EVENT_READ)

    def _equip(self, packed: bytes) -> None:
        self._evaluator.close()
        try:
            self._evaluator = make_evaluator(packed, self._place)
        except SpecError as error:
            logger.error("the evaluator in the welcome cannot be used: {}", error)
            self._evaluator = Broken(f"the evaluator in the welcome cannot be used: {error}")
        self._evaluator.prepare()

    def _drop(self, why: str) -> None:
        self._dropped += 1
        if self._dropped & (self._dropped - 1) == 0:  # at 1, 2, 4, 8 and so on: a flood must not fill the log
            logger.warning("dropped a frame from the supervisor ({} so far): {}", self._dropped, why)

    def _close(self) -> None:
        reason = self._ends.reason if self._ends is not None else "a failure of the agent itself"
        logger.info("{}: {}", "ends" if isinstance(self._ends, do.Exit) else "parks", reason)
        self._evaluator.close()
        self._send(self._codec.encode(Bye(reason)))
        self._send_out()
        self._hangup(flush=True)
        if self._blobs is not None:
            self._blobs.close()
        self._selector.close()
        self._outbox.close()


def _sweep(identity: Identity) -> None:
    """Ends what an agent of this VM that died left behind."""
    ancestors = [process.pid for process in psutil.Process().parents()]
    try:
        if count := end_marked(identity.fleet, identity.vm, spare=ancestors):
            logger.warning("ended {} processes that an earlier agent of VM {} left behind", count, identity.vm)
    except SurvivorsError as error:
        logger.error("{}", error)


def _stir_in(identity: Identity) -> None:
    """Makes this VM's randomness its own: VMs restored from one checkpoint begin with the same."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # only in a VM of one's own may the pool be written
            Path("/dev/urandom").write_bytes(identity.entropy.encode())
