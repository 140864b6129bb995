"""The game of the benches that kill and freeze: how long it takes and what it scores follow from genome and seed.

So whoever gets a fitness can tell whether it is the right one, and what all games would take without faults is known
ahead. A share of the games ends in a crash of the VM; which attempts do is drawn from their ids, so a game that
crashed here does not crash again elsewhere.
"""

import hashlib
import os
import time
from collections.abc import Mapping
from typing import Any

from tzar_agent import Game, Result
from tzar_agent.tree import VM_MARK

__all__ = ["fitness_of", "play", "seconds_of"]

_SLICE_S = 0.02  # between two reports of progress


def fitness_of(genome: bytes, seed: int) -> float:
    """What `genome` must score in the game of this seed: an integer below 2**24, so means of a few are exact."""
    return float(_draw(b"fitness", genome, seed))


def seconds_of(genome: bytes, seed: int, shortest_s: float, longest_s: float) -> float:
    """How long `genome` plays the game of this seed: evenly spread from `shortest_s` to `longest_s` seconds."""
    return shortest_s + (longest_s - shortest_s) * _draw(b"seconds", genome, seed) / 2**24


def play(genome: bytes, params: Mapping[str, Any], game: Game) -> Result:
    """The evaluator.

    Args:
        genome: any bytes.
        params: `shortest_s` and `longest_s`, in seconds; `crash_share`: of the attempts, from 0 to 1, that end in a
            crash of their VM; `crash_seed`: which ones these are.
        game: the agent's.

    Returns:
        The fitness, and as the detail `began` the time at which this attempt began, in seconds since 1970.
    """
    began, now = time.time(), time.monotonic()
    seconds = seconds_of(genome, game.seed, params["shortest_s"], params["longest_s"])
    draw = _draw(b"crash", game.attempt.encode(), params["crash_seed"]) / 2**24
    is_crash = draw < params["crash_share"]
    # A crash comes anywhere within the game; the draw below the share is spread evenly as well.
    ends_at = now + seconds * (draw / params["crash_share"] if is_crash else 1.0)
    while (left := ends_at - time.monotonic()) > 0:
        game.progress(f"{left:.3f} s are left")
        time.sleep(min(left, _SLICE_S))
    if is_crash:
        _crash_the_vm()
    return Result(fitness_of(genome, game.seed), {"began": began})


def _crash_the_vm() -> None:
    """Kills this VM's agent, with which this process ends as well. If the agent is gone already, nothing is killed."""
    import psutil  # here: it would slow down the start of every evaluator

    try:
        agent = psutil.Process(os.getppid())
        if agent.environ().get(VM_MARK) == os.environ[VM_MARK]:
            agent.kill()
    except psutil.Error:
        return


def _draw(what: bytes, data: bytes, seed: int) -> int:
    digest = hashlib.blake2b(data, digest_size=3, key=seed.to_bytes(8, "big"), person=what)
    return int.from_bytes(digest.digest(), "big")
