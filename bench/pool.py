"""The pool: `concurrent.futures.ProcessPoolExecutor`, what a trainer on one machine would use in our place."""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, wait

from work import PARAMS, SEED, WORKERS, BenchError, System, digest_of, genomes, play, times

__all__ = ["Pool"]

PATIENCE_S = 120.0


class Pool(System):
    """Eight processes, an evaluation a call (`chunksize` 1), since a game is never dispatched together with another."""

    name = "pool"

    def __init__(self) -> None:
        # Spawned, as on every platform: a fork would share what a fresh worker has to load.
        self._pool = ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn"))

    def start(self) -> None:
        # The pool starts a process for each call that finds none idle, so eight at once start all.
        started = [self._pool.submit(time.sleep, 0.1) for _ in range(WORKERS)]
        if wait(started, PATIENCE_S).not_done:
            raise BenchError(f"pool: its {WORKERS} processes did not come up within {PATIENCE_S:.0f} s")

    def stop(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def throughput(self, count: int, size: int) -> float:
        batch = genomes(count, size)
        begin = time.perf_counter()
        digests = [digest_of(genome) for genome in batch]
        answers = self._pool.map(play, range(count), digests, batch, [PARAMS] * count, [SEED] * count)
        for index, fitness, _ in answers:
            if fitness != batch[index][0]:
                raise BenchError(f"pool: evaluation {index} came back with another genome's fitness")
        return count / (time.perf_counter() - begin)

    def idle_latency(self, count: int) -> list[float]:
        def once(genome: bytes) -> None:
            self._pool.submit(play, 0, digest_of(genome), genome, PARAMS, SEED).result(PATIENCE_S)

        return times(once, count)
