"""What a trainer waits for, and what of it the supervisor has yet to be told. It knows no socket and no thread."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from tzar_actors.client.protocol import Submission
from tzar_actors.core.admission import same_question
from tzar_actors.core.evaluation import EvaluationEnded
from tzar_actors.errors import RejectedError, SupervisorError

__all__ = ["Listener", "Pending", "Waiting", "Withdrawal"]

Listener: TypeAlias = Callable[[EvaluationEnded | BaseException], None]

_BATCH_BYTES: Final = 2 * 1024 * 1024
_BATCH_ITEMS: Final = 100  # the first of them are played while the supervisor reads the others


@dataclass(slots=True, eq=False)
class Pending:
    """An evaluation that has no outcome yet.

    Args:
        submission: what is asked; without the genome's bytes once they are accepted.
        listeners: called with the outcome, or with why there is none.
        is_cancelled: it was asked to end.
        is_accepted: the supervisor has it, so its outcome comes whether this trainer stays or not.
    """

    submission: Submission
    listeners: list[Listener]
    is_cancelled: bool = False
    is_accepted: bool = False

    def done(self, answer: EvaluationEnded | BaseException) -> None:
        """Tells all who wait."""
        for listener in self.listeners:
            listener(answer)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """`listener` waits for `key` no longer."""

    key: str
    listener: Listener


class Waiting:
    """All evaluations that have no outcome yet, by key."""

    def __init__(self) -> None:
        self._pending: dict[str, Pending] = {}
        self._to_submit: deque[Pending] = deque()
        self._to_cancel: list[str] = []

    def add(self, pending: Pending) -> None:
        """Waits for `pending` too. The same question twice under one key is asked once; another one is rejected."""
        asked = pending.submission.evaluation
        earlier = self._pending.get(asked.key)
        if earlier is None:
            self._pending[asked.key] = pending
            self._to_submit.append(pending)
        elif same_question(earlier.submission.evaluation, asked):
            earlier.listeners += pending.listeners
        else:
            reason = f"the key {asked.key} is open for another genome, other params or games; give it a key of its own"
            pending.done(RejectedError(asked.key, "key_reused", reason))

    def withdraw(self, key: str, listener: Listener) -> None:
        """`listener` waits no longer. When nobody else does, the supervisor is to end the evaluation, on its next start
        too if this one does not come to it; the listener is then told how that went."""
        pending = self._pending.get(key)
        if pending is None or listener not in pending.listeners:
            return
        if len(pending.listeners) > 1:
            pending.listeners.remove(listener)
            listener(SupervisorError(f"evaluation {key} was withdrawn; another call waits for it still"))
        else:
            pending.is_cancelled = True
            self._to_cancel.append(key)

    def __bool__(self) -> bool:
        return bool(self._pending)

    @property
    def all_are_accepted(self) -> bool:
        """The supervisor has all that is waited for."""
        return all(pending.is_accepted for pending in self._pending.values())

    def accepted(self, keys: Iterable[str]) -> None:
        """The supervisor has these, with their genomes."""
        for key in keys:
            if (pending := self._pending.get(key)) is not None:
                pending.submission = replace(pending.submission, genome=None, is_fresh=False)
                pending.is_accepted = True

    def take(self, key: str) -> Pending | None:
        """What is waited for no longer, or None when nobody waits for this key."""
        return self._pending.pop(key, None)

    def take_all(self) -> list[Pending]:
        """All that is waited for; nothing of it is any longer."""
        pending, self._pending = self._pending, {}
        return list(pending.values())

    def begin_anew(self) -> None:
        """The connection is a new one: everything has to be said again."""
        self._to_submit = deque(self._pending.values())
        self._to_cancel = [key for key, pending in self._pending.items() if pending.is_cancelled]

    def submissions(self) -> Iterator[tuple[Submission, ...]]:
        """What has to be submitted now, in batches of some megabytes at most."""
        while self._to_submit:
            batch: list[Submission] = []
            size = 0
            while self._to_submit and size < _BATCH_BYTES and len(batch) < _BATCH_ITEMS:
                pending = self._to_submit.popleft()
                submission = pending.submission
                if submission.evaluation.key not in self._pending:
                    continue
                batch.append(submission)
                size += len(submission.genome or b"") + len(submission.evaluation.params) + 200
                # From now on the supervisor may know the key, even if its answer is lost.
                pending.submission = replace(submission, is_fresh=False)
            if batch:
                yield tuple(batch)

    def cancels(self) -> tuple[str, ...]:
        """The keys that have to be cancelled now. Their submissions go before: a cancel alone would end nothing."""
        keys, self._to_cancel = tuple(self._to_cancel), []
        return keys
