"""The bench's table for people."""

from collections.abc import Mapping

from rich.table import Table
from rounds import RATIOS, Ratio, Spread
from work import WORKERS

__all__ = ["table"]


def table(summary: Mapping[str, Spread], rounds: int) -> Table:
    """Ratios with their floors and aims, then the figures they were made of.

    A ratio is green when it reaches its aim, and red when it misses its floor.

    Args:
        summary: what `spreads` found.
        rounds: how many rounds were measured.
    """
    title = f"{WORKERS} workers, medians of {rounds} round{'s' if rounds > 1 else ''}"
    shown = Table(title=title, title_justify="left")
    shown.add_column("measured")
    for column in ("median", "lowest", "highest", "floor", "aim"):
        shown.add_column(column, justify="right")
    ratios = {ratio.name: ratio for ratio in RATIOS if ratio.name in summary}
    for name, spread in summary.items():
        ratio = ratios.get(name)
        values = [_number(value) for value in (spread.median, spread.low, spread.high)]
        if ratio is None:
            shown.add_row(name, *values, "", "")
        else:
            shown.add_row(
                name,
                *values,
                _mark(ratio, ratio.floor),
                _mark(ratio, ratio.aim),
                style=_style(ratio, spread.median),
                end_section=name == list(ratios)[-1],
            )
    return shown


def _style(ratio: Ratio, value: float) -> str:
    if not ratio.reaches(value, ratio.floor):
        return "red"
    return "green" if ratio.aim is not None and ratio.reaches(value, ratio.aim) else ""


def _mark(ratio: Ratio, mark: float | None) -> str:
    if mark is None:
        return ""
    return f"{'≤' if ratio.less_is_better else '≥'} {mark:g}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
