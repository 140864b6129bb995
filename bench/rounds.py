"""What the rounds add up to: medians of the figures, and medians of the ratios of figures of the same round.

A ratio is taken within a round, since a shared machine changes more between two rounds than within one.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["RATIOS", "Ratio", "Spread", "latency_figures", "spreads"]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours over another's.

    Args:
        name: of the ratio, as in the JSON.
        ours: the figure above the line.
        other: the figure below it.
        floor: the worst that is good enough; None: there is no such demand.
        aim: what is strived for.
        less_is_better: the floor and the aim are the most that it may be, not the least.
    """

    name: str
    ours: str
    other: str
    floor: float | None = None
    aim: float | None = None
    less_is_better: bool = False

    def reaches(self, value: float, mark: float | None) -> bool:
        """Whether `value` is as good as `mark`, or there is no mark."""
        if mark is None:
            return True
        return value <= mark if self.less_is_better else value >= mark


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure or ratio over all rounds."""

    median: float
    low: float
    high: float


RATIOS = (
    Ratio("throughput_ratio", "evaluations_per_s", "bare_evaluations_per_s", floor=0.45, aim=0.6),
    Ratio("latency_ratio", "p50_ms", "bare_p50_ms", floor=2.5, aim=1.5, less_is_better=True),
    Ratio("wire_ratio", "wire_mb_s", "bare_wire_mb_s", floor=0.9, aim=1.5),
    Ratio("in_place_ratio", "in_place_mb_s", "sha256_mb_s", floor=0.6, aim=0.9),
    Ratio("pool_ratio", "evaluations_per_s", "pool_evaluations_per_s", floor=1.0, aim=1.5),
    Ratio("throughput_ratio_power", "evaluations_per_s_power", "bare_evaluations_per_s", floor=0.35, aim=0.5),
    Ratio("latency_ratio_power", "p50_ms_power", "bare_p50_ms", less_is_better=True),
    Ratio("wire_ratio_power", "wire_mb_s_power", "bare_wire_mb_s"),
    Ratio("in_place_ratio_power", "in_place_mb_s_power", "sha256_mb_s"),
    Ratio("pool_ratio_power", "evaluations_per_s_power", "pool_evaluations_per_s"),
)


def latency_figures(seconds: Sequence[float]) -> dict[str, float]:
    """The middle one of these round trips and the one that 99 of 100 do not exceed, in milliseconds."""
    ordered = sorted(seconds)
    p99 = ordered[-(-len(ordered) * 99 // 100) - 1]
    return {"p50_ms": statistics.median(ordered) * 1e3, "p99_ms": p99 * 1e3}


def spreads(rounds: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Every ratio that can be had from the rounds' figures, in the order of `RATIOS`, then every figure.

    Args:
        rounds: the figures of each round by name, the same names in each.
    """
    found = {}
    for ratio in RATIOS:
        if all(ratio.ours in figures and ratio.other in figures for figures in rounds):
            found[ratio.name] = _spread([figures[ratio.ours] / figures[ratio.other] for figures in rounds])
    for name in rounds[0]:
        found[name] = _spread([figures[name] for figures in rounds])
    return found


def _spread(values: Sequence[float]) -> Spread:
    return Spread(median=statistics.median(values), low=min(values), high=max(values))
