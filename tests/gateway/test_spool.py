import hashlib
import os
import time

import pytest

from tzar_actors.client.genomes import GenomeStore
from tzar_actors.client.protocol import TrainerWelcome
from tzar_actors.errors import RejectedError
from tzar_actors.gateway.spool import Spool

LARGE = b"g" * 100_000


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


@pytest.fixture
def put(spool, tmp_path):
    """Puts a genome as a trainer does that shares the file system; returns its digest."""
    store = GenomeStore(tmp_path / "trainer.access")
    welcome = TrainerWelcome(1, 1, "tzar", "{}", "tcp://127.0.0.1:1", str(spool.folder), spool.token, 1_000_000)
    return lambda genome=LARGE: store.put(genome, welcome, "a-key").digest


def lay(spool, blob, age_s):
    digest = hashlib.sha256(blob).digest()
    spool.path(digest).write_bytes(blob)
    grow_old(spool.path(digest), age_s)
    return digest


def grow_old(path, age_s):
    then = time.time() - age_s
    os.utime(path, (then, then))


def an_hour_ago():
    return time.time() - 3600.0


def test_a_survey_tells_all_blobs_oldest_first_and_what_they_hold(spool):
    old, young = lay(spool, b"old", 500), lay(spool, b"young", 100)
    survey = spool.survey(time.time())
    assert [(size, digest) for _, size, digest in survey.blobs] == [(3, old), (5, young)]
    assert survey.held_bytes == 8


def test_a_survey_removes_what_was_discarded_and_what_was_left_unfinished_long_ago(spool):
    discarded = lay(spool, b"discarded", 7200)
    assert spool.discard(discarded, an_hour_ago())
    for name, age_s in ((f".{'ab' * 32}.1-2", 7200), (f".{'cd' * 32}.3-4", 10)):
        (spool.folder / name).write_bytes(b"half")
        grow_old(spool.folder / name, age_s)
    survey = spool.survey(time.time())
    assert survey.blobs == ()
    assert survey.held_bytes == 4
    assert {path.name for path in spool.folder.iterdir()} == {"token", f".{'cd' * 32}.3-4"}


def test_a_blob_that_was_discarded_is_not_held_and_one_that_just_came_cannot_be(spool):
    old, young = lay(spool, b"old", 7200), lay(spool, b"young", 3000)
    assert (spool.discard(old, an_hour_ago()), spool.discard(young, an_hour_ago())) == (True, False)
    assert (spool.holds(old, 3), spool.holds(young, 5)) == (False, True)
    assert not spool.discard(b"x" * 32, an_hour_ago())


def test_to_be_asked_about_keeps_a_blob(spool):
    digest = lay(spool, b"wanted", 7200)
    assert spool.holds(digest, 6)
    assert not spool.discard(digest, an_hour_ago())


def test_a_trainer_that_puts_what_is_there_keeps_it_and_writes_nothing(spool, put):
    digest = put()
    grow_old(spool.path(digest), 7200)
    inode = spool.path(digest).stat().st_ino
    assert put() == digest
    assert spool.path(digest).stat().st_ino == inode
    assert not spool.discard(digest, an_hour_ago())


def test_a_trainer_that_marks_a_blob_while_it_is_taken_out_gets_it_back(spool, put, monkeypatch):
    digest = put()
    grow_old(spool.path(digest), 7200)
    path = type(spool.folder)
    replace = path.replace

    def mark_first(self, target):
        os.utime(self)  # the trainer was here between the look and the deed
        return replace(self, target)

    monkeypatch.setattr(path, "replace", mark_first)
    assert not spool.discard(digest, an_hour_ago())
    assert spool.path(digest).read_bytes() == LARGE


def test_a_trainer_that_comes_after_it_was_taken_out_writes_it_again(spool, put):
    digest = put()
    grow_old(spool.path(digest), 7200)
    assert spool.discard(digest, an_hour_ago())
    assert put() == digest
    assert spool.holds(digest, len(LARGE))


def test_while_there_is_no_room_a_trainer_writes_nothing_and_is_told_why(spool, put):
    there = put(b"t" * 100_000)
    spool.take_no_more("disk_full", "the disk is full; make room")
    with pytest.raises(RejectedError) as refused:
        put()
    assert (refused.value.code, refused.value.reason) == ("disk_full", "the disk is full; make room")
    assert put(b"t" * 100_000) == there
    spool.take_more()
    assert spool.holds(put(), len(LARGE))


def test_a_new_supervisor_takes_blobs_until_it_has_looked_itself(spool):
    spool.take_no_more("disk_full", "the disk is full")
    again = Spool(spool.folder)
    assert again.refusal() is None
    assert not (spool.folder / "full").exists()
