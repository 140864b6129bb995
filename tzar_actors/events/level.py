"""How much an event matters."""

from enum import IntEnum

__all__ = ["Level"]


class Level(IntEnum):
    """The numbers are those of Python's logging."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40
