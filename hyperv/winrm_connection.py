"""A signed-in connection to a host by WinRM (pywinrm): it ends in time, and what befalls it is a `ChannelError`.

A `Protocol` of pywinrm is one connection. Over NTLM it cannot go on once that connection is lost: it seals on with the
old key; and after a sign-in that failed it goes on without encryption. So after any trouble a new one is made.
"""

import contextlib
import importlib
import math
import struct
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests.exceptions
import spnego.exceptions
import urllib3
import urllib3.exceptions
import winrm.exceptions
from winrm.protocol import Protocol

from hyperv.channel import ChannelError
from hyperv.credentials import Credentials
from hyperv.lane_rules import Trouble
from tzar_actors.errors import ConfigError

__all__ = ["Connection", "WinRm"]

_LONGEST_RECEIVE_S = 20
_SLACK_S = 3.0  # how much later than it promised an answer may come
_SHORTEST_SLACK_S = 0.2
_SHORTEST_S = 0.05
# Of the time that is left, and of little time not less than so many seconds: one that hangs leaves enough for another.
# Over HTTPS the sign-in is a part of the first request, and has all the time of it.
_SIGN_IN_SHARE = 3
_CONNECT_SHARE = 4
_SIGN_IN_S = 2.0
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
# What libraries raise that pywinrm has as extras, where the sign-in fails. Kerberos says the same of a server for
# tickets that is out of reach, and locks no account.
_EXTRAS = {
    "winrm.vendor.requests_kerberos.exceptions": {
        "KerberosExchangeError": Trouble.UNUSABLE,
        "MutualAuthenticationError": Trouble.UNUSABLE,
    },
    "requests_credssp.exceptions": {"AuthenticationException": Trouble.DENIED},
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
        if self.verify and self.ca_file is not None and not Path(self.ca_file).exists():
            raise ChannelError(Trouble.UNUSABLE, f"its ca_file {self.ca_file} is not there")
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


class _TimeLeft(urllib3.Timeout):
    """A moment at which all has ended: a sign-in is several requests, and requests gives each of them this object."""

    def __init__(self, connect_s: float, until: float) -> None:
        super().__init__(connect=connect_s, read=max(_SHORTEST_S, until - time.monotonic()))
        self._connect_s = connect_s
        self._until = until

    def clone(self) -> urllib3.Timeout:
        left_s = max(_SHORTEST_S, self._until - time.monotonic())
        return urllib3.Timeout(total=left_s, connect=min(self._connect_s, left_s), read=left_s)


class Connection:
    """One connection, which signs in with its first request. After a `ChannelError` it must not be used again.

    Args:
        winrm_host: where to.
        deadline: monotonic seconds, at which all that is asked by it has ended; it may be set anew.

    Raises:
        ChannelError: there are no credentials, or pywinrm does not take the settings.
    """

    def __init__(self, winrm_host: WinRm, deadline: float) -> None:
        self.deadline = deadline
        self._endpoint = winrm_host.endpoint
        self._protocol = winrm_host.connect()
        self._is_new = True
        self._is_hung_up = False

    def remaining_s(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()

    def hang_up(self) -> None:
        """Lets go of the connection; a request that is on its way fails, as does each after it."""
        self._is_hung_up = True
        self._protocol.transport.close_session()

    @contextlib.contextmanager
    def talking(self, *, waits: bool = False) -> Iterator[Protocol]:
        """For one request to the host, by the `Protocol` that is given.

        Args:
            waits: it is answered when there is something to say, or when the operation's own time is over.

        Raises:
            ChannelError: it failed, or did not end in time.
            WinRMOperationTimeoutError: it waited, and there is nothing to say yet.
        """
        if self._is_hung_up:  # pywinrm would sign in once more
            raise ChannelError(Trouble.CUT, "the connection was hung up")
        patience_s = self._share(_SIGN_IN_SHARE)
        operation_s = math.inf
        try:
            if self._is_new:
                self._allow(patience_s)
                self._protocol.transport.build_session()
                self._is_new = False
            patience_s = max(_SHORTEST_S, self.remaining_s())
            self._protocol.operation_timeout_sec = max(1, math.floor(patience_s * 0.75))
            if waits:
                self._protocol.operation_timeout_sec = min(_LONGEST_RECEIVE_S, self._protocol.operation_timeout_sec)
                operation_s = self._protocol.operation_timeout_sec
                patience_s = min(patience_s, operation_s + _SLACK_S)
            self._allow(patience_s)
            yield self._protocol
        except winrm.exceptions.WinRMOperationTimeoutError:
            if waits:
                raise
            raise ChannelError(Trouble.CUT, "WinRM could not do it in time") from None
        except requests.exceptions.ReadTimeout:
            if patience_s < operation_s + _SHORTEST_SLACK_S < math.inf:  # the deadline came first: nothing is wrong
                raise winrm.exceptions.WinRMOperationTimeoutError from None
            late = "after its own time was over" if operation_s < math.inf else f"within {patience_s:.1f} s"
            raise ChannelError(Trouble.CUT, f"WinRM did not answer {late}") from None
        except (winrm.exceptions.WinRMError, winrm.exceptions.WinRMTransportError) as error:
            raise _refused(error) from None
        except tuple(extras := _of_extras()) as error:
            trouble = next(trouble for kind, trouble in extras.items() if isinstance(error, kind))
            what = "the host refused the credentials" if trouble is Trouble.DENIED else "it cannot sign in"
            raise ChannelError(trouble, f"{what}: {_told(error)}") from None
        except requests.exceptions.RequestException as error:
            raise _not_connected(error, self._endpoint) from None
        except PermissionError:
            raise ChannelError(Trouble.DENIED, "the host does not offer to sign in by this transport") from None
        except spnego.exceptions.SpnegoError as error:
            raise ChannelError(Trouble.CUT, f"what the host said cannot be opened ({type(error).__name__})") from None
        except OSError as error:  # of files that requests reads; what befalls its connections is its own error
            raise ChannelError(Trouble.UNUSABLE, f"it cannot be reached: {_told(error)}") from None
        except (
            AssertionError,
            AttributeError,
            LookupError,
            StopIteration,
            TypeError,
            ValueError,
            struct.error,
            ET.ParseError,
        ) as error:
            # pywinrm takes an answer apart without looking first.
            what = f"the answer makes no sense ({type(error).__name__})"
            raise ChannelError(Trouble.CUT, f"{what}: is it WinRM that answers at {self._endpoint}?") from None

    def _share(self, count: int) -> float:
        remaining_s = max(_SHORTEST_S, self.remaining_s())
        return min(remaining_s, max(_SIGN_IN_S, remaining_s / count))

    def _allow(self, patience_s: float) -> None:
        limit = _TimeLeft(self._share(_CONNECT_SHARE), time.monotonic() + patience_s)
        # requests takes such an object, and looks at it for each request.
        self._protocol.transport.read_timeout_sec = limit  # type: ignore[assignment]


def _of_extras() -> dict[type[Exception], Trouble]:
    found: dict[type[Exception], Trouble] = {}
    for module, kinds in _EXTRAS.items():
        try:
            library = importlib.import_module(module)
        except ImportError:  # nobody signs in by it
            continue
        found |= {getattr(library, name): trouble for name, trouble in kinds.items()}
    return found


def _told(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


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
