import subprocess
import sys
from pathlib import Path

import pytest

from tzar_actors.errors import ConfigError
from tzar_actors.settings import PythonEvaluator, Settings, difference, load, require_evaluator, with_evaluator


def written(folder: Path, text: str) -> Path:
    path = folder / "fleet.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_gives_what_it_says_and_the_defaults_for_the_rest(tmp_path):
    settings = load(written(tmp_path, '[fleet]\nname = "arena"\n[[hosts]]\nvms = 7\n'))
    assert (settings.fleet.name, settings.hosts[0].vms, settings.hosts[0].name) == ("arena", 7, "local")
    assert settings.heartbeat == Settings().heartbeat


def test_without_hosts_there_is_one_local_host():
    assert [(host.name, host.driver, host.vms) for host in Settings().hosts] == [("local", "local", 4)]


def test_relative_paths_begin_at_the_folder_of_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)
    text = """
        [evaluator]
        kind = "command"
        argv = ["play", "{genome}", "{result}"]
        cwd = "game"
        score_key = "score"
        [[hosts]]
        [hosts.local]
        template = "template"
        python = "python3.12"
        [log]
        file = "logs/events.jsonl"
    """
    settings = load(written(tmp_path, text).relative_to(tmp_path.parent))
    assert settings.state_dir == tmp_path / ".tzar" / "tzar"
    assert settings.log_file == tmp_path / "logs" / "events.jsonl"
    assert settings.hosts[0].local.template == tmp_path / "template"
    assert settings.hosts[0].local.python == "python3.12", "a bare name is looked for in PATH"
    assert require_evaluator(settings).spec()["cwd"] == str(tmp_path / "game")


@pytest.mark.parametrize(("driver", "is_as_it_stands"), [("hyperv", True), ("hyperv-fake", False), ("local", False)])
def test_an_evaluator_s_folders_are_the_guests_where_those_have_a_file_system_of_their_own(
    tmp_path, driver, is_as_it_stands
):
    path = ["C:\\games", "lib", "."]
    given = {"evaluator": {"kind": "python", "target": "game:play", "path": path}, "hosts": [{"driver": driver}]}
    spec = require_evaluator(Settings.from_mapping(given, folder=tmp_path)).spec()
    assert (spec["path"] == path) is is_as_it_stands
    worker = {"kind": "worker", "argv": ["game.exe"], "cwd": "D:\\game"}
    spec = require_evaluator(Settings.from_mapping({**given, "evaluator": worker}, folder=tmp_path)).spec()
    assert (spec["cwd"] == "D:\\game") is (is_as_it_stands or sys.platform == "win32")


def test_a_program_s_evaluator_is_looked_for_in_the_agent_s_folder_of_guests_too(tmp_path):
    guests = Settings.from_mapping({"hosts": [{"driver": "hyperv"}]})
    assert require_evaluator(with_evaluator(guests, "game:play", [tmp_path])).spec()["path"] == [str(tmp_path), "."]
    assert require_evaluator(with_evaluator(guests, "game:play")).spec()["path"] == ["."]


def test_the_log_lies_in_the_state_folder_by_default(tmp_path):
    settings = load(written(tmp_path, '[fleet]\nstate_dir = "state"\n'))
    assert settings.log_file == tmp_path / "state" / "events.jsonl"


def test_loaded_settings_survive_json_and_another_current_folder(tmp_path, monkeypatch):
    settings = load(written(tmp_path, '[evaluator]\nkind = "python"\ntarget = "game:play"\nstall_s = 3\n'))
    monkeypatch.chdir(tmp_path.parent)
    assert Settings.from_mapping(settings.model_dump(mode="json")) == settings


def test_a_byte_order_mark_is_no_error(tmp_path):
    path = tmp_path / "fleet.toml"
    path.write_bytes(b"\xef\xbb\xbf[fleet]\r\nname = 'arena'\r\n")
    assert load(path).fleet.name == "arena"


def test_a_syntax_error_names_the_file_and_the_line(tmp_path):
    path = written(tmp_path, '[fleet]\nname = "arena\n')
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "line 2" in str(caught.value)


def test_a_file_that_is_not_there_says_how_to_write_one(tmp_path):
    with pytest.raises(ConfigError, match="tzar config init"):
        load(tmp_path / "none.toml")


def test_a_file_that_is_not_utf8_says_so(tmp_path):
    (tmp_path / "fleet.toml").write_bytes(b"[fleet]\nname = '\xff'\n")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(tmp_path / "fleet.toml")


def test_a_missing_evaluator_names_the_file_and_what_is_allowed(tmp_path):
    path = written(tmp_path, "")
    with pytest.raises(ConfigError) as caught:
        require_evaluator(load(path), path)
    assert str(path) in str(caught.value)
    assert 'launch(evaluator="module:function")' in str(caught.value)


def test_a_program_gives_the_evaluator_that_the_file_lacks(tmp_path):
    settings = with_evaluator(Settings(), "game:play", path=[tmp_path])
    assert require_evaluator(settings).spec() == {
        "kind": "python",
        "target": "game:play",
        "path": [str(tmp_path)],
        "ready_timeout_s": 60.0,
    }


def test_a_program_s_evaluator_keeps_the_limits_of_the_file():
    command = {"kind": "command", "argv": ["{genome}"], "exit_codes": {"0": 1.0}, "time_limit_s": 5, "max_attempts": 2}
    evaluator = require_evaluator(with_evaluator(Settings.from_mapping({"evaluator": command}), "game:play"))
    assert isinstance(evaluator, PythonEvaluator)
    assert (evaluator.time_limit_s, evaluator.max_attempts) == (5.0, 2)


def test_a_program_s_evaluator_of_another_form_is_an_error():
    with pytest.raises(ConfigError, match=r'launch.*evaluator\.target.*"module:function"'):
        with_evaluator(Settings(), "game.play")


def test_the_spec_of_a_command_has_its_own_keys_and_text_for_exit_codes():
    evaluator = {"kind": "command", "argv": ["play", "{genome}"], "exit_codes": {"0": 1, "1": 0.25}}
    settings = Settings.from_mapping({"evaluator": evaluator})
    assert require_evaluator(settings).spec() == {
        "kind": "command",
        "argv": ["play", "{genome}"],
        "cwd": None,
        "env": {},
        "score_key": None,
        "exit_codes": {"0": 1.0, "1": 0.25},
        "scored_exit_codes": [0],
    }


def test_equal_settings_differ_in_nothing():
    assert difference(Settings(), Settings()) == []


def test_a_difference_names_the_dotted_keys_with_both_values():
    python = {"kind": "python", "target": "game:play"}
    a = Settings.from_mapping({"hosts": [{"vms": 4}]})
    b = Settings.from_mapping({"hosts": [{"vms": 8}], "evaluator": python, "log": {"level": "DEBUG"}})
    found = difference(a, b)
    assert "hosts[0].vms: 4 and 8" in found
    assert 'log.level: "INFO" and "DEBUG"' in found
    assert 'evaluator.target: nothing and "game:play"' in found
    assert not any(line.startswith("fleet.") for line in found)


def test_settings_never_change():
    with pytest.raises(ValueError, match="frozen"):
        Settings().fleet.name = "other"  # type: ignore[misc]  # that it cannot be is what is tested


def test_the_settings_import_no_part_of_the_supervisor():
    code = "import sys, tzar_actors.settings; sys.exit(any(m in sys.modules for m in ('pykka', 'zmq', 'tzar_agent')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
