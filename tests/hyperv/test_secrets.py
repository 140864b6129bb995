"""Passwords show nowhere: not in errors, not in logs, not in the list of processes. And certificates are looked at."""

import datetime
import io
import logging
import os
import threading
import traceback

import psutil
import pytest
from certificates import certificate
from lab import PASSWORD, needs_lab, wait_until, winrm_server
from loguru import logger

from hyperv.errors import HyperVError
from hyperv.lane import Lane
from hyperv.messages import Secret
from tzar_actors.errors import ConfigError

pytestmark = needs_lab
PATIENCE_S = 60.0
GUESTS = f"guests-{os.urandom(8).hex()}"
SECRET, LONG_SECRET = Secret(GUESTS), Secret(GUESTS * 20_000)  # the values of names in a traceback's lines are logged


@pytest.fixture
def told():
    """All that is logged, by any library, with the values of variables in tracebacks."""
    sink = io.StringIO()
    number = logger.add(sink, level=0, diagnose=True, backtrace=True)
    handler = logging.StreamHandler(sink)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield sink.getvalue
    root.setLevel(level)
    root.removeHandler(handler)
    logger.remove(number)


def everything_about(error):
    return "\n".join([str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)])


def failing(lane, function, timeout_s=PATIENCE_S, **parameters):
    try:
        lane.call(function, parameters, timeout_s)
    except HyperVError as error:
        logger.exception("a call failed")
        return error
    pytest.fail("the call did not fail")


def test_passwords_are_not_in_what_is_logged_or_raised_whatever_fails(open_lane, server, told):
    lane = open_lane(server.endpoint)
    errors = [failing(lane, "Get-Failure", Kind="thrown", Password=SECRET)]
    assert "the password is (secret)" in str(errors[0])
    server.set_faults(drop=99)
    errors.append(failing(lane, "Add-Mark", Path=SECRET, timeout_s=0.5))
    server.set_faults(drop=0, hang_receive=True)
    errors.append(failing(lane, "Add-Mark", Path=SECRET, timeout_s=1.5))
    server.set_faults(hang_receive=False)
    errors.append(failing(lane, "Add-Mark", Path=LONG_SECRET))
    wrong = open_lane(server.endpoint, account={"password": "wr0ng-pa55word"})
    errors.append(failing(wrong, "Get-Nothing"))
    for text in (told(), *map(everything_about, errors)):
        for password in (PASSWORD, GUESTS, "wr0ng-pa55word"):
            assert password not in text
    assert "a call failed" in told()


@pytest.mark.parametrize("transport", ["winrm", "local"])
def test_passwords_are_in_no_command_line(transport, request, monkeypatch, tmp_path):
    monkeypatch.setenv("TZAR_HYPERV_HV01_PASSWORD", GUESTS)
    if transport == "winrm":
        lane = request.getfixturevalue("open_lane")(request.getfixturevalue("server").endpoint)
    else:
        lane = request.getfixturevalue("local_lane")()
    mark = request.getfixturevalue("host").folder / "host" / "C" / f"{tmp_path.name}-{GUESTS}"
    work = threading.Thread(target=failing, args=(lane, "Add-Mark"), kwargs=at_work(mark.name), daemon=True)
    work.start()
    wait_until(mark.exists, "the call is at work")
    looked_at, ours = 0, {child.pid for child in psutil.Process().children(recursive=True)}
    for process in psutil.process_iter(["pid", "cmdline", "environ"]):
        arguments = process.info["cmdline"] or []
        if not any("winrm_server" in argument for argument in arguments):  # the lab's own has the account's password
            assert PASSWORD not in " ".join(arguments)
            assert GUESTS not in " ".join(arguments)
        started = process.pid in ours and any("EncodedCommand" in argument for argument in arguments)
        if started and transport == "local":
            looked_at += 1
            assert "TZAR_HYPERV_HV01_PASSWORD" not in (process.info["environ"] or {})
    assert looked_at or transport == "winrm"
    lane.close()
    work.join(PATIENCE_S)


def at_work(name):
    return {"Path": Secret(rf"C:\{name}"), "Seconds": PATIENCE_S}


def test_a_certificate_must_be_one_to_trust(open_lane, host, tmp_path):
    files = certificate(tmp_path, datetime.timedelta(days=30))
    with winrm_server(host, tmp_path, tls=files) as server:
        error = failing(open_lane(server.endpoint), "Get-Nothing")
        assert "host hv01: Get-Nothing: its certificate is not trusted: self-signed certificate. Renew" in str(error)
        assert error.unreachable
        assert not error.busy
        assert server.counts()["requests"] == 0
        for account in ({"ca_file": str(files[0])}, {"verify": False}):
            lane = open_lane(server.endpoint, account=account)
            assert lane.call("Get-Lengths", {"Texts": ["four"]}, PATIENCE_S) == [4]
            lane.close()


def test_an_expired_certificate_is_told_as_that(open_lane, host, tmp_path):
    files = certificate(tmp_path, datetime.timedelta(days=-1))
    with winrm_server(host, tmp_path, tls=files) as server:
        error = failing(open_lane(server.endpoint, account={"ca_file": str(files[0])}), "Get-Nothing")
        assert "its certificate is not trusted: certificate has expired" in str(error)
        assert error.unreachable


def test_credentials_that_cannot_be_found_are_told(server, program, closing):
    from hyperv.winrm_channel import WinRmChannel
    from hyperv.winrm_connection import WinRm

    def none():
        raise ConfigError("there are no credentials of hv01")

    reached = WinRm(server.endpoint, none)
    lane = closing(Lane("hv01", lambda program, timeout_s: WinRmChannel(reached, program, timeout_s), program))
    error = failing(lane, "Get-Nothing")
    assert "Get-Nothing: there are no credentials of hv01" in str(error)
    assert error.unreachable


def test_settings_that_pywinrm_does_not_take_are_told(open_lane, server):
    for account in ({"options": {"no_such_option": 1}}, {"transport": "carrier-pigeon"}, {"transport": "kerberos"}):
        error = failing(open_lane(server.endpoint, account=account), "Get-Nothing")
        assert "Get-Nothing: pywinrm" in str(error)
        assert error.unreachable
