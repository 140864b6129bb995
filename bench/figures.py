"""What a bench found: a table for people, and its floors. A missed floor is shown in red and is no failure."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

__all__ = ["Figure", "table"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Args:
        name: for people, with its unit.
        value: None: it could not be had.
        floor: the worst that is good enough; None: there is no such demand.
        less_is_better: the floor is the most that it may be, not the least.
        note: what one has to know to read it.
    """

    name: str
    value: float | None
    floor: float | None = None
    less_is_better: bool = True
    note: str = ""

    @property
    def is_missed(self) -> bool:
        """There is a floor, and the value is worse."""
        if self.floor is None:
            return False
        if self.value is None:
            return True
        return self.value > self.floor if self.less_is_better else self.value < self.floor


def table(title: str, figures: Sequence[Figure]) -> Table:
    """The figures in their order; those that miss their floor are red."""
    shown = Table(title=title, title_justify="left")
    shown.add_column("measured")
    shown.add_column("value", justify="right")
    shown.add_column("floor", justify="right")
    shown.add_column("")
    for figure in figures:
        mark = "" if figure.floor is None else f"{'≤' if figure.less_is_better else '≥'} {figure.floor:g}"
        value = "none" if figure.value is None else _number(figure.value)
        shown.add_row(figure.name, value, mark, figure.note, style="red" if figure.is_missed else "")
    return shown


def _number(value: float) -> str:
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
