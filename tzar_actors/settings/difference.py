"""In what two settings differ, for whoever would attach to a supervisor that runs with others."""

import json
from collections.abc import Iterator
from typing import Any

from tzar_actors.settings.settings import Settings

__all__ = ["difference"]


def difference(a: Settings, b: Settings) -> list[str]:
    """The dotted keys whose values differ, each with both: `hosts[0].vms: 4 and 8`. The same settings: none.

    A key that one of them lacks altogether shows as `nothing`. What the defaults fill in counts as given.
    """
    left, right = dict(_flat(a.model_dump(mode="json"))), dict(_flat(b.model_dump(mode="json")))
    keys = [*left, *(key for key in right if key not in left)]
    return [
        f"{key}: {left.get(key, 'nothing')} and {right.get(key, 'nothing')}"
        for key in keys
        if left.get(key) != right.get(key)
    ]


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    match value:
        case dict() if value:
            for name, inner in value.items():
                yield from _flat(inner, f"{key}.{name}" if key else str(name))
        case [dict(), *_]:
            for number, inner in enumerate(value):
                yield from _flat(inner, f"{key}[{number}]")
        case None:
            return
        case _:
            yield key, json.dumps(value, ensure_ascii=False)
