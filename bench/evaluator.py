"""The game of the bench: it ends at once, so what is measured is the way of an evaluation and nothing else."""

__all__ = ["instant"]


def instant(genome: bytes | memoryview, params: dict[str, object], game: object) -> float:
    """The evaluator of all systems.

    Args:
        genome: at least one byte.
        params: what the trainer sent along; it changes nothing.
        game: what an agent gives its evaluator; None where there is no agent.

    Returns:
        The fitness: the genome's first byte, so that a mistaken genome shows.
    """
    return float(genome[0])
