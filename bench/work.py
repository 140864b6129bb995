"""The work that every system of the bench is given, and how it is counted."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["PARAMS", "SEED", "WORKERS", "BenchError", "Latency", "digest_of", "genomes", "latency", "megabytes_per_s"]

WORKERS = 8
SEED = 7
PARAMS = {"map": "duel", "ticks": 2100}  # about what a trainer sends along


class BenchError(Exception):
    """A measurement that cannot be had. The text says of which system, and why."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Idle round trips: the middle one and the one that 99 of 100 stay under, in seconds."""

    p50_s: float
    p99_s: float


def genomes(count: int, size: int) -> list[bytes]:
    """`count` genomes of `size` bytes (at least 16), which no system has seen before, in this run or another."""
    rest = os.urandom(size - 16)
    return [os.urandom(16) + rest for _ in range(count)]


def digest_of(genome: bytes) -> bytes:
    """The genome's name: its SHA-256."""
    return hashlib.sha256(genome).digest()


def latency(once: Callable[[bytes], None], count: int) -> Latency:
    """Times `once` for `count` genomes of 256 bytes, one after the other, each new to the system."""
    times = sorted(_timed(once, count))
    return Latency(p50_s=times[len(times) // 2], p99_s=times[min(len(times) - 1, len(times) * 99 // 100)])


def megabytes_per_s(size: int, count: int, seconds: float) -> float:
    """Megabytes (10**6 bytes) a second, when `count` genomes of `size` bytes took `seconds`."""
    return size * count / seconds / 1e6


def _timed(once: Callable[[bytes], None], count: int) -> Iterator[float]:
    for genome in genomes(count, 256):
        begin = time.perf_counter()
        once(genome)
        yield time.perf_counter() - begin
