"""What the demo needs of a fleet: the part of the trainer's API that it uses. Any fleet of that shape will do."""

from collections.abc import Iterable, Sequence
from typing import Protocol

__all__ = ["Attempt", "Evaluation", "Fleet", "Game", "Status", "Vm"]


class Attempt(Protocol):
    """One try of one game on one VM."""

    @property
    def id(self) -> str: ...
    @property
    def vm(self) -> str: ...
    @property
    def status(self) -> str: ...


class Game(Protocol):
    """One game of an evaluation, with its attempts in the order they were made."""

    @property
    def attempts(self) -> Sequence[Attempt]: ...


class Evaluation(Protocol):
    """How an evaluation ended."""

    @property
    def index(self) -> int: ...
    @property
    def outcome(self) -> str: ...
    @property
    def fitness(self) -> float | None: ...
    @property
    def reason(self) -> str: ...
    @property
    def games(self) -> Sequence[Game]: ...


class Vm(Protocol):
    """One VM at one moment. `vm` is its name, `pid` its agent's process, `attempt` what it plays."""

    @property
    def vm(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def pid(self) -> int | None: ...
    @property
    def attempt(self) -> str | None: ...
    @property
    def games_played(self) -> int: ...


class Status(Protocol):
    """The fleet at one moment."""

    @property
    def vms(self) -> Sequence[Vm]: ...


class Fleet(Protocol):
    """A fleet that plays genomes and says what its VMs do."""

    def evaluate(
        self, genomes: Sequence[bytes], *, seeds: Sequence[int], generation: int | None = None
    ) -> Iterable[Evaluation]:
        """One game for each seed with each genome; the evaluations as they end."""
        ...

    def status(self) -> Status:
        """What the VMs do now."""
        ...
