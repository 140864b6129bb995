"""Questions to the supervisor that have an answer: each is asked until it comes, on every new connection again."""

import uuid
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeAlias

from tzar_actors.client.protocol import AskOutcomes, AskPower, AskStatus, OutcomesAnswer, PowerAnswer, StatusAnswer

__all__ = ["Question", "Questions"]

Question: TypeAlias = AskStatus | AskOutcomes | AskPower


class Questions:
    """The questions that are open. `ask` is for any thread, the others are for the one that owns the socket."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[Question, Future[Any]]] = {}

    def ask(self, make: Callable[[int], Question], say: Callable[[Question], None], timeout_s: float) -> Any:
        """Asks and waits for the answer.

        Args:
            make: makes the question of its number.
            say: brings it on its way.
            timeout_s: seconds that the answer may take.

        Raises:
            TimeoutError: it took longer.
            SupervisorError: there will be none.
        """
        question = make(uuid.uuid4().int >> 66)
        future: Future[Any] = Future()
        self._open[question.request] = (question, future)
        try:
            say(question)
            return future.result(timeout_s)
        finally:
            self._open.pop(question.request, None)

    def open(self) -> list[Question]:
        """Those without an answer, oldest first."""
        return [question for question, _ in list(self._open.values())]

    def answered(self, answer: OutcomesAnswer | StatusAnswer | PowerAnswer) -> None:
        """An answer has come. It may be the second to one question, which nobody needs."""
        _, future = self._open.pop(answer.request, (None, None))
        if future is not None:
            future.set_result(answer)

    def fail(self, error: BaseException) -> None:
        """No answer will come to any of them."""
        while self._open:
            _, (_, future) = self._open.popitem()
            future.set_exception(error)
