"""Keeps a fleet busy with seeded games for a given time, and keeps the books of what comes back."""

import queue
import random
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass

from ledger import Ledger
from seeded_game import fitness_of, seconds_of

from tzar_actors import EvaluationFuture, Fleet
from tzar_actors.client.fleet import game_seeds

__all__ = ["Work", "stream"]

_LARGE_EVERY = 10  # genomes: one that lies in the spool
_LARGE_BYTES, _SMALL_BYTES = 100_000, 256


@dataclass(frozen=True, slots=True)
class Work:
    """What is played.

    Args:
        vms: how many play it.
        games: of each evaluation.
        shortest_s: of a game, in seconds.
        longest_s: of a game, in seconds.
        crash_share: of the attempts that end in a crash of their VM.
        seed: of genomes, games and crashes.
    """

    vms: int
    games: int
    shortest_s: float
    longest_s: float
    crash_share: float
    seed: int


def stream(
    fleet: Fleet,
    ledger: Ledger,
    work: Work,
    seconds: float,
    window: int,
    patience_s: float,
    draw: random.Random,
    given: dict[str, float | None] | None = None,
    on_end: Callable[[], None] = lambda: None,
) -> float:
    """Submits evaluations for as long as they can be expected to end within `seconds`, and waits for all of them.

    Args:
        fleet: who plays.
        ledger: the books.
        work: what is played.
        seconds: how long it shall take at the least, were there neither faults nor overhead.
        window: how many evaluations are open at once.
        patience_s: seconds without any outcome after which those that are open count as lost.
        draw: from which the genomes are drawn.
        given: takes the fitness of each outcome by its key; None: it is kept nowhere.
        on_end: called after each outcome.

    Returns:
        Seconds from the first submission to the last outcome.
    """
    ended: queue.SimpleQueue[EvaluationFuture] = queue.SimpleQueue()
    begin = last = time.monotonic()
    while True:
        while ledger.open < window and time.monotonic() - begin + ledger.open_s / work.vms < seconds:
            _ask(fleet, ledger, work, draw).add_done_callback(ended.put)  # type: ignore[arg-type]  # it is the same future
        if not ledger.open:
            return last - begin
        try:
            future = ended.get(timeout=patience_s)
        except queue.Empty:
            return last - begin
        last = time.monotonic()
        try:
            result = future.result()
        except (Exception, CancelledError) as error:  # noqa: BLE001  # why there is no outcome is the fleet's to say
            ledger.fail(future.key, error)
            return last - begin
        ledger.end(future.key, result)
        if given is not None:
            given[future.key] = result.fitness
        on_end()


def _ask(fleet: Fleet, ledger: Ledger, work: Work, draw: random.Random) -> EvaluationFuture:
    genome = draw.randbytes(_SMALL_BYTES if ledger.asked % _LARGE_EVERY else _LARGE_BYTES)
    seeds = game_seeds(work.seed, work.games)
    future = fleet.submit(
        genome,
        seeds=seeds,
        generation=work.seed,
        params={
            "shortest_s": work.shortest_s,
            "longest_s": work.longest_s,
            "crash_share": work.crash_share,
            "crash_seed": work.seed,
        },
    )
    ledger.ask(
        future.key,
        sum(fitness_of(genome, seed) for seed in seeds) / len(seeds),
        sum(seconds_of(genome, seed, work.shortest_s, work.longest_s) for seed in seeds),
    )
    return future
