"""The agent in a simulated VM: the real `Session` of tzar-agent, with a modelled disk, evaluator and connection.

Heartbeats are not sent one by one. While its connection is sound in both directions the session is told, before each
step, that it has just heard the supervisor; only when it is not does its own sense of time decide.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from tzar_actors.simulation.agenda import Appointment
from tzar_actors.simulation.ahead import Row
from tzar_actors.simulation.network import Connection
from tzar_actors.simulation.surroundings import Surroundings
from tzar_actors.simulation.wakes import Wakes
from tzar_agent.commands import (
    Abandon,
    Command,
    Dial,
    EndTree,
    Exit,
    Forget,
    Hangup,
    Keep,
    Obtain,
    Park,
    Resend,
    Send,
    Start,
)
from tzar_agent.events import (
    Began,
    Cleared,
    Ended,
    Event,
    Genome,
    GenomeFailed,
    GenomeReady,
    HandshakeSucceeded,
    LinkLost,
    Progressed,
    Received,
    Tick,
    Verdict,
)
from tzar_agent.protocol.identity import Identity
from tzar_agent.protocol.messages import Control, Evidence, Play, Progress, Result
from tzar_agent.session import Session, Who

if TYPE_CHECKING:
    from tzar_actors.simulation.machine import Machine

__all__ = ["Guest"]

_FETCH_S: Final = 2.0  # a large genome
_END_TREE_S: Final = 0.1
_STRUCK_S: Final = 0.02  # an order that waits is struck within this time
_SEEN_SOON_S: Final = 0.3  # until a waiting dial is answered by a supervisor that has come back


class Guest:
    """One agent under one identity.

    Args:
        surroundings: the world's shared parts.
        machine: the VM it runs in.
        identity: what it was given.
        pid: of its process.
    """

    def __init__(self, surroundings: Surroundings, machine: "Machine", identity: Identity, pid: int) -> None:
        self.vm = identity.vm
        self.machine = machine
        self._world = surroundings
        self._identity = identity
        who = Who(identity.vm, identity.incarnation, "simulated", pid)
        self._session = Session(who, identity.orphan_s, machine.kept, surroundings.now)
        self.incarnation = identity.incarnation
        self.row = Row(surroundings, machine.laws.ahead, self, self._session)
        self.connection: Connection | None = None
        self._is_over = False
        self._game: Appointment | None = None
        self._is_stuck = False
        self._swapped: tuple[str, bytes] | None = None  # an attempt, and the genome that is played instead of its own
        self._wakes = Wakes(surroundings.agenda, self._session, lambda: self.is_sound, self._wake_up)
        self._steps = 0  # that are being made: what one of them does may be the next
        self._plan_wake()

    @property
    def is_sound(self) -> bool:
        """It and the supervisor hear each other."""
        connection = self.connection
        return connection is not None and connection.is_known and connection.silent_since is None and not self._is_over

    @property
    def is_playing(self) -> bool:
        """It has a game."""
        return self._session.job is not None

    @property
    def is_idle(self) -> bool:
        """It could play: it is welcome, hears the supervisor, and plays nothing."""
        return self._session.job is None and self._session.welcome is not None and self.is_sound

    @property
    def is_clean(self) -> bool:
        """It missed nothing that was said on its connection, and the supervisor missed nothing either."""
        return self.connection is not None and self.connection.is_clean

    # --- what happens to it

    def heard(self, message: Control) -> None:
        """The supervisor said this."""
        if self.machine.is_frozen:
            self.machine.put_off(partial(self.heard, message))
        else:
            self._step(Received(self._world.now, message))

    def end(self, *, is_seen: bool) -> None:
        """Its process ends. `is_seen`: the system closes its connection in good order."""
        self._is_over = True
        self.row.end()
        self._wakes.call_off()
        if self._game is not None:
            self._game.call_off()
        if self.connection is not None:
            if is_seen:
                self.connection.break_()
            else:
                self.connection.silent()

    def freeze(self) -> None:
        """It does nothing any more, for a while."""
        self._session.heard_at = self._session.stepped_at = self._world.now
        if self.connection is not None:
            self.connection.silent()

    def thaw(self) -> None:
        """It goes on."""
        if self.connection is not None:
            self.connection.loud()
        self._wake()

    def cut(self) -> None:
        """Nothing passes between it and the supervisor any more."""
        self._mark_heard()
        if self.connection is not None:
            self.connection.cut()
        self._plan_wake()

    def mend(self) -> None:
        """The network is well again."""
        if self.connection is not None:
            self.connection.mend()
        self.supervisor_is_up()

    def link_changed(self) -> None:
        """The supervisor listens to its connection no longer: no heartbeat is answered from now on."""
        if not self._is_over:
            self._session.heard_at = self._world.now
            self._plan_wake()

    def supervisor_is_up(self) -> None:
        """A dial that waits for an answer will get it."""
        if self.connection is None and self._session.answer_by is not None and not self._is_over:
            self._dial(self._world.rng.random() * _SEEN_SOON_S)

    def supervisor_died(self) -> None:
        """The system of the supervisor closed the connection, unless nothing passes."""
        self._mark_heard()
        if self.connection is not None and not self.machine.is_cut:
            lost = partial(LinkLost, jitter=self._world.rng.random(), reason="the supervisor is gone")
            self._when_awake(lambda: self._step(lost(self._world.now)), self._world.network.delay_s())
        self._plan_wake()

    # --- its session

    def _step(self, event: Event) -> None:
        if self._is_over:
            return
        self._mark_heard()
        commands = self._session.step(event)
        for _ in range(self.row.look()):
            if self._world.happens(self._world.faults.struck_ahead):
                self._world.agenda.after(self._world.rng.random() * _STRUCK_S, partial(self._world.strike, self.vm))
        self._steps += 1
        for command in commands:
            self._carry_out(command)
        self._steps -= 1
        if not self._steps:
            self._plan_wake()

    def _mark_heard(self) -> None:
        if self.is_sound:
            self._session.heard_at = self._session.stepped_at = self._world.agenda.clock.now

    def _carry_out(self, command: Command) -> None:
        match command:
            case Send(message):
                if not isinstance(message, Progress):  # the gateway only counts it
                    self._say(message)
            case Keep(result, send):
                if self._swapped is not None and self._swapped[0] == result.attempt:
                    result = self._as_swapped(result, self._swapped[1])
                self.machine.keep(result)
                if send:
                    self._say(result)
            case Forget(attempt):
                self.machine.kept.pop(attempt, None)
            case Obtain(play):
                self._obtain(play)
            case Start(play, _):
                self._start(play)
            case EndTree(attempt):
                self._stop_game()
                self._when_awake(lambda: self._step(Cleared(self._world.now, attempt, None)), _END_TREE_S)
            case Abandon():
                self._stop_game()
            case Resend(attempt):
                if (kept := self.machine.kept.get(attempt)) is not None:
                    self._say(kept)
            case Dial():
                self._dial(0.0)
            case Hangup():
                if self.connection is not None:
                    self.connection.break_()
                    self.connection = None
            case Park(reason) | Exit(reason):
                self._world.story.tell(self.vm, "its agent parks", reason)
                self.end(is_seen=True)
            case _:
                pass  # heartbeats, notes and the evaluator's settings change nothing in this world

    def _say(self, message: Control) -> None:
        if self.connection is not None:
            self.connection.up(message)

    def _dial(self, after_s: float) -> None:
        gateway = self._world.gateway
        if gateway is None or self.machine.is_cut or gateway.keys.owner(self._identity.public_key) is None:
            return
        network = self._world.network
        connection = self.connection = Connection(network, self, gateway, self._identity.public_key)

        def shake() -> None:
            if self.connection is connection and not self.machine.is_cut and self._world.gateway is gateway:
                self._step(HandshakeSucceeded(self._world.now))

        self._when_awake(shake, after_s + 2 * network.delay_s())

    # --- its game

    def _obtain(self, play: Play) -> None:
        if self._world.happens(self._world.faults.agent_fault):
            self.machine.excuse("its agent had a fault")
            self._world.befall("agent fault", self.vm, play.attempt)
            self._step(GenomeFailed(self._world.now, play.attempt, "its disk is full"))
        elif play.genome is not None:
            self._step(GenomeReady(self._world.now, play.attempt, Genome(play.digest, play.genome, None)))
        else:
            self._when_awake(partial(self._fetched, play), _FETCH_S * self._world.rng.random())

    def _fetched(self, play: Play) -> None:
        self._step(GenomeReady(self._world.now, play.attempt, Genome(play.digest, b"", None)))

    def _start(self, play: Play) -> None:
        world, attempt = self._world, play.attempt
        faults, draw = world.faults, world.rng.random()
        self._is_stuck, self._swapped = False, None
        is_poison = world.genomes.is_poison(play.digest)
        is_endless = is_poison and play.digest[0] % 2 == 1
        if is_endless or faults.evaluator_crash <= draw < faults.evaluator_crash + faults.evaluator_hang:
            self._hang(attempt, is_stuck=not is_endless and world.rng.random() < 0.5)
        elif is_poison or draw < faults.evaluator_crash:
            world.befall("evaluator crash", self.vm, attempt)
            world.evaluator_failed.add(attempt)
            evidence = Evidence(-11, "Segmentation fault")
            reason = "the evaluator ended with exit code -11"
            self._end_game_in(world.game_s() / 2, attempt, Verdict("fault", reason=reason, evidence=evidence))
        else:
            digest = play.digest
            if world.happens(faults.wrong_genome):
                world.befall("wrong genome", self.vm, attempt)
                self.machine.excuse("it played the wrong genome")
                digest = bytes(reversed(digest))
                self._swapped = (attempt, digest)
            self._end_game_in(world.game_s(), attempt, Verdict("scored", world.genomes.fitness(digest, play.seed)))
        self._step(Began(world.now, attempt))

    def _hang(self, attempt: str, *, is_stuck: bool) -> None:
        """The game never ends; if it is stuck, it makes no progress either."""
        self._world.befall("evaluator hang" if is_stuck else "endless game", self.vm, attempt)
        self._is_stuck = is_stuck
        (self._world.evaluator_failed if is_stuck else self._world.ran_over).add(attempt)

    def _end_game_in(self, seconds: float, attempt: str, verdict: Verdict) -> None:
        if (job := self._session.job) is not None and seconds > job.play.time_limit_s:
            self._world.ran_over.add(attempt)
        self._game = self._world.agenda.after(
            seconds, partial(self._when_awake, partial(self._ended, attempt, verdict))
        )

    def _ended(self, attempt: str, verdict: Verdict) -> None:
        self._game = None
        self._step(Ended(self._world.now, attempt, verdict))

    def _stop_game(self) -> None:
        if self._game is not None:
            self._game.call_off()
            self._game = None

    def _as_swapped(self, result: Result, digest: bytes) -> Result:
        self._swapped = None
        return replace(result, digest=digest) if result.status == "scored" else result

    # --- its time

    def _when_awake(self, callback: Callable[[], None], after_s: float | None = None) -> None:
        """Calls `callback` after a while, or at once; while the VM hangs, when it goes on."""
        if after_s is not None:
            self._world.agenda.after(after_s, partial(self._when_awake, callback))
        elif self.machine.is_frozen:
            self.machine.put_off(callback)
        elif not self._is_over:
            callback()

    def _plan_wake(self) -> None:
        if not self._is_over:
            self._wakes.plan()

    def _wake_up(self) -> None:
        self._when_awake(self._wake)

    def _wake(self) -> None:
        now, job = self._world.now, self._session.job
        stalls_at = job.next_at() if job is not None else None
        if job is not None and stalls_at is not None and now >= stalls_at and not self._is_stuck:
            self._step(Progressed(now, job.play.attempt, job.count + 1))
        self._step(Tick(now, self._world.rng.random()))
