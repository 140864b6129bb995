"""The future of one submission."""

from collections.abc import Callable
from concurrent.futures import Future

from tzar_actors.client.results import EvaluationResult, result_of
from tzar_actors.core.evaluation import EvaluationEnded
from tzar_agent.protocol.codec import DecodeError

__all__ = ["EvaluationFuture"]


class EvaluationFuture(Future[EvaluationResult]):
    """The outcome of one submission, when it is there. `cancel()` ends its games, running ones too."""

    def __init__(self, key: str, withdraw: Callable[["EvaluationFuture"], None]) -> None:
        super().__init__()
        self.key = key
        self._withdraw = withdraw

    def cancel(self) -> bool:
        """Asks the fleet to end this evaluation; the future then ends cancelled, unless its outcome came first.

        Where another call, or another trainer, waits for the same key, the evaluation goes on for that one.

        Returns:
            False: it had ended already.
        """
        # First here, and only then there: what the connection's thread answers to it comes before this one goes on.
        if self.cancelled() or not super().cancel():
            return False
        self._withdraw(self)
        return True

    def answer(self, answer: EvaluationEnded | BaseException) -> None:
        """What the connection says when the outcome is there, or why there is none."""
        if not self.set_running_or_notify_cancel():
            return
        try:
            result = result_of(answer, 0) if isinstance(answer, EvaluationEnded) else None
        except DecodeError as error:
            answer, result = error, None
        if result is not None:
            self.set_result(result)
        elif isinstance(answer, BaseException):
            self.set_exception(answer)
