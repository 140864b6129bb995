"""The loop in real PowerShell, over both transports: what goes in and out, and what must not break the line."""

import json

import pytest
from lab import needs_lab

from hyperv.channel import ChannelError
from hyperv.errors import HyperVError
from hyperv.lane import Lane
from hyperv.lane_rules import Trouble
from hyperv.local_channel import LocalChannel
from hyperv.messages import LARGEST_REQUEST, Request, definition, read_reply

pytestmark = needs_lab
PATIENCE_S = 60.0
TEXTS = [
    "Gr\u00fc\u00dfe, \u65e5\u672c\u8a9e, \U0001f600, \u00ff",
    "'quotes' \"and\" `ticks`, $env:PATH $(1+1) ${x}",
    "[a-z]*? \\ / \r\n\t %PATH% & | < > ^ ; --% @{}",
    "2026-11-28T10:00:00Z",
    "",
]


@pytest.fixture(scope="module", params=["winrm", "local"])
def opener(request, host):
    """Opens a channel over one of the two transports."""
    if request.param == "local":
        with pytest.MonkeyPatch.context() as patch:
            for name in ("PATH", "TZAR_HYPERV_STATE"):
                patch.setenv(name, host.environment[name])
            yield lambda program, timeout_s: LocalChannel(program)
    else:
        # Not in the signature: without pywinrm the other transport is tried all the same.
        reach, server = request.getfixturevalue("reach"), request.getfixturevalue("shared_server")
        from hyperv.winrm_channel import WinRmChannel

        yield lambda program, timeout_s: WinRmChannel(reach(server.endpoint), program, timeout_s)


@pytest.fixture(scope="module")
def lane(opener, program):
    lane = Lane("hv01", opener, program)
    yield lane
    lane.close()


def call(lane, function, timeout_s=PATIENCE_S, **parameters):
    return lane.call(function, parameters, timeout_s)


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_goes_in_and_comes_back_as_it_was(lane, text):
    [echo] = call(lane, "Get-Echo", Value=text)
    assert echo["Value"] == text
    assert call(lane, "Get-Lengths", Texts=[text, "a"]) == [len(text.encode("utf-16-le")) // 2, 1]


def test_values_keep_their_kinds(lane):
    value = {"n": [1, 2**40, 1.5, True, None], "nested": {"list": [[]]}}
    [echo] = call(lane, "Get-Echo", Value=value)
    assert echo["Value"] == value


def test_null_is_a_parameter_that_is_not_given_and_a_switch_is_bound_by_true_and_false(lane):
    assert call(lane, "Get-Echo", Value=None, On=None)[0]["Given"] == []
    assert call(lane, "Get-Echo", On=True)[0] == {"Value": None, "On": True, "Given": ["On"]}
    assert call(lane, "Get-Echo", On=False)[0] == {"Value": None, "On": False, "Given": ["On"]}


def test_what_puts_out_nothing_gives_an_empty_list(lane):
    assert call(lane, "Get-Nothing") == []


def test_noise_of_every_kind_does_not_break_the_line(lane):
    assert call(lane, "Get-Noise") == ["quiet"]
    assert call(lane, "Get-Echo", Value="still here")[0]["Value"] == "still here"


def test_a_prompt_is_an_error_and_does_not_wait(lane):
    with pytest.raises(HyperVError, match=r"Read-Host: .*NonInteractive"):
        call(lane, "Get-Question")


def test_what_is_called_cannot_read_the_requests_that_follow(lane):
    assert call(lane, "Get-Line") == [{"IsNothing": True}]
    assert call(lane, "Get-Nothing") == []


def test_a_stray_break_is_an_error_and_does_not_end_the_loop(lane):
    with pytest.raises(HyperVError, match="was left by a break") as raised:
        call(lane, "Get-Break")
    assert raised.value.code == "TzarLeftEarly"
    assert call(lane, "Get-Nothing") == []


def test_a_reply_of_a_megabyte_arrives_whole(lane):
    [text] = call(lane, "Get-Text", Length=1_000_000)
    assert text == "x" * 1_000_000


def test_a_request_of_200_kilobytes_arrives_and_a_larger_one_is_refused_before_it_is_sent(lane):
    text = "y" * (LARGEST_REQUEST - 200)
    assert call(lane, "Get-Lengths", Texts=[text]) == [len(text)]
    with pytest.raises(
        HyperVError, match=r"host hv01: Get-Lengths: a request of 2\d\d,\d\d\d bytes, and at most 200,000 fit\. Send"
    ):
        call(lane, "Get-Lengths", Texts=["y" * LARGEST_REQUEST])


def test_only_functions_that_were_sent_are_called(lane):
    for name in ("Get-Date", "Start-TzarLoop", "Get-Echo; Get-Date", "{ 1 }"):
        with pytest.raises(HyperVError, match="there is no function"):
            call(lane, name)
    with pytest.raises(HyperVError, match=r"Get-Echo: .*parameter.*'Other'") as raised:
        call(lane, "Get-Echo", Other=1)
    assert raised.value.error_id == "NamedParameterNotFound,Get-Echo"


def test_a_cmdlets_error_keeps_its_record(lane):
    with pytest.raises(HyperVError, match="host hv01: Get-VM: ") as raised:
        call(lane, "Get-Failure", Kind="cmdlet")
    error = raised.value
    assert (error.cmdlet, error.code, error.busy, error.unreachable) == ("Get-VM", "", False, False)
    assert error.error_id == "InvalidParameter,Microsoft.HyperV.PowerShell.Commands.GetVM"


def test_an_error_of_a_method_is_that_of_what_it_wraps(lane):
    with pytest.raises(HyperVError, match="Something that the VM needs is not there") as raised:
        call(lane, "Get-Failure", Kind="method")
    assert raised.value.hresult == 0x80070003


def test_an_error_of_ours_has_its_code(lane):
    with pytest.raises(HyperVError, match="it is not off") as raised:
        call(lane, "Get-Failure", Kind="code")
    assert (raised.value.code, raised.value.cmdlet) == ("TzarNotOff", "Get-Failure")


def test_a_powershell_that_exits_is_replaced_for_the_next_call(opener, program, closing):
    lane = closing(Lane("hv01", opener, program))
    [first] = call(lane, "Get-Pid")
    with pytest.raises(
        HyperVError, match="Stop-Loop: the host lost it: its PowerShell ended with exit code 7"
    ) as raised:
        call(lane, "Stop-Loop")
    assert raised.value.unreachable
    [second] = call(lane, "Get-Pid")
    assert second != first


def test_a_hung_cmdlet_ends_at_the_deadline_and_with_it_its_powershell(opener, program, closing, host):
    lane = closing(Lane("hv01", opener, program))
    [first] = call(lane, "Get-Pid")
    host.set_faults(hang=["Get-VM"])
    try:
        with pytest.raises(HyperVError, match="Get-Names: it did not end within 2 s") as raised:
            call(lane, "Get-Names", timeout_s=2.0)
    finally:
        host.set_faults()
    assert not raised.value.busy
    assert not raised.value.unreachable
    assert call(lane, "Get-Names") == []
    assert call(lane, "Get-Pid") != [first]


@pytest.fixture(scope="module")
def talk(opener, program):
    """Sends lines to a loop and returns the replies, without a lane."""
    channel = opener(program, PATIENCE_S)
    channel.send(program.first_line, PATIENCE_S)
    channel.send(definition("first", program.sources), PATIENCE_S)

    def talk(line, operation):
        channel.send(line, PATIENCE_S)
        return receive(channel, operation)

    receive(channel, "first")
    yield talk
    channel.close(PATIENCE_S)


def receive(channel, operation):
    while (line := channel.receive(PATIENCE_S)) is not None:
        reply = read_reply(line)
        if reply is not None:
            assert reply.operation == operation
            return reply
    return None


def test_a_repeated_operation_is_answered_from_memory_and_not_done_again(talk, host):
    path = rf"C:\marks-{id(talk)}.txt"
    request = Request.make("op-1", "Add-Mark", {"Path": path})
    assert talk(request.line, "op-1") == talk(request.line, "op-1")
    for n in range(3):
        talk(Request.make(f"other-{n}", "Get-Nothing", {}).line, f"other-{n}")
    assert talk(request.line, "op-1").value == ({"Marks": 1},)
    again = Request.make("op-2", "Add-Mark", {"Path": path})
    assert talk(again.line, "op-2").value == ({"Marks": 2},)


def test_a_damaged_request_is_told_and_the_next_one_is_answered(talk):
    for line in (b"not base64", b"bm90IEpTT04="):
        assert talk(line, "").error["code"] == "TzarGarbled"
    assert talk(Request.make("op", "Get-Nothing", {}).line, "op").error is None


def test_warnings_come_with_the_reply(talk):
    reply = talk(Request.make("op-noise", "Get-Noise", {}).line, "op-noise")
    assert {"mind this", "information", "without an end"} <= set(reply.said)
    assert json.loads(json.dumps(reply.value)) == ["quiet"]


def test_a_channel_whose_powershell_has_ended_says_so(opener, program):
    channel = opener(program, PATIENCE_S)
    channel.close(PATIENCE_S)
    with pytest.raises(ChannelError) as raised:
        channel.receive(PATIENCE_S)
    assert raised.value.trouble is Trouble.GONE
