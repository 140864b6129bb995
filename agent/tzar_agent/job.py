"""The attempt that the agent is at: how far it is, and the limits on its time."""

from dataclasses import dataclass
from typing import Literal

from tzar_agent.events import Verdict
from tzar_agent.protocol.messages import Play, Result

__all__ = ["Job", "result_of"]

Stage = Literal["fetching", "starting", "playing", "ending"]


@dataclass(slots=True)
class Job:
    """One attempt under way. Times are monotonic seconds.

    `starting` is from the order to the evaluator until the game has begun, which takes long when its process must
    start first; the limits on the game's time count from its beginning. `ending`: the verdict stands, and the
    evaluator's processes are being ended.
    """

    play: Play
    ordered_at: float
    stage: Stage = "fetching"
    began_at: float | None = None
    ended_at: float | None = None
    verdict: Verdict | None = None
    count: int = 0
    note: str = ""
    advanced_at: float = 0.0
    reported: int = -1
    reported_at: float | None = None

    def start(self, at: float) -> None:
        """The evaluator has the order."""
        self.stage, self.ordered_at = "starting", at

    def begin(self, at: float) -> None:
        """The game itself runs."""
        self.stage, self.began_at, self.advanced_at = "playing", at, at

    def advance(self, at: float, count: int, note: str) -> None:
        """The game reported progress, `count` times by now."""
        self.count, self.note, self.advanced_at = max(count, self.count), note, at

    def seconds(self, at: float) -> float:
        """How long the game took, if it ends at `at` unless it did before."""
        began = self.began_at if self.began_at is not None else self.ordered_at
        return max(0.0, (self.ended_at if self.ended_at is not None else at) - began)

    def report_at(self, interval: float) -> float | None:
        """When a report of progress is due; None: there is nothing new to report."""
        if self.stage != "playing" or self.count <= self.reported:
            return None
        return self.advanced_at if self.reported_at is None else self.reported_at + interval

    def next_at(self) -> float | None:
        """When a limit on the game's time is reached; None: no game runs."""
        if self.stage != "playing" or self.began_at is None:
            return None
        limit_at = self.began_at + self.play.time_limit_s
        return limit_at if self.play.stall_s is None else min(limit_at, self.advanced_at + self.play.stall_s)

    def overdue(self, at: float) -> Verdict | None:
        """What a limit that is reached at `at` makes of the game; None: it may go on."""
        next_at = self.next_at()
        if next_at is None or at < next_at or self.began_at is None:
            return None
        self.ended_at = at
        if at >= self.began_at + self.play.time_limit_s:
            return Verdict("timed_out", reason=f"the game ran longer than its limit of {self.play.time_limit_s:g} s")
        said = f"; it last said: {self.note}" if self.note else ""
        times = f"after {self.count} reports" if self.count else "and none at all"
        return Verdict("fault", reason=f"stalled: no progress for {self.play.stall_s:g} s, {times}{said}")


def result_of(play: Play, seconds: float, verdict: Verdict) -> Result:
    """The message that tells how the attempt of `play` ended, after `seconds` of its game."""
    return Result(
        attempt=play.attempt,
        evaluation=play.evaluation,
        game=play.game,
        digest=play.digest,
        status=verdict.status,
        fitness=verdict.fitness,
        details=verdict.details,
        seconds=seconds,
        reason=verdict.reason,
        evidence=verdict.evidence,
    )
