"""What every system of the bench is, the work that it is given, and how that is checked."""

import hashlib
import os
import time
from collections.abc import Callable
from typing import Any

from evaluator import instant

__all__ = [
    "PARAMS",
    "SEED",
    "WORKERS",
    "BenchError",
    "System",
    "digest_of",
    "genomes",
    "megabytes_per_s",
    "play",
    "times",
]

WORKERS = 8
SEED = 7
PARAMS = {"map": "duel", "seconds": 60}  # about what a trainer sends along


class BenchError(Exception):
    """A measurement that cannot be had. The text says of which system, and why."""


class System:
    """One way from a trainer to `WORKERS` processes that evaluate. A system lacks what makes no sense for it.

    All methods but `start` and `stop` measure, and are called between these two; genomes are new in each call.
    """

    name: str

    def start(self) -> None:
        """Returns when all workers are idle.

        Raises:
            BenchError: they do not come up.
        """
        raise NotImplementedError

    def stop(self) -> None:
        """Returns when nothing of the system is left; works after a `start` that failed, too."""
        raise NotImplementedError

    def throughput(self, count: int, size: int) -> float:
        """Evaluations a second, when `count` genomes of `size` bytes are submitted as fast as the system takes them."""
        raise NotImplementedError(f"{self.name} has no throughput")

    def idle_latency(self, count: int) -> list[float]:
        """The round trips in seconds of `count` evaluations of 256 bytes, one at a time."""
        raise NotImplementedError(f"{self.name} has no round trip")

    def wire(self, count: int, size: int) -> float:
        """Megabytes a second, when `count` genomes of `size` bytes travel to the workers and are verified there."""
        raise NotImplementedError(f"{self.name} has no wire")

    def in_place(self, count: int, size: int) -> float:
        """Megabytes a second, when the workers verify `count` genomes of `size` bytes that lie within their reach."""
        raise NotImplementedError(f"{self.name} has nothing in place")


def genomes(count: int, size: int) -> list[bytes]:
    """`count` different genomes of `size` bytes (at least 16), which no system has seen before."""
    rest = os.urandom(size - 16)
    return [os.urandom(16) + rest for _ in range(count)]


def digest_of(genome: bytes) -> bytes:
    """The genome's name: its SHA-256."""
    return hashlib.sha256(genome).digest()


def play(
    index: int, digest: bytes, genome: bytes | memoryview, params: dict[str, Any], seed: int
) -> tuple[int, float, dict[str, Any]]:
    """What a worker without an agent does: verifies the genome and evaluates it.

    Returns:
        The index, the fitness, and details, which are empty.

    Raises:
        BenchError: the genome arrived damaged.
    """
    if hashlib.sha256(genome).digest() != digest:
        raise BenchError(f"the genome of evaluation {index} (seed {seed}) arrived damaged")
    return index, instant(genome, params, None), {}


def times(once: Callable[[bytes], None], count: int) -> list[float]:
    """How long `once` takes, in seconds, for each of `count` new genomes of 256 bytes."""
    taken = []
    for genome in genomes(count, 256):
        begin = time.perf_counter()
        once(genome)
        taken.append(time.perf_counter() - begin)
    return taken


def megabytes_per_s(count: int, size: int, seconds: float) -> float:
    """Megabytes (10**6 bytes) a second, when `count` genomes of `size` bytes took `seconds`."""
    return count * size / seconds / 1e6
