"""What is told of peers that are refused and frames that are dropped, and what is only counted."""

import pytest

from tzar_actors.events.catalogue import AgentRefused, FloodCounted, FrameDropped, PeerRejected
from tzar_actors.events.sink import RecordedEvents
from tzar_actors.gateway.complaints import Complaints
from tzar_actors.loop.waiter import VirtualClock


@pytest.fixture
def clock():
    return VirtualClock(100.0)


@pytest.fixture
def log():
    return RecordedEvents()


@pytest.fixture
def complaints(clock, log):
    return Complaints(clock, log)


def test_few_complaints_are_all_told(complaints, clock, log):
    said = [FrameDropped("vm-1", "garbage"), PeerRejected("10.0.0.1", "unknown key"), AgentRefused("10.0.0.1", "old")]
    for each in said:
        complaints.tell(each)
    clock.now += 61.0
    complaints.sweep()
    assert log.events == said


@pytest.mark.promise(8, "bounded")
def test_of_one_peer_ten_are_told_a_minute_and_the_rest_is_counted(complaints, clock, log):
    for number in range(25):
        clock.now += 1.0
        complaints.tell(FrameDropped("vm-1", f"garbage {number}"))
    assert log.events == [FrameDropped("vm-1", f"garbage {number}") for number in range(10)]
    clock.now += 36.0
    complaints.sweep()
    assert log.events[10:] == [FloodCounted("frame_dropped", "vm-1", 15, 60.0, "garbage 24")]
    complaints.tell(FrameDropped("vm-1", "again"))
    assert log.events[11:] == [FrameDropped("vm-1", "again")], "a new minute begins"


def test_the_flood_of_one_silences_no_other_and_no_other_kind(complaints, log):
    for _ in range(50):
        complaints.tell(PeerRejected("10.0.0.1", "unknown key"))
    said = [PeerRejected("10.0.0.2", "unknown key"), AgentRefused("10.0.0.1", "old")]
    for each in said:
        complaints.tell(each)
    assert log.events[10:] == said


@pytest.mark.promise(8, "bounded")
def test_many_peers_are_counted_together_so_that_memory_and_log_are_bounded(complaints, clock, log):
    for number in range(1000):
        complaints.tell(PeerRejected(f"10.0.{number // 250}.{number % 250}", "unknown key"))
    assert len(log.events) == 20 + 10
    clock.now += 60.0
    complaints.sweep()
    assert log.events[30:] == [FloodCounted("peer_rejected", "others", 970, 60.0, "unknown key")]


@pytest.mark.promise(8, "bounded")
def test_no_complaint_is_lost_however_they_come(complaints, clock, log):
    for number in range(5000):
        clock.now += 0.1
        complaints.tell(FrameDropped(f"vm-{number % 37}", "garbage"))
    complaints.close()
    counted = sum(event.count for event in log.events if isinstance(event, FloodCounted))
    told = sum(isinstance(event, FrameDropped) for event in log.events)
    assert told + counted == 5000
    assert told <= (20 + 1) * 10 * 10
