"""Who waits for an evaluation: a cancel ends it only when nobody else does.

A trainer waits from its submission until it cancels, or has been gone for longer than a reconnect takes. What is asked
by trainers that are all gone is played all the same; but a cancel then finds nobody else who waits. After a start of
the supervisor nobody knows who waits until trainers have had the time to come back: so long a cancel is put off.
"""

from collections.abc import Mapping

from tzar_actors.core.queue import OpenEvaluation

__all__ = ["Interest"]


class Interest:
    """The part of the dispatcher that knows who waits. The trainers themselves stand in each evaluation."""

    def __init__(self) -> None:
        self._from_before: set[str] = set()  # keys for which trainers may still come back
        self._put_off: dict[str, str] = {}  # keys that are to be cancelled then, and for whom

    def restored(self, key: str) -> None:
        """An earlier supervisor accepted this."""
        self._from_before.add(key)

    def joined(self, open_: OpenEvaluation, trainer: str) -> tuple[str, ...]:
        """`trainer` waits as well. Returns whose cancel was put off, and is thereby only a withdrawal."""
        other = self._put_off.pop(open_.asked.key, trainer)
        open_.trainers[trainer] = None
        if other == trainer:
            return ()
        open_.trainers.pop(other, None)
        return (other,)

    def is_last(self, open_: OpenEvaluation, trainer: str) -> bool | None:
        """`trainer` waits no longer. Returns whether it was the last one who did; None: that will be known later."""
        if any(other != trainer for other in open_.trainers):
            open_.trainers.pop(trainer, None)
            return False
        if open_.asked.key not in self._from_before:
            return True
        self._put_off[open_.asked.key] = trainer
        return None

    def gone(self, evaluations: Mapping[str, OpenEvaluation], trainer: str | None) -> list[str]:
        """`trainer` has not come back in time; None: nor has any other that an earlier supervisor knew.

        What it asked for is played on. Returns the keys whose cancel was put off until now.
        """
        if trainer is not None:
            for open_ in evaluations.values():
                open_.trainers.pop(trainer, None)
            return []
        keys, self._put_off = list(self._put_off), {}
        self._from_before.clear()
        return keys

    def ended(self, key: str) -> None:
        """The evaluation has its outcome."""
        self._from_before.discard(key)
        self._put_off.pop(key, None)
