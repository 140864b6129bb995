import re

import pytest

from tzar_actors.demo.campaign import Generation, Report
from tzar_actors.demo.chart import write_chart
from tzar_actors.demo.kill import Succession


@pytest.fixture
def report():
    return Report(
        generations=[Generation(1, 1501.0, 502.0, 3.0), Generation(2, 1603.0, 704.0, 3.5)],
        killed_in=2,
        killed=Succession("local-2", "1-17", "1-23", "local-0"),
        champion=1805.0,
        random=406.0,
    )


def drawn(file):
    """What the page draws, without the library that draws it."""
    return re.search(r"Plotly\.newPlot\((.*)\)", file.read_text(encoding="utf-8"), re.DOTALL).group(1)


def test_the_chart_shows_best_and_mean_the_champion_the_random_policy_and_the_kill(report, tmp_path):
    file = tmp_path / "new" / "chart.html"
    write_chart(report, file)
    page = drawn(file)
    assert '"name":"best"' in page
    assert '"name":"mean"' in page
    for text in ("1501", "502", "1603", "704", "champion, held-out seeds: 1,805", "random policy, held-out seeds: 406"):
        assert text in page
    assert "local-2 killed in mid-game" in page


def test_the_chart_needs_nothing_from_the_network(report, tmp_path):
    write_chart(report, tmp_path / "chart.html")
    text = (tmp_path / "chart.html").read_text(encoding="utf-8")
    assert not re.search(r"""<(script|link|img)[^>]+(src|href)=["']https?:""", text)


def test_what_was_not_measured_is_not_drawn(report, tmp_path):
    report.champion = report.killed = None
    write_chart(report, tmp_path / "chart.html")
    page = drawn(tmp_path / "chart.html")
    assert "champion" not in page
    assert "killed" not in page
    assert "random policy" in page
