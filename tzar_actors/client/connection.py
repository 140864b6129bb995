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
from pathlib import Path
from typing import Any, Final, TypeAlias

import zmq
from zmq.utils.monitor import recv_monitor_message

from tzar_actors.client.dialling import dial
from tzar_actors.client.protocol import (
    TRAINER_PROTOCOL_VERSION,
    Accepted,
    AskOutcomes,
    AskPower,
    AskStatus,
    CancelEvaluations,
    FromSupervisor,
    FromTrainer,
    Outcomes,
    OutcomesAnswer,
    PowerAnswer,
    Pulse,
    PulseAnswer,
    Rejected,
    StatusAnswer,
    Submit,
    TrainerHello,
    TrainerWelcome,
    from_supervisor_codec,
    from_trainer_codec,
)
from tzar_actors.client.waiting import Listener, Pending, Waiting, Withdrawal
from tzar_actors.core.evaluation import EvaluationEnded
from tzar_actors.errors import RejectedError, SupervisorError
from tzar_actors.gateway.keys import TrainerAccess
from tzar_actors.journal.stored import stored_codec
from tzar_actors.loop import PollWaiter

__all__ = ["Connection"]

_PULSE_S: Final = 1.0
_SILENCE_S: Final = 5.0


_Command: TypeAlias = Pending | FromTrainer | Withdrawal | threading.Event


class Connection:
    """A trainer's connection to the supervisor of one state folder.

    Args:
        access_file: where the supervisor says how it is reached; read again for each connection.
        patience_s: seconds without a supervisor after which everything that waits ends with an error; None: never,
            since somebody else decides that.
    """

    def __init__(self, access_file: Path, patience_s: float | None = None) -> None:
        self._access_file = access_file
        self._trainer = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._write_codec, self._read_codec = from_trainer_codec(), from_supervisor_codec()
        self._stored = stored_codec()
        self._waiter = PollWaiter()
        self._commands: deque[_Command] = deque()
        self._waiting = Waiting()
        self._requests: dict[int, tuple[FromTrainer, Future[Any]]] = {}
        self._socket: zmq.Socket[bytes] | None = None
        self._monitor: zmq.Socket[bytes] | None = None
        self._context = zmq.Context()
        self._patience_s = patience_s
        self._gone_since: float | None = time.monotonic()
        self._settlers: list[threading.Event] = []
        self._heard_at = self._pulsed_at = 0.0
        self._reconnect_at = 0.0
        self._pulses = 0
        self._ready = threading.Event()
        self._commands_lock = threading.Lock()
        self._known: TrainerWelcome | None = None
        self._failure: BaseException | None = None
        self._closing = False
        self._welcome: TrainerWelcome | None = None
        self._thread = threading.Thread(target=self._run, name="tzar-trainer", daemon=True)
        self._thread.start()

    def welcome(self, timeout_s: float = 30.0) -> TrainerWelcome:
        """What the supervisor said when it let this trainer in. While there is no connection, the next is waited for.

        Raises:
            SupervisorError: it cannot be reached.
        """
        is_ready = self._ready.wait(timeout_s)
        welcome = self._known
        if not is_ready or self._closing or welcome is None:
            cause = self._failure or f"no answer within {timeout_s:g} s"
            raise SupervisorError(f"the supervisor of {self._access_file.parent} cannot be reached: {cause}")
        return welcome

    def known(self) -> TrainerWelcome:
        """What the supervisor said last. Nobody has to wait for its return to hand in what it will be given then.

        Raises:
            SupervisorError: it was never reached.
        """
        return self._known or self.welcome()

    def submit(self, pending: Pending) -> None:
        """Asks for an evaluation. May be called from any thread."""
        self._put(pending)

    def say(self, message: FromTrainer) -> None:
        """Says something that has no answer. May be called from any thread.

        It is lost if the connection breaks now.
        """
        self._put(message)

    def withdraw(self, key: str, listener: Listener) -> None:
        """`listener` waits for `key` no longer; the evaluation is cancelled when nobody does. From any thread."""
        self._put(Withdrawal(key, listener))

    def settle(self, timeout_s: float) -> None:
        """Waits until the supervisor has accepted, or refused, all that was handed in. From any thread.

        Raises:
            SupervisorError: it has not within `timeout_s` seconds.
        """
        settled = threading.Event()
        self._put(settled)
        if not settled.wait(timeout_s) or self._closing:
            where = self._access_file.parent
            raise SupervisorError(
                f"the supervisor of {where} has not accepted within {timeout_s:g} s what it was given:"
                f" {self._failure or 'it does not answer'}"
            )

    @property
    def is_up(self) -> bool:
        """A supervisor answers."""
        return self._welcome is not None

    def ask(self, make: Callable[[int], AskStatus | AskOutcomes | AskPower], timeout_s: float) -> Any:
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

    def _put(self, command: "_Command") -> None:
        with self._commands_lock:
            if self._closing:
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
            with self._commands_lock:
                self._closing = True
            error = self._failure or SupervisorError("the connection to the supervisor has ended")
            while self._commands:  # said just before the end: a shutdown, say, must still go out
                self._take(self._commands.popleft())
            self._hand_in()
            self._disconnect(linger_ms=1000)
            self._context.term()
            self._waiter.close()
            for pending in self._waiting.take_all():
                pending.done(error)
            for _, future in list(self._requests.values()):
                future.set_exception(error)
            for settled in self._settlers:
                settled.set()
            self._ready.set()

    def _turn(self) -> None:
        now = time.monotonic()
        if self._socket is None and now >= self._reconnect_at:
            self._connect(now)
        for callback in self._waiter.wait(0.2 if self._welcome is None else _PULSE_S / 2):
            callback()
        while self._commands:
            self._take(self._commands.popleft())
        self._hand_in()
        if self._settlers and self._waiting.all_are_accepted:
            for settled in self._settlers:
                settled.set()
            self._settlers.clear()
        self._pulse(time.monotonic())
        self._lose_patience(time.monotonic())

    def _lose_patience(self, now: float) -> None:
        if self._patience_s is None or self._gone_since is None or now - self._gone_since < self._patience_s:
            return
        where = self._access_file.parent
        self.fail(
            SupervisorError(
                f"no supervisor has answered in {where} for {self._patience_s:g} s ({self._failure or 'it is gone'})."
                " What it accepted is kept in its journal: start it again to have it played on, and get the outcomes by"
                " key or generation with fleet.results(...) or: tzar results"
            )
        )

    def _take(self, command: "_Command") -> None:
        match command:
            case Pending():
                self._waiting.add(command)
            case Withdrawal(key, listener):
                self._waiting.withdraw(key, listener)
            case threading.Event():
                self._settlers.append(command)
            case _ if self._welcome is not None:
                self._hand_in()  # a shutdown must not overtake what it is to wait for
                self._send(command)

    def _hand_in(self) -> None:
        if self._welcome is None:
            return
        for batch in self._waiting.submissions():
            self._send(Submit(batch))
        if keys := self._waiting.cancels():
            self._send(CancelEvaluations(keys))

    def _connect(self, now: float) -> None:
        self._reconnect_at = now + 0.1
        try:
            access = TrainerAccess.load(self._access_file)
        except (SupervisorError, OSError) as error:  # OSError: Windows lets nobody read it while it is replaced
            self._failure = error
            return
        self._socket, self._monitor = socket, monitor = dial(self._context, access)
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
        self._gone_since = self._gone_since or time.monotonic()
        self._ready.clear()

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
                self._waiting.accepted(keys)
            case Rejected(key, code, reason):
                if (refused := self._waiting.take(key)) is not None:
                    refused.done(RejectedError(key, code, reason))
                elif not key:
                    self.fail(SupervisorError(reason))
            case TrainerWelcome():
                self._welcome = self._known = message
                self._failure = self._gone_since = None
                self._waiting.begin_anew()
                for question, _ in list(self._requests.values()):
                    self._send(question)
                self._ready.set()
            case OutcomesAnswer() | StatusAnswer() | PowerAnswer():
                _, future = self._requests.pop(message.request, (None, None))
                if future is not None:
                    future.set_result(message)
            case PulseAnswer():
                pass  # that it was heard is all it says

    def _ended(self, encoded: bytes) -> None:
        ended = self._stored.decode(encoded)
        if isinstance(ended, EvaluationEnded) and (pending := self._waiting.take(ended.key)) is not None:
            pending.done(ended)

    def _pulse(self, now: float) -> None:
        if self._socket is None:
            return
        if now - self._heard_at > _SILENCE_S:
            self._disconnect()
        elif self._welcome is not None and now - self._pulsed_at > _PULSE_S:
            self._pulsed_at = now
            self._pulses += 1
            self._send(Pulse(self._pulses))
