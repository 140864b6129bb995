"""What a soak makes of its looks and its outcomes: growth after the warm-up, and the slowdown."""

from collections import Counter

import gauges
import psutil
import pytest
from gauges import Sample
from soak import TICKS, trend_of
from work import BenchError

RUN_S = 400.0  # a hundred to warm up, then looks of thirty seconds at each end


def sample(at, **changed):
    values = {"supervisor": 50.0, "agent": 40.0, "trainer": 30.0}
    values.update({name: value for name, value in changed.items() if name in values})
    return Sample(
        at,
        values,
        changed.get("fds", 60),
        changed.get("threads", 12),
        changed.get("processes", 8),
        {"journal.sqlite": changed.get("journal", 1.0)},
    )


def steady_ends(rate=10):
    return Counter(dict.fromkeys(range(int(RUN_S * TICKS)), rate // TICKS))


def test_what_grew_before_the_end_of_the_warm_up_does_not_count():
    samples = [sample(at, supervisor=min(50.0, 30.0 + at / 5), fds=60 if at > 100 else 20) for at in range(400)]
    trend = trend_of(samples, steady_ends(), 0.0, RUN_S)
    assert trend.mb == {"supervisor": 0.0, "agent": 0.0, "trainer": 0.0}
    assert trend.fds == 0


def test_what_grows_on_is_told_for_each_process_and_file():
    samples = [
        sample(at, agent=40 + at / 100, fds=60 + at // 100, threads=12 + at // 200, processes=8, journal=at / 50)
        for at in range(400)
    ]
    trend = trend_of(samples, steady_ends(), 0.0, RUN_S)
    assert trend.mb["agent"] == pytest.approx(2.7, abs=0.02)
    assert trend.mb["supervisor"] == 0.0
    assert (trend.fds, trend.threads, trend.processes) == (2, 1, 0)
    assert trend.disk_mb["journal.sqlite"] == pytest.approx(5.4, abs=0.05)


def test_a_moments_peak_is_no_growth():
    samples = [sample(at, trainer=900.0 if at == 390 else 30.0) for at in range(400)]
    assert trend_of(samples, steady_ends(), 0.0, RUN_S).mb["trainer"] == 0.0


def test_a_run_that_ends_at_half_its_pace_is_slowed_down_to_the_half():
    ends = Counter({tick: 2 if tick < 250 * TICKS else 1 for tick in range(int(RUN_S * TICKS))})
    assert trend_of([sample(at) for at in range(400)], ends, 0.0, RUN_S).slowdown == pytest.approx(2.0, abs=0.01)


def test_a_run_in_which_nothing_was_seen_is_no_measurement():
    with pytest.raises(BenchError, match="too few"):
        trend_of([sample(5.0)], steady_ends(), 0.0, RUN_S)
    with pytest.raises(BenchError, match="too few"):
        trend_of([sample(at) for at in range(400)], Counter(), 0.0, RUN_S)


def test_files_are_counted_by_what_is_in_them_and_folders_by_all_below(tmp_path):
    (tmp_path / "a").write_bytes(bytes(1000))
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "b").write_bytes(bytes(500))
    assert gauges.bytes_below(tmp_path) == 1500
    assert gauges.bytes_below(tmp_path / "a") == 1000
    assert gauges.bytes_below(tmp_path / "not there") == 0


def test_a_peak_is_at_least_what_is_resident():
    process = psutil.Process()
    resident = gauges.resident_mb(process)
    assert gauges.peak_mb(process) >= resident > 1
