"""The laws of orders ahead: what may wait at an agent behind another game, for how long, and what becomes of it.

One side is what passes the gateway. The other is the truth at the agents, of which the supervisor knows later or never.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from tzar_actors.simulation.surroundings import Surroundings
from tzar_agent.protocol.messages import Hello, Play, Recall, Result
from tzar_agent.session import Session

if TYPE_CHECKING:
    from tzar_actors.simulation.guest import Guest
    from tzar_actors.simulation.laws import Laws

__all__ = ["Ahead", "Row"]

_AHEAD_S: Final = 0.01  # of games that may wait at one VM
_LONG_S: Final = 0.05  # a game that has lasted so long is a long one
_BEHIND_S: Final = 0.25  # behind one game: 0.05 until it counts as long, as much until that is seen, and the way
_REVOKED_S: Final = 0.05  # from the revocation of an order until its agent knows


class Ahead:
    """The orders that the agents of a fleet have, as far as the supervisor can know them.

    Args:
        surroundings: the world's shared parts.
        laws: who says that one is broken.
        status_of: how an attempt ended, and when that was recorded; None: it has not.
    """

    def __init__(
        self, surroundings: Surroundings, laws: "Laws", status_of: Callable[[str], tuple[str, float] | None]
    ) -> None:
        self.sent = 0  # orders that had to wait
        self.called = 0  # of them, those that were asked for again
        self.only_waited: set[str] = set()  # attempts whose turn never came
        self.given_up: set[str] = set()  # VMs that the supervisor said have failed, and that did not come again
        self.rows: dict[str, Row] = {}  # the truth at the agent of each VM
        self.status_of = status_of
        self._world = surroundings
        self._laws = laws
        self._rows: dict[str, dict[str, None]] = {}
        self._turns: dict[str, float] = {}  # by VM: since when the first of its row is the first
        self._rooms: dict[str, tuple[int, int]] = {}  # by VM: its incarnation, and how many orders its agent takes
        self._paces: dict[str, tuple[float, float]] = {}  # by VM: when a game's end was heard last, and its seconds

    def ordered(self, vm: str, play: Play, *, is_retry: bool) -> None:
        """An attempt is sent to an agent that is connected."""
        row = self._rows.setdefault(vm, {})
        if row:
            self.sent += 1
            self._may_wait(vm, play, row, is_retry=is_retry)
        else:
            self._turns[vm] = self._world.now
        row[play.attempt] = None

    def called_back(self, vm: str, recall: Recall) -> None:
        """Orders are asked for again."""
        self.called += len(recall.attempts)
        row = self._rows.get(vm, {})
        for attempt in recall.attempts:
            row.pop(attempt, None)

    def reported(self, vm: str, result: Result) -> None:
        """An agent sent a result."""
        row = self._rows.get(vm, {})
        if result.attempt == next(iter(row), None):
            self._turns[vm] = self._world.now
        row.pop(result.attempt, None)
        if result.status == "cancelled":
            return
        now, before = self._world.now, self._paces.get(vm)
        # Of those that are heard at one moment the supervisor may have decided after the first.
        is_same = before is not None and before[0] == now
        self._paces[vm] = (now, min(before[1], result.seconds) if before is not None and is_same else result.seconds)

    def came(self, hello: Hello) -> None:
        """An agent is here. What waited went with its last connection."""
        vm = hello.vm
        self._turns[vm] = self._world.now
        self._rows[vm] = {} if hello.playing is None else {hello.playing.attempt: None}
        if self._rooms.get(vm, (0, 0))[0] != hello.incarnation:
            self._paces.pop(vm, None)
        self._rooms[vm] = (hello.incarnation, hello.room)

    def supervisor_died(self) -> None:
        """The next one knows of no order until agents say what they play."""
        self._rows.clear()
        self._paces.clear()
        self.given_up.clear()

    def waited_only(self, vm: str, attempt: str) -> None:
        """The truth: an agent had this order, its turn never came, and it never will."""
        self.only_waited.add(attempt)
        if (ended := self.status_of(attempt)) is not None:
            self.settled(vm, attempt, ended[0])

    def settled(self, vm: str, attempt: str, status: str) -> None:
        """An attempt ended, as the supervisor says."""
        row = self.rows.get(vm)
        if attempt in self.only_waited and status != "excused" and not (row is not None and row.is_lossy):
            self._laws.broken("what only waited counts for nothing", f"{attempt} waited at {vm}, and is {status}")
        if status == "lost" and vm not in self.given_up and row is not None and row.plays(attempt):
            self._laws.broken("what is played is not lost", f"{vm} plays {attempt}, and is heard")

    def waited(self, vm: str, attempt: str, seconds: float) -> None:
        """The truth: an order has been waiting for so long behind one game, at an agent to which nothing happened."""
        if seconds > _BEHIND_S and not self._laws.by_hand.is_at_work(vm):  # who goes off has lost its games already
            self._laws.broken("nothing waits behind a long game", f"{attempt} waits at {vm} for {seconds:.3f} s")

    def turn_came(self, vm: str, attempt: str) -> None:
        """The truth: an agent that misses no message of the supervisor begins with an order that waited."""
        ended = self.status_of(attempt)
        if ended is not None and vm not in self.given_up and self._world.now - ended[1] > _REVOKED_S:
            self._laws.broken(
                "nothing is played for nobody", f"{vm} begins with {attempt}, which is {ended[0]} for a while"
            )

    def _may_wait(self, vm: str, play: Play, row: Mapping[str, None], *, is_retry: bool) -> None:
        what = f"{vm} is ordered {play.attempt} while it has {', '.join(row)}"
        if is_retry:
            self._laws.broken("what was tried before has its VM alone", what)
        pace = self._paces.get(vm)
        if pace is None or (len(row) + 1) * pace[1] > _AHEAD_S + 1e-9:
            last = "none" if pace is None else f"{pace[1]:.3f} s"
            self._laws.broken("one game at a time, unless games are short", f"{what}; its last took {last}")
        if (lasted_s := self._world.now - self._turns[vm]) > _LONG_S:
            self._laws.broken("nothing waits behind a long game", f"{what}, the first of them for {lasted_s:.3f} s")
        if len(row) >= self._rooms.get(vm, (0, 1))[1]:
            self._laws.broken("an agent has room for what it is ordered", what)


class Row:
    """What waits at one agent, as it is.

    Args:
        surroundings: the world's shared parts.
        ahead: is told of each order that waited.
        guest: the agent.
        session: the agent's.
    """

    def __init__(self, surroundings: Surroundings, ahead: Ahead, guest: "Guest", session: Session) -> None:
        self._world = surroundings
        self._ahead = ahead
        self._guest = guest
        self._vm = guest.vm
        self._session = session
        ahead.rows[guest.vm] = self
        self._since: dict[str, float] = {}
        self._turn: str | None = None
        self.turn_at = surroundings.now  # since when it plays what it plays, or nothing

    def look(self) -> int:
        """The session made a step: whose turn came, and who left? Returns how many orders came that have to wait."""
        session, now = self._session, self._world.agenda.clock.now
        attempt = session.job.play.attempt if session.job is not None else None
        if not self._since and not session.waiting:
            if attempt != self._turn:
                self._turn, self.turn_at = attempt, now
            return 0
        if self._since:
            behind_s = now - self.turn_at
            for waited in [name for name in self._since if name not in session.waiting]:
                since = self._since.pop(waited)
                if self._guest.machine.excused_until <= now:
                    self._ahead.waited(self._vm, waited, min(now - since, behind_s))
                if waited != attempt:
                    self._left(waited)
                elif self._guest.is_clean:
                    self._ahead.turn_came(self._vm, waited)
        if attempt != self._turn:
            self._turn, self.turn_at = attempt, now
        came = [name for name in session.waiting if name not in self._since]
        self._since.update(dict.fromkeys(came, now))
        return len(came)

    @property
    def waits(self) -> bool:
        """Something waits here."""
        return bool(self._since)

    def check(self) -> None:
        """Nothing befell the VM of late: is something waiting too long?"""
        now = self._world.now
        for waits, since in self._since.items():
            self._ahead.waited(self._vm, waits, min(now - since, now - self.turn_at))

    def end(self) -> None:
        """The agent ends, with all that waits."""
        waiting, self._since = self._since, {}
        for waited in waiting:
            self._left(waited)

    def lacks(self, attempts: Iterable[str]) -> list[str]:
        """Those of `attempts` that the agent neither plays nor has to play."""
        session = self._session
        playing = session.job.play.attempt if session.job is not None else None
        return [name for name in attempts if name != playing and name not in session.waiting]

    @property
    def is_lossy(self) -> bool:
        """Something that the agent said or was told went astray: the supervisor cannot know what waits."""
        connection = self._guest.connection
        return connection is not None and connection.is_lossy

    def plays(self, attempt: str) -> bool:
        """The agent plays it, and can say so."""
        job = self._session.job
        return job is not None and job.play.attempt == attempt and self._guest.is_sound and self._guest.is_clean

    def _left(self, waited: str) -> None:
        if self._guest.is_clean:
            self._ahead.waited_only(self._vm, waited)
