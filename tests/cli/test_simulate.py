"""`tzar simulate`, in this process."""

import json

import pytest
from typer.testing import CliRunner

from tzar_actors.cli.main import app
from tzar_actors.core.dispatch_commands import Acknowledge


def run(*arguments):
    return CliRunner().invoke(app, ["simulate", *arguments])


def test_it_ends_with_one_json_object():
    done = run("--vms", "3", "--days", "0.01", "--seed", "7", "--faults", "heavy", "--json")
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout.splitlines()[-1])
    assert list(summary) == ["seed", "vms", "days", "evaluations", "faults", "violations", "wall_s"]
    assert (summary["seed"], summary["vms"], summary["days"], summary["violations"]) == (7, 3, 0.01, 0)
    assert summary["evaluations"] > 10
    assert summary["wall_s"] > 0.0


def test_it_shows_a_table_for_people():
    done = run("--vms", "2", "--days", "0.005", "--faults", "none", "--hosts", "2")
    assert done.exit_code == 0, done.output
    assert "Every law held." in done.output
    assert "scored" in done.output


def test_a_broken_law_is_told_with_the_seed_and_the_story(monkeypatch):
    monkeypatch.setattr(Acknowledge, "HELD", False)
    done = run("--vms", "2", "--days", "0.01", "--seed", "11", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout.splitlines()[-1])["violations"] == 1
    assert "with seed 11" in done.stderr
    assert "AttemptEnded" in done.stderr


@pytest.mark.parametrize("faults", ["some", "Heavy"])
def test_unknown_faults_are_refused_with_those_that_there_are(faults):
    done = run("--faults", faults)
    assert done.exit_code == 2
    assert "none, light, heavy" in done.stderr.replace("\n", " ")
