import json
import os
import stat

import pytest

from tzar_actors.errors import SupervisorError
from tzar_actors.gateway.keys import KeyPair, KeyRing, TrainerAccess, load_or_make_keys, write_private

ACCESS = TrainerAccess("tcp://127.0.0.1:1", "tcp://127.0.0.1:2", "s" * 40, "p" * 40, "x" * 40, 7)
on_posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no mode: the file inherits its folder's list")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@on_posix
def test_the_keys_and_the_access_file_can_be_read_by_their_owner_alone(tmp_path):
    before = os.umask(0)
    try:
        load_or_make_keys(tmp_path)
        ACCESS.save(tmp_path / "trainer.access")
    finally:
        os.umask(before)
    assert mode(tmp_path / "server.keys") == mode(tmp_path / "trainer.access") == 0o600


@on_posix
def test_a_file_that_all_could_read_is_replaced_by_a_private_one(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert (mode(path), path.read_text()) == (0o600, "new")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@on_posix
def test_what_an_earlier_process_left_open_to_all_does_not_make_the_file_so(tmp_path):
    left = tmp_path / f".file.{os.getpid()}"
    left.write_text("left")
    left.chmod(0o644)
    write_private(tmp_path / "file", "new")
    assert mode(tmp_path / "file") == 0o600


def test_the_keys_stay_from_the_first_start_on(tmp_path):
    first = load_or_make_keys(tmp_path)
    assert load_or_make_keys(tmp_path) == first
    assert first[0] != first[1]


def test_no_repr_gives_a_secret_away():
    pair = KeyPair.make()
    assert pair.secret not in repr(pair)
    assert pair.secret not in f"{[pair]} {pair}"
    assert ACCESS.secret_key not in repr(ACCESS)
    assert ACCESS.secret_key not in f"{ACCESS}"


@pytest.mark.parametrize("text", ["", "{}", '{"server": 1}', "[]", '{"server": {"public": "a"}, "trainer": {}}'])
def test_keys_that_cannot_be_read_are_told_with_the_file_and_what_to_do(tmp_path, text):
    (tmp_path / "server.keys").write_text(text)
    with pytest.raises(SupervisorError, match=r"server\.keys cannot be read.*Remove the file"):
        load_or_make_keys(tmp_path)


def test_an_access_file_comes_back_as_it_was_saved(tmp_path):
    ACCESS.save(tmp_path / "trainer.access")
    assert TrainerAccess.load(tmp_path / "trainer.access") == ACCESS


@pytest.mark.parametrize("text", ["", "{}", "[]", "3", json.dumps({"endpoint": "x"})])
def test_an_access_file_that_cannot_be_read_is_told_with_the_file(tmp_path, text):
    (tmp_path / "trainer.access").write_text(text)
    with pytest.raises(SupervisorError, match=r"trainer\.access cannot be read"):
        TrainerAccess.load(tmp_path / "trainer.access")


def test_no_access_file_says_how_to_start_a_supervisor(tmp_path):
    with pytest.raises(SupervisorError, match="tzar supervise"):
        TrainerAccess.load(tmp_path / "trainer.access")


def test_a_ring_opens_for_the_newest_key_of_each_vm_and_for_the_trainers():
    ring = KeyRing("trainer")
    ring.give("vm-1", 1, "old")
    ring.give("vm-1", 2, "new")
    ring.give("vm-2", 1, "other")
    assert [ring.callback("*", key) for key in (b"old", b"new", b"other", b"trainer", b"stranger")] == [
        False,
        True,
        True,
        True,
        False,
    ]
    assert (ring.owner("new"), ring.owner("old")) == (("vm-1", 2), None)
    ring.take("vm-2")
    ring.take("vm-2")
    assert not ring.callback("*", b"other")
    assert ring.is_trainer("trainer")
    assert not ring.is_trainer("new")
