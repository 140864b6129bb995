"""What is made from the models is in the repository as it would be made now."""

import functools
import json
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tzar_actors.cli.config import app
from tzar_actors.settings import Settings, difference, load, require_evaluator, with_evaluator
from tzar_actors.settings.reference import configuration_page
from tzar_actors.settings.template import DRIVERS, configuration_toml, evaluator_models, schema_json

ROOT = Path(__file__).parents[2]
# The one section where a made configuration is not the defaults: guests of Hyper-V reach no loopback address.
BUT_FOR = {"hyperv": {"listen": "192.168.77.1", "port": 5555, "blob_port": 5556}}


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("config/local.toml", configuration_toml),
        ("config/hyperv.toml", functools.partial(configuration_toml, "hyperv")),
        ("config/tzar.schema.json", schema_json),
        ("docs/configuration.md", configuration_page),
    ],
)
def test_the_repository_s_file_is_what_the_models_make(name, made):
    assert (ROOT / name).read_text(encoding="utf-8") == made(), (
        f"{name} is old: make it anew, docs/configuration.md says how"
    )


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_made_configuration_loads_and_is_the_defaults(tmp_path, monkeypatch, driver):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "fleet.toml"
    path.write_text(configuration_toml(driver), encoding="utf-8")
    given = {"hosts": [{"driver": driver}], "fleet": BUT_FOR.get(driver, {})}
    defaults = with_evaluator(Settings.from_mapping(given, folder=tmp_path), "my_game:play")
    assert difference(load(path), defaults) == []
    assert load(path) == defaults


def test_the_made_configuration_of_hyperv_has_the_supervisor_listen_on_the_guests_switch(tmp_path):
    path = tmp_path / "fleet.toml"
    path.write_text(configuration_toml("hyperv"), encoding="utf-8")
    settings = load(path)
    assert settings.fleet.listen == settings.hosts[0].hyperv.host_address
    says = " ".join(line.removeprefix("# ") for line in path.read_text(encoding="utf-8").splitlines())
    assert 'For a supervisor on another machine: listen = "0.0.0.0"' in says


def test_the_made_configurations_name_every_setting():
    text = "".join(map(configuration_toml, DRIVERS))
    for section in Settings.model_json_schema()["$defs"].values():
        for name, schema in section["properties"].items():
            assert f"\n{name} = " in text or f"\n# {name} = " in text or "$ref" in schema, name


def test_the_other_evaluators_of_the_made_configuration_are_good_ones():
    lines = configuration_toml().splitlines()
    starts = [number for number, line in enumerate(lines) if line == "# [evaluator]"]
    kinds = []
    for start in starts:
        block = lines[start : lines.index("", start)]
        mapping = tomllib.loads("\n".join(line.removeprefix("# ") for line in block))
        kinds.append(require_evaluator(Settings.from_mapping(mapping)).kind)
    assert sorted([*kinds, "python"]) == sorted(model.model_fields["kind"].default for model in evaluator_models())


def test_every_setting_has_a_description_and_but_for_the_evaluator_s_a_default():
    for name, section in Settings.model_json_schema()["$defs"].items():
        for key, schema in section["properties"].items():
            assert schema.get("description"), f"{name}.{key}"
            assert "default" in schema or key in ("target", "argv", "env", "exit_codes", "winrm_options"), (
                f"{name}.{key}"
            )


def test_the_schema_is_the_one_that_the_configuration_names():
    assert configuration_toml().startswith("#:schema tzar.schema.json\n")
    assert json.loads(schema_json())["additionalProperties"] is False


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_init_writes_a_file_that_check_finds_good(tmp_path):
    path = tmp_path / "new" / "fleet.toml"
    assert run("init", str(path)).exit_code == 0
    assert (tmp_path / "new" / "tzar.schema.json").is_file()
    result = run("check", str(path))
    assert result.exit_code == 0
    assert "my_game:play" in result.stdout
    assert "4 VMs" in result.stdout


def test_init_writes_over_nothing_unless_told_to(tmp_path):
    path = tmp_path / "fleet.toml"
    path.write_text("mine", encoding="utf-8")
    refused = run("init", str(path))
    assert (refused.exit_code, path.read_text(encoding="utf-8")) == (2, "mine")
    assert "--force" in refused.stderr
    assert run("init", str(path), "--force").exit_code == 0
    assert load(path).fleet.name == "tzar"


def test_init_for_an_unknown_driver_names_the_known_ones(tmp_path):
    result = run("init", str(tmp_path / "fleet.toml"), "--driver", "locall")
    assert result.exit_code == 2
    assert "the nearest known is local" in result.stderr
    assert not (tmp_path / "fleet.toml").exists()


def test_check_of_a_bad_file_ends_with_2_and_the_reason_on_stderr(tmp_path):
    path = tmp_path / "fleet.toml"
    path.write_text("[flet]\n", encoding="utf-8")
    result = run("check", str(path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{path}: flet: unknown key; the nearest known is fleet" in result.stderr


def test_check_of_a_file_without_evaluator_ends_with_2(tmp_path):
    path = tmp_path / "fleet.toml"
    path.write_text("[fleet]\n", encoding="utf-8")
    result = run("check", str(path))
    assert result.exit_code == 2
    assert "evaluator: is missing" in result.stderr
