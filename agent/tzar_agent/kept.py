"""The results that wait for the supervisor's acknowledgement: which they are, and when they are sent again."""

from collections.abc import Iterable

__all__ = ["RESEND_S", "KeptResults"]

RESEND_S = 20.0  # a result that was not acknowledged for so long is sent again
_NAMED = 4_000  # names in one hello, so that it stays below the frame's limit with the longest names


class KeptResults:
    """The attempts whose results lie on the disk, oldest first.

    Args:
        attempts: those that lay there before.
        at: monotonic seconds, now.
    """

    def __init__(self, attempts: Iterable[str], at: float) -> None:
        self._attempts = dict.fromkeys(attempts)
        self._sent_at = at

    def __contains__(self, attempt: str) -> bool:
        """Whether the result of `attempt` is kept."""
        return attempt in self._attempts

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._attempts)

    def keep(self, attempt: str, at: float) -> None:
        """The result of `attempt` was made `at`, monotonic seconds, and is sent."""
        if not self._attempts:  # else the oldest one's time counts
            self._sent_at = at
        self._attempts[attempt] = None

    def acknowledge(self, attempts: Iterable[str]) -> list[str]:
        """These are kept no longer. Returns those that were.

        Each once: one that was sent twice, by a cancel that crossed it, is acknowledged twice.
        """
        known = [attempt for attempt in dict.fromkeys(attempts) if attempt in self._attempts]
        for attempt in known:
            del self._attempts[attempt]
        return known

    def named(self) -> tuple[str, ...]:
        """Those that a hello has room for: the youngest."""
        return tuple(self._attempts)[-_NAMED:]

    def sent_again(self, at: float) -> list[str]:
        """All are sent again `at`, monotonic seconds. Returns them."""
        self._sent_at = at
        return list(self._attempts)

    def due_at(self) -> float | None:
        """Monotonic seconds when they are to be sent again; None: there are none."""
        return self._sent_at + RESEND_S if self._attempts else None
