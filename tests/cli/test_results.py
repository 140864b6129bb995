import json
import sqlite3
import time
from contextlib import closing

import psutil
import pytest

PATIENCE_S = 60.0


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def wait_until_drained(state):
    """The supervisor that was left plays what it accepted, and ends."""
    pid = json.loads((state / "trainer.access").read_text())["pid"]
    deadline = time.monotonic() + PATIENCE_S
    while psutil.pid_exists(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def left(tzar, folder):
    """The keys of two genomes that were submitted by a command that left."""
    text = (folder / "fleet.toml").read_text().replace("[fleet]", "[fleet]\ndrain_grace_s = 0.5")
    (folder / "fleet.toml").write_text(text)
    argv = ("evaluate", "-c", "fleet.toml", "one.genome", "two.genome", "--detach", "--generation", "0", "--json")
    done = tzar(*argv)
    assert done.returncode == 0, done.stderr
    rows = lines(done)
    assert [(row["file"], row["generation"]) for row in rows] == [("one.genome", 0), ("two.genome", 0)]
    yield [row["key"] for row in rows]
    wait_until_drained(folder / "state")


def test_what_was_left_is_played_and_found_by_key_and_by_generation_after_the_supervisor_has_ended(tzar, left, folder):
    wait_until_drained(folder / "state")
    by_key = tzar("results", "-c", "fleet.toml", left[1], left[0], "--json")
    assert by_key.returncode == 0, by_key.stderr
    assert [(row["key"], row["index"], row["fitness"]) for row in lines(by_key)] == [(left[1], 0, 2), (left[0], 1, 1)]
    by_generation = tzar("results", "-c", "fleet.toml", "--generation", "0", "--json")
    assert by_generation.returncode == 0
    assert {row["key"]: row["fitness"] for row in lines(by_generation)} == {left[0]: 1.0, left[1]: 2.0}
    table = tzar("results", "-c", "fleet.toml", "--generation", "0")
    assert table.returncode == 0
    assert all(key in table.stdout for key in left)
    with closing(sqlite3.connect(folder / "state" / "journal.sqlite")) as db:
        assert db.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone() == (1,), "reading begins no epoch"


def test_results_are_asked_of_the_supervisor_while_it_runs(tzar, left):
    done = tzar("results", "-c", "fleet.toml", *left, "--json")
    told = {row["key"] for row in lines(done)} | {line.split(":")[0] for line in done.stderr.splitlines()}
    assert told == set(left)
    assert done.returncode == (0 if len(lines(done)) == 2 else 1)


def test_what_is_not_known_is_told_and_makes_the_exit_code_1(tzar, left):
    done = tzar("results", "-c", "fleet.toml", "no-such-key", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no-such-key: is not known" in done.stderr
    done = tzar("results", "-c", "fleet.toml", "--generation", "77")
    assert done.returncode == 1
    assert "generation 77: nothing is known of it" in done.stderr


@pytest.mark.parametrize("argv", [(), ("key", "--generation", "1")])
def test_results_want_keys_or_a_generation_and_not_both(tzar, argv):
    done = tzar("results", "-c", "fleet.toml", *argv)
    assert done.returncode == 2
    assert "keys or by --generation" in done.stderr


def test_results_of_a_folder_where_nothing_ever_ran_say_so(tzar):
    done = tzar("results", "-c", "fleet.toml", "--generation", "1")
    assert done.returncode == 1
    assert "no supervisor has run there" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_table_of_what_was_left_shows_the_whole_keys_and_a_rejected_genome_makes_the_exit_code_1(tzar, folder):
    (folder / "big.genome").write_bytes(b"\x03" * (1024 * 1024 + 1))
    text = (folder / "fleet.toml").read_text().replace("[fleet]", "[fleet]\ndrain_grace_s = 0.5")
    (folder / "fleet.toml").write_text(text)
    done = tzar("evaluate", "-c", "fleet.toml", "one.genome", "big.genome", "--detach")
    assert done.returncode == 1
    assert "big.genome: the genome has" in done.stderr
    wait_until_drained(folder / "state")
    with closing(sqlite3.connect(folder / "state" / "journal.sqlite")) as db:
        ((key,),) = db.execute("SELECT key FROM evaluations").fetchall()
    assert key in done.stdout


def test_to_leave_a_fleet_that_stops_at_its_trainers_exit_is_refused(tzar, folder):
    text = (folder / "fleet.toml").read_text().replace("[fleet]", '[fleet]\non_trainer_exit = "stop"')
    (folder / "fleet.toml").write_text(text)
    done = tzar("evaluate", "-c", "fleet.toml", "one.genome", "--detach")
    assert done.returncode == 2
    assert "on_trainer_exit" in done.stderr
    assert not (folder / "state").exists()
