"""The demo's chart: one HTML file that needs nothing else, the network least of all."""

from pathlib import Path

import plotly.graph_objects as go

from tzar_actors.demo.campaign import Report

__all__ = ["write_chart"]

INK, MUTED, GRID = "#1f2933", "#6b7785", "#e4e7eb"
BEST, MEAN, CHAMPION, KILL = "#1f6feb", "#8fb8f6", "#1a7f37", "#cf222e"


def write_chart(report: Report, file: Path) -> None:
    """Writes the chart of a campaign: best and mean of each generation, the champion and the random policy.

    Args:
        report: what came of the campaign.
        file: the HTML file; its folder is made, a file that is there is replaced.

    Raises:
        OSError: it cannot be written.
    """
    figure = go.Figure()
    numbers = [generation.number for generation in report.generations]
    for name, colour, width, ticks in (
        ("best", BEST, 3, [generation.best for generation in report.generations]),
        ("mean", MEAN, 3, [generation.mean for generation in report.generations]),
    ):
        line = {"color": colour, "width": width}
        figure.add_scatter(x=numbers, y=ticks, name=name, mode="lines+markers", line=line, hovertemplate="%{y:.0f}")
    for name, colour, value in (("champion", CHAMPION, report.champion), ("random policy", MUTED, report.random)):
        if value is not None:
            text = f"{name}, held-out seeds: {value:,.0f}"
            figure.add_hline(
                y=value,
                line={"color": colour, "dash": "dash", "width": 2},
                annotation={"text": text, "font": {"color": colour}, "xanchor": "right"},
                annotation_position="top right",
            )
    if report.killed and report.killed_in:
        figure.add_vline(
            x=report.killed_in,
            line={"color": KILL, "dash": "dot", "width": 1.5},
            annotation={"text": f"{report.killed.vm} killed in mid-game", "font": {"color": KILL}},
            annotation_position="bottom right",
        )
    figure.update_layout(
        title={"text": "Ticks survived in ViZDoom's health_gathering, by generation", "x": 0.02},
        font={"family": "system-ui, sans-serif", "size": 14, "color": INK},
        plot_bgcolor="white",
        paper_bgcolor="white",
        hovermode="x unified",
        legend={"orientation": "h", "y": 1.08, "x": 0.0},
        margin={"l": 70, "r": 40, "t": 100, "b": 60},
    )
    figure.update_xaxes(title="generation", dtick=1, gridcolor=GRID, zeroline=False)
    figure.update_yaxes(title="ticks survived (35 a second)", range=[0, 2250], gridcolor=GRID, zeroline=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.write_html(file, include_plotlyjs=True, full_html=True, config={"displayModeBar": False})
