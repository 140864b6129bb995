"""Our own system: a fleet of eight local VMs, as a trainer starts it with `tzar_actors.launch`."""

import json
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Literal

import psutil
from work import PARAMS, SEED, WORKERS, BenchError, System, genomes, megabytes_per_s, times

import tzar_actors

__all__ = ["Fleet"]

PATIENCE_S = 60.0
CONFIG = """\
[fleet]
name = "bench"
state_dir = {state}
durability = "{durability}"
share_blobs = {share_blobs}
on_trainer_exit = "stop"
orphan_s = 5.0

[evaluator]
kind = "inline"
target = "evaluator:instant"
path = [{path}]

[[hosts]]
name = "local"
driver = "local"
vms = {vms}
boots_at_a_time = {vms}
"""


class Fleet(System):
    """A fleet with a new state folder.

    Args:
        durability: what a committed result survives, as in the settings.
        share_blobs: agents open genomes in the spool; else they fetch them over the blob socket.
        folder: where the state folder is made and removed again.
    """

    name = "fleet"

    def __init__(self, durability: Literal["process", "power"], share_blobs: bool, folder: Path) -> None:
        self._durability = durability
        self._share_blobs = share_blobs
        self._folder = folder
        self._open = ExitStack()
        self._state = ExitStack()
        self._before: set[psutil.Process] = set()

    def start(self) -> None:
        state = tempfile.TemporaryDirectory(prefix="tzar-bench-", dir=self._folder, ignore_cleanup_errors=True)
        self._state.enter_context(state)
        config = Path(state.name, "fleet.toml")
        config.write_text(
            CONFIG.format(
                state=json.dumps(str(Path(state.name, "state").resolve())),
                durability=self._durability,
                share_blobs=json.dumps(self._share_blobs),
                path=json.dumps(str(Path(__file__).resolve().parent)),
                vms=WORKERS,
            ),
            encoding="utf-8",
        )
        self._before = set(psutil.Process().children(recursive=True))
        self._fleet = self._open.enter_context(tzar_actors.launch(config))
        deadline = time.monotonic() + PATIENCE_S
        while (idle := self._idle()) < WORKERS:
            if time.monotonic() > deadline:
                raise BenchError(f"fleet: only {idle} of {WORKERS} VMs have an idle agent after {PATIENCE_S:.0f} s")
            Event().wait(0.05)

    def stop(self) -> None:
        started = [each for each in psutil.Process().children(recursive=True) if each not in self._before]
        self._open.close()
        # Whoever is measured next must have the machine alone.
        _, left = psutil.wait_procs(started, timeout=PATIENCE_S)
        for process in left:
            print(f"fleet: process {process.pid} was left behind and is killed", file=sys.stderr)
            process.kill()
        psutil.wait_procs(left, timeout=10)
        self._state.close()

    def throughput(self, count: int, size: int) -> float:
        return count / self._seconds(genomes(count, size))

    def idle_latency(self, count: int) -> list[float]:
        def once(genome: bytes) -> None:
            self._fleet.submit(genome, params=PARAMS, seed=SEED).result(PATIENCE_S)

        return times(once, count)

    def wire(self, count: int, size: int) -> float:
        if self._share_blobs:
            raise BenchError("fleet: agents that share the spool use no wire")
        return megabytes_per_s(count, size, self._seconds(genomes(count, size)))

    def in_place(self, count: int, size: int) -> float:
        if not self._share_blobs:
            raise BenchError("fleet: agents that do not share the spool have no genome in place")
        batch = genomes(count, size)
        return megabytes_per_s(count, size, self._seconds(batch, [self._fleet.put(genome) for genome in batch]))

    def _idle(self) -> int:
        return sum(vm.state == "idle" for vm in self._fleet.status().vms)

    def _seconds(self, batch: Sequence[bytes], given: "Iterable[bytes | tzar_actors.Blob] | None" = None) -> float:
        begin = time.perf_counter()
        ended = 0
        for result in self._fleet.evaluate(batch if given is None else given, params=PARAMS, games=1, seed=SEED):
            if result.outcome != "scored" or result.fitness != batch[result.index][0]:
                raise BenchError(
                    f"fleet: evaluation {result.index} ended as {result.outcome} with fitness {result.fitness}: "
                    f"{result.reason}"
                )
            ended += 1
        if ended != len(batch):
            raise BenchError(f"fleet: {ended} evaluations ended of {len(batch)}")
        return time.perf_counter() - begin
