"""Games that wait for a VM: first come, first served; a game that is tried again goes before the rest."""

from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Literal

from tzar_actors.core.evaluation import AttemptStory, Evaluation, GameEnded
from tzar_agent.protocol.messages import INLINE_LIMIT_BYTES

__all__ = ["Game", "GameQueue", "OpenEvaluation", "RunningAttempt", "Trouble"]

_LOOK_AHEAD: Final = 64  # games within which a VM's own big genome is looked for: each copy of it saved is megabytes


@dataclass(slots=True)
class Trouble:
    """What is known of a game that has failed, beside its stories.

    Args:
        seen: the incarnations in which its evaluator failed, or was too slow.
        fresh: where there is no other VM, it waits for an incarnation that has not seen it.
        excused: attempts that came to be excused after they had ended.
        proven: attempts that failed on a proven VM.
        killed: VMs that died with it, see `Case`.
    """

    seen: frozenset[tuple[str, int]] = frozenset()
    fresh: bool = False
    excused: set[str] = field(default_factory=set)
    proven: set[str] = field(default_factory=set)
    killed: dict[str, int] = field(default_factory=dict)


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
    trouble: Trouble | None = None  # there is none until an attempt has failed


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

    def age(self) -> tuple[int, int]:
        """Its place in the order in which attempts are made, through all epochs."""
        epoch, _, number = self.attempt.partition(".")
        return (int(epoch) if epoch.isdecimal() else 0, int(number) if number.isdecimal() else 0)


class GameQueue:
    """The queue: exactly the games whose state is `queued`."""

    def __init__(self) -> None:
        self._first: OrderedDict[Game, None] = OrderedDict()
        self._again: OrderedDict[Game, None] = OrderedDict()

    def __contains__(self, game: Game) -> bool:
        """Whether `game` waits."""
        return game in self._first or game in self._again

    def __len__(self) -> int:
        """How many games wait."""
        return len(self._first) + len(self._again)

    def add(self, game: Game) -> None:
        """`game` waits for its first attempt."""
        self._first[game] = None

    def add_again(self, game: Game) -> None:
        """`game` waits for another attempt."""
        self._first.pop(game, None)
        self._again[game] = None

    def remove(self, game: Game) -> None:
        """`game` waits no longer. If it did not, nothing changes."""
        self._first.pop(game, None)
        self._again.pop(game, None)

    @property
    def has_retries(self) -> bool:
        """Some game waits for another attempt, so that not every VM may take it."""
        return bool(self._again)

    def take(
        self, vm: str, incarnation: int, is_trusted: bool, fleet: frozenset[str], last_digest: bytes
    ) -> Game | Literal["reset"] | None:
        """The next game for `vm`, or None. `reset`: one that it may take when it is another incarnation.

        Args:
            vm: who asks.
            incarnation: of that VM.
            is_trusted: this incarnation has scored, and nothing failed there since. One that is not shows what it can
                with a first attempt, if there is one, before it is given a game whose evaluator failed: its word would
                prove nothing, and a broken evaluator is found before anybody is blamed.
            fleet: the VMs that there are: a game avoids those that failed it, unless there is no other.
            last_digest: of the genome that the VM played last: it lies in its cache.
        """
        wants_reset = False
        for game in self._again:
            trouble = game.trouble
            if trouble is not None and trouble.seen and not is_trusted and self._another_waits(game):
                continue
            if vm in game.avoid:
                if fleet - game.avoid:
                    continue
                if trouble is not None and trouble.fresh and (vm, incarnation) in trouble.seen:
                    wants_reset = wants_reset or fleet <= {seen for seen, _ in trouble.seen}
                    continue
            del self._again[game]
            return game
        if wants_reset:
            return "reset"
        if not self._first:
            return None
        game = next(iter(self._first))
        if game.evaluation.asked.size > INLINE_LIMIT_BYTES:
            game = self._near(game, last_digest)
        del self._first[game]
        return game

    def take_ahead(self) -> Game | None:
        """The next game for a VM that has one already; None: it has to wait until a VM is idle."""
        game = next(iter(self._first), None)
        if game is None or game.evaluation.asked.size > INLINE_LIMIT_BYTES:
            return None  # a large genome is better at a VM that can begin to fetch it
        del self._first[game]
        return game

    def _another_waits(self, game: Game) -> bool:
        """The oldest first attempt is of another genome than `game`."""
        first = next(iter(self._first), None)
        return first is not None and first.evaluation.asked.digest != game.evaluation.asked.digest

    def _near(self, first: Game, last_digest: bytes) -> Game:
        """Of the next few games one whose genome this VM has, else one whose genome no VM is at: all of them move."""
        unplayed: Game | None = None
        looked_at: OpenEvaluation | None = None
        for game in islice(self._first, _LOOK_AHEAD):
            if game.evaluation.asked.digest == last_digest:
                return game
            if unplayed is None and game.evaluation is not looked_at:
                looked_at = game.evaluation
                if not any(g.state == "leased" for g in looked_at.games):
                    unplayed = game
        return unplayed or first
