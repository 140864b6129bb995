"""A lane: one PowerShell on one host that is kept running, and calls to it, one after the other.

It carries out what `lane_rules` decides. A call that fails raises `HyperVError`, made where nothing of the request is
in sight: neither the error nor its traceback leads to a secret.
"""

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, assert_never

from hyperv.channel import Channel, ChannelError
from hyperv.errors import Circumstances, HyperVError, failure_of_call, failure_of_lane
from hyperv.lane_rules import (
    AskAgain,
    Asked,
    GiveUp,
    Recycling,
    Reopen,
    SignIn,
    Trouble,
    Verdict,
    changes_nothing,
    decide,
)
from hyperv.messages import DamagedError, Reply, Request, Value, definition, read_reply, scrub
from hyperv.program import Program

__all__ = ["Lane", "Opener", "SignInGuard"]

Opener = Callable[[Program, float], Channel]  # opens a channel to a PowerShell of its own, within so many seconds
_CUTTING = frozenset({Trouble.CUT, Trouble.NO_ROUTE, Trouble.DENIED, Trouble.UNTRUSTED})  # a new connection is needed
_CLOSE_S = 2.0  # seconds for ending a PowerShell that is not needed any more
_RETIRED_CLOSE_S = 10.0  # for one that could not be ended so
_FORGOTTEN_AFTER_S = 1800.0  # by then its host has ended it: nobody asked it for twice its idle time
_CLAIM_S = 30.0


class SignInGuard:
    """Keeps all lanes of a host from showing refused credentials again and again. Any thread may use it.

    Args:
        clock: monotonic seconds.
        account: what is shown there now; another one than that which was refused may be shown at once.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, account: Callable[[], object] = lambda: None
    ) -> None:
        self._clock = clock
        self._account = account
        self._lock = threading.Lock()
        self._state = SignIn()
        self._refused: object = None
        self._claimed_until = 0.0

    def wait_s(self) -> float:
        """Seconds until they may be shown; 0: now."""
        with self._lock:
            return self._wait_s()

    def claim(self) -> float:
        """As `wait_s`; and after a refusal, whoever is told 0 is the only one until it notes how that ended."""
        with self._lock:
            wait_s = self._wait_s()
            if wait_s <= 0.0 and self._state.denials:
                self._claimed_until = self._clock() + _CLAIM_S
            return wait_s

    def release(self) -> None:
        """Whoever claimed has nothing to note."""
        with self._lock:
            self._claimed_until = 0.0

    def note(self, trouble: Trouble | None) -> None:
        """How showing them ended; None: well. What goes on by a connection that had signed in before says nothing."""
        with self._lock:
            self._claimed_until = 0.0
            if trouble is Trouble.DENIED:
                refused = self._account()
                before = self._state if refused == self._refused else SignIn()
                self._state, self._refused = before.denied(self._clock()), refused
            elif trouble is None and self._state.denials:
                self._state = SignIn()

    def _wait_s(self) -> float:
        now = self._clock()
        wait_s = self._state.wait_s(now)
        if wait_s > 0.0 and self._account() != self._refused:
            wait_s = 0.0
        return max(wait_s, self._claimed_until - now, 0.0)


class Lane:
    """Calls functions in a PowerShell of its own, which it opens when it is first needed.

    Args:
        host: the host's name, for errors.
        opener: opens a channel.
        program: the functions that can be called.
        guard: shared by all lanes of the host.
        recycling: when the PowerShell is replaced.
        clock: monotonic seconds.
        pause: waits so many seconds; without it, until the lane is closed at most.
    """

    def __init__(
        self,
        host: str,
        opener: Opener,
        program: Program,
        *,
        guard: SignInGuard | None = None,
        recycling: Recycling = Recycling(),  # noqa: B008 - a frozen value
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self._host = host
        self._opener = opener
        self._program = program
        self._guard = guard or SignInGuard(clock)
        self._recycling = recycling
        self._clock = clock
        self._closed = threading.Event()
        self._pause = pause or self._closed.wait
        self._lock = threading.Lock()
        self._channel: Channel | None = None
        self._is_cut = False
        self._opened_at = 0.0
        self._calls = 0
        self._retired: list[tuple[Channel, float]] = []  # with when each was

    def call(self, function: str, parameters: Mapping[str, Value], timeout_s: float) -> list[Any]:
        """Calls a function and returns what it put out. One call at a time: a second one waits for the first.

        Args:
            function: its name.
            parameters: by name; None is not given. `Secret` for what must not show.
            timeout_s: seconds after which the call has failed; ending its PowerShell may take 2 s more.

        Raises:
            HyperVError: it failed, or the host could not be asked.
        """
        about = Circumstances.of(self._host, function, parameters, timeout_s)
        deadline = self._clock() + timeout_s
        if not self._lock.acquire(timeout=timeout_s):
            raise failure_of_lane(about, Verdict.BUSY, f"the call before it has not ended within {timeout_s:g} s")
        try:
            outcome = self._carry_out(about, parameters, deadline)
        finally:
            self._lock.release()
        if isinstance(outcome, HyperVError):
            raise outcome
        return list(outcome.value)

    def close(self) -> None:
        """Ends the PowerShell. A call that is on its way fails.

        Where the host refuses the credentials, or is out of reach, it ends it itself when that has idled for a while.
        """
        self._closed.set()
        for channel in (self._channel, *(retired for retired, _ in self._retired)):
            if channel is not None:
                with contextlib.suppress(ChannelError):
                    self._close(channel, _CLOSE_S)

    def _carry_out(self, about: Circumstances, parameters: Mapping[str, Value], deadline: float) -> Reply | HyperVError:
        try:
            request = Request.make(uuid.uuid4().hex, about.function, parameters)
        except ValueError as error:
            return failure_of_lane(about, Verdict.TOO_LARGE, str(error))
        outcome = self._ask_until_decided(request, deadline)
        if isinstance(outcome, Reply):
            return failure_of_call(about, outcome, request.secrets) if outcome.error is not None else outcome
        give_up, text = outcome
        if give_up.retire:
            self._retire()
        return failure_of_lane(about, give_up.verdict, scrub(text, request.secrets))

    def _ask_until_decided(self, request: Request, deadline: float) -> Reply | tuple[GiveUp, str]:
        asked = Asked(changes_nothing(request.function), deadline)
        while True:
            asked, outcome = self._ask(request, asked)
            if isinstance(outcome, Reply):
                return outcome
            self._is_cut = self._is_cut or outcome.trouble in _CUTTING
            asked, decision = decide(asked, outcome.trouble, self._clock())
            match decision:
                case GiveUp():
                    return decision, outcome.text
                case AskAgain(after):
                    self._pause(after)
                case Reopen():
                    self._retire()
                case _:
                    assert_never(decision)

    def _ask(self, request: Request, asked: Asked) -> tuple[Asked, Reply | ChannelError]:
        must_sign_in, is_due = self._channel is None or self._is_cut, self._is_due(asked)
        if must_sign_in or is_due:
            wait_s = self._guard.claim()
            if wait_s > 0.0 and must_sign_in:
                return asked, _kept_back(wait_s)
            is_due = is_due and wait_s <= 0.0  # else an old one is better than none
        try:
            channel = self._ready(asked, is_due)
            channel.send(request.line, asked.deadline - self._clock())
            if must_sign_in:
                self._guard.note(None)
        except ChannelError as error:
            self._guard.note(error.trouble)
            # After a broken connection nobody knows whether it arrived; what was refused did not.
            return replace(
                asked, sent=asked.sent or (self._channel is not None and error.trouble is Trouble.CUT)
            ), error
        asked = replace(asked, sent=True)
        self._calls += 1
        try:
            return asked, self._reply(channel, request.operation, asked.deadline)
        except ChannelError as error:
            self._guard.note(error.trouble)
            return asked, error

    def _reply(self, channel: Channel, operation: str, deadline: float) -> Reply:
        """The reply to one request. Lines of others, and replies to what was asked before, are passed over."""
        while (remaining_s := deadline - self._clock()) > 0.0:
            line = channel.receive(remaining_s)
            if line is None:
                break
            try:
                reply = read_reply(line)
            except DamagedError as damage:
                raise ChannelError(Trouble.GARBLED, str(damage)) from None
            if reply is None:
                continue
            if reply.operation == operation:
                return reply
            if not reply.operation:
                raise ChannelError(Trouble.GARBLED, "a request arrived damaged")
        raise ChannelError(Trouble.SILENT, "no reply came")

    def _is_due(self, asked: Asked) -> bool:
        """Whether its PowerShell is to be replaced."""
        if self._channel is None or asked.sent:  # one that may have this call already is asked again, however old it is
            return False
        return self._recycling.is_due(self._clock() - self._opened_at, self._calls, self._channel.operations)

    def _ready(self, asked: Asked, is_due: bool) -> Channel:
        """A channel that works as far as is known; another one in place of one that is due."""
        if self._closed.is_set():
            raise ChannelError(Trouble.UNUSABLE, "the driver was closed")
        if is_due:
            self._recycle()
        if self._channel is None:
            self._channel = self._open(asked.deadline)
            self._opened_at, self._calls, self._is_cut = self._clock(), 0, False
            if self._closed.is_set():
                self._retire()
                raise ChannelError(Trouble.UNUSABLE, "the driver was closed")
        elif self._is_cut:
            self._channel.resume()
            self._is_cut = False
        return self._channel

    def _open(self, deadline: float) -> Channel:
        self._end_retired(deadline)
        channel = self._opener(self._program, deadline - self._clock())
        self._guard.note(None)
        operation = uuid.uuid4().hex
        try:
            channel.send(self._program.first_line, deadline - self._clock())
            channel.send(definition(operation, self._program.sources), deadline - self._clock())
            reply = self._reply(channel, operation, deadline)
            if reply.error is not None:
                reason = " ".join(str(reply.error.get("message")).split())
                raise ChannelError(Trouble.FAULT, f"its functions cannot be defined: {reason}")
        except BaseException:
            self._end(channel)
            raise
        return channel

    def _recycle(self) -> None:
        """Ends a PowerShell that still works, unless that shows that the credentials are refused."""
        channel = self._channel
        assert channel is not None
        try:
            self._close(channel, _CLOSE_S, is_claimed=True)
        except ChannelError as error:
            if error.trouble is Trouble.DENIED:
                return
            self._retired.append((channel, self._clock()))
        self._channel, self._is_cut = None, False

    def _retire(self) -> None:
        channel, self._channel, self._is_cut = self._channel, None, False
        if channel is not None:
            self._end(channel)

    def _end(self, channel: Channel) -> None:
        try:
            self._close(channel, _CLOSE_S)
        except ChannelError:  # it is tried again before the next one is opened
            self._retired.append((channel, self._clock()))

    def _close(self, channel: Channel, timeout_s: float, *, is_claimed: bool = False) -> None:
        """Ends it, which takes a sign-in of its own."""
        if not is_claimed and (wait_s := self._guard.claim()) > 0.0:
            raise _kept_back(wait_s)
        try:
            channel.close(timeout_s)
        except ChannelError as error:
            self._guard.note(error.trouble)
            raise
        self._guard.release()

    def _end_retired(self, deadline: float) -> None:
        """Before another one is opened, by whoever may sign in."""
        while self._retired:
            channel, retired_at = self._retired[-1]
            remaining_s = deadline - self._clock()
            try:
                channel.close(min(_RETIRED_CLOSE_S, max(_CLOSE_S, remaining_s / 2), remaining_s))
            except ChannelError as error:
                if error.trouble in _CUTTING and self._clock() - retired_at < _FORGOTTEN_AFTER_S:
                    raise
            self._retired.pop()


def _kept_back(wait_s: float) -> ChannelError:
    text = f"the host refused the credentials; they are shown to it again in {wait_s:.0f} s"
    return ChannelError(Trouble.DENIED, text)
