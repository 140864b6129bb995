"""Makes the functions that take messages apart and put them together, from the types of their fields.

As dataclasses do with `__init__`, the source of each function is written from the class and compiled once: a message
costs a few microseconds, whatever is checked of it. The types are all there is to a schema:

    str, bytes                 with `Size` for their length
    int                        of 64 bits, or with `Range`
    float                      finite; an integer is taken for one
    bool, Literal[...]         a literal's values are texts
    a dataclass                an array of its fields
    tuple[X, ...]              with `Items`, an array of any X
    X | None                   any X, or nil
"""

import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from math import isfinite
from typing import Annotated, Any, Literal, NoReturn, TypeAlias, Union, get_args, get_origin, get_type_hints

__all__ = ["DecodeError", "Items", "Range", "Size", "compile_decoder", "compile_encoder", "longest_array"]

INT_MIN, INT_MAX = -(2**63), 2**63 - 1

Scope: TypeAlias = dict[str, Any]


class DecodeError(ValueError):
    """A frame that is no message of this protocol. Its text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Size:
    """At most `limit` and at least `least` bytes (for text: in UTF-8)."""

    limit: int
    least: int = 0


@dataclass(frozen=True, slots=True)
class Items:
    """At most `limit` items."""

    limit: int


@dataclass(frozen=True, slots=True)
class Range:
    """An integer of `low` to `high`, both allowed."""

    low: int
    high: int


def compile_decoder(cls: type[Any], where: str, tag: str | None = None) -> Callable[[Any], Any]:
    """A function from an array, as msgpack decodes it, to a `cls`; it raises `DecodeError` for any other value.

    Args:
        cls: a dataclass with slots and without `__post_init__`.
        where: how errors name the class.
        tag: the array begins with it; it was looked at already. None: the array has nothing but the fields.

    Raises:
        TypeError: a field has a type that the schema does not know.
    """
    if "__slots__" not in cls.__dict__ or hasattr(cls, "__post_init__"):
        raise TypeError(f"{cls.__name__} needs slots and no __post_init__, since its __init__ is not called")
    named = _fields(cls)
    head = [] if tag is None else ["_"]
    length = len(head) + len(named)
    scope: Scope = {"cls": cls, "new": object.__new__, "isfinite": isfinite, "wrong": _wrong, "miscounted": _miscounted}
    body = [f"if type(values) is not list or len(values) != {length}: miscounted({where!r}, {length}, values)"]
    if named:
        body.append(f"[{', '.join([*head, *(f'v{i}' for i in range(len(named)))])}] = values")
    for i, (name, hint) in enumerate(named):
        body += _checks(hint, f"v{i}", f"{where}.{name}", scope)
    body.append("message = new(cls)")
    for i, (name, _) in enumerate(named):
        # The class is frozen: a slot's own setter costs half of what object.__setattr__ does in its __init__.
        scope[f"set{i}"] = getattr(cls, name).__set__
        body.append(f"set{i}(message, v{i})")
    return _compiled("decode", "values", [*body, "return message"], scope)


def compile_encoder(cls: type[Any], tag: str | None = None) -> Callable[[Any], list[Any]]:
    """A function from a `cls` to the array that msgpack packs. It trusts the fields."""
    scope: Scope = {}
    items = [] if tag is None else [repr(tag)]
    items += [_taken_apart(hint, f"message.{name}", scope) for name, hint in _fields(cls)]
    return _compiled("encode", "message", [f"return [{', '.join(items)}]"], scope)


def longest_array(cls: type[Any]) -> int:
    """The most items that any array in an encoded `cls` can have, its tag among them."""
    return max([len(_fields(cls)) + 1, *(n for _, hint in _fields(cls) for n in _array_lengths(hint))])


def _array_lengths(hint: Any) -> Iterator[int]:
    if is_dataclass(hint) and isinstance(hint, type):
        yield longest_array(hint)
    for arg in get_args(hint):
        if isinstance(arg, Items):
            yield arg.limit
        elif get_origin(hint) is not Literal:
            yield from _array_lengths(arg)


def _checks(hint: Any, name: str, where: str, scope: Scope) -> list[str]:
    """The lines that check the variable `name`, and put what the message holds in its place."""
    limits: tuple[Any, ...] = ()
    if get_origin(hint) is Annotated:
        hint, *rest = get_args(hint)
        limits = tuple(rest)
    origin, args = get_origin(hint), get_args(hint)
    if origin is types.UnionType or origin is Union:
        present = [arm for arm in args if arm is not types.NoneType]
        if len(present) != 1 or limits:
            raise TypeError(f"{where}: of unions there are only those with None, and limits belong to the other type")
        return [f"if {name} is not None:", *_indented(_checks(present[0], name, where, scope))]
    match limits:
        case (Size(most, least),) if hint is bytes:
            wanted = f"bytes of length {most}" if least == most else f"at most {most} bytes"
            return _unless(f"type({name}) is bytes and {least} <= len({name}) <= {most}", wanted, name, where)
        case (Size(most, 0),) if hint is str:
            # No character is longer than 4 bytes, so short texts, which nearly all are, need not be encoded.
            fits = f"(len({name}) <= {most // 4} or len({name}.encode()) <= {most})"
            return _unless(f"type({name}) is str and {fits}", f"text of at most {most} bytes", name, where)
        case (Range(low, high),) if hint is int:
            wanted = f"an integer between {low} and {high}"
            return _unless(f"type({name}) is int and {low} <= {name} <= {high}", wanted, name, where)
        case (Items(most),) if origin is tuple and args[1:] == (...,):
            item = f"{name}_item"
            return [
                *_unless(f"type({name}) is list and len({name}) <= {most}", f"at most {most} items", name, where),
                f"{name}_items = []",
                f"for {item} in {name}:",
                *_indented([*_checks(args[0], item, where, scope), f"{name}_items.append({item})"]),
                f"{name} = tuple({name}_items)",
            ]
        case ():
            return _unlimited(hint, name, where, scope)
        case _:
            raise TypeError(f"{where}: there is no check for the type {hint!r} with {limits!r}")


def _unlimited(hint: Any, name: str, where: str, scope: Scope) -> list[str]:
    if hint is int:
        return _checks(Annotated[int, Range(INT_MIN, INT_MAX)], name, where, scope)
    if hint is bool:
        return _unless(f"type({name}) is bool", "a boolean", name, where)
    if hint is float:
        # An integer of 64 bits always has a float near it; longer ones do not exist in msgpack.
        as_float = [f"if type({name}) is int: {name} = float({name})"]
        return as_float + _unless(f"type({name}) is float and isfinite({name})", "a finite number", name, where)
    if get_origin(hint) is Literal:
        allowed = f"{name}_allowed"
        scope[allowed] = frozenset(get_args(hint))
        wanted = f"one of {', '.join(get_args(hint))}"
        return _unless(f"type({name}) is str and {name} in {allowed}", wanted, name, where)
    if is_dataclass(hint) and isinstance(hint, type):
        scope[f"{name}_record"] = compile_decoder(hint, where)
        return [f"{name} = {name}_record({name})"]
    raise TypeError(f"{where}: there is no check for the type {hint!r} without a limit")


def _unless(good: str, wanted: str, name: str, where: str) -> list[str]:
    return [f"if not ({good}): wrong({where!r}, {wanted!r}, {name})"]


def _taken_apart(hint: Any, value: str, scope: Scope) -> str:
    """The expression for what msgpack packs in place of the expression `value`."""
    if get_origin(hint) is Annotated:
        return _taken_apart(get_args(hint)[0], value, scope)
    if get_origin(hint) is types.UnionType or get_origin(hint) is Union:
        inner = next(_taken_apart(arm, value, scope) for arm in get_args(hint) if arm is not types.NoneType)
        return value if inner == value else f"(None if {value} is None else {inner})"
    if get_origin(hint) is tuple:
        inner = _taken_apart(get_args(hint)[0], "item", scope)
        return value if inner == "item" else f"[{inner} for item in {value}]"
    if is_dataclass(hint) and isinstance(hint, type):
        encoder = f"encode_{hint.__name__}"
        scope[encoder] = compile_encoder(hint)
        return f"{encoder}({value})"
    return value


def _fields(cls: type[Any]) -> list[tuple[str, Any]]:
    hints = get_type_hints(cls, include_extras=True)
    return [(f.name, hints[f.name]) for f in fields(cls)]


def _indented(lines: list[str]) -> list[str]:
    return [f" {line}" for line in lines]


def _compiled(name: str, argument: str, body: list[str], scope: Scope) -> Callable[[Any], Any]:
    source = "\n".join([f"def {name}({argument}):", *_indented(body)])
    exec(source, scope)  # the source comes from our own classes alone
    function: Callable[[Any], Any] = scope[name]
    return function


def _wrong(where: str, wanted: str, value: object) -> NoReturn:
    size = f" of length {len(value)}" if isinstance(value, str | bytes | list) else ""
    shown = repr(value[:40] if isinstance(value, str | bytes | list) else value)[:60]
    raise DecodeError(f"{where}: {wanted} needed, not {type(value).__name__}{size} {shown}")


def _miscounted(where: str, length: int, values: object) -> NoReturn:
    if isinstance(values, list):
        raise DecodeError(f"{where}: an array of {length} is needed, not of {len(values)}")
    raise DecodeError(f"{where}: an array of {length} is needed, not {type(values).__name__}")
