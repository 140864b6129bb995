"""Lines between a lane and its PowerShell."""

import base64
import json
from pathlib import PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperv.messages import (
    LARGEST_REQUEST,
    DamagedError,
    Lines,
    Request,
    Secret,
    definition,
    read_errors,
    read_reply,
    scrub,
)

PASSWORD = "pa55-w\u00f6rd"


def opened(line):
    return json.loads(base64.b64decode(line))


def reply_line(document):
    return b"TZAR-REPLY:" + base64.b64encode(json.dumps(document).encode())


def test_a_request_is_one_line_of_base64():
    request = Request.make("op", "Get-X", {"A": "\u65e5", "B": [1, None], "C": PureWindowsPath("C:/x")})
    assert opened(request.line) == {"id": "op", "call": "Get-X", "with": {"A": "\u65e5", "B": [1, None], "C": "C:\\x"}}
    assert b"\n" not in request.line
    assert opened(definition("op", ["function x {}"])) == {"id": "op", "define": ["function x {}"]}


def test_a_secret_is_sent_and_does_not_show():
    secret = Secret(PASSWORD)
    request = Request.make("op", "Set-X", {"Password": secret, "More": [{"Inner": Secret("other")}]})
    assert opened(request.line)["with"] == {"Password": PASSWORD, "More": [{"Inner": "other"}]}
    assert request.secrets == (PASSWORD, "other")
    for shown in (repr(secret), str(secret), f"{secret}", repr(request), repr(request.line), repr({"p": secret})):
        assert PASSWORD not in shown
        assert base64.b64encode(PASSWORD.encode()).decode().rstrip("=") not in shown


def test_the_largest_request_fits_and_one_byte_more_is_refused():
    room = LARGEST_REQUEST - len(json.dumps({"id": "op", "call": "f", "with": {"a": ""}}))
    assert len(Request.make("op", "f", {"a": "x" * room}).line) < 270_000
    with pytest.raises(ValueError, match="200,001 bytes, and at most 200,000 fit"):
        Request.make("op", "f", {"a": "x" * (room + 1)})


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object()])
def test_a_value_without_a_form_in_json_is_a_mistake_of_the_caller(value):
    with pytest.raises(TypeError, match="a parameter cannot be a"):
        Request.make("op", "f", {"a": value})


def test_a_reply_is_found_behind_what_somebody_else_wrote_on_its_line():
    reply = read_reply(b"noise " + reply_line({"id": "op", "ok": True, "value": [1, {"a": None}], "said": ["w"]}))
    assert (reply.operation, reply.value, reply.error, reply.said) == ("op", (1, {"a": None}), None, ("w",))
    failed = read_reply(reply_line({"id": "op", "ok": False, "error": {"message": "m"}}))
    assert (failed.value, failed.error) == ((), {"message": "m"})


def test_a_line_of_somebody_else_is_no_reply():
    for line in (b"", b"WARNING: x", b"TZAR", b"#< CLIXML"):
        assert read_reply(line) is None


@pytest.mark.parametrize("rest", [b"", b"no base64!", base64.b64encode(b"{"), base64.b64encode(b"[]"), b"e30="])
def test_a_damaged_reply_is_told(rest):
    with pytest.raises(DamagedError, match="a reply that cannot be read"):
        read_reply(b"TZAR-REPLY:" + rest)


def test_a_reply_that_lost_its_middle_or_its_end_is_damaged():
    line = reply_line({"id": "op", "ok": True, "value": ["x" * 1000]})
    for damaged in (line[:400], line[:400] + line[801:], line[:-4]):
        with pytest.raises(DamagedError):
            read_reply(damaged)


@given(st.lists(st.binary().map(lambda line: line.replace(b"\n", b"").rstrip(b"\r"))), st.integers(1, 9))
def test_lines_are_the_same_however_the_stream_is_cut(lines, size):
    stream = b"".join(line + b"\r\n" for line in lines)
    cutter = Lines()
    found = [line for at in range(0, len(stream), size) for line in cutter.feed(stream[at : at + size])]
    assert found == lines


def test_half_a_line_is_dropped_when_the_stream_was_interrupted():
    cutter = Lines()
    assert cutter.feed(b"one\nhal") == [b"one"]
    cutter.drop()
    assert cutter.feed(b"f\ntwo\n") == [b"f", b"two"]


def test_a_line_without_end_is_damage(monkeypatch):
    monkeypatch.setattr("hyperv.messages.LARGEST_REPLY", 100)
    cutter = Lines()
    cutter.feed(b"x" * 60)
    with pytest.raises(DamagedError, match="more than 100 bytes"):
        cutter.feed(b"x" * 60)
    assert cutter.feed(b"after\n") == [b"after"]


def test_secrets_are_taken_out_of_a_text_the_longest_first():
    assert scrub("a secret, a secrets", ["secret", "secrets", ""]) == "a (secret), a (secret)"


def test_errors_in_xml_are_read_as_text_and_progress_is_left_out():
    clixml = (
        b'#< CLIXML\r\n<Objs Version="1.1.0.1"><Obj S="progress" RefId="0"><AV>Preparing modules</AV></Obj>'
        b'<S S="Error">it is &lt;broken&gt;_x000D__x000A_</S><S S="Error">at line 1_x000D__x000A_</S></Objs>'
    )
    assert read_errors(clixml) == "it is <broken> at line 1"
    assert read_errors(b"plain\r\n text \xff") == "plain text \ufffd"
