"""What hosts say of their VMs, and what comes of a host that says nothing."""

import itertools
from types import SimpleNamespace

from tzar_actors.actors.messages import SetDesired, Shut
from tzar_actors.core.vm_table import Desired
from tzar_actors.errors import DriverError
from tzar_actors.events import catalogue


def test_what_was_said_of_a_vm_in_the_middle_of_a_call_is_said_to_it_again_after_that(world):
    world.start(vms=1)
    world.hanging.add("stop")
    world.wiring.supervisors["vm-1"].tell(SetDesired(Desired.OFF))
    world.run(12.0)  # its host says that it runs, which is no news while it is being stopped
    world.hanging.clear()
    world.answer()
    world.run(0.1)
    assert world.row("vm-1").state == "off"
    world.driver.vms["vm-1"].is_running = True  # somebody starts it by other means, and it is what it was
    world.run_until(lambda: not world.driver.vms["vm-1"].is_running, within_s=6.0)


def test_a_host_without_a_fault_is_no_news_to_its_actor_and_one_with_a_fault_is(world):
    world.start(vms=2)
    said = []
    host = world.wiring.hosts[0]
    told, host.actor = host.actor, SimpleNamespace(tell=said.append)
    world.run(20.0)
    assert said == []
    world.driver.unreachable = True
    world.run(6.0)
    assert [bool(message.error) for message in said] == [True]
    told.tell(said.pop())
    host.actor = told
    world.run_until(lambda: world.of(catalogue.HostDown), within_s=1.0)
    world.driver.unreachable = False
    world.run_until(lambda: world.of(catalogue.HostUp), within_s=10.0)


def test_a_host_that_cannot_be_asked_is_told_once_for_each_reason(world):
    world.start(vms=1)
    world.driver.unreachable = True
    world.run(60.0)
    assert [event.verb for event in world.of(catalogue.DriverFailed)] == ["status"]
    world.driver.unreachable = False
    world.run(60.0)
    world.driver.unreachable = True
    world.run(60.0)
    assert [event.verb for event in world.of(catalogue.DriverFailed)] == ["status", "status"]


def test_another_reason_is_told_and_another_time_is_none(world, monkeypatch):
    said = itertools.chain(["status 500, again in 30 s", "status 500, again in 24.5 s"], itertools.repeat("status 401"))

    def status():
        raise DriverError(next(said), host="h", unreachable=True)

    world.start(vms=1)
    monkeypatch.setattr(world.driver, "status", status)
    world.run(60.0)
    told = [event.error for event in world.of(catalogue.DriverFailed)]
    assert told == ["host h: status 500, again in 30 s", "host h: status 401"]


def test_the_end_waits_for_no_vm_that_was_never_there_on_a_host_that_cannot_be_asked(world):
    world.driver.unreachable = True
    world.start(vms=2)
    world.run_until(lambda: world.of(catalogue.HostDown), within_s=10.0)
    world.wiring.fleet.tell(Shut("stop", "test"))
    world.run_until(lambda: world.loop._stopping, within_s=1.0)


def test_the_end_waits_for_a_vm_that_may_run_on_a_host_that_cannot_be_asked(world):
    world.start(vms=2)
    world.driver.unreachable = True
    world.run_until(lambda: world.of(catalogue.HostDown), within_s=10.0)
    world.wiring.fleet.tell(Shut("stop", "test"))
    world.run(30.0)
    assert not world.loop._stopping
    world.driver.unreachable = False
    world.run_until(lambda: world.loop._stopping, within_s=20.0)
    assert all(not vm.is_running for vm in world.driver.vms.values())
