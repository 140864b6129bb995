import json

import pytest

MIB = 1024 * 1024


def rows(done):
    return {each["file"]: each for each in map(json.loads, done.stdout.splitlines())}


def test_a_table_shows_each_genomes_outcome_in_the_order_they_were_given(tzar):
    done = tzar("evaluate", "-c", "fleet.toml", "two.genome", "one.genome", "--games", "2", "-p", "extra=0.5")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if ".genome" in line]
    assert ["two.genome" in line for line in lines] == [True, False]
    assert "scored" in lines[0]
    assert "2.5" in lines[0]
    assert "1.5" in lines[1]


def test_json_gives_one_object_a_line_and_a_missing_file_is_told_and_makes_the_exit_code_1(tzar):
    done = tzar("evaluate", "-c", "fleet.toml", "one.genome", "none.genome", "two.genome", "--json")
    assert done.returncode == 1
    assert "none.genome" in done.stderr
    outcomes = rows(done)
    assert {name: each["fitness"] for name, each in outcomes.items()} == {"one.genome": 1.0, "two.genome": 2.0}
    assert outcomes["one.genome"]["games"][0]["attempts"][0]["vm"].startswith("tzar-")


@pytest.mark.promise(8, "bounded")
def test_a_genome_over_the_limit_is_rejected_alone(tzar, folder):
    (folder / "big.genome").write_bytes(b"\x03" * (MIB + 1))
    done = tzar("evaluate", "-c", "fleet.toml", "one.genome", "big.genome", "two.genome", "--json")
    assert done.returncode == 1
    assert set(rows(done)) == {"one.genome", "two.genome"}
    assert f"the genome has {MIB + 1} bytes, allowed are {MIB} (limits.genome_mib)" in done.stderr
    assert "big.genome" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_genome_that_fails_makes_the_exit_code_1_and_is_told_with_its_reason(tzar, folder):
    (folder / "bad.genome").write_bytes(b"\x00")
    done = tzar("evaluate", "-c", "fleet.toml", "one.genome", "bad.genome", "--json")
    assert done.returncode == 1
    bad = rows(done)["bad.genome"]
    assert bad["fitness"] is None
    assert bad["outcome"] == "genome_failed"
    assert "a bad genome" in json.dumps(bad)


def test_only_missing_files_evaluate_nothing_and_start_no_fleet(tzar, folder):
    done = tzar("evaluate", "-c", "fleet.toml", "none.genome")
    assert done.returncode == 1
    assert "none.genome" in done.stderr
    assert not (folder / "state").exists()


@pytest.mark.parametrize("param", ["extra", "=3"])
def test_a_parameter_without_a_name_or_value_is_refused_before_anything_starts(tzar, folder, param):
    done = tzar("evaluate", "-c", "fleet.toml", "one.genome", "--param", param)
    assert done.returncode == 2
    assert "NAME=VALUE" in done.stderr
    assert not (folder / "state").exists()


def test_a_seed_and_an_evaluator_of_a_wrong_form_are_refused_in_words(tzar, folder):
    done = tzar("evaluate", "-c", "fleet.toml", "one.genome", "--evaluator", "cli_game.play")
    assert done.returncode == 2
    assert "module:function" in done.stderr
    assert "Traceback" not in done.stderr
