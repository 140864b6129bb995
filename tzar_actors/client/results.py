"""What a trainer gets back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any

from tzar_actors.core.evaluation import EvaluationEnded, Outcome
from tzar_actors.journal.stored import stored_codec
from tzar_agent.protocol.codec import DecodeError, unpack_value
from tzar_agent.protocol.value import value

__all__ = [
    "AttemptResult",
    "EvaluationResult",
    "FleetStatus",
    "GameResult",
    "ResultsSoFar",
    "VmSnapshot",
    "result_of",
    "results_so_far",
    "status_of",
]


@value
class AttemptResult:
    """One try of one game.

    Args:
        id: never issued twice.
        vm: where it was played.
        incarnation: of that VM.
        status: `scored`, `fault`, `timed_out`, `cancelled`, `agent_fault`, `lost` or `excused` (it counts for nothing).
        seconds: how long it took.
        reason: why it did not score; empty when it did.
        exit_code: of the evaluator, when it ended by itself and badly.
        tail: the last lines it printed, when it failed.
    """

    id: str
    vm: str
    incarnation: int
    status: str
    seconds: float
    reason: str
    exit_code: int | None
    tail: str


@value
class GameResult:
    """One game of a genome.

    Args:
        fitness: its score, None unless it scored.
        outcome: an `Outcome`'s value, or `withdrawn`: its evaluation was decided before it was played.
        seconds: that the game took.
        details: what the evaluator returned beside the score.
        reason: why it did not score.
        attempts: all tries of it, oldest first.
    """

    fitness: float | None
    outcome: str
    seconds: float
    details: Mapping[str, Any]
    reason: str
    attempts: tuple[AttemptResult, ...]


@value
class EvaluationResult:
    """The one outcome of one genome's evaluation.

    Args:
        index: its place in the input of the call it came from.
        key: the evaluation's key.
        genome: SHA-256 of the genome, in hex.
        outcome: how it ended.
        fitness: the mean over its games, None unless every game scored.
        reason: why it did not score.
        seconds: from acceptance to the end.
        generation: the number that the trainer gave.
        games: one for each game.
    """

    index: int
    key: str
    genome: str
    outcome: Outcome
    fitness: float | None
    reason: str
    seconds: float
    generation: int | None
    games: tuple[GameResult, ...]


@value
class ResultsSoFar:
    """What is known of some evaluations. A key that is in neither is not known: it never was, or was forgotten.

    Args:
        ended: the outcomes that there are.
        open_keys: the keys that have none yet.
    """

    ended: tuple[EvaluationResult, ...]
    open_keys: tuple[str, ...]


@value
class VmSnapshot:
    """One VM at the time of the question. `state`: off, booting, idle, playing, away, failed or quarantined.

    `is_held`: a person stopped it, so it stays off.
    """

    vm: str
    host: str
    state: str
    incarnation: int
    pid: int | None
    attempt: str | None
    evaluation: str | None
    game: int | None
    games_played: int
    failures: int
    detail: str
    is_held: bool = False


@value
class FleetStatus:
    """The fleet at the time of the question.

    `outcomes` counts since this start of the supervisor; `hosts` says of each what is wrong with it, and `alarm` why
    nothing is played though games wait. Both are empty as long as all is well.
    """

    fleet: str
    epoch: int
    pid: int
    vms: tuple[VmSnapshot, ...]
    trainers: int
    evaluations_open: int
    games_queued: int
    games_running: int
    attempts_lost: int
    results_dropped: int
    outcomes: Mapping[str, int] = field(default_factory=dict)
    is_draining: bool = False
    hosts: Mapping[str, str] = field(default_factory=dict)
    alarm: str = ""


def result_of(ended: EvaluationEnded, index: int) -> EvaluationResult:
    """The trainer's view of an outcome.

    Args:
        ended: as the supervisor sent it.
        index: the evaluation's place in the input.

    Raises:
        DecodeError: a game's details are no map.
    """
    games = tuple(
        GameResult(
            game.fitness,
            game.outcome,
            game.seconds,
            _details(game.details),
            game.reason,
            tuple(
                AttemptResult(a.attempt, a.vm, a.incarnation, a.status, a.seconds, a.reason, a.exit_code, a.tail)
                for a in game.attempts
            ),
        )
        for game in ended.games
    )
    return EvaluationResult(
        index,
        ended.key,
        ended.digest.hex(),
        Outcome(ended.outcome),
        ended.fitness,
        ended.reason,
        ended.seconds,
        ended.generation,
        games,
    )


def results_so_far(ended: Iterable[bytes], open_keys: Iterable[str], keys: Sequence[str]) -> ResultsSoFar:
    """The trainer's view of outcomes as the journal keeps them.

    Args:
        ended: the outcomes, encoded.
        open_keys: the keys that have none.
        keys: those that were asked for, whose places become the results' indexes.

    Raises:
        DecodeError: they cannot be read.
    """
    codec = stored_codec()
    places = {key: i for i, key in enumerate(keys)}
    decoded = [each for encoded in ended if isinstance(each := codec.decode(encoded), EvaluationEnded)]
    results = (result_of(each, places.get(each.key, i)) for i, each in enumerate(decoded))
    return ResultsSoFar(tuple(results), tuple(open_keys))


def status_of(snapshot: Mapping[str, Any]) -> FleetStatus:
    """The trainer's view of a status snapshot."""
    return FleetStatus(**{**snapshot, "vms": tuple(VmSnapshot(**row) for row in snapshot["vms"])})


def _details(packed: bytes) -> Mapping[str, Any]:
    if packed == b"\x80":
        return {}
    details = unpack_value(packed, "a game's details")
    if not isinstance(details, dict):
        raise DecodeError(f"a game's details are a {type(details).__name__}, not a map")
    return details
