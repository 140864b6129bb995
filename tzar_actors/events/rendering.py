"""An event as a line: JSON for the log, words for people."""

import math
from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from operator import attrgetter
from time import gmtime, strftime
from typing import Any

from tzar_actors.events.catalogue import EVENTS, AttemptEnded, EvaluationEnded, Event

__all__ = ["console_line", "json_line"]


def json_line(event: Event, at: float, level: str | None = None) -> str:
    """The event as one line of JSON, its newline included, in ASCII.

    Args:
        event: what happened.
        at: when, in seconds since 1970.
        level: the line's level where it is not the event's own.
    """
    template, own_level, values = _FORMS[type(event)]
    encoded = [_ENCODERS[type(value)](value) for value in values(event)]
    micros = f"{at:.6f}"
    return template % (_second(micros[:-7]), micros[-7:], level or own_level, *encoded)


def console_line(event: Event) -> str | None:
    """The event in words, or None where it would only be noise: a game that went well is counted, not told."""
    match event:
        case AttemptEnded(status="scored" | "cancelled") | EvaluationEnded(outcome="scored" | "cancelled"):
            return None
        case _:
            return event.TEXT.format_map({field.name: getattr(event, field.name) for field in fields(event)})


class _Encoders(dict[type, Callable[[Any], str]]):
    """How a value of each type is written. A subclass, such as that of an enumeration, is written as its base."""

    def __missing__(self, kind: type) -> Callable[[Any], str]:
        for base in kind.__mro__:
            if base in self:
                self[kind] = self[base]
                return self[base]
        raise TypeError(f"an event's field holds a {kind.__name__}; allowed: text, numbers, truth values and None")


_ENCODERS = _Encoders(
    {
        str: encode_basestring_ascii,
        bool: lambda value: "true" if value else "false",
        int: int.__repr__,
        float: lambda value: float.__repr__(value) if math.isfinite(value) else "null",  # JSON has no NaN
        type(None): lambda value: "null",
    }
)


def _form(kind: type[Event]) -> tuple[str, str, Callable[[Event], tuple[Any, ...]]]:
    """What all lines of one kind of event share: a template, the level, and what takes the values out."""
    names = [field.name for field in fields(kind)]
    keys = "".join(f',"{name}":%s' for name in names)
    return f'{{"t":"%s%sZ","level":"%s","event":"{kind.NAME}"{keys}}}\n', kind.LEVEL.name, _values(names)


def _values(names: list[str]) -> Callable[[Event], tuple[Any, ...]]:
    match names:
        case []:
            return lambda event: ()
        case [name]:
            return lambda event: (getattr(event, name),)
        case _:
            return attrgetter(*names)


@lru_cache(maxsize=4)  # most events of a turn fall into the same second
def _second(seconds: str) -> str:
    return strftime("%Y-%m-%dT%H:%M:%S", gmtime(int(seconds)))


_FORMS = {kind: _form(kind) for kind in EVENTS}
