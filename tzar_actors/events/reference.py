"""`docs/events.md`, made from the catalogue."""

import types
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from tzar_actors.events.catalogue import EVENTS, Event

__all__ = ["events_page"]

_HEAD = """\
# Events

This page is made from `tzar_actors/events/catalogue.py`. Change that, then run
`python -m tzar_actors.events docs/events.md`.

The supervisor's log is a file of JSON lines, one event a line, `events.jsonl` in the state folder unless `[log] file`
says otherwise. Each line has:

| field | type | meaning |
|---|---|---|
| `t` | text | when it happened: ISO 8601, UTC, microseconds |
| `level` | text | `DEBUG`, `INFO`, `WARNING` or `ERROR`; lines below `[log] level` are not written |
| `event` | text | the event's name, as below |

and the event's own fields. Durations are in seconds; `null` says that there is no such thing. Text is ASCII with JSON's
escapes. A file that is too big is renamed to `events.TIME.jsonl`, and a new one begun. A line may be torn by a power
cut, and the last one may still be written: pass over what is no whole JSON object. On Windows, do not hold the file
open between two reads, since an open file cannot be renamed.
"""


def events_page() -> str:
    """The page, in Markdown."""
    return "\n".join([_HEAD, *(_event(kind) for kind in EVENTS)])


def _event(kind: type[Event]) -> str:
    meaning = " ".join((kind.__doc__ or "").split())
    text = f"## {kind.NAME}\n\n`{kind.LEVEL.name}`. {meaning}\n"
    hints = get_type_hints(kind)
    rows = [f"| `{field.name}` | {_type(hints[field.name])} |" for field in fields(kind)]
    return "\n".join([text, "| field | type |", "|---|---|", *rows, ""]) if rows else text


def _type(hint: Any) -> str:
    if isinstance(hint, types.UnionType):
        return " or ".join(_type(part) for part in get_args(hint))
    return {str: "text", int: "integer", float: "number", bool: "true or false", type(None): "null"}[hint]
