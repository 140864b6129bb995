import contextlib
import io
import json
import os
import tempfile
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from tzar_actors.cli import demo as command
from tzar_actors.demo.campaign import Plan
from tzar_actors.demo.policy import RANDOM_GENOME
from tzar_actors.demo.run import Options, configuration, first_game_at, run
from tzar_actors.errors import SupervisorError
from tzar_actors.settings import Settings

PLAN = Plan(generations=2, population=6, games=1, candidates=1, validation_games=1, held_out_games=1)


def fitness(genome, seed):
    return 380.0 if genome == RANDOM_GENOME else 1900.0


class Place:
    """A launch that keeps what it saw, and a fleet that writes a log as the supervisor would."""

    def __init__(self, fleet, error=None):
        self.fleet, self.error = fleet, error
        self.config, self.temporary, self.was_closed = None, None, False

    @contextlib.contextmanager
    def launch(self, config):
        self.path = config
        self.config = tomllib.loads(config.read_text(encoding="utf-8"))
        self.temporary = Path(os.environ["TMPDIR"])
        started = {"t": datetime.now(UTC).isoformat(), "event": "attempt_started", "attempt": "1-1"}
        Path(self.config["log"]["file"]).write_text('{"event":"fleet_started"}\n' + json.dumps(started) + "\n")
        if self.error:
            raise self.error
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("tzar_actors.demo.run.end_process", self.fleet.end)
                yield self.fleet
        finally:
            self.was_closed = True


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """An empty working folder, and an empty folder for temporary files."""
    work, temporary = tmp_path / "work", tmp_path / "temporary"
    work.mkdir()
    temporary.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return work, temporary


@pytest.fixture(autouse=True)
def no_process_is_killed(monkeypatch):
    """The pretended VMs have pids that are none of theirs: a kill is told to the fleet instead, by `Place`."""

    def refuse(pid):
        raise AssertionError(f"process {pid} would have been killed")

    monkeypatch.setattr("tzar_actors.demo.run.end_process", refuse)


def play(place, **options):
    out = io.StringIO()
    chart = Path("tzar-demo/chart.html")
    summary = run(Options(4, PLAN, chart, **options), place.launch, Console(file=out, width=200))
    return summary, out.getvalue()


def test_it_leaves_the_chart_and_the_log_and_says_where(pretended_fleet, folders):
    work, temporary = folders
    _, seen = play(Place(pretended_fleet(fitness)))
    files = {str(path.relative_to(work).as_posix()) for path in work.rglob("*") if path.is_file()}
    assert files == {"tzar-demo/chart.html", "tzar-demo/events.jsonl"}
    assert list(temporary.iterdir()) == []
    assert f"chart: {Path('tzar-demo/chart.html')}" in seen
    assert f"log: {Path('tzar-demo/events.jsonl')}" in seen


def test_the_fleet_gets_its_vms_the_evaluator_and_a_folder_that_goes(pretended_fleet, folders):
    place = Place(pretended_fleet(fitness))
    before = os.environ.get("TMPDIR")
    play(place)
    assert place.config["hosts"][0]["vms"] == 4
    assert place.config["evaluator"]["target"] == "tzar_actors.demo.health_gathering:play"
    assert Path(place.config["fleet"]["state_dir"]).parent == place.path.parent == place.temporary.parent
    assert place.was_closed
    assert os.environ.get("TMPDIR") == before


def test_the_summary_counts_what_was_submitted_and_what_became_of_it(pretended_fleet, folders):
    summary, _ = play(Place(pretended_fleet(fitness)))
    told = json.loads(summary.json())
    assert list(told) == ["submitted", "outcomes", "killed", "champion", "random", "seconds", "first_game_s"]
    assert told["submitted"] == 15
    assert told["outcomes"] == {"scored": 15}
    assert set(told["killed"]) == {"vm", "attempt", "successor", "successor_vm"}
    assert (told["champion"], told["random"]) == (1900.0, 380.0)
    alive = datetime.now(UTC).timestamp() - psutil.Process().create_time()
    assert 0 < told["first_game_s"] < told["seconds"] < alive + 0.01
    assert summary.is_whole


def test_an_evaluation_that_was_not_scored_makes_the_run_not_whole(pretended_fleet, folders):
    summary, _ = play(Place(pretended_fleet(lambda genome, seed: None if genome == RANDOM_GENOME else 1.0)))
    assert summary.outcomes == {"infra_failed": 1, "scored": 14}
    assert summary.random is None
    assert not summary.is_whole


def test_a_fleet_that_does_not_come_up_leaves_its_log_and_nothing_else(pretended_fleet, folders):
    work, temporary = folders
    with pytest.raises(SupervisorError, match="no port"):
        play(Place(pretended_fleet(fitness), SupervisorError("no port is free")))
    assert [path.name for path in work.rglob("*") if path.is_file()] == ["events.jsonl"]
    assert list(temporary.iterdir()) == []


def test_keep_leaves_the_fleets_folder_and_says_where(pretended_fleet, folders):
    _, temporary = folders
    place = Place(pretended_fleet(fitness))
    _, seen = play(place, keep=True)
    assert list(temporary.iterdir()) == [place.path.parent]
    assert str(place.path.parent) in seen


@pytest.mark.parametrize("driver", list(command.Driver))
def test_the_fleet_is_one_of_the_driver_that_was_asked_for(pretended_fleet, folders, monkeypatch, driver):
    place = Place(pretended_fleet(fitness))
    monkeypatch.setattr("tzar_actors.launch", place.launch, raising=False)
    options = ["--driver", driver, "--vms", "3", "--generations", "2", "--population", "6", "--games", "1"]
    assert CliRunner().invoke(cli(), options).exit_code == 0
    (host,) = Settings.model_validate(place.config).hosts
    assert (host.driver, host.vms) == (driver, 3)


def test_paths_of_windows_survive_in_the_configuration():
    text = configuration(2, Path("C:\\Users\\n\\state"), Path('a "b"'))
    told = tomllib.loads(text)
    assert told["fleet"]["state_dir"] == "C:\\Users\\n\\state"
    assert told["log"]["file"] == 'a "b"'


def test_the_first_game_is_the_first_attempt_in_the_log(tmp_path):
    log = tmp_path / "events.jsonl"
    assert first_game_at(log) is None
    log.write_text('{"t":"2026-01-01T00:00:01+00:00","event":"vm_started"}\n')
    assert first_game_at(log) is None
    with log.open("a") as lines:
        lines.write('{"t":"2026-01-01T00:00:02.5+00:00","event":"attempt_started"}\n')
        lines.write('{"t":"2026-01-01T00:00:03+00:00","event":"attempt_started"}\n')
    assert first_game_at(log) == datetime(2026, 1, 1, 0, 0, 2, 500_000, UTC).timestamp()


def cli():
    app = typer.Typer()
    app.command()(command.demo)
    return app


def test_a_missing_package_is_named_with_the_way_to_install_it(monkeypatch):
    find = command.find_spec
    monkeypatch.setattr(command, "find_spec", lambda name: None if name in ("vizdoom", "plotly") else find(name))
    result = CliRunner().invoke(cli(), [])
    assert result.exit_code == 2
    assert "tzar demo needs vizdoom, plotly" in result.stderr
    assert 'pip install "tzar-actors[demo]"' in result.stderr
    assert result.stdout == ""


def test_json_ends_standard_output_with_one_object_and_speaks_to_people_elsewhere(
    pretended_fleet, folders, monkeypatch
):
    place = Place(pretended_fleet(fitness))
    monkeypatch.setattr("tzar_actors.launch", place.launch, raising=False)
    result = CliRunner().invoke(cli(), ["--json", "--generations", "2", "--population", "6", "--games", "1"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["outcomes"] == {"scored": 15}
    assert "generation 2 of 2" in result.stderr


def test_a_fleet_that_fails_is_one_line_and_exit_code_1(pretended_fleet, folders, monkeypatch):
    place = Place(pretended_fleet(fitness), SupervisorError("no port is free"))
    monkeypatch.setattr("tzar_actors.launch", place.launch, raising=False)
    result = CliRunner().invoke(cli(), [])
    assert result.exit_code == 1
    assert "tzar demo: no port is free" in result.stderr
