"""A lane over WinRM when the connection, the service, the host or its quotas fail: in the lab, through pywinrm."""

import contextlib
import functools
import threading
import time

import pytest
from lab import NO_WINRM, PASSWORD, USER, needs_lab, wait_until, winrm_server

from hyperv.credentials import Credentials
from hyperv.errors import HyperVError
from hyperv.lane import Lane, SignInGuard
from hyperv.lane_rules import Recycling, Trouble
from hyperv.lanes import Lanes
from hyperv.messages import Secret

winrm_channel = pytest.importorskip("hyperv.winrm_channel", reason=NO_WINRM)
winrm_connection = pytest.importorskip("hyperv.winrm_connection", reason=NO_WINRM)
pytestmark = needs_lab
PATIENCE_S = 60.0


def call(lane, function, timeout_s=PATIENCE_S, **parameters):
    return lane.call(function, parameters, timeout_s)


@pytest.fixture(scope="module")
def server(shared_server):
    """One for all tests here: each leaves it without faults."""
    return shared_server


@pytest.fixture(scope="module")
def lane_of_all(server, reach, program):
    opener = functools.partial(winrm_channel.WinRmChannel, reach(server.endpoint))
    with contextlib.closing(Lane("hv01", opener, program)) as lane:
        yield lane


@pytest.fixture
def lane(lane_of_all):
    """A lane that is open already, and goes on from test to test."""
    call(lane_of_all, "Get-Nothing")
    return lane_of_all


@pytest.fixture
def grown(server):
    """How much the server's counters have grown in this test."""
    before = server.counts()
    return lambda: {name: value - before[name] for name, value in server.counts().items()}


@pytest.fixture
def marks(host, tmp_path):
    """A file on the host, and how often `Add-Mark` was carried out."""
    name = tmp_path.name

    class Marks:
        path = rf"C:\{name}.txt"

        def count(self):
            file = host.folder / "host" / "C" / f"{name}.txt"
            return len(file.read_text(encoding="utf-8").splitlines()) if file.exists() else 0

    return Marks()


@pytest.fixture
def in_background():
    """Calls on a thread of its own; the outcome is a list of what came back, or the error."""
    threads = []

    def start(lane, function, timeout_s=PATIENCE_S, **parameters):
        outcome = []

        def run():
            try:
                outcome.append(call(lane, function, timeout_s, **parameters))
            except HyperVError as error:
                outcome.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        threads.append(thread)

        def finish():
            thread.join(PATIENCE_S)
            return outcome[0]

        return finish

    yield start
    for thread in threads:
        thread.join(PATIENCE_S)


@pytest.mark.parametrize("codepage", [437, 65001])
def test_the_hosts_code_page_changes_nothing(open_lane, server, monkeypatch, codepage):
    monkeypatch.setattr(winrm_channel, "_UTF8", codepage)
    text = "Gr\u00fc\u00dfe \u65e5\u672c \U0001f600"
    assert call(open_lane(server.endpoint), "Get-Echo", Value=text)[0]["Value"] == text


@pytest.mark.parametrize("fault", [{"drop": 1}, {"drop": 2}, {"refuse": 3}, {"unauthorized": 1}], ids=str)
def test_a_broken_connection_is_made_anew_to_the_same_shell(lane, server, grown, marks, fault):
    [before] = call(lane, "Get-Pid")
    server.set_faults(**fault)
    assert call(lane, "Add-Mark", Path=marks.path) == [{"Marks": 1}]
    assert call(lane, "Get-Pid") == [before]
    assert (grown()["shells_opened"], marks.count()) == (0, 1)


@pytest.mark.parametrize("nth", [1, 2], ids=["that it was sent", "the reply itself"])
def test_a_call_whose_answer_was_lost_is_asked_again_and_never_done_twice(open_lane, server, relay, marks, nth):
    lane = open_lane(relay.endpoint)
    [before] = call(lane, "Get-Pid")
    relay.lose_answer(nth)
    assert call(lane, "Add-Mark", Path=marks.path) == [{"Marks": 1}]
    assert relay.has_lost()
    assert call(lane, "Add-Mark", Path=marks.path) == [{"Marks": 2}]
    assert call(lane, "Get-Pid") == [before]
    assert marks.count() == 2


def test_a_piece_lost_in_the_middle_of_a_large_reply_is_noticed(open_lane, relay):
    lane = open_lane(relay.endpoint)
    call(lane, "Get-Nothing")
    relay.lose_answer(5)  # the first is that of the Send; then come the pieces of the reply
    assert call(lane, "Get-Text", Length=1_000_000) == ["x" * 1_000_000]
    assert relay.has_lost()


def test_after_a_restart_of_winrm_the_next_call_opens_a_shell_anew(lane, server, marks):
    server.set_faults(reboot=True)
    assert call(lane, "Add-Mark", Path=marks.path) == [{"Marks": 1}]
    assert (server.counts()["shells"], marks.count()) == (1, 1)


def test_a_shell_is_deleted_though_the_host_fails_at_what_comes_before(open_lane, server):
    lane = open_lane(server.endpoint)
    call(lane, "Get-Nothing")
    shells = server.counts()["shells"]
    server.set_faults(refuse=1)  # the sign-in, after which pywinrm would go on without encryption
    lane.close()
    assert server.counts()["shells"] == shells - 1


def test_a_powershell_that_was_killed_between_two_calls_is_replaced(lane, server, marks):
    server.set_faults(kill_processes=True)
    assert call(lane, "Get-Nothing") == []
    assert server.counts()["shells"] == 1


def test_a_call_that_changes_something_and_whose_powershell_is_gone_is_not_asked_again(
    lane, server, marks, in_background
):
    finish = in_background(lane, "Add-Mark", Path=marks.path, Seconds=PATIENCE_S)
    wait_until(lambda: marks.count() == 1, "the call is at work")
    server.set_faults(reboot=True)
    error = finish()
    assert "Add-Mark: the host lost it: " in str(error)
    assert "Whether it was done is not known" in error.cure
    assert error.unreachable
    assert call(lane, "Get-Nothing") == []
    assert marks.count() == 1


def test_a_host_that_loses_its_power_is_unreachable_and_served_again_when_it_is_up(lane, server, marks, in_background):
    finish = in_background(lane, "Add-Mark", Path=marks.path, Seconds=PATIENCE_S)
    wait_until(lambda: marks.count() == 1, "the call is at work")
    server.set_faults(power_loss_s=3.0)
    assert finish().unreachable
    with contextlib.suppress(HyperVError):
        call(lane, "Get-Nothing", timeout_s=1.0)
    wait_until(lambda: answers(lane), "the host is served again")
    assert (server.counts()["shells"], marks.count()) == (1, 1)


def answers(lane):
    try:
        return call(lane, "Get-Nothing") == []
    except HyperVError as error:
        if not error.unreachable:
            raise
        return False


def test_a_host_that_is_down_is_unreachable_at_once(open_lane, host, tmp_path):
    with winrm_server(host, tmp_path) as server:
        lane = open_lane(server.endpoint)
    began = time.monotonic()
    with pytest.raises(
        HyperVError, match=r"host hv01: Get-Nothing: nobody listens at http://127.0.0.1:\d+/wsman\. Look"
    ):
        call(lane, "Get-Nothing")
    assert time.monotonic() - began < PATIENCE_S / 2


def test_a_hung_receive_ends_at_our_own_deadline(lane, server, grown):
    server.set_faults(hang_receive=True)
    began = time.monotonic()
    with pytest.raises(HyperVError, match="Get-Nothing: WinRM did not answer") as raised:
        call(lane, "Get-Nothing", timeout_s=3.0)
    assert raised.value.unreachable
    assert time.monotonic() - began < 3.0 + 10.0  # what it takes to end the shell, on a loaded machine
    server.set_faults(hang_receive=False)
    assert call(lane, "Get-Nothing") == []
    assert grown()["shells"] == 0


def test_a_call_that_takes_longer_than_a_receive_goes_on_to_its_end(lane, grown, marks, monkeypatch):
    monkeypatch.setattr(winrm_connection, "_LONGEST_RECEIVE_S", 1)
    assert call(lane, "Add-Mark", Path=marks.path, Seconds=2.5) == [{"Marks": 1}]
    assert grown()["operations_open"] in (2, 3)  # each Receive that ended without output


def test_recycling_by_calls_leaves_nothing_behind(open_lane, server, grown):
    lane = open_lane(server.endpoint, recycling=Recycling(max_calls=2))
    pids = [call(lane, "Get-Pid")[0] for _ in range(5)]
    assert [pids.index(pid) for pid in pids] == [0, 0, 2, 2, 4]
    counts = grown()
    assert (counts["shells"], counts["shells_opened"], counts["commands"]) == (1, 3, 3)
    assert counts["operations_open"] < 3
    lane.close()
    counts = grown()
    assert (counts["shells"], counts["operations_open"]) == (0, 0)


def test_recycling_by_operations_gives_back_what_the_host_counts(open_lane, server, grown, monkeypatch, marks):
    lane = open_lane(server.endpoint, recycling=Recycling(max_operations=3))
    [before] = call(lane, "Get-Pid")
    monkeypatch.setattr(winrm_connection, "_LONGEST_RECEIVE_S", 1)
    call(lane, "Add-Mark", Path=marks.path, Seconds=2.5)
    assert grown()["operations_open"] >= 3
    monkeypatch.undo()
    assert call(lane, "Get-Pid") != [before]
    counts = grown()
    assert counts["shells"] == 1
    assert counts["operations_open"] < 3


def test_used_up_shells_are_back_pressure(open_lane, host, tmp_path, reach):
    with winrm_server(host, tmp_path, MAX_SHELLS=1) as server:
        protocol = reach(server.endpoint).connect()
        shell = protocol.open_shell()
        lane = open_lane(server.endpoint)
        with pytest.raises(HyperVError, match="fault 2150859173") as raised:
            call(lane, "Get-Nothing")
        assert (raised.value.busy, raised.value.unreachable) == (True, False)
        protocol.close_shell(shell)
        assert call(lane, "Get-Nothing") == []
        lane.close()


def test_used_up_operations_are_back_pressure_and_a_lane_gives_its_own_back(open_lane, host, tmp_path, reach):
    with winrm_server(host, tmp_path, MAX_OPERATIONS=3) as server:
        lane = open_lane(server.endpoint)
        call(lane, "Get-Nothing")
        other = open_lane(server.endpoint)
        call(other, "Get-Nothing")
        third = open_lane(server.endpoint)
        with pytest.raises(HyperVError, match="fault 2150859174") as raised:
            call(third, "Get-Nothing")  # its command is the third: no Receive is left for anybody
        assert (raised.value.busy, raised.value.unreachable) == (True, False)
        assert server.counts()["operations_open"] == 2
        assert call(lane, "Get-Nothing") == []
        for opened in (lane, other, third):
            opened.close()


def test_a_wrong_password_is_shown_once_and_then_not_for_a_while(open_lane, server):
    lane = open_lane(server.endpoint, account={"password": "not-the-password"})
    with pytest.raises(
        HyperVError, match=r"Get-Nothing: the host refused the credentials\. Correct the user"
    ) as raised:
        call(lane, "Get-Nothing")
    assert raised.value.unreachable
    assert not raised.value.busy
    asked = server.counts()["requests"]
    with pytest.raises(HyperVError, match=r"shown to it again in \d+ s"):
        call(lane, "Get-Nothing")
    assert server.counts()["requests"] == asked


def test_a_password_that_was_changed_is_refused_once_when_a_shell_is_to_end(program, server, grown):
    password = [PASSWORD]
    host = winrm_connection.WinRm(server.endpoint, lambda: Credentials(USER, Secret(password[0])))
    opener = functools.partial(winrm_channel.WinRmChannel, host)
    guards = [SignInGuard(account=lambda: password[0]) for _ in range(2)]
    lanes = [Lane("hv01", opener, program, guard=guard) for guard in guards]
    call(lanes[0], "Get-Nothing")
    before, password[0] = grown()["requests"], "not-the-password"
    with pytest.raises(HyperVError, match="refused the credentials"):
        call(lanes[1], "Get-Nothing")
    one_refusal = grown()["requests"] - before
    assert one_refusal > 0
    lanes[0].close()
    assert grown()["requests"] - before == 2 * one_refusal
    password[0] = PASSWORD
    lanes[0].close()
    assert grown()["shells"] == 0


def test_lanes_work_side_by_side_and_status_never_waits(reach, program, server, grown, marks, in_background):
    reached = reach(server.endpoint)
    lanes = Lanes(
        "hv01", lambda program, timeout_s: winrm_channel.WinRmChannel(reached, program, timeout_s), program, count=1
    )
    try:
        lanes.status("Get-Nothing", {}, PATIENCE_S)
        finish = in_background(lanes, "Add-Mark", Path=marks.path, Seconds=PATIENCE_S)
        wait_until(lambda: marks.count() == 1, "the call is at work")
        assert lanes.status("Get-Nothing", {}, PATIENCE_S) == []
        with pytest.raises(HyperVError, match=r"no lane to the host was free within 0\.2 s") as raised:
            lanes.call("Get-Nothing", {}, 0.2)
        assert raised.value.busy
    finally:
        lanes.close()
    assert isinstance(finish(), HyperVError)  # closing ended what it was at
    assert grown()["shells"] == 0


@pytest.mark.parametrize(
    "code", [2150858815, *range(2150859173, 2150859177), 2150859179, *range(2150859236, 2150859242)]
)
def test_each_quota_that_windows_has_is_back_pressure(code):
    fault = winrm_connection.winrm.exceptions.WSManFaultError(500, "", "", "used up", wsman_fault_code=code)
    refused = winrm_connection._refused(fault)
    assert refused.trouble is Trouble.BUSY
    assert f"used up (fault {code})" in refused.text
