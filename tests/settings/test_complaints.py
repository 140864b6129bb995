"""Every slip in a configuration is named: its key, what is allowed, the nearest known name."""

import pytest

from tzar_actors.errors import ConfigError
from tzar_actors.settings import Settings


def complaint(mapping) -> str:
    with pytest.raises(ConfigError) as caught:
        Settings.from_mapping(mapping, source="fleet.toml")
    text = str(caught.value)
    assert text.startswith("fleet.toml: ")
    return text.removeprefix("fleet.toml: ")


def command(**keys):
    return {"evaluator": {"kind": "command", "argv": ["play", "{genome}", "{result}"], **keys}}


def test_an_unknown_section_names_the_nearest():
    assert complaint({"flet": {}}).startswith(
        "flet: unknown key; the nearest known is fleet; allowed: fleet, evaluator,"
    )


def test_an_unknown_key_names_the_nearest_and_all_that_are_known():
    text = complaint({"hosts": [{"vmz": 3}]})
    assert text.startswith("hosts[0].vmz: unknown key; the nearest known is vms; allowed: name, driver, vms,")


def test_an_unknown_key_deep_down_has_its_whole_path():
    assert complaint({"hosts": [{}, {"name": "b", "local": {"pyton": "x"}}]}).startswith(
        "hosts[1].local.pyton: unknown key"
    )


def test_a_key_of_another_section_says_where_it_belongs():
    assert "fleet.vms: unknown key; it belongs into the section hosts" in complaint({"fleet": {"vms": 3}})


def test_a_wrong_type_shows_the_value_and_what_is_allowed():
    assert complaint({"hosts": [{"vms": "4"}]}) == 'hosts[0].vms: "4" is not allowed; allowed: an integer, 1 to 1000'


@pytest.mark.parametrize("value", [True, "1.5", float("nan"), float("inf"), 0, -1, None])
def test_seconds_are_positive_numbers(value):
    assert complaint({"heartbeat": {"interval_s": value}}).endswith("is not allowed; allowed: a number above 0")


@pytest.mark.parametrize("vms", [0, 1001, 2.5, True])
def test_a_host_has_one_to_a_thousand_vms(vms):
    assert "allowed: an integer, 1 to 1000" in complaint({"hosts": [{"vms": vms}]})


def test_an_unknown_word_names_the_nearest():
    text = complaint({"fleet": {"on_trainer_exit": "drian"}})
    assert 'the nearest known is drain; allowed: "drain", "linger", "stop"' in text


def test_a_section_that_is_no_table_says_so():
    assert complaint({"fleet": 3}) == "fleet: 3 is not allowed; allowed: a table"


def test_an_unknown_driver_names_the_known_ones():
    text = (
        'hosts[0].driver: "hyperw" is not allowed; the nearest known is hyperv; '
        'allowed: "local", "hyperv", "hyperv-fake"'
    )
    assert complaint({"hosts": [{"driver": "hyperw"}]}) == text


def test_two_hosts_of_one_name_are_named():
    assert 'hosts[1].name: "local" is the name of hosts[0] as well' in complaint({"hosts": [{}, {}]})


def test_an_empty_list_of_hosts_is_an_error():
    assert "hosts: is empty" in complaint({"hosts": []})


def test_all_errors_are_listed_each_on_a_line():
    text = complaint({"flet": {}, "limits": {"queue": 0}, "log": {"level": "LOUD"}})
    first, *lines = text.splitlines()
    assert first == "3 values are wrong"
    assert {line.split(":")[0].strip() for line in lines} == {"flet", "limits.queue", "log.level"}


def test_an_evaluator_without_kind_names_the_kinds():
    text = complaint({"evaluator": {"target": "game:play"}})
    assert text == 'evaluator.kind: is missing; allowed: "python", "worker", "command", "inline"'


def test_an_unknown_kind_names_the_nearest():
    assert 'evaluator.kind: "pyhton" is unknown; the nearest known is python' in complaint(
        {"evaluator": {"kind": "pyhton"}}
    )


def test_a_key_of_another_kind_is_unknown():
    text = complaint({"evaluator": {"kind": "inline", "target": "game:play", "argv": ["x"]}})
    assert text.startswith("evaluator.argv: unknown key")


def test_a_missing_target_says_what_it_is():
    assert complaint({"evaluator": {"kind": "python"}}) == 'evaluator.target: is missing; allowed: "module:function"'


@pytest.mark.parametrize("target", ["play", "a b:c", "game:", ":play", "game:play:x", "game.py:play()"])
def test_a_target_is_a_module_and_a_function(target):
    assert 'allowed: "module:function"' in complaint({"evaluator": {"kind": "python", "target": target}})


def test_an_unknown_placeholder_names_the_nearest():
    text = complaint(command(argv=["play", "{genome}", "{resutl}"], score_key="score"))
    assert "evaluator.argv: unknown placeholder {resutl}; the nearest known is {result}" in text


def test_braces_around_no_word_are_no_placeholder():
    Settings.from_mapping(command(argv=["{genome}", "{result}", '{"map": 1}', "{params.map}"], score_key="score"))


def test_a_command_without_its_genome_is_an_error():
    assert "evaluator.argv: the placeholder {genome} is missing" in complaint(command(argv=["play"], score_key="score"))


def test_a_command_needs_a_source_of_its_score():
    assert "score_key and exit_codes are missing" in complaint(command())


def test_a_command_may_have_both_sources_of_its_score():
    Settings.from_mapping(command(score_key="score", exit_codes={"0": 1.0}))


@pytest.mark.parametrize("argv", [[], ["", "{genome}"]])
def test_a_command_names_a_program(argv):
    assert complaint(command(argv=argv, score_key="score")).startswith("evaluator.argv: ")


def test_an_argument_may_be_empty():
    Settings.from_mapping(command(argv=["play", "", "{genome}", "{result}"], score_key="score"))


@pytest.mark.parametrize("word", ["{}", "{0}", "{params}", "{genome.path}"])
def test_braces_around_any_other_word_are_an_unknown_placeholder(word):
    assert f"unknown placeholder {word}" in complaint(command(argv=["{genome}", "{result}", word], score_key="score"))


def test_a_score_key_needs_a_result_file():
    assert "argv has no placeholder {result}" in complaint(command(argv=["play", "{genome}"], score_key="score"))


def test_an_exit_code_is_a_number():
    assert "evaluator.exit_codes.victory" in complaint(command(exit_codes={"victory": 1.0}))


def test_a_listening_address_is_an_ip_address():
    assert 'fleet.listen: "everywhere" is not an IP address' in complaint({"fleet": {"listen": "everywhere"}})


def test_two_ports_that_are_given_differ():
    assert "port and blob_port are both 7000" in complaint({"fleet": {"port": 7000, "blob_port": 7000}})


def test_the_first_delay_is_not_above_the_longest():
    assert "first_delay_s is 9.0" in complaint({"recovery": {"first_delay_s": 9, "longest_delay_s": 3}})


@pytest.mark.parametrize("rotation", ["100", "0 MB", "a week", "100 mb"])
def test_rotation_is_a_size(rotation):
    assert '"100 MB"' in complaint({"log": {"rotation": rotation}})


@pytest.mark.parametrize("name", ["", "A", "a b", "../x", "a" * 41])
def test_names_are_fit_for_folders(name):
    assert "lower-case letters, digits and dashes" in complaint({"fleet": {"name": name}})
