import pytest


def write(folder, text):
    (folder / "wrong.toml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    "argv",
    [
        ("config", "check", "wrong.toml"),
        ("supervise", "-c", "wrong.toml"),
        ("evaluate", "-c", "wrong.toml", "one.genome"),
        ("status", "-c", "wrong.toml"),
    ],
)
def test_an_unknown_key_is_told_with_file_key_what_is_allowed_and_the_nearest_name(tzar, folder, argv):
    write(folder, '[evaluator]\nkind = "python"\ntarget = "cli_game:play"\ntime_limt_s = 3\n')
    done = tzar(*argv)
    assert done.returncode == 2
    for word in ("wrong.toml", "evaluator.time_limt_s", "nearest known is time_limit_s", "allowed: kind,"):
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_wrong_value_is_told_with_what_is_allowed(tzar, folder):
    write(folder, '[fleet]\ndurability = "powr"\n[evaluator]\nkind = "python"\ntarget = "cli_game:play"\n')
    done = tzar("config", "check", "wrong.toml")
    assert done.returncode == 2
    assert 'fleet.durability: "powr" is not allowed; the nearest known is power' in done.stderr
    assert '"process"' in done.stderr


@pytest.mark.parametrize("argv", [("config", "check", "wrong.toml"), ("supervise", "-c", "wrong.toml")])
def test_a_missing_evaluator_is_the_configurations_fault(tzar, folder, argv):
    write(folder, '[fleet]\nname = "lonely"\n')
    done = tzar(*argv)
    assert done.returncode == 2
    assert "wrong.toml: evaluator: is missing; allowed: a section [evaluator]" in done.stderr


def test_evaluate_without_an_evaluator_names_what_to_give(tzar, folder):
    done = tzar("evaluate", "one.genome")
    assert done.returncode == 2
    assert "evaluator: is missing" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / ".tzar").exists()


@pytest.mark.parametrize("argv", [("config", "check", "none.toml"), ("supervise", "-c", "none.toml")])
def test_a_file_that_is_not_there_is_told_with_the_way_to_write_one(tzar, argv):
    done = tzar(*argv)
    assert done.returncode == 2
    assert "none.toml: there is no such file. Write one with: tzar config init none.toml" in done.stderr


def test_a_file_that_is_no_toml_is_told_with_its_line(tzar, folder):
    write(folder, "[fleet]\nname = \n")
    done = tzar("status", "-c", "wrong.toml")
    assert done.returncode == 2
    assert "wrong.toml: is not TOML" in done.stderr
    assert "line 2" in done.stderr


def test_init_writes_what_check_finds_good_and_does_not_write_over_it(tzar, folder):
    assert tzar("config", "init", "new/made.toml").returncode == 0
    checked = tzar("config", "check", "new/made.toml")
    assert checked.returncode == 0, checked.stderr
    assert "good" in checked.stdout
    (folder / "new" / "made.toml").write_text("mine", encoding="utf-8")
    refused = tzar("config", "init", "new/made.toml")
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert (folder / "new" / "made.toml").read_text(encoding="utf-8") == "mine"


def test_an_unknown_driver_is_told_with_the_nearest(tzar, folder):
    done = tzar("config", "init", "new.toml", "--driver", "locl")
    assert done.returncode == 2
    assert "the nearest known is local" in done.stderr
    assert not (folder / "new.toml").exists()


def test_help_names_all_commands(tzar):
    done = tzar("--help")
    assert done.returncode == 0
    for command in ("demo", "supervise", "evaluate", "status", "config", "version"):
        assert command in done.stdout


def test_no_command_at_all_shows_the_help(tzar):
    done = tzar()
    assert done.returncode == 2
    assert "Usage" in done.stdout + done.stderr


def test_the_version_is_that_of_the_distribution(tzar):
    done = tzar("version")
    assert done.returncode == 0
    assert done.stdout.strip()
