"""This machine's own SHA-256 rate: the most that verifying genomes in place can reach.

The fair comparison is with all processors at work, since eight agents hash at the same time as well: one process for
each processor, each hashing its share of different genomes, none of which it finds in its cache.
"""

import hashlib
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor, wait

from work import BenchError, System, genomes, megabytes_per_s

__all__ = ["Sha256"]

PATIENCE_S = 120.0
BUFFERS = 6  # of 11 MB: more than processors keep in their caches


class Sha256(System):
    """A process for each processor, with nothing to do but hash."""

    name = "sha256"

    def __init__(self) -> None:
        self._processes = os.cpu_count() or 1
        self._pool = ProcessPoolExecutor(self._processes, mp_context=multiprocessing.get_context("spawn"))

    def start(self) -> None:
        if wait([self._pool.submit(time.sleep, 0.1) for _ in range(self._processes)], PATIENCE_S).not_done:
            raise BenchError(f"sha256: its {self._processes} processes did not come up within {PATIENCE_S:.0f} s")

    def stop(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def in_place(self, count: int, size: int) -> float:
        """Megabytes a second of all processors together; each hashes `count` genomes of `size` bytes."""
        return self._rate(self._processes, count, size)

    def one_processor(self, count: int, size: int) -> float:
        """Megabytes a second of one processor, while the others have nothing to do."""
        return self._rate(1, count, size)

    def _rate(self, processes: int, count: int, size: int) -> float:
        shares = [self._pool.submit(_hash, count, size) for _ in range(processes)]
        spans = [share.result(PATIENCE_S) for share in shares]
        # Each share's own rate, as they were not begun at exactly the same time.
        return sum(megabytes_per_s(count, size, seconds) for seconds in spans)


def _hash(count: int, size: int) -> float:
    buffers = genomes(min(count, BUFFERS), size)
    begin = time.perf_counter()
    for number in range(count):
        hashlib.sha256(buffers[number % len(buffers)]).digest()
    return time.perf_counter() - begin
