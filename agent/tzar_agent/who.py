"""Who an agent is, in its supervisor's eyes."""

from dataclasses import dataclass

__all__ = ["Who"]


@dataclass(frozen=True, slots=True)
class Who:
    """What a hello says that never changes."""

    vm: str
    incarnation: int
    software: str
    pid: int
