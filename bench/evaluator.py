"""The game of the bench: it ends at once, so what is measured is the way of an evaluation and nothing else."""

from typing import Any

__all__ = ["instant"]


def instant(genome: bytes, params: dict[str, Any], game: object) -> float:
    """The evaluator of all systems.

    Args:
        genome: looked at only as far as its first byte.
        params: what the trainer gave; not used.
        game: what the agent gives an evaluator; not used.

    Returns:
        The fitness: the genome's first byte, so that a wrong genome shows.
    """
    return float(genome[0])
