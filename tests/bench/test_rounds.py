import pytest
from report import table
from rich.console import Console
from rounds import RATIOS, Spread, latency_figures, spreads


def ratio(name):
    return next(ratio for ratio in RATIOS if ratio.name == name)


def test_a_ratio_is_taken_within_its_round_and_its_median_over_the_rounds():
    rounds = [
        {"evaluations_per_s": 50.0, "bare_evaluations_per_s": 100.0},
        {"evaluations_per_s": 30.0, "bare_evaluations_per_s": 40.0},
        {"evaluations_per_s": 6.0, "bare_evaluations_per_s": 10.0},
    ]
    found = spreads(rounds)
    assert found["throughput_ratio"] == Spread(median=0.6, low=0.5, high=0.75)
    assert found["evaluations_per_s"] == Spread(median=30.0, low=6.0, high=50.0)


def test_a_ratio_whose_other_side_was_not_measured_is_left_out():
    assert list(spreads([{"evaluations_per_s": 50.0}])) == ["evaluations_per_s"]


def test_the_99th_percentile_is_the_round_trip_that_one_of_a_hundred_exceeds():
    figures = latency_figures([number / 1000 for number in range(100, 0, -1)])
    assert figures == {"p50_ms": pytest.approx(50.5), "p99_ms": pytest.approx(99.0)}


def test_the_99th_percentile_of_few_round_trips_is_the_longest():
    assert latency_figures([0.001, 0.003, 0.002])["p99_ms"] == pytest.approx(3.0)


def test_of_a_latency_less_is_better_and_of_a_rate_more():
    assert ratio("latency_ratio").reaches(1.2, 1.5)
    assert not ratio("latency_ratio").reaches(2.6, 2.5)
    assert ratio("throughput_ratio").reaches(0.45, 0.45)
    assert not ratio("throughput_ratio").reaches(0.44, 0.45)


def test_what_has_no_floor_misses_none():
    assert ratio("wire_ratio_power").reaches(0.01, None)


def test_the_table_shows_a_missed_floor_in_red_and_a_reached_aim_in_green():
    console = Console(force_terminal=True, color_system="standard", width=200, record=True, no_color=False)
    summary = {name: Spread(value, value, value) for name, value in (("wire_ratio", 0.5), ("pool_ratio", 2.0))}
    with console.capture() as capture:
        console.print(table(summary, rounds=3))
    wire = next(line for line in capture.get().splitlines() if "wire_ratio" in line)
    pool = next(line for line in capture.get().splitlines() if "pool_ratio" in line)
    assert "\x1b[31m" in wire
    assert "≥ 0.9" in wire
    assert "\x1b[32m" in pool
