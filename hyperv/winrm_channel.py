"""A channel to a PowerShell on a remote host, by WinRM.

The shell on the host does not care which connection asks. The host counts a command, and every Receive that nobody
waited for, until their shell is closed.
"""

import contextlib
import threading
import time
from collections import deque

import winrm.exceptions

from hyperv.channel import ChannelError, ended
from hyperv.lane_rules import Trouble
from hyperv.messages import DamagedError, Line, Lines
from hyperv.program import Program
from hyperv.winrm_connection import Connection, WinRm

__all__ = ["WinRmChannel"]

_UTF8 = 65001
_IDLE_TIMEOUT = "PT900S"  # the host ends a shell whose supervisor was killed; an idle lane's too, which opens another
_CHUNK = 270_000  # bytes of input in one envelope: a request at most, and 360 kB once it is base64
# What one connection met, the next one meets too; and after some refusals Windows locks the account.
_HOPELESS = frozenset({Trouble.DENIED, Trouble.UNTRUSTED, Trouble.NO_ROUTE, Trouble.UNUSABLE})


class WinRmChannel:
    """A shell on the host, and in it a PowerShell.

    Raises:
        ChannelError: it could not be opened within `timeout_s` seconds.
    """

    def __init__(self, winrm_host: WinRm, program: Program, timeout_s: float) -> None:
        self._host = winrm_host
        self._lines = Lines()
        self._received: deque[Line] = deque()
        self._before = b""
        self._story = b""
        self._operations = 0
        self._command: str | None = None
        self._ending = threading.Lock()
        self._is_over = False
        self._connection = Connection(winrm_host, time.monotonic() + timeout_s)
        try:
            with self._connection.talking() as protocol:
                self._shell = protocol.open_shell(codepage=_UTF8, idle_timeout=_IDLE_TIMEOUT)
        except BaseException:
            self._connection.hang_up()
            raise
        try:
            with self._connection.talking() as protocol:
                self._command = protocol.run_command(
                    self._shell, "powershell", program.arguments, console_mode_stdin=False
                )
            self._operations += 1
        except BaseException:
            with contextlib.suppress(ChannelError):  # the trouble is told already
                self.close(max(1.0, self._connection.remaining_s()))
            raise

    @property
    def operations(self) -> int:
        return self._operations

    def send(self, line: Line, timeout_s: float) -> None:
        self._connection.deadline = time.monotonic() + timeout_s
        self._story = b""  # what is told of an end concerns the call that it befell
        data = self._before + line + b"\n"
        for begin in range(0, len(data), _CHUNK):
            with self._connection.talking() as protocol:
                protocol.send_command_input(self._shell, self._command or "", data[begin : begin + _CHUNK])
        self._before = b""

    def receive(self, timeout_s: float) -> Line | None:
        self._connection.deadline = time.monotonic() + timeout_s
        while not self._received:
            if self._connection.remaining_s() <= 0.0:
                return None
            if self._is_over:
                raise ChannelError(Trouble.GONE, "its PowerShell was ended")
            self._receive_some()
        return self._received.popleft()

    def resume(self) -> None:
        self._lines.drop()
        self._before = b"\n"  # what was being sent may have arrived in part
        self._connection.hang_up()
        self._connection = Connection(self._host, self._connection.deadline)

    def close(self, timeout_s: float) -> None:
        if not self._ending.acquire(blocking=False):
            return  # another thread is at it
        try:
            if not self._is_over:
                self._end(time.monotonic() + timeout_s)
                self._is_over = True
                self._connection.hang_up()
        finally:
            self._ending.release()

    def _end(self, deadline: float) -> None:
        # By connections of its own: a thread may be waiting in the other one, which ends with the shell.
        with contextlib.ExitStack() as stack:

            def connect() -> Connection:
                connection = Connection(self._host, deadline)
                stack.callback(connection.hang_up)
                return connection

            connection = connect()
            if self._command is not None:
                try:
                    with connection.talking() as protocol:
                        protocol.cleanup_command(self._shell, self._command)
                except ChannelError as error:
                    if error.trouble in _HOPELESS:
                        raise
                    if error.trouble is not Trouble.GONE:
                        connection = connect()
            try:
                with connection.talking() as protocol:
                    protocol.close_shell(self._shell, close_session=False)
            except ChannelError as error:
                if error.trouble is not Trouble.GONE:
                    raise

    def _receive_some(self) -> None:
        try:
            with self._connection.talking(waits=True) as protocol:
                out, err, code, is_done = protocol.get_command_output_raw(self._shell, self._command or "")
        except winrm.exceptions.WinRMOperationTimeoutError:
            self._operations += 1
            return
        except ChannelError:
            self._operations += 1
            raise
        self._story = (self._story + err)[-4000:]
        try:
            self._received.extend(self._lines.feed(out))
        except DamagedError as damage:
            raise ChannelError(Trouble.FAULT, str(damage)) from None
        if is_done and not self._received:
            raise ended(code, self._story)
