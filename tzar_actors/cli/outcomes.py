"""How outcomes are shown: as a table, or as one JSON object a line."""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Column, Table

if TYPE_CHECKING:
    from tzar_actors.client.results import EvaluationResult

__all__ = ["table_of", "write_json"]


def write_json(result: "EvaluationResult", **more: Any) -> None:
    """Writes an outcome to standard output, with what else there is to say of it before."""
    document = {**more, **asdict(result)} | {"index": more.get("index", result.index)}
    sys.stdout.write(json.dumps(document, default=_text) + "\n")
    sys.stdout.flush()


def table_of(name: str, rows: "Iterable[tuple[str, EvaluationResult]]") -> Table:
    """A table with a row for each outcome. `name` is the first column's."""
    table = Table(
        Column(name, overflow="fold", min_width=30), "outcome", "fitness", "games", "attempts", "seconds", "reason"
    )
    for first, result in rows:
        table.add_row(
            first,
            result.outcome,
            "" if result.fitness is None else f"{result.fitness:g}",
            str(len(result.games)),
            str(sum(len(game.attempts) for game in result.games)),
            f"{result.seconds:.2f}",
            result.reason,
        )
    return table


def _text(value: object) -> str:
    """Bytes among a game's details, as hex: JSON has none."""
    return value.hex() if isinstance(value, bytes) else str(value)
