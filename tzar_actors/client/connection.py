"""The trainer's connection: a thread that owns one socket, keeps what is asked for, and asks again after a break.

Every evaluation that has no outcome yet is submitted again on each new connection. The supervisor answers a key that
it knows from its journal, so nothing is played twice for that and nothing is lost.
"""

import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import zmq
from zmq.utils.monitor import recv_monitor_message

from tzar_actors.client.protocol import (
    TRAINER_PROTOCOL_VERSION,
    Accepted,
    AskOutcomes,
    AskStatus,
    FromSupervisor,
    FromTrainer,
    Outcomes,
    OutcomesAnswer,
    Pulse,
    PulseAnswer,
    Rejected,
    StatusAnswer,
    Submission,
    Submit,
    TrainerHello,
    TrainerWelcome,
    from_supervisor_codec,
    from_trainer_codec,
)
from tzar_actors.core.evaluation import EvaluationEnded
from tzar_actors.errors import RejectedError, SupervisorError
from tzar_actors.gateway.keys import TrainerAccess
from tzar_actors.journal.stored import stored_codec
from tzar_actors.loop import PollWaiter

__all__ = ["Connection", "Pending"]

_PULSE_S: Final = 1.0
_SILENCE_S: Final = 5.0
_BATCH_BYTES: Final = 2 * 1024 * 1024
_BATCH_ITEMS: Final = 2000


@dataclass(slots=True, eq=False)
class Pending:
    """An evaluation that has no outcome yet.

    Args:
        submission: what is asked; without the genome's bytes once they are accepted.
        done: called on the connection's thread with the outcome, or with why there is none.
    """

    submission: Submission
    done: Callable[["EvaluationEnded | BaseException"], None]


class Connection:
    """A trainer's connection to the supervisor of one state folder.

    Args:
        access_file: where the supervisor says how it is reached; read again for each connection.
    """

    def __init__(self, access_file: Path) -> None:
        self._access_file = access_file
        self._trainer = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._write_codec, self._read_codec = from_trainer_codec(), from_supervisor_codec()
        self._stored = stored_codec()
        self._waiter = PollWaiter()
        self._commands: deque[Pending | FromTrainer] = deque()
        self._pending: dict[str, Pending] = {}
        self._to_submit: deque[Pending] = deque()
        self._requests: dict[int, tuple[FromTrainer, Future[Any]]] = {}
        self._socket: zmq.Socket[bytes] | None = None
        self._monitor: zmq.Socket[bytes] | None = None
        self._context = zmq.Context()
        self._heard_at = self._pulsed_at = 0.0
        self._reconnect_at = 0.0
        self._pulses = 0
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._closing = False
        self._welcome: TrainerWelcome | None = None
        self._thread = threading.Thread(target=self._run, name="tzar-trainer", daemon=True)
        self._thread.start()

    def welcome(self, timeout_s: float = 30.0) -> TrainerWelcome:
        """What the supervisor said when it let this trainer in.

        Raises:
            SupervisorError: it cannot be reached.
        """
        if not self._ready.wait(timeout_s) or self._welcome is None:
            cause = self._failure or f"no answer within {timeout_s:g} s"
            raise SupervisorError(f"the supervisor of {self._access_file.parent} cannot be reached: {cause}")
        return self._welcome

    def submit(self, pending: Pending) -> None:
        """Asks for an evaluation. May be called from any thread."""
        self._put(pending)

    def say(self, message: FromTrainer) -> None:
        """Says something that has no answer; it is lost if the connection breaks now. May be called from any thread."""
        self._put(message)

    def ask(self, make: Callable[[int], AskStatus | AskOutcomes], timeout_s: float) -> Any:
        """Asks a question and waits for its answer; it is asked again on a new connection.

        Raises:
            SupervisorError: no answer came within `timeout_s` seconds.
        """
        message = make(uuid.uuid4().int >> 66)
        future: Future[Any] = Future()
        self._requests[message.request] = (message, future)
        self._put(message)
        try:
            return future.result(timeout_s)
        except TimeoutError as error:
            where = self._access_file.parent
            raise SupervisorError(f"the supervisor of {where} did not answer within {timeout_s:g} s") from error
        finally:
            self._requests.pop(message.request, None)

    def fail(self, error: BaseException) -> None:
        """There is no supervisor any more: everything that waits ends with `error`. May be called from any thread."""
        self._failure = error
        self._closing = True
        self._waiter.wake()

    def close(self) -> None:
        """Says goodbye. What waits ends with an error."""
        if self._thread.is_alive():
            self.fail(self._failure or SupervisorError("the connection to the supervisor was closed"))
            self._thread.join()

    def _put(self, command: Pending | FromTrainer) -> None:
        if not self._thread.is_alive() or self._closing:
            raise SupervisorError(f"the connection to the supervisor has ended: {self._failure}")
        self._commands.append(command)
        self._waiter.wake()

    def _run(self) -> None:
        try:
            while not self._closing:
                self._turn()
        except BaseException as failure:  # everybody who waits has to learn of it, whatever it is
            self._failure = failure
            raise
        finally:
            self._closing = True
            error = self._failure or SupervisorError("the connection to the supervisor has ended")
            while self._commands:  # said just before the end: a shutdown, say, must still go out
                self._take(self._commands.popleft())
            self._disconnect(linger_ms=1000)
            self._context.term()
            self._waiter.close()
            for pending in self._pending.values():
                pending.done(error)
            for _, future in list(self._requests.values()):
                future.set_exception(error)
            self._ready.set()

    def _turn(self) -> None:
        now = time.monotonic()
        if self._socket is None and now >= self._reconnect_at:
            self._connect(now)
        for callback in self._waiter.wait(0.2 if self._welcome is None else _PULSE_S / 2):
            callback()
        while self._commands:
            self._take(self._commands.popleft())
        self._submit_waiting()
        self._pulse(time.monotonic())

    def _take(self, command: Pending | FromTrainer) -> None:
        if isinstance(command, Pending):
            self._pending[command.submission.evaluation.key] = command
            self._to_submit.append(command)
        elif self._welcome is not None:
            self._send(command)

    def _connect(self, now: float) -> None:
        self._reconnect_at = now + 0.1
        try:
            access = TrainerAccess.load(self._access_file)
        except SupervisorError as error:
            self._failure = error
            return
        socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        socket.curve_serverkey = access.server_key.encode()
        socket.curve_publickey, socket.curve_secretkey = access.public_key.encode(), access.secret_key.encode()
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.setsockopt(zmq.RCVHWM, 0)
        socket.setsockopt(zmq.RECONNECT_IVL, 20)
        monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        socket.connect(access.endpoint)
        self._socket, self._monitor = socket, monitor
        self._waiter.watch(monitor, self._read_monitor)
        self._waiter.watch(socket, self._read)
        self._heard_at = now

    def _disconnect(self, linger_ms: int = 0) -> None:
        if self._socket is None or self._monitor is None:
            return
        self._waiter.unwatch(self._socket)
        self._waiter.unwatch(self._monitor)
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.close(linger_ms)
        self._socket = self._monitor = self._welcome = None
        self._to_submit.clear()

    def _read_monitor(self) -> None:
        while self._monitor is not None and self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._send(TrainerHello(TRAINER_PROTOCOL_VERSION, self._trainer, "tzar-actors"))
            elif event == zmq.EVENT_DISCONNECTED:
                self._disconnect()

    def _send(self, message: FromTrainer) -> None:
        if self._socket is not None:
            self._socket.send(self._write_codec.encode(message))

    def _read(self) -> None:
        while self._socket is not None:
            try:
                frame = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._heard_at = time.monotonic()
            self._handle(self._read_codec.decode(frame))

    def _handle(self, message: FromSupervisor) -> None:
        match message:
            case Outcomes(ended):
                for encoded in ended:
                    self._ended(encoded)
            case Accepted(keys):
                for key in keys:
                    if (pending := self._pending.get(key)) is not None:
                        pending.submission = replace(pending.submission, genome=None, is_fresh=False)
            case Rejected(key, code, reason):
                if (refused := self._pending.pop(key, None)) is not None:
                    refused.done(RejectedError(key, code, reason))
                elif not key:
                    self.fail(SupervisorError(reason))
            case TrainerWelcome():
                self._welcome = message
                self._failure = None
                self._to_submit = deque(self._pending.values())
                for question, _ in list(self._requests.values()):
                    self._send(question)
                self._ready.set()
            case OutcomesAnswer() | StatusAnswer():
                _, future = self._requests.pop(message.request, (None, None))
                if future is not None:
                    future.set_result(message)
            case PulseAnswer():
                pass  # that it was heard is all it says

    def _ended(self, encoded: bytes) -> None:
        ended = self._stored.decode(encoded)
        if isinstance(ended, EvaluationEnded) and (pending := self._pending.pop(ended.key, None)) is not None:
            pending.done(ended)

    def _submit_waiting(self) -> None:
        while self._to_submit and self._welcome is not None:
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
            self._send(Submit(tuple(batch)))

    def _pulse(self, now: float) -> None:
        if self._socket is None:
            return
        if now - self._heard_at > _SILENCE_S:
            self._disconnect()
        elif self._welcome is not None and now - self._pulsed_at > _PULSE_S:
            self._pulsed_at = now
            self._pulses += 1
            self._send(Pulse(self._pulses))
