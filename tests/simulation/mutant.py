"""What a known bug is, and how one is put in."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tzar_actors.simulation.faults import Faults

__all__ = ["Mutant", "all_of", "does_nothing", "holding_nothing", "not_held", "wrapping"]


@dataclass(frozen=True)
class Mutant:
    """One bug, and the world in which it shows.

    Args:
        put_in: puts the bug in.
        law: the short name of the law that it breaks.
        faults: of the world.
        vms: of its fleet.
        minutes: that it runs.
        seeds: that are tried; one of them must show the bug.
        is_short: games last milliseconds, and orders go ahead.
    """

    put_in: Callable[[pytest.MonkeyPatch], None]
    law: str
    faults: Faults = field(default_factory=Faults)
    vms: int = 4
    minutes: float = 30.0
    seeds: tuple[int, ...] = (1, 2, 3)
    is_short: bool = False


def not_held(*commands):
    def put_in(patch):
        for command in commands:
            assert command.HELD, f"{command} is held no more: this mutant has no place"
            patch.setattr(command, "HELD", False)

    return put_in


def wrapping(owner, name, make):
    """Replaces `owner.name` by what `make` makes of it."""

    def put_in(patch):
        patch.setattr(owner, name, make(getattr(owner, name)))

    return put_in


def all_of(*puts):
    def put_in(patch):
        for put in puts:
            put(patch)

    return put_in


def does_nothing(original):
    return lambda self, *arguments: None


def holding_nothing(original):
    def method(self, *arguments):
        hold, self.loop.hold = self.loop.hold, lambda release: release()
        try:
            original(self, *arguments)
        finally:
            self.loop.hold = hold

    return method
