"""The laws of what the supervisor says and keeps: checked at each record, each commit and each message.

They know only what can be seen from outside the core: records, commits, what is sent, and the truth about the world.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NoReturn

from tzar_actors.client.protocol import Rejected
from tzar_actors.core.evaluation import AttemptStory, Evaluation, EvaluationEnded, GameEnded
from tzar_actors.core.records import (
    AttemptEndedRecord,
    AttemptRecord,
    EvaluationRecord,
    GameEndedRecord,
    IncarnationRecord,
    Record,
)
from tzar_actors.simulation.ahead import Ahead
from tzar_actors.simulation.by_hand import ByHandLaws
from tzar_actors.simulation.story import Broken
from tzar_actors.simulation.surroundings import Surroundings
from tzar_agent.protocol.identity import Identity
from tzar_agent.protocol.messages import INLINE_LIMIT_BYTES, Play

__all__ = ["Asked", "Laws"]

_CLOSE: float = 1e-6


@dataclass(slots=True, eq=False)
class Asked:
    """What is known of one key."""

    evaluation: Evaluation
    trainer: str
    asked: int = 0
    deliveries: int = 0
    accepted_at: float | None = None  # when its acceptance was committed
    ended: EvaluationEnded | None = None
    encoded: bytes = b""
    is_seen: bool = False
    is_cancelled: bool = False  # by its trainer
    tried: dict[int, set[str]] = field(default_factory=dict)  # VMs that were to play each game
    games_ended: set[int] = field(default_factory=set)  # before the evaluation itself
    failed_on: dict[int, set[str]] = field(default_factory=dict)  # VMs that failed each game


class Laws:
    """The ledger of one world.

    Args:
        surroundings: the world's shared parts.
        vms: the fleet.
    """

    def __init__(self, surroundings: Surroundings, vms: Iterable[str]) -> None:
        self.fleet = frozenset(vms)
        self.quarantined: set[str] = set()
        self.open: dict[str, Asked] = {}  # accepted, not ended, oldest first
        self.fresh: dict[str, None] = {}  # accepted and never ordered
        self.keys: dict[str, Asked] = {}
        self.outcomes: dict[str, int] = {}
        self.by_hand = ByHandLaws(surroundings, self.fleet)
        self._world = surroundings
        self._issued: set[str] = set()
        self._settled: dict[str, tuple[str, float]] = {}  # attempts whose end is committed, how they ended and when
        self._dropped: dict[str, str] = {}  # attempts whose result was said to count no more: why
        self._key_of: dict[str, str] = {}
        self._incarnation_of: dict[str, tuple[str, int]] = {}
        self.ahead = Ahead(surroundings, self, lambda name: self._new_settled.get(name) or self._settled.get(name))
        self._incarnations: dict[str, int] = {}
        self._running: dict[str, dict[str, tuple[str, int, int, float]]] = {vm: {} for vm in self.fleet}
        self._new_accepted: list[str] = []
        self._new_ended: dict[str, tuple[bytes, EvaluationEnded]] = {}
        self._new_settled: dict[str, tuple[str, float]] = {}
        self._new_incarnations: dict[str, int] = {}
        self._new_failed: list[tuple[set[str], str]] = []
        self._new_running: list[tuple[str, str]] = []

    def broken(self, law: str, what: str) -> NoReturn:
        """A law is broken.

        Raises:
            Broken: always.
        """
        raise Broken(law, what)

    @property
    def players(self) -> frozenset[str]:
        """The VMs that games may wait for."""
        return self.fleet - self.quarantined - self.by_hand.may_be_out()

    # --- records

    def recorded(self, record: Record) -> None:
        """The journal was given a record; it is not committed yet."""
        match record:
            case AttemptRecord():
                self._attempted(record)
            case EvaluationRecord(asked, _):
                self._new_accepted.append(asked.key)
                if (disk := self._world.disk) is not None and disk.is_known_to_be_short:
                    self.broken("a full disk takes no new work", f"{asked.key} was accepted")
            case AttemptEndedRecord(key, game, story):
                self._settle(key, game, story)
            case GameEndedRecord(key, game, ended):
                self._game_ended(key, game, ended)
                self.keys[key].games_ended.add(game)
            case IncarnationRecord(vm, _, incarnation):
                if incarnation <= max(self._incarnations.get(vm, 0), self._new_incarnations.get(vm, 0)):
                    self.broken("an incarnation is new", f"{vm} is given incarnation {incarnation} again")
                self._new_incarnations[vm] = incarnation
            case _:
                pass

    def ended(self, key: str, encoded: bytes, outcome: object) -> None:
        """The journal was given an outcome."""
        asked = self.keys.get(key)
        if not isinstance(outcome, EvaluationEnded) or asked is None:
            self.broken("an outcome belongs to a question", f"{key} ended as {outcome}")
        if asked.ended is not None or key in self._new_ended:
            self.broken("one outcome", f"{key} ended again, as {outcome}; it had ended as {asked.ended}")
        if outcome.digest != asked.evaluation.digest or len(outcome.games) != len(asked.evaluation.seeds):
            self.broken("an outcome belongs to a question", f"{key} asked for {asked.evaluation}, got {outcome}")
        for game, ended in enumerate(outcome.games):
            self._game_ended(key, game, ended)
        self._is_honest(asked, outcome)
        self._new_ended[key] = (encoded, outcome)

    def committed(self) -> None:
        """All records up to now are committed."""
        now = self._world.now
        for key in self._new_accepted:
            asked = self.keys[key]
            asked.accepted_at = now
            self.open[key] = asked
            if not asked.tried:  # most are ordered before they are committed
                self.fresh[key] = None
        for key, (encoded, outcome) in self._new_ended.items():
            asked = self.keys[key]
            asked.ended, asked.encoded = outcome, encoded
            self.open.pop(key, None)
            self.fresh.pop(key, None)
            self.outcomes[outcome.outcome] = self.outcomes.get(outcome.outcome, 0) + 1
        self._settled.update(self._new_settled)
        self._incarnations.update(self._new_incarnations)
        self._clear()

    def supervisor_died(self) -> None:
        """What was not committed is gone, and nobody has been ordered anything until its agent says so."""
        for failed_on, vm in self._new_failed:
            failed_on.discard(vm)
        for vm, attempt in self._new_running:
            self._running[vm].pop(attempt, None)
            self._incarnation_of.pop(attempt, None)
        self._clear()
        self.ahead.supervisor_died()
        self.quarantined.clear()

    # --- trainers

    def asked(self, trainer: str, evaluation: Evaluation) -> None:
        """A trainer asks."""
        asked = self.keys.get(evaluation.key)
        if asked is None:
            asked = self.keys[evaluation.key] = Asked(evaluation, trainer)
        asked.asked += 1

    def accepted(self, trainer: str, key: str) -> None:
        """A trainer is told that this is accepted."""
        if self.keys[key].accepted_at is None:
            self.broken("what is accepted is committed", f"{trainer} was told so of {key}, which the journal lacks")

    def rejected(self, trainer: str, message: Rejected) -> None:
        """A trainer is refused."""
        if self.keys[message.key].accepted_at is not None:
            self.broken("what is accepted is never refused", f"{trainer}: {message}")
        disk = self._world.disk
        if message.code != "disk_full" or disk is None or disk.is_known_to_be_roomy:
            self.broken("nothing is refused without a reason", f"{trainer}: {message}")

    def delivered(self, trainer: str, key: str, encoded: bytes, *, is_there: bool) -> EvaluationEnded:
        """A trainer is handed an outcome. Returns it."""
        if key in self._new_ended:
            self.broken("a delivered outcome is committed", f"{trainer} was handed that of {key} before")
        outcome, asked = self._outcome(key, encoded)
        asked.deliveries += is_there
        if asked.deliveries > asked.asked:
            self.broken(
                "one outcome", f"{trainer} asked {asked.asked} times for {outcome.key}, got {asked.deliveries} answers"
            )
        return outcome

    def seen(self, trainer: str, outcome: EvaluationEnded) -> None:
        """A trainer has an outcome, and will not ask for it again."""
        asked = self.keys[outcome.key]
        if asked.is_seen:
            self.broken("one outcome", f"{trainer} has two outcomes of {outcome.key}")
        asked.is_seen = True
        self._world.genomes.forget(outcome.digest)

    def ready(self, vm: str, incarnation: int) -> None:
        """Some time ago the supervisor said that this incarnation is there: nothing older is waited for.

        An attempt is of no interest any more when its end is committed, or its game's.
        """
        running = self._running[vm]
        for attempt, (key, game, made_for, _) in list(running.items()):
            asked = self.open.get(key)
            if attempt in self._settled or asked is None or game in asked.games_ended:
                del running[attempt]
            elif made_for < incarnation:
                self.broken(
                    "a new incarnation revokes what the older ones played",
                    f"{attempt} of {key} was given to incarnation {made_for} of {vm}, which is at {incarnation}",
                )

    def given_to(self, vm: str) -> int:
        """How many attempts were given to this VM, as far as they are not known to have ended."""
        return len(self._running[vm])

    def unanswered(self, vm: str, before: float) -> list[str]:
        """What was given to this VM before that moment, and is still waited for. Only right after `ready`."""
        return [attempt for attempt, (*_, given_at) in self._running[vm].items() if given_at < before]

    # --- agents

    def booted(self, vm: str, identity: Identity) -> None:
        """A driver is to give a VM an identity, or has given it."""
        if identity.incarnation > self._incarnations.get(vm, 0):
            self.broken("an incarnation is committed before it boots", f"{vm} boots as {identity.incarnation}")

    def called(self, vm: str, verb: str, *, is_ours: bool) -> None:
        """A driver is called."""
        if not is_ours:
            self.broken("only what bears the mark is touched", f"{verb} was called for {vm}")

    def ordered(self, vm: str, play: Play, incarnation: int | None) -> None:
        """An attempt is sent to a VM's agent. `incarnation`: of the connection; None: it is not connected."""
        if play.attempt in self._issued:
            self.broken("an attempt's id is new", f"{play.attempt} was issued before; now for {vm}")
        self._issued.add(play.attempt)
        if play.genome is None and play.size <= INLINE_LIMIT_BYTES:
            self.broken("no genome is lost", f"{play.attempt} of {play.evaluation} was sent without its genome")
        self.fresh.pop(play.evaluation, None)
        if incarnation is None:
            return
        failed_on = self.keys[play.evaluation].failed_on
        self.ahead.ordered(vm, play, is_retry=bool(failed_on.get(play.game)))

    def dropped(self, attempt: str, reason: str) -> None:
        """The supervisor says that a result does not count."""
        self._dropped[attempt] = reason

    def acknowledged(self, vm: str, attempt: str) -> None:
        """An agent is told that it may forget a result."""
        if attempt in self._new_settled or self._key_of.get(attempt) in self._new_ended:
            self.broken("an acknowledged result is committed", f"{vm} may forget {attempt} before its commit")
        if attempt not in self._settled and attempt not in self._dropped:
            self.broken("an acknowledged result is committed", f"{vm} may forget {attempt}, which the journal lacks")

    # ---

    def _clear(self) -> None:
        self._new_accepted.clear()
        self._new_ended.clear()
        self._new_settled.clear()
        self._new_incarnations.clear()
        self._new_failed.clear()
        self._new_running.clear()

    def _outcome(self, key: str, encoded: bytes) -> tuple[EvaluationEnded, Asked]:
        asked = self.keys.get(key)
        if asked is None or asked.ended is None:
            self.broken("a delivered outcome is committed", f"that of {key} is not in the journal")
        if asked.encoded != encoded:
            self.broken("one outcome", f"{key} was delivered as another outcome than the journal has")
        return asked.ended, asked

    def _attempted(self, record: AttemptRecord) -> None:
        attempt, game, vm = record.attempt, record.game, record.vm
        asked = self.keys[record.key]
        tried = asked.tried.setdefault(game, set())
        is_new = attempt not in self._issued  # else it was adopted
        if is_new and vm in asked.failed_on.get(game, ()) and (others := self.players - tried - {vm}):
            self.broken(
                "a retry goes elsewhere",
                f"{attempt} of game {game} of {record.key} goes to {vm}, which failed it;"
                f" there are {', '.join(sorted(others))}",
            )
        tried.add(vm)
        self._running[vm][attempt] = (record.key, game, record.incarnation, self._world.now)
        self._new_running.append((vm, attempt))
        self._key_of[attempt] = record.key
        self._incarnation_of[attempt] = (vm, record.incarnation)

    def _game_ended(self, key: str, game: int, ended: GameEnded) -> None:
        names = [story.attempt for story in ended.attempts]
        if len(set(names)) != len(names):
            self.broken("an attempt ends once", f"game {game} of {key}: {', '.join(names)}")
        for story in ended.attempts:
            self._settle(key, game, story)

    def _settle(self, key: str, game: int, story: AttemptStory) -> None:
        before = self._new_settled.get(story.attempt) or self._settled.get(story.attempt)
        if before is None:
            given = self._incarnation_of.get(story.attempt)
            if given is not None and given != (story.vm, story.incarnation):
                self.broken(
                    "a result comes from the incarnation that was asked",
                    f"{story.attempt} was given to {given}, and counts from {(story.vm, story.incarnation)}",
                )
            self._new_settled[story.attempt] = (story.status, self._world.now)
            self.ahead.settled(story.vm, story.attempt, story.status)
            self._key_of.setdefault(story.attempt, key)
        elif before[0] != story.status:
            self.broken("an attempt ends once", f"{story.attempt} of {key} was {before[0]}, and is {story.status} now")
        if story.status != "scored":
            failed_on = self.keys[key].failed_on.setdefault(game, set())
            if story.vm not in failed_on:
                failed_on.add(story.vm)
                self._new_failed.append((failed_on, story.vm))

    def _is_honest(self, asked: Asked, outcome: EvaluationEnded) -> None:
        world, evaluation = self._world, asked.evaluation
        stories = [story for game in outcome.games for story in game.attempts]
        if outcome.outcome != "scored":
            if outcome.fitness is not None:
                self.broken("only what is scored has a fitness", str(outcome))
        else:
            right = [world.genomes.fitness(evaluation.digest, seed) for seed in evaluation.seeds]
            got = [game.fitness for game in outcome.games]
            mean = sum(right) / len(right)
            if got != right or outcome.fitness is None or abs(outcome.fitness - mean) > _CLOSE:
                self.broken(
                    "a fitness is that of its genome", f"{outcome.key}: {outcome.fitness} of {got}, not {right}"
                )
            if world.genomes.is_poison(evaluation.digest):
                self.broken("a fitness is that of its genome", f"{outcome.key} scored though it cannot be played")
        if outcome.outcome == "cancelled" and not asked.is_cancelled:
            self.broken("only the trainer cancels", f"{outcome.key}: {outcome.reason}")
        if outcome.outcome == "genome_failed":
            seen = sum(story.attempt in world.evaluator_failed for story in stories)
            died = len({story.vm for story in stories if story.status == "lost"})
            if seen < 2 and died < 3:
                self.broken("blame has its evidence", f"{outcome.key}: {outcome.reason}; truly failed: {seen}")
        if outcome.outcome == "timed_out" and not any(story.attempt in world.ran_over for story in stories):
            self.broken("blame has its evidence", f"{outcome.key}: {outcome.reason}; no game was too long")
