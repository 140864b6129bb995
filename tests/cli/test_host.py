"""`tzar host`: what hosts need, before there is a fleet."""

import json
import re

C = ("-c", "fleet.toml")


def test_a_host_that_has_what_it_needs_is_good(tzar, folder):
    done = tzar("host", "check", *C)
    assert done.returncode == 0, done.stdout
    assert "here" in done.stdout
    assert "BAD" not in done.stdout
    assert not (folder / "state").exists()


def test_what_a_host_lacks_is_told_with_the_cure_and_exit_code_1(tzar, folder):
    config = (folder / "fleet.toml").read_text(encoding="utf-8")
    (folder / "fleet.toml").write_text(f'{config}[hosts.local]\npython = "no/such/python"\n', encoding="utf-8")
    done = tzar("host", "check", *C, "--json")
    assert done.returncode == 1
    checks = {each["name"]: each for each in map(json.loads, done.stdout.splitlines())}
    assert (checks["folder"]["ok"], checks["agent"]["ok"]) == (True, False)
    assert "python" in checks["agent"]["cure"]
    shown = tzar("host", "check", *C)
    assert shown.returncode == 1
    assert "BAD" in shown.stdout


def test_80_columns_are_enough_for_all_but_a_cure_which_stays_in_one_line(tzar, folder, monkeypatch):
    config = (folder / "fleet.toml").read_text(encoding="utf-8")
    config = config.replace('name = "here"', 'name = "here"\ndriver = "hyperv-fake"')
    (folder / "fleet.toml").write_text(config.replace("[fleet]", "[fleet]\nport = 5555"), encoding="utf-8")
    monkeypatch.setenv("COLUMNS", "80")
    lines = tzar("host", "check", *C).stdout.splitlines()
    cures = [line for line in lines if line.startswith("        cure: ")]
    assert max(len(line) for line in lines if line not in cures) <= 80
    assert [line for line in cures if line.startswith("        cure: tzar host init here; or on the host: ")]
    assert any("quota MaxConcurrentOperationsPerUser: 1500" in line for line in lines)
    assert re.match(r"here: \d of \d+ checks failed", lines[0])


def test_what_init_makes_is_there_the_second_time(tzar, folder):
    assert "folder made" in tzar("host", "init", *C).stdout
    assert "folder there" in tzar("host", "init", "here", *C).stdout
    assert (folder / "state" / "vms" / "here").is_dir()


def test_an_unknown_host_is_told_with_the_nearest_one(tzar):
    done = tzar("host", "check", "her", *C)
    assert done.returncode == 2
    assert 'no host "her"; the nearest known is here' in done.stderr


def test_a_made_up_hyperv_host_is_bad_until_it_was_prepared(tzar, folder):
    config = (folder / "fleet.toml").read_text(encoding="utf-8")
    config = config.replace('name = "here"', 'name = "here"\ndriver = "hyperv-fake"')
    (folder / "fleet.toml").write_text(config, encoding="utf-8")
    unprepared = tzar("host", "init", *C)
    assert unprepared.returncode == 1
    assert "Set port and blob_port in [fleet]" in unprepared.stderr
    fixed = config.replace("[fleet]", "[fleet]\nport = 5555\nblob_port = 5556")
    (folder / "fleet.toml").write_text(fixed, encoding="utf-8")
    before = tzar("host", "check", *C, "--json")
    assert before.returncode == 1
    lacking = {each["name"]: each["cure"] for each in map(json.loads, before.stdout.splitlines()) if not each["ok"]}
    assert lacking.keys() == {"address", "firewall"}
    assert all(lacking.values())
    assert "firewall made: TCP 5555, 5556" in tzar("host", "init", *C).stdout
    assert "firewall there: TCP 5555, 5556" in tzar("host", "init", *C).stdout
    assert tzar("host", "check", *C).returncode == 0
