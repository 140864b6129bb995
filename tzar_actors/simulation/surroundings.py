"""What everything in one world shares: its time, its chance, its faults, its story, and the truth about its genomes."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING

from tzar_actors.actors.board import Board
from tzar_actors.simulation.agenda import Agenda
from tzar_actors.simulation.faults import Faults
from tzar_actors.simulation.network import Network
from tzar_actors.simulation.story import Story

if TYPE_CHECKING:
    from tzar_actors.simulation.disk import SimulatedDisk
    from tzar_actors.simulation.gateway import SimulatedGateway

__all__ = ["GameLengths", "Genomes", "Surroundings"]


@dataclass(frozen=True, slots=True)
class GameLengths:
    """How long games last: log-normal, but for a share of long ones.

    Args:
        median_s: of the usual ones.
        spread: of the logarithm of a usual game's length.
        long: the share of the others.
        long_s: the length of those.
    """

    median_s: float = 60.0
    spread: float = 0.5
    long: float = 0.0
    long_s: float = 0.0

    def draw(self, rng: Random) -> float:
        """The length of one game, in seconds."""
        if self.long and rng.random() < self.long:
            return self.long_s
        return math.exp(rng.gauss(math.log(self.median_s), self.spread))


class Genomes:
    """What each genome is worth in each game, and which fail wherever they are played."""

    def __init__(self) -> None:
        self._bodies: dict[bytes, bytes] = {}
        self._poison: set[bytes] = set()

    def make(self, body: bytes, *, is_poison: bool) -> bytes:
        """A new genome. Returns its digest."""
        digest = sha256(body).digest()
        self._bodies[digest] = body
        if is_poison:
            self._poison.add(digest)
        return digest

    def body(self, digest: bytes) -> bytes:
        """Its bytes."""
        return self._bodies[digest]

    def forget(self, digest: bytes) -> None:
        """Nobody asks for it any more."""
        self._bodies.pop(digest, None)
        self._poison.discard(digest)

    def is_poison(self, digest: bytes) -> bool:
        """Whether its evaluator fails."""
        return digest in self._poison

    @staticmethod
    def fitness(digest: bytes, seed: int) -> float:
        """What it scores in the game of this seed."""
        return (int.from_bytes(digest[:6], "big") ^ (seed * 0x9E3779B1)) % 1_000_003 / 1000.0


@dataclass(slots=True)
class Surroundings:
    """The shared parts.

    Args:
        agenda: the world's appointments and its clock.
        rng: the world's chance; the supervisor and the trainers have their own.
        faults: how often what goes wrong; `calm` replaces them.
        network: how messages travel.
        story: what happened.
        games: how long they last.
        strike: something befalls this VM, or all who have to do with it; set by the world.
        disk: that of the state folder; None: it is never full.
        gateway: of the supervisor's present life; None: there is none just now.
        board: what it knows of its fleet; None: likewise.
        counts: the faults that happened, by name.
    """

    agenda: Agenda
    rng: Random
    faults: Faults
    network: Network
    story: Story
    genomes: Genomes = field(default_factory=Genomes)
    games: GameLengths = field(default_factory=GameLengths)
    disk: "SimulatedDisk | None" = None
    strike: Callable[[str], None] = lambda vm: None
    gateway: "SimulatedGateway | None" = None
    board: Board | None = None
    counts: Counter[str] = field(default_factory=Counter)
    evaluator_failed: set[str] = field(default_factory=set)  # attempts whose evaluator really failed
    is_calm: bool = False
    ran_over: set[str] = field(default_factory=set)  # attempts whose game really did not end

    @property
    def now(self) -> float:
        """Seconds since the world began."""
        return self.agenda.clock.now

    def happens(self, share: float) -> bool:
        """Whether something happens that happens in this share of the cases."""
        return share > 0.0 and self.rng.random() < share

    def befall(self, fault: str, whom: str, detail: object = "") -> None:
        """A fault happens."""
        self.counts[fault] += 1
        self.story.tell(whom, fault, detail)

    def game_s(self) -> float:
        """The length of a game."""
        return self.games.draw(self.rng)

    def calm(self) -> None:
        """No new fault happens from now on."""
        self.faults = self.network.faults = Faults()
        self.is_calm = True
