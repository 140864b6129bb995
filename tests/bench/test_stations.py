from pathlib import Path

from rounds import RATIOS
from stations import Only, chosen, stations


def kept(*only):
    return [(station.system, station.measures) for station in chosen(stations(Path()), only)]


def test_without_a_choice_all_figures_of_all_ratios_are_measured():
    names = {
        Only.THROUGHPUT: ["evaluations_per_s"],
        Only.LATENCY: ["p50_ms", "p99_ms"],
        Only.WIRE: ["wire_mb_s"],
        Only.IN_PLACE: ["in_place_mb_s"],
    }
    measured = {"sha256_mb_s"}
    for station in chosen(stations(Path()), []):
        for measure in station.measures:
            measured |= {station.naming.format(name) for name in names[measure]}
    assert {figure for ratio in RATIOS for figure in (ratio.ours, ratio.other)} <= measured


def test_a_chosen_system_keeps_all_that_is_measured_of_it():
    assert kept(Only.BARE) == [(Only.BARE, (Only.THROUGHPUT, Only.LATENCY, Only.WIRE))]


def test_a_chosen_measure_keeps_the_systems_that_have_it():
    assert kept(Only.WIRE) == [(Only.BARE, (Only.WIRE,)), (Only.PROCESS, (Only.WIRE,)), (Only.POWER, (Only.WIRE,))]


def test_a_system_and_a_measure_are_both_needed():
    assert kept(Only.BARE, Only.POOL, Only.LATENCY) == [(Only.BARE, (Only.LATENCY,)), (Only.POOL, (Only.LATENCY,))]
