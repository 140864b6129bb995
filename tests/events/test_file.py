from pathlib import Path

import pytest

from tzar_actors.events.file import RotatingFile


def opened(path, limit_bytes=1000, keep=3):
    return RotatingFile(path, limit_bytes, keep, lambda writes: f"{writes} lost\n")


def old_files(path):
    return sorted(path.parent.glob("events.*Z.jsonl"))


def test_what_was_written_is_in_the_file_at_once(tmp_path):
    path = tmp_path / "new" / "events.jsonl"
    file = opened(path)
    file.write("one\n")
    assert path.read_bytes() == b"one\n"
    file.stop()


def test_a_file_that_is_there_is_gone_on_with(tmp_path):
    path = tmp_path / "events.jsonl"
    for line in ("one\n", "two\n"):
        file = opened(path)
        file.write(line)
        file.stop()
    assert path.read_bytes() == b"one\ntwo\n"


def test_a_torn_line_stays_a_line_of_its_own(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'one\n{"t":"20')
    file = opened(path)
    file.write("two\n")
    file.write("three\n")
    file.stop()
    assert path.read_bytes() == b'one\n{"t":"20\ntwo\nthree\n'


def test_a_write_over_the_limit_goes_to_a_new_file_whole(tmp_path):
    path = tmp_path / "events.jsonl"
    file = opened(path, limit_bytes=10)
    for line in ("aaaaa\n", "bbbbb\n", "a line longer than the limit\n"):
        file.write(line)
    file.stop()
    assert [old.read_text() for old in old_files(path)] == ["aaaaa\n", "bbbbb\n"]
    assert path.read_text() == "a line longer than the limit\n"


def test_only_the_newest_old_files_are_kept_and_no_other_file_is_removed(tmp_path):
    path = tmp_path / "events.jsonl"
    other = tmp_path / "events.notes.jsonl"
    other.write_text("mine")
    file = opened(path, limit_bytes=3, keep=2)
    for number in range(6):
        file.write(f"{number}.\n")
    file.stop()
    assert [old.read_text() for old in old_files(path)] == ["3.\n", "4.\n"]
    assert other.read_text() == "mine"


def test_a_file_that_cannot_be_renamed_is_written_on(tmp_path, monkeypatch):
    # as on Windows while somebody reads it
    def refuse(self, target):
        raise PermissionError(13, "it is used by another process", str(self))

    path = tmp_path / "events.jsonl"
    file = opened(path, limit_bytes=3)
    monkeypatch.setattr(Path, "rename", refuse)
    for number in range(3):
        file.write(f"{number}.\n")
    monkeypatch.undo()
    file.stop()
    assert path.read_text() == "0.\n1.\n2.\n"


class FullDisk:
    """A raw file that takes `room` bytes and then refuses, as a full disk does."""

    def __init__(self, raw, room):
        self.raw, self.room, self.closed = raw, room, False

    def write(self, data):
        if not self.room:
            raise OSError(28, "No space left on device")
        written = self.raw.write(data[: self.room])
        self.room -= written
        return written

    def close(self):
        self.closed = True
        self.raw.close()


def test_a_full_disk_is_told_once_and_what_was_lost_is_told_when_there_is_room_again(tmp_path):
    path = tmp_path / "events.jsonl"
    file = opened(path)
    disk = FullDisk(file._file, room=6)
    file._file = disk
    file.write("one\n")
    with pytest.raises(OSError, match="only 2 of 4 bytes"):
        file.write("two\n")
    file.write("three\n")
    disk.room = 100
    file.write("four\n")
    file.write("five\n")
    file.stop()
    assert path.read_text() == "one\ntw\n2 lost\nfour\nfive\n"
