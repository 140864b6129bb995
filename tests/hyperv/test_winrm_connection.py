"""One connection by WinRM around a `Protocol` in memory: how long it may take, and what its failures are called."""

import importlib
import math
import sys
import time
import types

import pytest
from lab import NO_WINRM

from hyperv.channel import ChannelError
from hyperv.lane_rules import Trouble

winrm_connection = pytest.importorskip("hyperv.winrm_connection", reason=NO_WINRM)
Connection, WinRm = winrm_connection.Connection, winrm_connection.WinRm


class Transport:
    """Notes how long each thing was allowed to take; `troubles` has what befalls the next sign-ins."""

    def __init__(self):
        self.read_timeout_sec = None
        self.allowed = []
        self.troubles = []

    def build_session(self):
        self.allowed.append(("sign in", self.read_timeout_sec.clone().read_timeout))
        if self.troubles:
            raise self.troubles.pop(0)

    def close_session(self):
        self.allowed.append(("hang up", 0.0))


class Host:
    """Connects to nothing."""

    endpoint = "http://hv01:5985/wsman"

    def __init__(self):
        self.transport = Transport()

    def connect(self):
        return types.SimpleNamespace(transport=self.transport, operation_timeout_sec=0)


@pytest.fixture
def transport():
    return Transport()


@pytest.fixture
def connection(transport):
    host = Host()
    host.transport = transport
    return Connection(host, time.monotonic() + 30.0)


def met(connection, error, **given):
    with pytest.raises(ChannelError) as raised, connection.talking(**given):
        raise error
    return raised.value


def test_a_sign_in_has_a_third_of_the_time_and_what_comes_then_all_that_is_left(connection, transport):
    with connection.talking() as protocol:
        assert protocol.transport is transport
        allowed_s = transport.read_timeout_sec.clone().read_timeout
    [(what, sign_in_s)] = transport.allowed
    assert what == "sign in"
    assert sign_in_s == pytest.approx(10.0, abs=2.0)
    assert allowed_s == pytest.approx(30.0, abs=2.0)
    with connection.talking():
        assert len(transport.allowed) == 1  # once


def test_little_time_is_enough_for_a_sign_in(connection, transport):
    connection.deadline = time.monotonic() + 2.0
    with connection.talking():
        pass
    [(_, sign_in_s)] = transport.allowed
    assert sign_in_s == pytest.approx(2.0, abs=0.5)


def test_what_does_not_wait_may_take_all_its_time(connection):
    connection.deadline = time.monotonic() + 100.0
    with connection.talking() as protocol:
        assert protocol.operation_timeout_sec == pytest.approx(75, abs=2)


def test_each_request_of_a_sign_in_has_what_the_ones_before_it_left(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(winrm_connection.time, "monotonic", lambda: now[0])
    limit = winrm_connection._TimeLeft(2.0, 110.0)
    assert (limit.clone().connect_timeout, limit.clone().read_timeout) == (2.0, 10.0)
    now[0] = 109.0
    assert (limit.clone().connect_timeout, limit.clone().read_timeout) == (1.0, 1.0)
    now[0] = 200.0
    assert 0.0 < limit.clone().read_timeout < 0.1


def test_a_wait_is_as_long_as_the_operation_and_has_nothing_to_say_at_the_deadline(connection, transport):
    timeouts = winrm_connection.requests.exceptions.ReadTimeout
    with connection.talking(waits=True) as protocol:
        assert protocol.operation_timeout_sec == 20
        assert transport.read_timeout_sec.clone().read_timeout == pytest.approx(23.0, abs=1.0)
    assert "after its own time was over" in met(connection, timeouts(), waits=True).text
    connection.deadline = time.monotonic() + 0.5
    nothing = winrm_connection.winrm.exceptions.WinRMOperationTimeoutError
    with pytest.raises(nothing), connection.talking(waits=True):
        raise timeouts
    assert met(connection, timeouts()).trouble is Trouble.CUT


def test_a_sign_in_that_takes_too_long_is_no_wait_that_has_nothing_to_say(connection, transport):
    transport.troubles = [winrm_connection.requests.exceptions.ReadTimeout()]
    with pytest.raises(ChannelError, match="did not answer within 10"), connection.talking(waits=True):
        pytest.fail("it has not signed in")


@pytest.mark.parametrize(
    ("error", "trouble", "text"),
    [
        (OSError("no such bundle: ca.pem"), Trouble.UNUSABLE, "it cannot be reached: no such bundle: ca.pem"),
        (PermissionError(), Trouble.DENIED, "does not offer to sign in"),
        (AttributeError("wrap"), Trouble.CUT, "is it WinRM that answers at http://hv01:5985/wsman?"),
        (TypeError(), Trouble.CUT, "is it WinRM that answers"),
        (ValueError(), Trouble.CUT, "is it WinRM that answers"),
    ],
)
def test_what_is_no_error_of_pywinrm_is_told_as_well(connection, error, trouble, text):
    told = met(connection, error)
    assert told.trouble is trouble
    assert text in told.text


def test_a_refusal_by_credssp_is_one(connection):
    credssp = pytest.importorskip("requests_credssp.exceptions")
    told = met(connection, credssp.AuthenticationException("Server did not response  with a CredSSP token"))
    assert told.trouble is Trouble.DENIED
    assert told.text == "the host refused the credentials: Server did not response with a CredSSP token"


def test_a_sign_in_by_kerberos_without_a_ticket_is_told_with_its_reason(connection, monkeypatch):
    monkeypatch.setitem(sys.modules, "kerberos", types.ModuleType("kerberos"))  # that library is C of the system's
    for name in [name for name in sys.modules if name.startswith("winrm.vendor.requests_kerberos")]:
        monkeypatch.delitem(sys.modules, name)
    errors = importlib.import_module("winrm.vendor.requests_kerberos.exceptions")
    for kind in (errors.KerberosExchangeError, errors.MutualAuthenticationError):
        told = met(connection, kind("No Kerberos credentials available"))
        assert told.trouble is Trouble.UNUSABLE
        assert "No Kerberos credentials available" in told.text
    for name in [name for name in sys.modules if name.startswith("winrm.vendor.requests_kerberos")]:
        monkeypatch.delitem(sys.modules, name)


def test_a_connection_that_was_hung_up_signs_in_no_more(connection, transport):
    connection.hang_up()
    with pytest.raises(ChannelError, match="hung up"), connection.talking():
        pytest.fail("it is over")
    assert [what for what, _ in transport.allowed] == ["hang up"]


def test_authorities_that_are_not_there_are_told_before_anything_is_sent(tmp_path):
    reach = WinRm("https://hv01:5986/wsman", None, transport="kerberos", ca_file=str(tmp_path / "ca.pem"))
    with pytest.raises(ChannelError, match=r"its ca_file .*ca\.pem is not there") as raised:
        Connection(reach, math.inf)
    assert raised.value.trouble is Trouble.UNUSABLE
