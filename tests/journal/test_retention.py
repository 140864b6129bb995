import contextlib
import hashlib
import sqlite3

import pytest

from tzar_actors.core.evaluation import Evaluation, EvaluationEnded, GameEnded
from tzar_actors.core.records import AttemptRecord, EvaluationEndedRecord, EvaluationRecord, GameEndedRecord
from tzar_actors.journal import checkpointer, retention
from tzar_actors.journal.retention import KEPT_AT_LEAST_S, Retention

DAY = 86400.0
NOW = 1000 * DAY
TABLES = ("evaluations", "attempts", "games", "genomes", "spooled")


@pytest.fixture
def journal(opened):
    return opened()


@pytest.fixture
def keeper(journal):
    """A retention whose clock stands still unless a test gives another."""

    def make(keep_s=30 * DAY, limit_bytes=2**40, clock=lambda: 0.0):
        return Retention(journal, keep_s, limit_bytes, clock)

    return make


def keep(journal, key, age_s, took_s=10.0, size=10, is_open=False):
    """An evaluation that was accepted `age_s` seconds ago, with all that belongs to one."""
    digest = hashlib.sha256(key.encode()).digest()
    asked = Evaluation(key, 7, digest, size, b"\x80", (1, 2), None)
    game = GameEnded("scored", 1.0, 0.5, b"\x80", "", ())
    journal.append(EvaluationRecord(asked, NOW - age_s))
    journal.append(AttemptRecord(f"1.{age_s}", key, 0, "vm-1", 1))
    journal.append(GameEndedRecord(key, 0, game))
    if size <= 64 * 1024:
        journal.append_genome(key, b"g" * size)
    journal.commit()
    if not is_open:
        ended = EvaluationEnded(key, 7, digest, "scored", 1.0, "", took_s, (game, game))
        journal.append(EvaluationEndedRecord(ended))
    journal.commit()
    return digest


def keys(path, table="evaluations"):
    with contextlib.closing(sqlite3.connect(path)) as db:
        return {row[0] for row in db.execute(f"SELECT key FROM {table}")}


def forget_all(keeper):
    rounds = 0
    while keeper.forget_some(NOW):
        rounds += 1
        assert rounds < 10_000
    return rounds


def test_what_ended_long_ago_goes_with_all_that_belongs_to_it(journal, keeper, path):
    keep(journal, "old", 31 * DAY)
    keep(journal, "old-large", 31 * DAY, size=100_000)
    keep(journal, "young", 29 * DAY)
    keep(journal, "young-large", 29 * DAY, size=100_000)
    forgetting = keeper()
    forget_all(forgetting)
    assert forgetting.take_count() == 2
    assert forgetting.take_count() == 0
    left = {table: keys(path, table) for table in TABLES}
    assert left == {
        "evaluations": {"young", "young-large"},
        "attempts": {"young", "young-large"},
        "games": {"young", "young-large"},
        "genomes": {"young"},
        "spooled": {"young-large"},
    }


@pytest.mark.promise(6, "nothing accepted is lost")
def test_the_time_counts_from_the_end_and_what_is_open_is_never_forgotten(journal, keeper, path):
    keep(journal, "slow", 100 * DAY, took_s=71 * DAY)
    keep(journal, "open", 100 * DAY, is_open=True)
    keep(journal, "over", 100 * DAY, took_s=69 * DAY)
    forget_all(keeper())
    assert keys(path) == {"slow", "open"}


def test_a_journal_over_its_bound_gives_up_the_oldest_before_their_time_but_nothing_of_the_last_hour(
    journal, keeper, path
):
    for i in range(100):
        keep(journal, f"{i:03d}", age_s=2 * DAY - i, size=60_000)
    keep(journal, "just-now", KEPT_AT_LEAST_S - 60, size=60_000)
    forgetting = keeper(limit_bytes=3_000_000)
    assert forgetting.held_bytes() > 6_000_000
    forget_all(forgetting)
    left = keys(path)
    assert "just-now" in left
    assert "000" not in left
    assert forgetting.held_bytes() <= 3_000_000
    keeper(limit_bytes=1)
    forget_all(keeper(limit_bytes=1))
    assert keys(path) == {"just-now"}


def test_only_as_many_go_before_their_time_as_the_bound_needs(journal, keeper, path):
    for i in range(100):
        keep(journal, f"{i:03d}", age_s=2 * DAY - i, size=60_000)
    forget_all(keeper(limit_bytes=5_000_000))
    left = keys(path)
    assert 40 < len(left) < 100
    assert max(set(map("{:03d}".format, range(100))) - left) < min(left), "the oldest go first"


@pytest.mark.promise(8, "bounded")
def test_room_that_was_freed_is_used_again_so_that_the_file_does_not_grow(journal, keeper, path):
    forgetting = keeper(keep_s=10.0)
    sizes = []
    for generation in range(12):
        for i in range(50):
            keep(journal, f"{generation}-{i}", age_s=1000.0, size=20_000)
        forget_all(forgetting)
        journal.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        sizes.append(path.stat().st_size)
    assert sizes[-1] <= sizes[1] * 1.1


def test_a_piece_that_takes_too_long_is_followed_by_smaller_ones(journal, keeper):
    for i in range(200):
        keep(journal, f"{i:03d}", age_s=31 * DAY)
    times = iter(range(10_000))
    slow = keeper(clock=lambda: float(next(times)))  # each look at it is a second later
    counts = []
    while slow.forget_some(NOW):
        counts.append(slow.take_count())
    assert counts[:4] == [16, 8, 4, 2]
    assert set(counts[4:]) == {1}
    fast = keeper()
    for i in range(200):
        keep(journal, f"again-{i:03d}", age_s=31 * DAY)
    assert fast.forget_some(NOW)
    assert fast.take_count() == 16
    assert fast.forget_some(NOW)
    assert fast.take_count() == 32


def test_many_of_one_moment_that_are_not_due_are_passed_over_once_each_round(journal, keeper, path):
    for i in range(100):
        keep(journal, f"slow-{i:03d}", age_s=100 * DAY, took_s=90 * DAY)
    keep(journal, "over", age_s=99 * DAY)
    forgetting = keeper()
    assert forget_all(forgetting) < 20
    assert "over" not in keys(path)
    assert len(keys(path)) == 100


def test_an_end_that_is_only_gathered_is_no_end_yet(journal, keeper, path):
    digest = keep(journal, "a", 100 * DAY, is_open=True)
    journal.append(EvaluationEndedRecord(EvaluationEnded("a", 7, digest, "scored", 1.0, "", 1.0, ())))
    forget_all(keeper())
    journal.commit()
    assert keys(path) == {"a"}
    forget_all(keeper())
    assert keys(path) == set()


def test_forgetting_leaves_durability_as_it_was(opened, path):
    journal = opened(durability="power")
    keep(journal, "old", 31 * DAY)
    forget_all(Retention(journal, DAY, 2**40, lambda: 0.0))
    assert journal.connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert not journal.connection.in_transaction


def test_on_a_full_disk_nothing_is_forgotten_and_nothing_fails(journal, keeper, path, monkeypatch):
    keep(journal, "old", 31 * DAY)

    class Full:
        def __init__(self, db):
            self._db = db

        in_transaction = property(lambda self: self._db.in_transaction)

        def execute(self, *statement):
            return self._db.execute(*statement)

        def executemany(self, statement, rows):
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error

    monkeypatch.setattr(type(journal), "connection", property(lambda self: Full(self._db)))
    forgetting = keeper()
    assert forgetting.forget_some(NOW) is False
    monkeypatch.undo()
    assert keys(path) == {"old"}
    keep(journal, "next", 1.0)
    assert retention.Retention(journal, DAY, 2**40, lambda: 0.0).forget_some(NOW) is False
    assert keys(path) == {"next"}


def test_the_spools_genomes_are_known_by_who_needs_them(journal):
    digest = keep(journal, "over", 10.0, size=100_000)
    open_digest = keep(journal, "open", 10.0, size=100_000, is_open=True)
    assert (journal.spool_use(digest), journal.spool_use(open_digest), journal.spool_use(b"x" * 32)) == (
        "ended",
        "open",
        None,
    )
    again = Evaluation("again", 7, digest, 100_000, b"\x80", (1,), None)
    journal.append(EvaluationRecord(again, NOW))
    journal.commit()
    assert journal.spool_use(digest) == "open"


def test_forgetting_alone_lets_the_log_not_grow_without_end(journal, keeper, path, monkeypatch):
    monkeypatch.setattr(checkpointer, "_BEGIN_BYTES", 64 * 1024)
    monkeypatch.setattr(checkpointer, "_LOOK_EACH", 1)
    for i in range(400):
        keep(journal, f"{i:03d}", age_s=31 * DAY, size=20_000)
    journal.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    forgetting = keeper(clock=iter(range(100_000)).__next__)  # in the smallest pieces
    largest = 0
    while forgetting.forget_some(NOW):
        largest = max(largest, journal._checkpointer._wal_bytes())
    assert keys(path) == set()
    assert largest < 10 * 1024 * 1024  # without checkpoints it comes to 22 MB
