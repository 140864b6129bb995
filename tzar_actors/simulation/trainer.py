"""A simulated trainer: keeps the queue from running empty, and asks again for what it did not see."""

from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final

from tzar_actors.client.protocol import CancelEvaluations, Rejected, Submission, Submit
from tzar_actors.core.evaluation import Evaluation, EvaluationEnded
from tzar_actors.simulation.surroundings import Surroundings

if TYPE_CHECKING:
    from tzar_actors.simulation.gateway import SimulatedGateway
    from tzar_actors.simulation.laws import Laws

__all__ = ["Trainer"]

_PARAMS: Final = b"\x80"  # an empty map
_AT_ONCE: Final = 50
_SOON_S: Final = 0.5
_AWAY_S: Final = (2.0, 90.0)
_GAMES: Final = (1, 1, 1, 2, 3)
_CHANGES_ITS_MIND_S: Final = 600.0
_PATIENCE_S: Final = 20.0  # with a supervisor that refused
_LARGE: Final = 0.05  # of genomes lie in the spool
_LARGE_BYTES: Final = 11_000_000
_DEADLINES_S: Final = (20.0, 5_000.0)


@dataclass(slots=True)
class _Question:
    evaluation: Evaluation
    genome: bytes | None
    is_seen: bool = False  # its acceptance was seen: were it lost now, it would be an error


class Trainer:
    """One trainer.

    Args:
        surroundings: the world's shared parts.
        name: what it calls itself; the same after a reconnect.
        rng: its own chance.
        depth: how many evaluations it keeps open.
        laws: are told of each question and of each outcome that was seen.
    """

    def __init__(self, surroundings: Surroundings, name: str, rng: Random, depth: int, laws: "Laws") -> None:
        self.name = name
        self.refused = 0
        self.has_enough = False  # it asks for nothing new any more
        self.open: dict[str, _Question] = {}
        self._world = surroundings
        self._rng = rng
        self._depth = depth
        self._laws = laws
        self._gateway: SimulatedGateway | None = None
        self._session = 0
        self._number = 0
        self._is_to_ask = False

    def come(self) -> None:
        """It connects to the supervisor, if there is one, and asks again for all that it has not seen."""
        gateway = self._world.gateway
        if gateway is None or self._gateway is gateway:
            return
        self._session += 1
        self._gateway = gateway
        gateway.desk.connect(self)
        again = [Submission(each.evaluation, each.genome, is_fresh=False) for each in self.open.values()]
        for start in range(0, len(again), _AT_ONCE):
            self._submit(again[start : start + _AT_ONCE])
        self._ask_more()

    def die(self) -> None:
        """It ends, with all that it had not seen; a moment later it comes back and asks for that."""
        if self._gateway is None:
            return
        self._world.befall("trainer death", self.name)
        self._gateway.desk.disconnect(self)
        self.supervisor_died(self._rng.uniform(*_AWAY_S))

    def supervisor_died(self, after_s: float | None = None) -> None:
        """Its connection is gone. `after_s`: it comes back by itself; else it is told when there is a supervisor."""
        self._session += 1
        self._gateway = None
        if after_s is not None:
            self._world.agenda.after(after_s, self.come)

    def accepted(self, key: str) -> None:
        """The supervisor says that it has accepted this."""
        question = self.open.get(key)
        if question is not None and not question.is_seen:
            question.is_seen = True
            if self._rng.random() < self._world.faults.cancelled:
                self._world.agenda.after(self._rng.random() * _CHANGES_ITS_MIND_S, partial(self._cancel, key))

    def delivered(self, outcome: EvaluationEnded) -> None:
        """The supervisor hands over an outcome."""
        self._soon(partial(self._saw, outcome))

    def rejected(self, message: Rejected) -> None:
        """The supervisor refuses something: something else is asked, later."""
        self._world.story.tell(self.name, "is refused", message)
        self.refused += 1
        if self.open.pop(message.key, None) is not None:
            self._ask_more(_PATIENCE_S)

    def _soon(self, callback: "partial[None]") -> None:
        session = self._session

        def arrive() -> None:
            if self._session == session:
                callback()

        self._world.agenda.after(self._world.network.delay_s(), arrive)

    def _cancel(self, key: str) -> None:
        if key in self.open and self._gateway is not None:
            self._world.story.tell(self.name, "cancels", key)
            self._laws.keys[key].is_cancelled = True
            self._gateway.desk.said(self, CancelEvaluations((key,)))

    def _saw(self, outcome: EvaluationEnded) -> None:
        question = self.open.pop(outcome.key, None)
        if question is not None:
            self._laws.seen(self.name, outcome)
        self._ask_more()

    def _ask_more(self, within_s: float = _SOON_S) -> None:
        if not self._is_to_ask and not self.has_enough:
            self._is_to_ask = True
            self._world.agenda.after(self._rng.random() * within_s, self._ask)

    def _ask(self) -> None:
        self._is_to_ask = False
        if self.has_enough or self._gateway is None:
            return
        fresh: list[Submission] = []
        while len(self.open) < self._depth and len(fresh) < _AT_ONCE:
            question = self._question()
            self.open[question.evaluation.key] = question
            fresh.append(Submission(question.evaluation, question.genome, is_fresh=True))
        if fresh:
            self._submit(fresh)
        if len(self.open) < self._depth:
            self._ask_more()

    def _submit(self, submissions: list[Submission]) -> None:
        for each in submissions:
            self._laws.asked(self.name, each.evaluation)
        if self._gateway is not None:
            self._gateway.desk.said(self, Submit(tuple(submissions)))

    def _question(self) -> _Question:
        rng, faults = self._rng, self._world.faults
        self._number += 1
        key = f"{self.name}-{self._number:07d}"
        body = key.encode() + rng.randbytes(16)
        is_poison = rng.random() < faults.poison
        digest = self._world.genomes.make(body, is_poison=is_poison)
        is_large = rng.random() < _LARGE
        size = _LARGE_BYTES if is_large else len(body)
        seeds = tuple(rng.randrange(2**31) for _ in range(rng.choice(_GAMES)))
        deadline_s = rng.uniform(*_DEADLINES_S) if rng.random() < faults.deadline else None
        evaluation = Evaluation(key, self._number // 100, digest, size, _PARAMS, seeds, deadline_s)
        return _Question(evaluation, None if is_large else body)
