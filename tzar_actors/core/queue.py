"""Games that wait for a VM: first come, first served; a game that is tried again goes before the rest."""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from tzar_actors.core.evaluation import AttemptStory, Evaluation, GameEnded
from tzar_agent.protocol.messages import INLINE_LIMIT_BYTES

__all__ = ["Game", "GameQueue", "OpenEvaluation", "RunningAttempt"]

_LOOK_AHEAD = 64  # games within which a VM's own big genome is looked for: each copy of it saved is megabytes


@dataclass(slots=True, eq=False)
class Game:
    """One game of an open evaluation."""

    evaluation: "OpenEvaluation"
    index: int
    state: Literal["queued", "leased", "ended"] = "queued"
    ended: GameEnded | None = None
    stories: list[AttemptStory] = field(default_factory=list)
    attempts: set[str] = field(default_factory=set)  # ids of those that may still send a result that counts
    avoid: frozenset[str] = frozenset()


@dataclass(slots=True, eq=False)
class OpenEvaluation:
    """One evaluation that has no outcome yet."""

    asked: Evaluation
    accepted_at: float
    trainers: dict[str, None] = field(default_factory=dict)
    games: list[Game] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class RunningAttempt:
    """An attempt whose result may still count. `freed`: its VM is silent, so another may play its game as well."""

    attempt: str
    game: Game
    vm: str
    incarnation: int
    started_at: float
    freed: bool = False


class GameQueue:
    """The queue. A game that is in it and no longer `queued` is skipped when its turn comes."""

    def __init__(self) -> None:
        self._first: deque[Game] = deque()
        self._again: list[Game] = []

    def add(self, game: Game) -> None:
        """`game` waits for its first attempt."""
        self._first.append(game)

    def add_again(self, game: Game) -> None:
        """`game` waits for another attempt."""
        self._again.append(game)

    def __len__(self) -> int:
        """How many games are in it, those included that it will skip."""
        return len(self._first) + len(self._again)

    @property
    def has_retries(self) -> bool:
        """Some game waits for another attempt, so that not every VM may take it."""
        return bool(self._again)

    def take(self, vm: str, fleet: frozenset[str], last_digest: bytes) -> Game | None:
        """The next game for `vm`, or None.

        Args:
            vm: who asks.
            fleet: the VMs that there are: a game avoids those that failed it, unless there is no other.
            last_digest: of the genome that the VM played last: it lies in its cache.
        """
        for i, game in enumerate(self._again):
            if game.state != "queued":
                continue
            if vm not in game.avoid or not fleet - game.avoid:
                self._again = [g for g in self._again[:i] + self._again[i + 1 :] if g.state == "queued"]
                return game
        first = self._first
        while first and first[0].state != "queued":
            first.popleft()
        if not first:
            return None
        if first[0].evaluation.asked.size <= INLINE_LIMIT_BYTES:
            return first.popleft()
        return self._take_near(last_digest)

    def _take_near(self, last_digest: bytes) -> Game:
        """Of the next few games one whose genome this VM has, else one whose genome no other VM is fetching."""
        fresh = 0
        for i in range(min(_LOOK_AHEAD, len(self._first))):
            game = self._first[i]
            if game.state != "queued":
                continue
            if game.evaluation.asked.digest == last_digest:
                del self._first[i]
                return game
            if not fresh and all(g.state == "queued" for g in game.evaluation.games):
                fresh = i
        game = self._first[fresh]
        del self._first[fresh]
        return game
