"""A channel to a PowerShell on a remote host, by WinRM (pywinrm).

A `Protocol` of pywinrm is one signed-in connection. Over NTLM it cannot go on once that connection is lost: it seals
on with the old key. So after any trouble a new one is made; the shell on the host does not care who asks. The host
counts a command, and every Receive that nobody waited for, until their shell is closed.
"""

import contextlib
import math
import struct
import time
import xml.etree.ElementTree as ET
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests.exceptions
import spnego.exceptions
import urllib3.exceptions
import winrm.exceptions
from winrm.protocol import Protocol

from hyperv.channel import ChannelError, ended
from hyperv.credentials import Credentials
from hyperv.lane_rules import Trouble
from hyperv.messages import DamagedError, Line, Lines
from hyperv.program import Program
from tzar_actors.errors import ConfigError

__all__ = ["WinRm", "WinRmChannel"]

_UTF8 = 65001
_IDLE_TIMEOUT = "PT900S"  # the host ends a shell whose supervisor was killed; an idle lane's too, which opens another
_LONGEST_RECEIVE_S = 20
_SLACK_S = 3.0  # how much later than it promised an answer may come
_SHORTEST_SLACK_S = 0.2
_CHUNK = 270_000  # bytes of input in one envelope: a request at most, and 360 kB once it is base64
_HANDSHAKE = 4  # requests that a new connection needs until the first one is answered
_FAULTS = {
    5: Trouble.DENIED,
    109: Trouble.GONE,  # its pipe has ended
    232: Trouble.GONE,  # its pipe is being closed
    995: Trouble.GONE,  # what was going on was aborted: its shell was ended
    2150858843: Trouble.GONE,  # no such shell
    # Quotas, as wsmerror.h names them: ERROR_WSMAN_QUOTA_...
    2150858815: Trouble.BUSY,  # LIMIT
    2150859173: Trouble.BUSY,  # MAX_SHELLS, of a user
    2150859174: Trouble.BUSY,  # MAX_OPERATIONS, of a user
    2150859175: Trouble.BUSY,  # USER: requests of one
    2150859176: Trouble.BUSY,  # SYSTEM: requests of all
    2150859179: Trouble.BUSY,  # MAX_SHELLUSERS
    **dict.fromkeys(range(2150859236, 2150859242), Trouble.BUSY),  # those that end in _PPQ, of a plug-in
}


@dataclass(frozen=True, slots=True)
class WinRm:
    """How a host is reached.

    Args:
        endpoint: as in `https://hv01:5986/wsman`.
        credentials: asked for each new connection; None for a transport that needs none.
        transport: `ntlm`, or another that pywinrm knows.
        verify: whether the certificate must be one to trust.
        ca_file: the authorities to trust, in place of the usual ones.
        options: what else pywinrm's `Protocol` takes.
    """

    endpoint: str
    credentials: Callable[[], Credentials] | None
    transport: str = "ntlm"
    verify: bool = True
    ca_file: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def connect(self) -> Protocol:
        """A `Protocol` of its own; nothing is sent yet. Raises `ChannelError`."""
        given = {
            "proxy": None,  # pywinrm would take the environment's, which is meant for the world outside
            **self.options,
            "transport": self.transport,
            "server_cert_validation": "validate" if self.verify else "ignore",
            "ca_trust_path": self.ca_file,
        }
        if self.credentials is not None:
            try:
                account = self.credentials()
            except ConfigError as error:
                raise ChannelError(Trouble.UNUSABLE, str(error)) from None
            given |= {"username": account.user, "password": account.password.text}
        try:
            return Protocol(self.endpoint, **given)
        except winrm.exceptions.InvalidCredentialsError as error:
            raise ChannelError(Trouble.DENIED, str(error)) from None
        except (winrm.exceptions.WinRMError, TypeError, ValueError) as error:
            raise ChannelError(Trouble.UNUSABLE, f"pywinrm does not take these settings: {error}") from None


class WinRmChannel:
    """A shell on the host, and in it a PowerShell.

    Raises:
        ChannelError: it could not be opened within `timeout_s` seconds.
    """

    def __init__(self, winrm_host: WinRm, program: Program, timeout_s: float) -> None:
        self._host = winrm_host
        self._deadline = time.monotonic() + timeout_s
        self._lines = Lines()
        self._received: deque[Line] = deque()
        self._before = b""
        self._story = b""
        self._operations = 0
        self._command: str | None = None
        self._protocol = self._host.connect()
        self._is_new = True
        try:
            with self._talking():
                self._shell = self._protocol.open_shell(codepage=_UTF8, idle_timeout=_IDLE_TIMEOUT)
        except ChannelError:
            self._protocol.transport.close_session()
            raise
        try:
            with self._talking():
                self._command = self._protocol.run_command(
                    self._shell, "powershell", program.arguments, console_mode_stdin=False
                )
            self._operations += 1
        except ChannelError:
            with contextlib.suppress(ChannelError):  # the trouble is told already
                self.close(max(1.0, self._remaining()))
            raise

    @property
    def operations(self) -> int:
        return self._operations

    def send(self, line: Line, timeout_s: float) -> None:
        self._deadline = time.monotonic() + timeout_s
        self._story = b""  # what is told of an end concerns the call that it befell
        data = self._before + line + b"\n"
        for begin in range(0, len(data), _CHUNK):
            with self._talking():
                self._protocol.send_command_input(self._shell, self._command or "", data[begin : begin + _CHUNK])
        self._before = b""

    def receive(self, timeout_s: float) -> Line | None:
        self._deadline = time.monotonic() + timeout_s
        while not self._received:
            if self._remaining() <= 0.0:
                return None
            self._receive_some()
        return self._received.popleft()

    def resume(self) -> None:
        self._lines.drop()
        self._before = b"\n"  # what was being sent may have arrived in part
        self._connect_anew()

    def close(self, timeout_s: float) -> None:
        # By a connection of its own: a thread may be waiting in the other one, which ends with the shell.
        self._deadline = time.monotonic() + timeout_s
        used, self._protocol = self._protocol, self._host.connect()
        self._is_new = True
        try:
            self._end()
        finally:
            used.transport.close_session()
            self._protocol.transport.close_session()

    def _end(self) -> None:
        try:
            if self._command is not None:
                with self._talking():
                    self._protocol.cleanup_command(self._shell, self._command)
        except ChannelError as error:
            if error.trouble is not Trouble.GONE:
                self._connect_anew()
                raise
        finally:
            try:
                with self._talking():
                    self._protocol.close_shell(self._shell, close_session=False)
            except ChannelError as error:
                if error.trouble is not Trouble.GONE:
                    raise

    def _connect_anew(self) -> None:
        # pywinrm goes on without encryption on a connection whose sign-in failed.
        self._protocol.transport.close_session()
        self._protocol = self._host.connect()
        self._is_new = True

    def _remaining(self) -> float:
        return self._deadline - time.monotonic()

    def _receive_some(self) -> None:
        try:
            with self._talking(waits=True):
                out, err, code, is_done = self._protocol.get_command_output_raw(self._shell, self._command or "")
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

    @contextlib.contextmanager
    def _talking(self, *, waits: bool = False) -> Iterator[None]:
        """One request to the host: it ends in time, and its failure is a `ChannelError`.

        Args:
            waits: it is answered when there is something to say, or when the operation's own time is over.
        """
        share = max(0.05, self._remaining()) / (_HANDSHAKE if self._is_new else 1)
        operation_s = max(1, min(_LONGEST_RECEIVE_S, math.floor(share * 0.75)))
        patience_s = min(share, operation_s + _SLACK_S) if waits else share
        self._protocol.operation_timeout_sec = operation_s
        # requests takes any number of seconds, and looks at it for each request.
        self._protocol.transport.read_timeout_sec = patience_s  # type: ignore[assignment]
        try:
            yield
            self._is_new = False
        except winrm.exceptions.WinRMOperationTimeoutError:
            self._is_new = False
            if waits:
                raise
            raise ChannelError(Trouble.CUT, "WinRM could not do it in time") from None
        except requests.exceptions.ReadTimeout:
            if waits and patience_s < operation_s + _SHORTEST_SLACK_S:  # the deadline came first: nothing is wrong
                raise winrm.exceptions.WinRMOperationTimeoutError from None
            late = "after its own time was over" if waits else f"within {patience_s:.1f} s"
            raise ChannelError(Trouble.CUT, f"WinRM did not answer {late}") from None
        except (winrm.exceptions.WinRMError, winrm.exceptions.WinRMTransportError) as error:
            raise _refused(error) from None
        except requests.exceptions.RequestException as error:
            raise _not_connected(error, self._host.endpoint) from None
        except PermissionError:
            raise ChannelError(Trouble.DENIED, "the host does not offer to sign in by this transport") from None
        except spnego.exceptions.SpnegoError as error:
            raise ChannelError(Trouble.CUT, f"what the host said cannot be opened ({type(error).__name__})") from None
        except (AssertionError, LookupError, StopIteration, ValueError, struct.error, ET.ParseError) as error:
            # pywinrm takes an answer apart without looking first.
            raise ChannelError(Trouble.CUT, f"the answer makes no sense ({type(error).__name__})") from None


def _refused(error: Exception) -> ChannelError:
    match error:
        case winrm.exceptions.AuthenticationError():
            return ChannelError(Trouble.DENIED, "the host refused the credentials")
        case winrm.exceptions.WSManFaultError():
            code = error.wsman_fault_code
            trouble = _FAULTS.get(code, Trouble.FAULT) if code is not None else Trouble.FAULT
            return ChannelError(trouble, f"WinRM says: {' '.join(error.reason.split())} (fault {code})")
        case winrm.exceptions.WinRMTransportError():
            return ChannelError(Trouble.CUT, f"WinRM answered with HTTP status {error.code}")
        case _:
            return ChannelError(Trouble.UNUSABLE, f"pywinrm: {error}")


def _not_connected(error: requests.exceptions.RequestException, endpoint: str) -> ChannelError:
    causes = list(_causes(error))
    match error:
        case requests.exceptions.SSLError():
            for cause in causes:
                if reason := getattr(cause, "verify_message", ""):
                    return ChannelError(Trouble.UNTRUSTED, f"its certificate is not trusted: {reason}")
            return ChannelError(Trouble.CUT, "the encrypted connection failed")
        case requests.exceptions.ConnectTimeout():
            return ChannelError(Trouble.NO_ROUTE, f"nobody answers at {endpoint}")
        case (
            requests.exceptions.InvalidURL() | requests.exceptions.InvalidSchema() | requests.exceptions.MissingSchema()
        ):
            return ChannelError(Trouble.UNUSABLE, f"{endpoint} is not an address")
    for cause in causes:
        if isinstance(cause, urllib3.exceptions.NameResolutionError):
            return ChannelError(Trouble.NO_ROUTE, f"nobody knows the name in {endpoint}")
        if isinstance(cause, urllib3.exceptions.NewConnectionError):
            return ChannelError(Trouble.NO_ROUTE, f"nobody listens at {endpoint}")
    return ChannelError(Trouble.CUT, "the connection broke")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What is behind an error of requests, which wraps what urllib3 wrapped."""
    waiting, seen = [error], set()
    while waiting:
        cause = waiting.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        behind = (*cause.args, cause.__cause__, cause.__context__, getattr(cause, "reason", None))
        waiting.extend(other for other in behind if isinstance(other, BaseException))
