"""Kept results on the disk: what survives, what is cut off, what happens when the disk fails."""

import os

import pytest

from tzar_agent.outbox import Outbox
from tzar_agent.protocol.messages import Result, control_codec

encode = control_codec().encode


def frame(attempt, reason=""):
    return encode(Result(attempt, "e", 0, b"d" * 32, "scored", 1.0, b"\x80", 0.5, reason, None))


def keep(outbox, *attempts):
    for attempt in attempts:
        outbox.keep(attempt, frame(attempt))
    outbox.flush()


@pytest.mark.promise(6, "nothing accepted is lost")
def test_kept_results_are_there_after_a_restart_and_acknowledged_ones_are_not(tmp_path):
    before = Outbox(tmp_path / "outbox", "f/vm")
    keep(before, "a1", "a2", "a3")
    before.forget("a2")
    before.flush()
    after = Outbox(tmp_path / "outbox", "f/vm")  # the first was never closed: its process was killed
    assert after.frames == {"a1": frame("a1"), "a3": frame("a3")}


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_torn_end_is_cut_off_and_what_comes_after_is_kept(tmp_path, cut):
    path = tmp_path / "outbox"
    keep(Outbox(path, "f/vm"), "a1", "a2")
    path.write_bytes(path.read_bytes()[:-cut])
    torn = Outbox(path, "f/vm")
    assert list(torn.frames) == ["a1"]
    keep(torn, "a3")
    assert list(Outbox(path, "f/vm").frames) == ["a1", "a3"]


def test_a_damaged_record_ends_the_reading(tmp_path):
    path = tmp_path / "outbox"
    keep(Outbox(path, "f/vm"), "a1", "a2")
    data = bytearray(path.read_bytes())
    data[-3] ^= 0xFF
    path.write_bytes(data + b"\0" * 100)
    assert list(Outbox(path, "f/vm").frames) == ["a1"]


def test_results_of_another_fleet_or_vm_are_dropped(tmp_path):
    keep(Outbox(tmp_path / "outbox", "f/vm"), "a1")
    assert Outbox(tmp_path / "outbox", "f/other").frames == {}
    assert Outbox(tmp_path / "outbox", "f/vm").frames == {}


def test_the_file_does_not_grow_without_end(tmp_path):
    path = tmp_path / "outbox"
    outbox = Outbox(path, "f/vm")
    largest = 0
    for i in range(300):
        outbox.keep(f"a{i}", frame(f"a{i}", "x" * 2000))
        outbox.forget(f"a{i}")
        largest = max(largest, path.stat().st_size)
    assert largest < 128 * 1024


def test_a_file_that_grew_too_big_is_compacted_and_keeps_what_waits(tmp_path):
    path = tmp_path / "outbox"
    outbox = Outbox(path, "f/vm")
    keep(outbox, "waits")
    for i in range(1000):
        outbox.keep(f"a{i}", frame(f"a{i}", "x" * 15_000))
        outbox.forget(f"a{i}")
    assert path.stat().st_size < 9 * 1024 * 1024
    assert list(Outbox(path, "f/vm").frames) == ["waits"]


def test_a_failing_disk_costs_no_result_of_a_living_agent(tmp_path, monkeypatch):
    path = tmp_path / "outbox"
    outbox = Outbox(path, "f/vm")

    def full(fd, data):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        keep(outbox, "a1")
    assert list(outbox.frames) == ["a1"]
    keep(outbox, "a2")
    assert list(Outbox(path, "f/vm").frames) == ["a1", "a2"]


def test_a_folder_that_cannot_be_written_leaves_results_in_memory(tmp_path):
    outbox = Outbox(tmp_path / "missing" / "outbox", "f/vm")
    keep(outbox, "a1")
    outbox.forget("nobody")
    assert list(outbox.frames) == ["a1"]
