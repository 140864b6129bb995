"""Driver calls that are never answered: what they cost, and that they cost nobody else anything."""

import threading
import time
from types import SimpleNamespace

import pykka
import pytest

from tzar_actors.actors.board import Board
from tzar_actors.actors.host_lane import HostLane
from tzar_actors.actors.host_lanes import HostLanes
from tzar_actors.actors.lane_messages import DriverCall, HostQuestion
from tzar_actors.drivers.base import PowerState
from tzar_actors.drivers.fake import FakeDriver
from tzar_actors.events import catalogue
from tzar_actors.events.sink import RecordedEvents
from tzar_actors.loop import Loop, LoopActor, PollWaiter

PATIENCE_S = 20.0


def states(world):
    return {vm: row.state for vm, row in world.wiring.board.vms.items()}


# --- on a virtual clock, with lanes that do not answer


@pytest.mark.promise(4, "ladder")
def test_a_start_that_is_never_answered_is_given_up_and_the_vm_comes_by_another_lane(world):
    world.hanging.add("start")
    world.start(vms=1)
    world.run(118.0)
    assert world.of(catalogue.LaneAbandoned) == []
    world.hanging.clear()
    world.run_until(lambda: states(world) == {"vm-1": "idle"}, within_s=40.0)
    assert world.of(catalogue.LaneAbandoned) == [
        catalogue.LaneAbandoned("vm-1", "h", "start", "start of vm-1", pytest.approx(120.0), 1)
    ]
    (failed,) = world.of(catalogue.VmFailed)
    assert failed.cause == "start: it was not answered within 120 s, so nobody knows what came of it"
    assert world.row("vm-1").incarnation == 2
    assert world.wiring.board.stuck == {"h": ["start of vm-1"]}


@pytest.mark.promise(4, "ladder")
def test_what_a_call_that_was_given_up_does_late_is_found_and_put_right(world):
    world.hanging.add("create")
    world.start(vms=2)
    world.run_until(lambda: len(world.of(catalogue.LaneAbandoned)) == 2)
    world.hanging = {"start"}
    world.run_until(lambda: [message.work.verb for _, message in world.hung][2:] == ["start", "start"])
    world.run_until(lambda: len(world.of(catalogue.LaneAbandoned)) == 4)
    world.hanging.clear()
    world.answer()  # two VMs that are there already are made, and started as incarnations that nobody waits for
    assert [vm.incarnation for vm in world.driver.vms.values()] == [1, 1]
    world.run_until(lambda: set(states(world).values()) == {"idle"})
    assert [vm.incarnation for vm in world.driver.vms.values()] == [2, 2]
    assert len(world.of(catalogue.LaneFreed)) == 4
    assert world.wiring.board.stuck == {"h": []}


@pytest.mark.promise(5, "host faults burn nothing")
def test_a_vm_whose_call_hangs_keeps_no_other_vm_of_its_host_waiting(world):
    world.start(vms=2, boots_at_a_time=1)
    world.hanging.add("start")
    world.crash("vm-1")
    world.run_until(lambda: world.hung)
    world.hanging.clear()
    world.crash("vm-2")
    world.run_until(lambda: [event.vm for event in world.of(catalogue.VmReady)][2:] == ["vm-2", "vm-1"], within_s=160.0)


@pytest.mark.promise(5, "host faults burn nothing")
def test_when_too_many_calls_hang_the_breaker_opens_and_names_the_last_of_them(world):
    world.hanging.add("create")
    world.start(vms=2, restarts=1000)
    world.run_until(lambda: world.of(catalogue.HostDown), within_s=10_000.0)
    (down,) = world.of(catalogue.HostDown)
    (last,) = [event for event in world.of(catalogue.LaneAbandoned) if event.stuck == 17]
    assert down.reason.endswith(
        f"17 of its driver's calls were never answered within 3600 s, the last one: {last.call}"
    )
    world.run(600.0)
    assert 17 <= len(world.hung) <= 16 + 2, "no thread more than the cap and the lanes"
    world.hanging.clear()
    world.answer()
    world.run_until(lambda: set(states(world).values()) == {"idle"})
    assert world.wiring.board.stuck == {"h": []}
    assert len(world.of(catalogue.LaneFreed)) == len(world.of(catalogue.LaneAbandoned))


@pytest.mark.promise(5, "host faults burn nothing")
def test_a_host_that_never_answers_for_its_status_is_unknown_and_changes_nothing(world):
    world.start(vms=3)
    world.hanging.add("status")
    world.run_until(lambda: world.of(catalogue.HostDown), within_s=36.0)
    (down,) = world.of(catalogue.HostDown)
    assert down.reason == "it cannot be asked: it was not answered within 30 s, so nobody knows what came of it"
    assert set(states(world).values()) == {"idle"}, "unknown changes nothing"
    assert world.wiring.board.stuck == {"h": ["status"]}
    world.run(500.0)
    assert len(world.hung) == 5, "after four lanes within the window no further one is risked"
    world.hanging.clear()
    world.answer()
    world.run_until(lambda: world.of(catalogue.HostUp), within_s=6.0)
    assert not world.of(catalogue.VmFailed)
    assert world.wiring.board.stuck == {"h": []}


# --- on real threads


class BlockingDriver(FakeDriver):
    """Calls for a VM named in `blocked`, and status when "status" is, block until `released` is set."""

    def __init__(self):
        super().__init__("h")
        self.blocked = set()
        self.released = threading.Event()
        self.began = threading.Semaphore(0)

    def create(self, vm):
        self._block(vm)
        return super().create(vm)

    def status(self):
        self._block("status")
        return super().status()

    def _block(self, whom):
        if whom in self.blocked:
            self.began.release()
            self.released.wait(2 * PATIENCE_S)


class Asker(LoopActor):
    """Keeps the answers that it is told."""

    def __init__(self, loop, answers):
        super().__init__(loop)
        self.answers = answers

    def on_receive(self, message):
        self.answers.append(message)


@pytest.fixture
def threads():
    """Lanes on real threads, and what speaks with them, on a loop that the test turns."""
    waiter, driver, log = PollWaiter(), BlockingDriver(), RecordedEvents()
    loop = Loop(time.monotonic, waiter)
    wiring = SimpleNamespace(loop=loop, journal=None, log=log, board=Board("fleet", 1, 1))
    host = SimpleNamespace(name="h", open_lane=lambda: HostLane.start("h", driver, 1.0))
    answers = []
    asker = Asker.start(loop, answers)

    def run_until(condition):
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"it did not come to that: {answers}, {log.events}"
            loop.turn(0.05)

    yield SimpleNamespace(
        asker=asker,
        answers=answers,
        board=wiring.board,
        calls=HostLanes.start(wiring, host, 1),
        driver=driver,
        log=log,
        questions=HostLanes.start(wiring, host, None),
        run_until=run_until,
    )
    driver.released.set()
    for ref in pykka.ActorRegistry.get_by_class(HostLane):
        ref.stop(timeout=PATIENCE_S)
    for ref in pykka.ActorRegistry.get_all():
        pykka.ActorRegistry.unregister(ref)
    waiter.close()


def create(threads, vm, limit_s=0.2):
    threads.calls.tell(DriverCall(threads.asker, 1, vm, "create", limit_s))


def test_a_thread_that_blocks_is_replaced_and_what_waited_behind_it_is_done(threads):
    threads.driver.blocked.add("a")
    create(threads, "a")
    create(threads, "b", limit_s=PATIENCE_S)
    threads.run_until(lambda: len(threads.answers) == 2)
    lost, done = threads.answers
    assert (lost.is_unanswered, lost.refused, lost.machine_id) == (True, False, None)
    assert done.machine_id is not None
    assert threads.board.stuck == {"h": ["create of a"]}
    assert threading.active_count() >= 3, "the thread that blocks is still there"


def test_a_thread_that_comes_back_is_ended_and_what_it_says_is_dropped(threads):
    threads.driver.blocked.add("a")
    create(threads, "a")
    threads.run_until(lambda: threads.answers)
    assert len(pykka.ActorRegistry.get_by_class(HostLane)) == 1
    threads.driver.released.set()
    threads.run_until(lambda: any(isinstance(event, catalogue.LaneFreed) for event in threads.log.events))
    threads.run_until(lambda: not pykka.ActorRegistry.get_by_class(HostLane))
    assert len(threads.answers) == 1
    assert set(threads.driver.vms) == {"a"}, "it was made after all, which a status shows"


def test_a_status_that_blocks_makes_the_host_unknown_while_its_calls_go_on(threads):
    threads.driver.blocked.add("status")
    threads.questions.tell(HostQuestion(threads.asker, 5.0, 0.2))
    create(threads, "b", limit_s=PATIENCE_S)
    threads.run_until(lambda: len(threads.answers) == 2)
    (unknown,) = [answer for answer in threads.answers if hasattr(answer, "vms")]
    assert unknown.vms is None
    threads.driver.blocked.clear()
    threads.questions.tell(HostQuestion(threads.asker, 6.0, PATIENCE_S))
    threads.run_until(lambda: len(threads.answers) == 3)
    assert threads.answers[2].vms["b"].power is PowerState.OFF
