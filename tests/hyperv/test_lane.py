"""A lane around a channel in memory, on a clock that the tests turn: what it sends, keeps, retires and closes."""

import base64
import json
import threading

import pytest

from hyperv.channel import ChannelError
from hyperv.errors import HyperVError
from hyperv.lane import Lane, SignInGuard
from hyperv.lane_rules import Recycling, Trouble
from hyperv.messages import Line
from hyperv.program import Program

PROGRAM = Program(("function Get-X { }",))


class World:
    """Channels in memory, and the clock. `script` has what befalls the next sends and receives."""

    def __init__(self):
        self.now = 0.0
        self.log = []
        self.opened = []
        self.open_troubles = []
        self.pauses = []

    def clock(self):
        return self.now

    def pause(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds

    def open(self, program, timeout_s):
        assert program is PROGRAM
        assert timeout_s > 0
        if self.open_troubles and (trouble := self.open_troubles.pop(0)):
            raise ChannelError(trouble, "at opening")
        channel = Channel(self, len(self.opened))
        self.opened.append(channel)
        return channel

    def open_now(self):
        return [channel.number for channel in self.opened if not channel.is_closed]


class Channel:
    """Answers every request with the number of the channel and how often it did something."""

    def __init__(self, world, number):
        self.world, self.number = world, number
        self.operations = 1
        self.is_closed = False
        self.memory = {}
        self.waiting = []
        self.troubles = {"send": [], "receive": [], "close": []}
        self.garbage = []

    def note(self, what):
        self.world.log.append((self.number, what))

    def meet(self, where):
        if self.troubles[where] and (trouble := self.troubles[where].pop(0)):
            raise ChannelError(trouble, f"at {where}")

    def send(self, line, timeout_s):
        assert isinstance(line, Line)
        if line == PROGRAM.first_line:
            return
        request = json.loads(base64.b64decode(line))
        if "define" in request:
            self.waiting.append(reply(request["id"], []))
            return
        self.note("send")
        self.meet("send")
        done = len(self.memory) + 1
        self.memory.setdefault(request["id"], reply(request["id"], [{"channel": self.number, "done": done}]))
        self.waiting.append(self.memory[request["id"]])

    def receive(self, timeout_s):
        assert timeout_s > 0
        if self.garbage:
            self.world.now += 1.0
            return self.garbage.pop()
        if self.memory:
            self.meet("receive")
        if self.waiting:
            return self.waiting.pop(0)
        self.world.now += timeout_s
        return None

    def resume(self):
        self.note("resume")

    def close(self, timeout_s):
        self.note("close")
        self.meet("close")
        self.is_closed = True


def reply(operation, value):
    document = {"id": operation, "ok": True, "value": value, "said": []}
    return Line(b"TZAR-REPLY:" + base64.b64encode(json.dumps(document).encode()))


@pytest.fixture
def world():
    return World()


@pytest.fixture
def lane(world):
    return make_lane(world)


def make_lane(world, **given):
    return Lane("hv01", world.open, PROGRAM, clock=world.clock, pause=world.pause, **given)


def call(lane, function="Set-X", timeout_s=60.0):
    [value] = lane.call(function, {}, timeout_s)
    return value


def test_one_powershell_serves_many_calls(world, lane):
    assert [call(lane)["done"] for _ in range(3)] == [1, 2, 3]
    assert world.open_now() == [0]


def test_a_call_that_may_have_arrived_is_asked_again_under_its_id(world, lane):
    call(lane)
    world.opened[0].troubles |= {"receive": [Trouble.CUT, Trouble.CUT], "send": [None, Trouble.CUT]}
    assert call(lane)["done"] == 2
    assert call(lane)["done"] == 3
    assert world.log[1:-1] == [(0, "send"), *[(0, "resume"), (0, "send")] * 3]
    assert world.pauses == [0.0, 0.2, 0.5]


def test_a_late_reply_to_an_earlier_call_is_passed_over(world, lane):
    call(lane)
    world.opened[0].waiting = [reply("an older one", []), Line(b"noise")]
    assert call(lane)["done"] == 2


def test_a_flood_of_foreign_lines_ends_at_the_deadline(world, lane):
    call(lane)
    world.opened[0].garbage = [Line(b"noise")] * 1000
    with pytest.raises(HyperVError, match="Set-X: it did not end within 60 s"):
        call(lane)
    assert world.now == pytest.approx(60.0)
    assert call(lane)["channel"] == 1


def test_a_damaged_reply_is_asked_for_again(world, lane):
    call(lane)
    world.opened[0].waiting = [Line(b"TZAR-REPLY:abc"), reply("", [])]
    assert call(lane)["done"] == 2
    assert world.log.count((0, "send")) == 4


def test_what_was_not_sent_goes_to_a_new_powershell_and_what_was_sent_does_not(world, lane):
    call(lane)
    world.opened[0].troubles["send"] = [Trouble.GONE]
    assert call(lane)["channel"] == 1
    world.opened[1].troubles["receive"] = [Trouble.GONE]
    with pytest.raises(HyperVError, match="Set-X: the host lost it: at receive") as raised:
        call(lane)
    assert raised.value.unreachable
    assert len(world.opened) == 2
    assert call(lane)["channel"] == 2


def test_a_look_whose_powershell_is_gone_is_taken_with_a_new_one(world, lane):
    call(lane, "Get-X")
    world.opened[0].troubles["receive"] = [Trouble.GONE]
    assert call(lane, "Get-X")["channel"] == 1


def test_a_call_that_was_cut_and_then_finds_its_powershell_gone_is_not_repeated(world, lane):
    call(lane)
    world.opened[0].troubles["send"] = [Trouble.CUT, Trouble.GONE]
    with pytest.raises(HyperVError, match="the host lost it"):
        call(lane)


def test_a_host_out_of_reach_costs_a_new_connection_and_not_the_powershell(world, lane):
    call(lane)
    world.opened[0].troubles["send"] = [Trouble.NO_ROUTE]
    with pytest.raises(HyperVError, match="at send"):
        call(lane)
    assert call(lane) == {"channel": 0, "done": 2}
    assert (0, "resume") in world.log


def test_a_powershell_that_hangs_is_ended_before_the_next_one_is_opened(world, lane):
    call(lane)
    world.opened[0].troubles |= {"receive": [Trouble.SILENT], "close": [Trouble.CUT]}
    with pytest.raises(HyperVError, match="did not end within"):
        call(lane)
    assert world.open_now() == [0]
    assert call(lane)["channel"] == 1
    assert world.open_now() == [1]


def test_while_an_old_powershell_cannot_be_ended_no_new_one_is_opened(world, lane):
    call(lane)
    world.opened[0].troubles |= {"receive": [Trouble.SILENT], "close": [Trouble.NO_ROUTE] * 3}
    for _ in range(3):
        with pytest.raises(HyperVError):
            call(lane)
    assert len(world.opened) == 1
    assert call(lane)["channel"] == 1


def test_what_cannot_be_opened_leaves_nothing_and_is_tried_again(world, lane):
    world.open_troubles = [Trouble.CUT, Trouble.CUT]
    assert call(lane)["channel"] == 0
    world.opened[0].troubles["send"] = [Trouble.GONE] * 9
    world.open_troubles = [Trouble.BUSY]
    with pytest.raises(HyperVError, match="at opening") as raised:
        call(lane)
    assert raised.value.busy
    assert world.open_now() == []


def test_an_old_powershell_is_replaced_by_its_age_between_two_calls(world):
    lane = make_lane(world, recycling=Recycling(max_age_s=100.0))
    call(lane)
    world.now = 99.0
    assert call(lane)["channel"] == 0
    world.now = 100.0
    assert call(lane)["channel"] == 1
    assert world.open_now() == [1]


def test_a_powershell_is_not_replaced_while_it_may_hold_a_call(world):
    lane = make_lane(world, recycling=Recycling(max_calls=2, max_operations=50))
    call(lane)
    world.opened[0].troubles["receive"] = [Trouble.CUT]
    assert call(lane) == {"channel": 0, "done": 2}
    assert call(lane)["channel"] == 1
    world.opened[1].operations = 50
    assert call(lane)["channel"] == 2


def test_refused_credentials_are_kept_back_on_all_lanes_of_the_host(world):
    guard = SignInGuard(world.clock)
    one, other = (make_lane(world, guard=guard) for _ in range(2))
    world.open_troubles = [Trouble.DENIED]
    with pytest.raises(HyperVError, match="at opening"):
        call(one)
    for lane in (one, other):
        with pytest.raises(HyperVError, match="shown to it again in 30 s"):
            call(lane)
    world.now += 30.0
    assert call(other)["channel"] == 0
    assert call(one)["channel"] == 1


def test_credentials_that_were_corrected_are_shown_at_once(world):
    account = ["wrong"]
    guard = SignInGuard(world.clock, lambda: account[0])
    lane = make_lane(world, guard=guard)
    world.open_troubles = [Trouble.DENIED, Trouble.DENIED]
    for account[0] in ("wrong", "wrong too"):
        with pytest.raises(HyperVError, match="at opening"):
            call(lane)
        with pytest.raises(HyperVError, match="shown to it again in 30 s"):
            call(lane)
    account[0] = "right"
    assert call(lane)["channel"] == 0


def test_a_lane_that_is_open_works_on_while_others_wait_with_their_credentials(world):
    guard = SignInGuard(world.clock)
    lane, other = (make_lane(world, guard=guard) for _ in range(2))
    call(lane)
    world.open_troubles = [Trouble.DENIED]
    with pytest.raises(HyperVError):
        call(other)
    assert call(lane)["done"] == 2


def test_a_call_by_an_old_connection_is_no_proof_of_the_credentials(world):
    guard = SignInGuard(world.clock)
    lane, other = (make_lane(world, guard=guard) for _ in range(2))
    call(lane)
    for wait_s in (30.0, 60.0, 120.0):
        world.open_troubles = [Trouble.DENIED]
        with pytest.raises(HyperVError, match="at opening"):
            call(other)
        call(lane)
        with pytest.raises(HyperVError, match=f"shown to it again in {wait_s:.0f} s"):
            call(other)
        world.now += wait_s
    call(other)
    assert guard.wait_s() == 0.0


def test_after_a_refusal_one_alone_shows_the_credentials_once_more(world):
    guard = SignInGuard(world.clock)
    assert (guard.claim(), guard.claim()) == (0.0, 0.0)
    guard.note(Trouble.DENIED)
    world.now += 30.0
    assert (guard.wait_s(), guard.claim(), guard.claim()) == (0.0, 0.0, 30.0)
    guard.note(Trouble.CUT)
    assert (guard.claim(), guard.claim()) == (0.0, 30.0), "what broke was no refusal, and somebody may try again"
    guard.note(None)
    assert (guard.claim(), guard.claim()) == (0.0, 0.0)


def test_a_connection_that_breaks_after_a_refusal_is_made_anew_and_is_told_as_what_it_is(world):
    lane = make_lane(world)
    world.open_troubles = [Trouble.DENIED]
    with pytest.raises(HyperVError):
        call(lane)
    world.now += 30.0
    world.open_troubles = [Trouble.CUT, Trouble.CUT]
    assert call(lane) == {"channel": 0, "done": 1}
    lane = make_lane(world)
    world.open_troubles = [Trouble.DENIED]
    with pytest.raises(HyperVError):
        call(lane)
    world.now += 30.0
    world.open_troubles = [Trouble.CUT] * 9
    with pytest.raises(HyperVError, match="at opening") as raised:
        call(lane)
    assert "the host refused" not in str(raised.value)


def test_another_account_is_tried_by_one_alone(world):
    account = ["wrong"]
    guard = SignInGuard(world.clock, lambda: account[0])
    guard.note(Trouble.DENIED)
    account[0] = "mistyped"
    assert (guard.claim(), guard.claim()) == (0.0, 30.0)
    guard.note(Trouble.DENIED)
    assert guard.claim() == 30.0


def test_credentials_that_were_refused_are_not_shown_to_end_a_powershell(world):
    guard = SignInGuard(world.clock)
    one, other = (make_lane(world, guard=guard) for _ in range(2))
    call(one)
    call(other)
    world.opened[0].troubles["close"] = [Trouble.DENIED]
    one.close()
    assert guard.wait_s() == 30.0
    other.close()
    assert world.log[-1] == (0, "close")
    assert world.open_now() == [0, 1]


def test_an_old_powershell_is_kept_while_credentials_are_kept_back(world):
    guard = SignInGuard(world.clock)
    lane = make_lane(world, guard=guard, recycling=Recycling(max_calls=1))
    call(lane)
    guard.note(Trouble.DENIED)
    assert call(lane) == {"channel": 0, "done": 2}
    world.now += 30.0
    assert call(lane)["channel"] == 1


def test_an_old_powershell_whose_end_shows_that_the_credentials_are_refused_works_on(world):
    guard = SignInGuard(world.clock)
    lane = make_lane(world, guard=guard, recycling=Recycling(max_calls=1))
    call(lane)
    world.opened[0].troubles["close"] = [Trouble.DENIED]
    assert call(lane) == {"channel": 0, "done": 2}
    assert guard.wait_s() == 30.0
    assert world.log.count((0, "close")) == 1, "they are shown once"
    world.now += 30.0
    assert call(lane)["channel"] == 1
    assert world.open_now() == [1]


def test_an_old_powershell_that_cannot_be_ended_is_forgotten_when_its_host_must_have_ended_it(world, lane):
    call(lane)
    world.opened[0].troubles["receive"] = [Trouble.GONE]
    world.opened[0].troubles["close"] = [Trouble.CUT] * 99
    with pytest.raises(HyperVError):
        call(lane)
    with pytest.raises(HyperVError, match="at close"):
        call(lane)
    world.now += 1800.0
    assert call(lane)["channel"] == 1


def test_a_closed_lane_ends_its_powershell_and_opens_no_other(world, lane):
    call(lane)
    lane.close()
    assert world.open_now() == []
    with pytest.raises(HyperVError, match="the driver was closed"):
        call(lane)
    assert len(world.opened) == 1


def test_a_call_does_not_wait_for_another_beyond_its_own_time(world, lane):
    call(lane)
    refused = []

    def second():
        with pytest.raises(HyperVError, match="the call before it has not ended") as raised:
            call(lane, timeout_s=0.05)
        refused.append(raised.value.busy)

    def wait_meanwhile(seconds):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(60.0)

    world.pause = wait_meanwhile
    lane = make_lane(world)
    world.open_troubles = [Trouble.CUT]
    call(lane)
    assert refused == [True]


def test_an_answer_does_not_come_from_a_channel_that_is_closed_meanwhile(world, lane):
    call(lane)
    channel = world.opened[0]
    channel.receive = lambda timeout_s: lane.close() or channel.__class__.receive(channel, timeout_s)
    channel.troubles["receive"] = [Trouble.GONE]
    with pytest.raises(HyperVError, match="the driver was closed"):
        call(lane, "Get-X")
    assert world.open_now() == []
