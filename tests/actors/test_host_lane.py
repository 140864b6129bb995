"""A host's lane: what it asks its driver for."""

import threading

import pykka

from tzar_actors.actors.host_lane import HostLane
from tzar_actors.actors.lane_messages import CallAnswer, DriverCall, LaneWork
from tzar_actors.drivers.fake import FakeDriver

PATIENCE_S = 20.0


class AskedDriver(FakeDriver):
    """Notes how long VMs are given to stop."""

    def __init__(self):
        super().__init__("h")
        self.given = []

    def stop(self, vm, timeout_s):
        self.given.append(timeout_s)


def test_a_vm_is_given_the_time_to_stop_that_its_host_has():
    driver, answers, is_told = AskedDriver(), [], threading.Event()

    class Asker(pykka.ThreadingActor):
        def on_receive(self, message):
            answers.append(message.answer)
            is_told.set()

    asker, lane = Asker.start(), HostLane.start("h", driver, 60.0)
    try:
        lane.tell(LaneWork(asker, 1, DriverCall(asker, 1, "vm-1", "stop", limit_s=120.0)))
        assert is_told.wait(PATIENCE_S)
    finally:
        lane.stop()
        asker.stop()
    [answer] = answers
    assert isinstance(answer, CallAnswer)
    assert answer.error is None
    assert driver.given == [60.0]
