"""The channel to a shell on the fake host. As over WinRM, its connection may break while the shell lives on."""

import threading
import time
from collections import deque

from hyperv.channel import ChannelError, ended
from hyperv.fake.hypervisor import Hypervisor
from hyperv.fake.shell import Shell
from hyperv.lane_rules import Trouble
from hyperv.messages import Line
from hyperv.program import Program

__all__ = ["FakeChannel"]


class FakeChannel:
    """A `Channel`."""

    operations = 0  # nothing counts them here

    def __init__(self, host: Hypervisor, program: Program) -> None:
        self._host = host
        self._news = threading.Condition()
        self._replies: deque[Line] = deque()
        self._is_cut = False
        self._shell = Shell(host, program, self._arrived, self._notify)

    @property
    def has_ended(self) -> bool:
        """Whether there is nothing at its other end any more."""
        return self._shell.has_ended

    def send(self, line: Line, timeout_s: float) -> None:
        with self._news:
            self._require_connection()
            if self._shell.has_ended:
                raise ended(1, self._shell.story)
            self._shell.take(line)

    def receive(self, timeout_s: float) -> Line | None:
        deadline = time.monotonic() + timeout_s
        with self._news:
            while True:
                self._require_connection()
                if self._replies:
                    return self._replies.popleft()
                if self._shell.has_ended:
                    raise ended(1, self._shell.story)
                if (left_s := deadline - time.monotonic()) <= 0:
                    return None
                self._news.wait(left_s)

    def resume(self) -> None:
        with self._news:
            self._require_host()
            self._is_cut = False

    def close(self, timeout_s: float) -> None:
        self._require_host()
        self.lose_shell()

    def cut(self) -> None:
        """The connection breaks."""
        with self._news:
            self._is_cut = True
            self._news.notify_all()

    def lose_shell(self) -> None:
        """The shell is ended, from wherever."""
        self._shell.end()

    def _arrived(self, reply: bytes | None) -> None:
        with self._news:
            if reply is None:
                self._is_cut = True
            else:
                self._replies.append(Line(reply))
            self._news.notify_all()

    def _notify(self) -> None:
        with self._news:
            self._news.notify_all()
        with self._host.lock:
            self._host.lock.notify_all()

    def _require_host(self) -> None:
        if self._host.faults.is_down:
            raise ChannelError(Trouble.NO_ROUTE, "nobody listens at the fake host")

    def _require_connection(self) -> None:
        self._is_cut = self._is_cut or self._host.faults.is_down
        if self._is_cut:
            raise ChannelError(Trouble.CUT, "the connection broke")
