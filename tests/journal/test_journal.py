import contextlib
import sqlite3

import pytest

from tzar_actors.core.records import (
    AttemptRecord,
    EvaluationEndedRecord,
    EvaluationRecord,
    IncarnationRecord,
    VmHeldRecord,
    VmRecord,
    VmRemovedRecord,
)
from tzar_actors.journal.journal import JournalError
from tzar_actors.journal.reading import kept_fleet
from tzar_actors.journal.schema import SCHEMA_VERSION


def rows(path, query):
    with contextlib.closing(sqlite3.connect(path)) as db:
        return db.execute(query).fetchall()


@pytest.mark.promise(1, "exactly one outcome")
def test_the_epoch_grows_with_each_opening_and_the_fleets_id_stays(opened):
    seen = []
    for fleet in ("first", "second", "third"):
        journal = opened(fleet=fleet)
        seen.append((journal.epoch, journal.fleet))
        journal.close()
    assert seen == [(1, "first"), (2, "first"), (3, "first")]


@pytest.mark.promise(1, "exactly one outcome")
def test_the_epoch_is_committed_before_anything_else_is(opened, path):
    opened()
    assert rows(path, "SELECT value FROM meta WHERE name = 'epoch'") == [(1,)]


def test_what_is_appended_is_there_for_others_only_after_the_commit(opened, path, evaluation):
    journal = opened()
    journal.append(EvaluationRecord(evaluation("a"), 5.0))
    assert rows(path, "SELECT key FROM evaluations") == []
    journal.commit()
    assert rows(path, "SELECT key FROM evaluations") == [("a",)]


def test_closing_commits_what_was_gathered(opened, path, evaluation):
    journal = opened()
    journal.append(EvaluationRecord(evaluation("a"), 5.0))
    journal.close()
    assert rows(path, "SELECT key FROM evaluations") == [("a",)]


def test_a_turn_may_mix_records_in_any_order(opened, evaluation, ended):
    journal = opened()
    asked = evaluation("a")
    journal.append(EvaluationEndedRecord(ended(asked)))
    journal.append(AttemptRecord("1.1", "a", 0, "vm-1", 1))
    journal.append(EvaluationRecord(asked, 5.0))
    journal.commit()
    assert journal.answer("a") == (asked, ended(asked))


def test_a_key_is_answered_with_its_question_once_it_has_ended(opened, evaluation, ended):
    journal = opened()
    asked = evaluation("a", games=2, generation=7)
    journal.append(EvaluationRecord(asked, 5.0))
    journal.commit()
    assert journal.answer("a") is None
    assert journal.outcome("a") == (True, None)
    assert journal.outcome("b") == (False, None)
    journal.append(EvaluationEndedRecord(ended(asked)))
    journal.commit()
    assert journal.answer("a") == (asked, ended(asked))
    is_known, encoded = journal.outcome("a")
    assert is_known
    assert journal.codec.decode(encoded) == ended(asked)
    assert journal.answer("b") is None


def test_a_generation_is_found_in_the_order_of_acceptance_then_of_keys(opened, evaluation, ended):
    journal = opened()
    for key, at, generation in (("c", 1.0, 7), ("b", 2.0, 7), ("a", 2.0, 7), ("d", 0.0, 8), ("e", 0.0, None)):
        journal.append(EvaluationRecord(evaluation(key, generation=generation), at))
    journal.append(EvaluationEndedRecord(ended(evaluation("b", generation=7))))
    journal.commit()
    found = list(journal.outcomes(7))
    assert [key for key, _ in found] == ["c", "a", "b"]
    assert [key for key, encoded in found if encoded is not None] == ["b"]
    assert [key for key, _ in journal.outcomes(9)] == []


def test_a_genome_is_found_before_and_after_its_commit(opened):
    journal = opened()
    journal.append_genome("a", b"the genome")
    assert journal.genome("a") == b"the genome"
    journal.commit()
    assert journal.genome("a") == b"the genome"
    assert journal.genome("b") is None
    journal.append_genome("a", b"the genome")
    journal.close()
    again = opened()
    assert again.genome("a") == b"the genome"


def test_a_vm_keeps_its_last_incarnation_when_it_is_removed(opened):
    journal = opened()
    journal.append(VmRecord("vm-1", "here", "machine"))
    journal.append(IncarnationRecord("vm-1", "here", 3, "key"))
    journal.commit()
    vm = journal.vms()["vm-1"]
    assert (vm.host, vm.machine_id, vm.incarnation, vm.public_key) == ("here", "machine", 3, "key")
    journal.append(VmRemovedRecord("vm-1"))
    journal.commit()
    vm = journal.vms()["vm-1"]
    assert (vm.machine_id, vm.incarnation, vm.public_key) == (None, 3, None)


def test_a_vm_that_a_person_stopped_is_known_as_such_until_it_is_started_again(opened):
    journal = opened()
    journal.append(VmHeldRecord("vm-1", "here", is_held=True))
    journal.append(IncarnationRecord("vm-1", "here", 3, "key"))
    journal.append(VmRecord("vm-1", "here", "machine"))
    journal.append(VmRemovedRecord("vm-1"))  # of a new disk, say, which was being made when it was stopped
    journal.close()
    assert opened().vms()["vm-1"].is_held
    journal = opened()
    journal.append(VmHeldRecord("vm-1", "here", is_held=False))
    journal.commit()
    vm = journal.vms()["vm-1"]
    assert (vm.is_held, vm.incarnation) == (False, 3)


def test_others_read_the_fleets_id_and_its_vms_while_the_journal_is_open(opened, path):
    assert kept_fleet(path) is None
    journal = opened()
    journal.append(VmRecord("vm-1", "here", "machine"))
    journal.commit()
    kept = kept_fleet(path)
    assert (kept.id, kept.vms) == ("the-fleet", journal.vms())
    assert journal.epoch == 1, "reading it begins no epoch"


def test_a_fleet_whose_journal_was_set_aside_is_not_taken_for_none(path):
    path.with_name("journal.damaged-1.sqlite").write_bytes(b"damaged")
    with pytest.raises(JournalError, match="a damaged one was set aside"):
        kept_fleet(path)


@pytest.mark.parametrize(("durability", "synchronous"), [("power", 2), ("process", 1)])
def test_durability_sets_how_sqlite_syncs(opened, durability, synchronous):
    journal = opened(durability=durability)
    assert journal._db.execute("PRAGMA synchronous").fetchone() == (synchronous,)
    assert journal._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_journal_of_a_newer_version_is_refused_naming_the_file_and_both_versions(opened, path):
    opened().close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(JournalError) as refused:
        opened()
    for word in (str(path), f"version {SCHEMA_VERSION + 1}", f"version {SCHEMA_VERSION}", "move its folder away"):
        assert word in str(refused.value)
    assert rows(path, "SELECT value FROM meta WHERE name = 'epoch'") == [(1,)]


def test_a_refused_file_is_let_go(opened, path):
    opened().close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(JournalError):
        opened()
    path.rename(path.with_name("away"))
    path.with_name("away").unlink()


@pytest.mark.promise(7, "it touches only what it made")
def test_a_database_of_somebody_else_is_refused_and_left_as_it_was(opened, path):
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(JournalError, match=r"journal\.sqlite"):
        opened()
    assert rows(path, "SELECT name FROM sqlite_schema") == [("recipes",)]
    assert rows(path, "PRAGMA journal_mode") != [("wal",)]


def test_a_folder_that_is_not_there_is_told(opened, path):
    with pytest.raises(JournalError, match="nowhere"):
        opened(at=path.parent / "nowhere" / "journal.sqlite")


def test_a_commit_that_fails_raises_and_leaves_nothing_of_itself(opened, path, evaluation):
    journal = opened()
    journal.append(EvaluationRecord(evaluation("a"), 5.0))
    journal.commit()
    journal.append(EvaluationRecord(evaluation("b"), 5.0))
    journal.append(EvaluationRecord(evaluation("a"), 5.0))
    with pytest.raises(JournalError, match=r"journal\.sqlite could not be written"):
        journal.commit()
    journal._db.close()
    assert rows(path, "SELECT key FROM evaluations") == [("a",)]


def test_closing_after_a_failed_commit_writes_nothing_and_lets_go_of_the_file(opened, path, evaluation):
    journal = opened()
    journal.append(EvaluationRecord(evaluation("a"), 5.0))
    journal.append(EvaluationRecord(evaluation("a"), 5.0))
    with pytest.raises(JournalError):
        journal.commit()
    journal.close()
    with pytest.raises(sqlite3.ProgrammingError):
        journal._db.execute("SELECT 1")
    assert rows(path, "SELECT key FROM evaluations") == []


def test_a_full_disk_is_an_error_of_the_journal(opened, evaluation):
    journal = opened()
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages}")
    journal.append_genome("a", b"x" * 1_000_000)
    with pytest.raises(JournalError, match="full"):
        journal.commit()
