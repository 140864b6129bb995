"""What the author of an evaluator function sees: the game it is called for, and the result it may return."""

from collections.abc import Callable, Mapping

__all__ = ["Game", "Result"]


class Game:
    """The game that an evaluator function plays. It is given to the function; nobody else makes one.

    Args:
        attempt: the attempt's id, unique for all time within its fleet.
        number: the game's number within its evaluation, from 0.
        seed: the game's seed, 0 to 2**63 - 1: the same for this number in every genome and in every attempt.
        report: what carries a report of progress away; called with their count so far and the note.
    """

    __slots__ = ("_count", "_report", "attempt", "number", "seed")

    def __init__(self, attempt: str, number: int, seed: int, report: Callable[[int, str], None]) -> None:
        self.attempt = attempt
        self.number = number
        self.seed = seed
        self._report = report
        self._count = 0

    def progress(self, note: object = "") -> None:
        """Says that the game goes on. A game that does not say so for `stall_s` seconds is ended as stalled.

        It may be called as often as one likes: what is too frequent goes nowhere and costs a microsecond.

        Args:
            note: where the game is, as text; the last one stands in the reason should the game stall.
        """
        self._count += 1
        self._report(self._count, note if isinstance(note, str) else str(note))


class Result:
    """What an evaluator function may return instead of a bare number.

    Args:
        fitness: the score, a finite number; more is better.
        details: what else the trainer gets: a str-keyed dict of None, bool, int, float, str, bytes, lists and dicts,
            at most 256 KiB when packed, and of an evaluation with more than 192 games at most 48 MiB for all of them.
    """

    __slots__ = ("details", "fitness")

    def __init__(self, fitness: float, details: Mapping[str, object] | None = None) -> None:
        self.fitness = fitness
        self.details: dict[str, object] = dict(details or {})

    def __repr__(self) -> str:
        return f"Result(fitness={self.fitness!r}, details={self.details!r})"
