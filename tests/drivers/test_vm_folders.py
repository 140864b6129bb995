"""What crashes and strangers leave in the folder of the VMs."""

import contextlib
import json
import os
import sys

import pytest

from tzar_actors.drivers import file_trees, vm_folders
from tzar_actors.drivers.file_trees import copy_tree, remove_tree
from tzar_actors.drivers.processes import Process
from tzar_actors.drivers.vm_folders import VmFolders, VmRecord
from tzar_actors.errors import DriverError

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX links and pipes")


class CrashError(BaseException):
    """Ends the supervisor where it is raised: nothing catches it."""


@pytest.fixture
def folders(tmp_path):
    return VmFolders("local-1", "ours", tmp_path / "vms")


@pytest.fixture
def template(tmp_path):
    template = tmp_path / "template"
    (template / "game").mkdir(parents=True)
    (template / "game" / "a.txt").write_text("a")
    (template / "b.txt").write_text("b")
    return template


def files(folder):
    return {str(path.relative_to(folder).as_posix()): path.read_text() for path in folder.rglob("*") if path.is_file()}


@contextlib.contextmanager
def crash_at_call(module, name, number=1):
    """The `number`th call of a function is the last thing that happens within."""
    calls = 0
    original = getattr(module, name)

    def crash(*arguments, **named):
        nonlocal calls
        calls += 1
        if calls == number:
            raise CrashError
        return original(*arguments, **named)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, name, crash)
        with pytest.raises(CrashError):
            yield


def test_a_disk_is_a_copy_of_the_template_without_its_identity(folders, template):
    (template / "identity.json").write_text("somebody's")
    folders.make("vm-1", template)
    assert files(folders.disk("vm-1")) == {"game/a.txt": "a", "b.txt": "b"}


def test_a_vm_that_was_half_made_is_no_vm_and_is_made_anew(folders, template):
    with crash_at_call(vm_folders, "copy_tree"):
        folders.make("vm-1", template)
    assert folders.read_all() == []
    assert folders.find("vm-1") is None
    folders.make("vm-1", template)
    assert files(folders.disk("vm-1")) == {"game/a.txt": "a", "b.txt": "b"}
    assert [path.name for path in folders.path("vm-1").parent.iterdir()] == ["vm-1"]


@pytest.mark.parametrize("left", [(), ("vm.json.new",)])
def test_a_vm_whose_making_ended_before_its_mark_is_made_anew(folders, left):
    making = folders.path("vm-1").with_name(".vm-1.making")
    making.mkdir()
    for name in left:
        (making / name).write_text("")
    assert folders.make("vm-1", None).vm == "vm-1"


@pytest.mark.promise(7, "it touches only what it made")
def test_a_strangers_folder_of_the_making_kind_is_not_touched(folders):
    making = folders.path("vm-1").with_name(".vm-1.making")
    making.mkdir()
    (making / "theirs").write_text("theirs")
    with pytest.raises(DriverError, match="Move it away"):
        folders.make("vm-1", None)
    assert files(making) == {"theirs": "theirs"}


def test_a_removal_that_was_cut_short_is_finished_by_the_next_one(folders, template):
    folders.make("vm-1", template)
    with crash_at_call(vm_folders, "remove_tree"):
        folders.remove("vm-1")
    assert folders.read_all() == []
    folders.remove("vm-1")
    assert list(folders.path("vm-1").parent.iterdir()) == []


def test_a_checkpoint_that_was_half_made_is_none_and_can_be_made_anew(folders, template):
    folders.make("vm-1", template)
    with crash_at_call(vm_folders.os, "utime"):
        folders.add_checkpoint("vm-1", "clean")
    assert folders.checkpoints("vm-1") == ()
    folders.add_checkpoint("vm-1", "clean")
    assert folders.checkpoints("vm-1") == ("clean",)


@pytest.mark.parametrize(("renames", "then"), [(1, "changed"), (2, "first")])
def test_a_change_of_disks_that_was_cut_short_leaves_one_whole_disk(folders, renames, then):
    folders.make("vm-1", None)
    disk = folders.disk("vm-1")
    (disk / "level.txt").write_text("first")
    folders.add_checkpoint("vm-1", "clean")
    (disk / "level.txt").write_text("changed")
    with crash_at_call(vm_folders.Path, "rename", renames):
        folders.put_back("vm-1", "clean")
    assert files(folders.disk("vm-1")) == {"level.txt": then}
    folders.put_back("vm-1", "clean")
    assert files(folders.disk("vm-1")) == {"level.txt": "first"}


def test_what_was_started_is_found_by_the_next_supervisor(folders, tmp_path):
    made = folders.make("vm-1", None)
    started = VmRecord("ours", "vm-1", made.machine_id, incarnation=4, agent=Process(123, "born"))
    folders.write(started)
    assert VmFolders("local-1", "ours", tmp_path / "vms").read_all() == [(started, ())]


@pytest.mark.promise(7, "it touches only what it made")
@pytest.mark.parametrize(
    "mark",
    [
        "",
        "[]",
        "{}",
        '{"tzar_vm": 1}',
        '{"tzar_vm": 2, "fleet": "ours", "vm": "vm-1", "machine_id": "m", "incarnation": 0, "agent": null}',
        '{"tzar_vm": 1, "fleet": "theirs", "vm": "vm-1", "machine_id": "m", "incarnation": 0, "agent": null}',
        '{"tzar_vm": 1, "fleet": "ours", "vm": "vm-2", "machine_id": "m", "incarnation": 0, "agent": null}',
        '{"tzar_vm": 1, "fleet": "ours", "vm": "vm-1", "machine_id": "m", "incarnation": 0, "agent": 1}',
    ],
)
def test_a_folder_whose_mark_is_not_ours_is_a_strangers(folders, mark):
    folder = folders.path("vm-1")
    folder.mkdir()
    (folder / "vm.json").write_text(mark)
    assert folders.read_all() == []
    for touch in (lambda: folders.make("vm-1", None), lambda: folders.remove("vm-1")):
        with pytest.raises(DriverError, match="not made by the fleet ours"):
            touch()
    assert (folder / "vm.json").read_text() == mark


@pytest.mark.promise(7, "it touches only what it made")
def test_a_copy_of_a_vms_folder_is_no_second_vm(folders):
    folders.make("vm-1", None)
    copy_tree(folders.path("vm-1"), folders.path("vm-1").with_name("vm-1-copy"), leave_out="")
    assert [record.vm for record, _ in folders.read_all()] == ["vm-1"]


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\\b", "a b", "trailing.", "a\n", "c:"])
def test_a_name_that_leaves_the_folder_or_hides_is_refused(folders, name):
    with pytest.raises(DriverError, match="cannot be a name"):
        folders.make(name, None)
    folders.make("vm-1", None)
    with pytest.raises(DriverError, match="cannot be a name"):
        folders.add_checkpoint("vm-1", name)


def test_a_mark_is_plain_json_that_a_person_can_read(folders):
    record = folders.make("vm-1", None)
    document = json.loads((folders.path("vm-1") / "vm.json").read_text())
    assert document == {
        "tzar_vm": 1,
        "fleet": "ours",
        "vm": "vm-1",
        "machine_id": record.machine_id,
        "incarnation": 0,
        "agent": None,
    }


@posix
def test_a_copy_keeps_links_and_leaves_pipes_out(template, tmp_path):
    (template / "link").symlink_to("b.txt")
    (template / "dangling").symlink_to("nowhere")
    os.mkfifo(template / "pipe")
    copy_tree(template, tmp_path / "copy", leave_out="")
    copied = {path.name for path in (tmp_path / "copy").iterdir()}
    assert copied == {"game", "b.txt", "link", "dangling"}
    assert (tmp_path / "copy" / "link").is_symlink()


def test_a_file_that_goes_while_it_is_copied_is_left_out(template, tmp_path, monkeypatch):
    original = file_trees.shutil.copy2

    def lose(source, target, **named):
        if source.endswith("a.txt"):
            (template / "game" / "a.txt").unlink()
        return original(source, target, **named)

    monkeypatch.setattr(file_trees.shutil, "copy2", lose)
    copy_tree(template, tmp_path / "copy", leave_out="")
    assert files(tmp_path / "copy") == {"b.txt": "b"}


def test_a_missing_template_is_an_error(folders, tmp_path):
    with pytest.raises(FileNotFoundError):
        folders.make("vm-1", tmp_path / "nowhere")


def test_read_only_files_and_folders_are_removed(template):
    (template / "game" / "a.txt").chmod(0o400)
    (template / "game").chmod(0o500)
    remove_tree(template, last="b.txt")
    assert not template.exists()
