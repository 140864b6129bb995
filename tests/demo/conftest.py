"""Two stand-ins for a fleet, of the shape that the demo needs: one that pretends, and one of plain processes."""

import operator
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from multiprocessing import get_context, resource_tracker
from queue import SimpleQueue
from typing import Any

import psutil
import pytest


@dataclass
class Attempt:
    id: str
    vm: str
    status: str
    seconds: float = 0.0
    reason: str = ""


@dataclass
class Played:
    fitness: float
    attempts: list[Attempt]
    outcome: str = "scored"


@dataclass
class Evaluated:
    index: int
    genome: bytes
    fitness: float | None
    games: list[Played]
    outcome: str = "scored"
    reason: str = ""


@dataclass
class Vm:
    vm: str
    pid: int | None
    attempt: str | None = None
    games_played: int = 0

    @property
    def state(self) -> str:
        return "booting" if self.pid is None else "idle" if self.attempt is None else "playing"


@dataclass
class Snapshot:
    vms: list[Vm]


@dataclass
class Call:
    genomes: list[bytes]
    seeds: list[int]
    generation: int | None


class PretendedFleet:
    """Plays nothing: a function gives each game's fitness, and a VM that was killed loses the next game it gets."""

    def __init__(self, fitness: Callable[[bytes, int], float | None], vms: int = 3) -> None:
        self.fitness = fitness
        self.vms = [Vm(f"local-{n}", pid=1000 + n) for n in range(vms)]
        self.calls: list[Call] = []
        self.killed: list[str] = []
        self._killed_now: set[str] = set()
        self._attempts = 0

    def end(self, pid: int) -> None:
        (name,) = (vm.vm for vm in self.vms if vm.pid == pid)
        self.killed.append(name)
        self._killed_now.add(name)

    def status(self) -> Snapshot:
        for vm in self.vms:
            vm.attempt = self._next_id()
        return Snapshot([replace(vm) for vm in self.vms])

    def evaluate(
        self, genomes: Sequence[bytes], *, seeds: Sequence[int], generation: int | None = None
    ) -> Iterator[Evaluated]:
        self.calls.append(Call(list(genomes), list(seeds), generation))
        for index in reversed(range(len(genomes))):  # as they finish is not the order of the input
            games = [self._play(genomes[index], seed) for seed in seeds]
            scores = [game.fitness for game in games if game is not None]
            if len(scores) < len(games):
                yield Evaluated(index, genomes[index], None, [], "infra_failed", "every VM died of it")
            else:
                yield Evaluated(index, genomes[index], sum(scores) / len(scores), [g for g in games if g])

    def _play(self, genome: bytes, seed: int) -> Played | None:
        score = self.fitness(genome, seed)
        if score is None:
            return None
        first, second = (self.vms[(self._attempts + step) % len(self.vms)].vm for step in range(2))
        attempts = []
        if first in self._killed_now:
            self._killed_now.remove(first)
            attempts.append(Attempt(self._next_id(), first, "lost"))
            first = second
        return Played(score, [*attempts, Attempt(self._next_id(), first, "scored")])

    def _next_id(self) -> str:
        self._attempts += 1
        return f"1-{self._attempts}"


@dataclass
class Order:
    """A game to be played, and where its end is told."""

    index: int
    genome: bytes
    number: int
    seed: int
    ended: "SimpleQueue[tuple[Order, float | BaseException]]"
    attempts: list[Attempt] = field(default_factory=list)


class ProcessFleet:
    """Plays with plain processes, one a VM. A process that dies loses its game, which another plays again."""

    def __init__(self, play: Callable[..., Any], vms: int) -> None:
        self.mark = secrets.token_hex(8)
        self._play = play
        self._orders: SimpleQueue[Order | None] = SimpleQueue()
        self._vms = [Vm(f"local-{n}", None) for n in range(vms)]
        self._ids = iter(range(1, 10**9))
        resource_tracker.ensure_running()  # before the mark is set: it serves all pools of this process, not only these
        os.environ["TZAR_TEST_MARK"] = self.mark
        self._threads = [threading.Thread(target=self._serve, args=(vm,)) for vm in self._vms]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "ProcessFleet":
        return self

    def __exit__(self, *_: object) -> None:
        for _ in self._threads:
            self._orders.put(None)
        for thread in self._threads:
            thread.join(60)
        del os.environ["TZAR_TEST_MARK"]
        for process in self.left_behind():
            process.kill()

    def left_behind(self) -> list[psutil.Process]:
        """What carries the mark: game engines outlive the processes that started them."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and process.environ().get("TZAR_TEST_MARK") == self.mark:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def status(self) -> Snapshot:
        return Snapshot([replace(vm) for vm in self._vms])

    def evaluate(
        self, genomes: Sequence[bytes], *, seeds: Sequence[int], generation: int | None = None
    ) -> Iterator[Evaluated]:
        ended: SimpleQueue[tuple[Order, float | BaseException]] = SimpleQueue()
        games: dict[int, dict[int, Played]] = {}
        for index, genome in enumerate(genomes):
            for number, seed in enumerate(seeds):
                self._orders.put(Order(index, genome, number, seed, ended))
        while len(games) < len(genomes) or any(len(played) < len(seeds) for played in games.values()):
            order, score = ended.get(timeout=120)
            if isinstance(score, BaseException):
                raise score
            played = games.setdefault(order.index, {})
            played[order.number] = Played(score, order.attempts)
            if len(played) == len(seeds):
                mean = sum(game.fitness for game in played.values()) / len(played)
                yield Evaluated(order.index, order.genome, mean, [played[n] for n in sorted(played)])

    def _wait(self, future: Future[Any], vm: Vm) -> Any:
        """The result of a game. An engine keeps its dead parent's pipes open, and with them the pool in ignorance."""
        worker = psutil.Process(vm.pid)
        while True:
            try:
                return future.result(timeout=0.2)
            except TimeoutError:
                if worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
                    continue
                for process in self.left_behind():
                    if process.environ().get("TZAR_TEST_VM") == vm.vm:
                        process.kill()

    def _serve(self, vm: Vm) -> None:
        from tzar_agent import Game

        pool = None
        while (order := self._orders.get()) is not None:
            if pool is None:
                pool = ProcessPoolExecutor(
                    1, mp_context=get_context("spawn"), initializer=os.putenv, initargs=("TZAR_TEST_VM", vm.vm)
                )
                vm.pid = pool.submit(os.getpid).result()
            attempt = Attempt(f"1-{next(self._ids)}", vm.vm, "lost")
            order.attempts.append(attempt)
            try:
                vm.attempt = attempt.id
                game = Game(attempt.id, order.number, order.seed, operator.is_)  # any picklable function of two will do
                result = self._wait(pool.submit(self._play, order.genome, {}, game), vm)
                attempt.status = "scored"
                order.ended.put((order, result.fitness))
            except BrokenProcessPool:
                pool.shutdown()
                pool = vm.pid = None
                self._orders.put(order)
            except Exception as error:  # noqa: BLE001  # it is raised where the evaluation is waited for
                order.ended.put((order, error))
            vm.attempt = None
        if pool:
            pool.shutdown()


@pytest.fixture
def pretended_fleet() -> type[PretendedFleet]:
    return PretendedFleet


@pytest.fixture
def process_fleet() -> type[ProcessFleet]:
    return ProcessFleet
