"""The evidence of a quarantine: what lies in its folder, and how much of it."""

import json

import pytest

from tzar_actors.actors.evidence import EvidenceStore, Heard
from tzar_actors.core.room import Room
from tzar_actors.drivers.fake import FakeDriver
from tzar_actors.events import catalogue
from tzar_agent.protocol.identity import Identity

WALL = 1_790_000_000.0
PNG = b"\x89PNG of a blue screen"


@pytest.fixture
def store(tmp_path):
    (tmp_path / "events.jsonl").write_text("")
    return EvidenceStore(tmp_path / "evidence", tmp_path / "events.jsonl")


def a_driver(files=None, screen=PNG):
    driver = FakeDriver("h", template=files or {}, screen=screen)
    driver.create("vm-1")
    driver.start("vm-1", Identity("f", "vm-1", 3, "tcp://x:1", "k", "p", "s", "e", 0.0, None))
    return driver


def fill(store, driver, wall=WALL, **texts):
    place = store.place("vm-1", 3, wall)
    return place, *store.fill(place, "vm-1", texts, driver)


# --- what lies there


@pytest.mark.promise(4, "ladder")
def test_the_folder_has_what_is_known_the_vm_s_events_its_logs_and_its_screen(store):
    lines = [json.dumps({"event": "x", "vm": vm}, separators=(",", ":")) for vm in ("vm-1", "vm-11", "vm-1")]
    store.log_file.write_text("\n".join(lines) + "\n")
    place, files, lacks = fill(store, a_driver({"agent.log": b"it is dark", "game.bin": b"?"}), **{"reason.txt": "why"})
    assert place.name == "20260921T141320Z-vm-1-3"
    assert (files, lacks) == (4, "")
    assert (place / "reason.txt").read_text() == "why"
    assert (place / "events.jsonl").read_text().splitlines() == [lines[0], lines[2]]
    assert (place / "logs" / "agent.log").read_bytes() == b"it is dark"
    assert (place / "screenshot.png").read_bytes() == PNG


def test_what_the_driver_cannot_give_is_lacking_and_said_and_the_rest_is_there(store):
    driver = a_driver({"agent.log": b"it is dark"}, screen=None)
    place, files, lacks = fill(store, driver, **{"reason.txt": "why"})
    assert files == 3
    assert "screenshot.png" in lacks
    assert "it has no screen" in lacks
    assert sorted(path.name for path in place.iterdir()) == ["events.jsonl", "logs", "reason.txt"]


def test_a_host_that_cannot_be_asked_leaves_what_is_known_here(store):
    driver = a_driver()
    driver.unreachable = True
    place, files, lacks = fill(store, driver, **{"reason.txt": "why"})
    assert files == 2
    assert (place / "reason.txt").exists()
    assert lacks.count("it does not answer") == 2


# --- how much


@pytest.mark.promise(8, "bounded")
def test_the_ends_of_logs_are_kept_and_no_picture_that_is_too_large(store):
    logs = {f"{number}.log": b"begin" + b"x" * 100_000 + b"end" for number in range(30)}
    place, _, lacks = fill(store, a_driver(logs, screen=b"x" * 5_000_000))
    kept = sorted((place / "logs").iterdir())
    assert len(kept) == 8
    assert {len(log.read_bytes()) for log in kept} == {64 * 1024}
    assert kept[0].read_bytes().endswith(b"end")
    assert "it has 5000000 bytes, kept are 4194304 at most" in lacks


@pytest.mark.promise(8, "bounded")
def test_the_oldest_folders_go_and_what_is_not_ours_stays(store):
    store.folder.mkdir()
    (store.folder / "notes of somebody").mkdir()
    places = [fill(store, a_driver(), wall=WALL + number)[0] for number in range(25)]
    assert sorted(path.name for path in store.folder.iterdir()) == [
        *(place.name for place in places[5:]),
        "notes of somebody",
    ]


@pytest.mark.promise(8, "bounded")
def test_the_last_messages_are_kept_and_each_is_cut():
    heard = Heard()
    for number in range(100):
        heard.note(float(number), f"message {number} " + "x" * 10_000)
    lines = list(heard.lines(now=99.0, wall=WALL))
    assert len(lines) == 32
    assert lines[-1].startswith("2026-09-21T14:13:20Z message 99 x")
    assert max(len(line) for line in lines) < 600


# --- when a VM goes into quarantine


def quarantine(world, store, **more):
    world.comes = lambda vm: vm != "vm-2"
    world.driver._screen = PNG
    world.start(vms=2, restarts=1, evidence=store, **more)
    world.run_until(lambda: world.row("vm-2").state == "quarantined")
    return world.of(catalogue.VmQuarantined)[0]


@pytest.mark.promise(4, "ladder")
def test_the_event_of_a_quarantine_names_the_folder_and_its_screen_is_taken_before_the_vm_is_off(world, store):
    event = quarantine(world, store)
    world.run_until(lambda: world.of(catalogue.VmEvidence))
    world.run_until(lambda: not world.driver.vms["vm-2"].is_running)
    (found,) = world.of(catalogue.VmEvidence)
    assert found == catalogue.VmEvidence("vm-2", event.folder, 4, "")
    folder = store.folder / event.folder.rpartition("/")[2]
    assert (folder / "screenshot.png").read_bytes() == PNG
    assert "its agent did not say hello" in (folder / "reason.txt").read_text()
    messages = (folder / "messages.txt").read_text()
    assert "verb='start'" in messages
    assert "VmRecover(rung=<Rung.RECREATE: 'recreate'>)" in messages


def test_evidence_that_is_never_answered_keeps_the_vm_waiting_no_longer_than_its_limit(world, store):
    world.hanging.add("evidence")
    event = quarantine(world, store)
    assert event.folder
    world.run(29.0)
    assert world.driver.vms["vm-2"].is_running
    world.run_until(lambda: not world.driver.vms["vm-2"].is_running, within_s=5.0)
    (found,) = world.of(catalogue.VmEvidence)
    assert (found.files, found.lacks[:31]) == (0, "it was not answered within 30 s")
    assert [event.call for event in world.of(catalogue.LaneAbandoned)] == ["evidence of vm-2"]


def test_where_there_is_no_room_no_evidence_is_kept(world, store):
    event = quarantine(world, store, room=Room(low_bytes=1000, spool_limit_bytes=2**40).disk_seen(10))
    world.run(5.0)
    assert event.folder == ""
    assert not store.folder.exists()
    assert not world.of(catalogue.VmEvidence)


def test_a_driver_with_a_fault_costs_no_lane(world, store):
    def fails(vm):
        raise LookupError("no such thing")

    world.driver.screenshot = fails
    quarantine(world, store)
    world.run_until(lambda: world.of(catalogue.VmEvidence))
    assert "has a fault: LookupError: no such thing" in world.of(catalogue.VmEvidence)[0].lacks
    world.run_until(lambda: not world.driver.vms["vm-2"].is_running)
