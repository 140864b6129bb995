"""Turns messages into msgpack and back, and refuses everything else with one `DecodeError`.

A message is a frozen dataclass. On the wire it is one msgpack array: its tag, then its fields in the class's order.
The types of the fields are the schema: what they do not allow is refused, so a decoded message needs no further checks.
"""

import math
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, is_dataclass
from operator import attrgetter
from typing import Annotated, Any, Generic, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgpack

__all__ = ["Codec", "DecodeError", "EncodeError", "Items", "Range", "Size", "pack_value", "unpack_value"]

_DEPTH = 16
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1

Check = Callable[[Any], Any]
Message = TypeVar("Message")


class DecodeError(ValueError):
    """A frame that is no message of this protocol. Its text says what is wrong with it."""


class EncodeError(ValueError):
    """A value that the protocol cannot carry. Its text says where it lies and what is allowed."""


@dataclass(frozen=True, slots=True)
class Size:
    """At most `limit` bytes (for text: in UTF-8)."""

    limit: int


@dataclass(frozen=True, slots=True)
class Items:
    """At most `limit` items."""

    limit: int


@dataclass(frozen=True, slots=True)
class Range:
    """An integer of `low` to `high`, both allowed."""

    low: int
    high: int


class Codec(Generic[Message]):
    """Encodes and decodes the messages of one closed union.

    A codec belongs to one thread, since it keeps a packer.

    Args:
        messages: the union's classes; each has a class attribute `TAG`, its name on the wire.
        limit_bytes: the longest frame that is encoded or decoded.

    Raises:
        TypeError: two classes have the same tag, or a field has a type that has no check.
    """

    def __init__(self, messages: Iterable[type[Message]], limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._packer = msgpack.Packer(use_bin_type=True, autoreset=True)
        self._decoders: dict[str, tuple[type[Message], tuple[Check, ...]]] = {}
        self._encoders: dict[type[Message], Callable[[Message], list[Any]]] = {}
        for cls in messages:
            tag: str = cls.TAG  # type: ignore[attr-defined]  # messages are told by their tag alone, not by a base class
            if tag in self._decoders:
                raise TypeError(f"two messages have the tag {tag!r}")
            self._decoders[tag] = (cls, tuple(_check(hint, f"{tag}.{name}") for name, hint in _fields(cls)))
            self._encoders[cls] = _encoder(cls, tag)

    def encode(self, message: Message) -> bytes:
        """The frame of `message`. Its fields are trusted; only the frame's length is checked.

        Raises:
            EncodeError: the frame would be longer than the limit.
        """
        packed: bytes = self._packer.pack(self._encoders[type(message)](message))
        if len(packed) > self.limit_bytes:
            kind = type(message).__name__
            raise EncodeError(f"a {kind} of {len(packed)} bytes is over the limit of {self.limit_bytes} bytes")
        return packed

    def decode(self, frame: bytes) -> Message:
        """The message in `frame`.

        Raises:
            DecodeError: it is too long, not msgpack, of an unknown kind, or a field is missing, extra or wrong.
        """
        if len(frame) > self.limit_bytes:
            raise DecodeError(f"{len(frame)} bytes are over the limit of {self.limit_bytes} bytes")
        try:
            values = msgpack.unpackb(frame, raw=False, use_list=True, strict_map_key=True)
        except RecursionError as error:
            raise DecodeError("not msgpack: nested too deeply") from error
        except Exception as error:
            raise DecodeError(f"not msgpack: {type(error).__name__} {str(error)[:80]}") from error
        if type(values) is not list or not values or type(values[0]) is not str:
            raise DecodeError("not a message: an array that begins with a tag is needed")
        tag = values[0]
        known = self._decoders.get(tag)
        if known is None:
            raise DecodeError(f"unknown message {tag[:40]!r}")
        cls, checks = known
        if len(values) != len(checks) + 1:
            raise DecodeError(f"{tag} has {len(checks)} fields, not {len(values) - 1}")
        return cls(*[check(value) for check, value in zip(checks, values[1:], strict=True)])


def pack_value(value: object, limit_bytes: int, what: str = "the value") -> bytes:
    """`value` as canonical msgpack: maps sorted by key, so that equal values have equal bytes.

    Args:
        value: None, bool, int of 64 bits, float, str, bytes, or lists, tuples and str-keyed maps of these.
        limit_bytes: the longest result.
        what: how an error names the value.

    Raises:
        EncodeError: something in it cannot travel; the text says where it lies.
    """
    packed: bytes = msgpack.packb(_plain(value, what, 0), use_bin_type=True)
    if len(packed) > limit_bytes:
        raise EncodeError(f"{what}: {len(packed)} bytes are over the limit of {limit_bytes} bytes")
    return packed


def unpack_value(packed: bytes, what: str = "the value") -> Any:
    """The value that `pack_value` packed.

    Raises:
        DecodeError: the bytes are not such a value.
    """
    try:
        return _plain(msgpack.unpackb(packed, raw=False, strict_map_key=True), what, 0)
    except EncodeError as error:
        raise DecodeError(str(error)) from error
    except Exception as error:
        raise DecodeError(f"{what}: not msgpack: {type(error).__name__} {str(error)[:80]}") from error


def _plain(value: object, where: str, depth: int) -> object:
    if depth > _DEPTH:
        raise EncodeError(f"{where}: nested deeper than {_DEPTH}")
    if value is None or isinstance(value, bool | float | bytes):
        return value
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise EncodeError(f"{where}: the text {value[:40]!r} is not valid Unicode") from error
        return value
    if isinstance(value, int):
        if not _INT_MIN <= value <= _INT_MAX:
            raise EncodeError(f"{where}: the integer {value} does not fit in 64 bits")
        return value
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise EncodeError(f"{where}: the key {key!r} is not a string")
        return {key: _plain(value[key], f"{where}.{key}", depth + 1) for key in sorted(value)}
    kind = type(value).__name__
    raise EncodeError(f"{where}: a {kind} cannot travel; allowed are None, bool, int, float, str, bytes, list and dict")


def _fields(cls: type[Any]) -> list[tuple[str, Any]]:
    hints = get_type_hints(cls, include_extras=True)
    return [(f.name, hints[f.name]) for f in fields(cls)]


def _encoder(cls: type[Any], tag: str | None) -> Callable[[Any], list[Any]]:
    head: list[Any] = [] if tag is None else [tag]
    named = _fields(cls)
    names = [name for name, _ in named]
    nested = {i: inner for i, (_, hint) in enumerate(named) if (inner := _nested_encoder(hint))}
    if not names:
        return lambda _: [*head]
    if len(names) == 1:
        get_one = attrgetter(names[0])
        single: Callable[[Any], Any] = nested.get(0, _same)
        return lambda message: [*head, single(get_one(message))]
    get = attrgetter(*names)

    def encode(message: Any) -> list[Any]:
        values = [*head, *get(message)]
        for i, inner in places:
            values[i] = inner(values[i])
        return values

    places = [(i + len(head), inner) for i, inner in nested.items()]
    return encode


def _same(value: Any) -> Any:
    return value


def _nested_encoder(hint: Any) -> Callable[[Any], Any] | None:
    """How a field that holds other dataclasses is taken apart; None for a plain field."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _nested_encoder(get_args(hint)[0])
    if origin is types.UnionType or origin is Union:
        present = next((e for arm in get_args(hint) if (e := _nested_encoder(arm))), None)
        return None if present is None else lambda value: None if value is None else present(value)
    if origin is tuple:
        item = _nested_encoder(get_args(hint)[0])
        return None if item is None else lambda value: [item(each) for each in value]
    return _encoder(hint, None) if is_dataclass(hint) and isinstance(hint, type) else None


def _check(hint: Any, where: str) -> Check:
    """The function that returns a field's value when it is of type `hint`, and raises `DecodeError` otherwise."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _limited(_check(args[0], where), args[1:], where)
    if origin is Literal:
        return _one_of(frozenset(args), where)
    if origin is types.UnionType or origin is Union:
        (inner,) = (_check(arm, where) for arm in args if arm is not types.NoneType)
        return lambda value: None if value is None else inner(value)
    if origin is tuple and args[1:] == (...,):
        return _each(_check(args[0], where), where)
    if hint in (str, bytes, int, bool):
        return _exactly(hint, where)
    if hint is float:
        return _finite(where)
    if is_dataclass(hint) and isinstance(hint, type):
        return _record(hint, where)
    raise TypeError(f"{where}: there is no check for the type {hint!r}")


def _wrong(where: str, wanted: str, value: object) -> DecodeError:
    return DecodeError(f"{where}: {wanted} is needed, not {type(value).__name__} {repr(value)[:40]}")


def _exactly(cls: type[Any], where: str) -> Check:
    def check(value: Any) -> Any:
        if type(value) is not cls:
            raise _wrong(where, cls.__name__, value)
        return value

    return check


def _finite(where: str) -> Check:
    def check(value: Any) -> Any:
        if type(value) is int and _INT_MIN <= value <= _INT_MAX:
            return float(value)
        if type(value) is not float or not math.isfinite(value):
            raise _wrong(where, "a finite number", value)
        return value

    return check


def _one_of(allowed: frozenset[Any], where: str) -> Check:
    def check(value: Any) -> Any:
        if type(value) is not str or value not in allowed:
            raise _wrong(where, f"one of {', '.join(sorted(allowed))}", value)
        return value

    return check


def _each(inner: Check, where: str) -> Check:
    def check(value: Any) -> Any:
        if type(value) is not list:
            raise _wrong(where, "an array", value)
        return tuple([inner(item) for item in value])

    return check


def _record(cls: type[Any], where: str) -> Check:
    checks = tuple(_check(hint, f"{where}.{name}") for name, hint in _fields(cls))

    def check(value: Any) -> Any:
        if type(value) is not list or len(value) != len(checks):
            raise _wrong(where, f"an array of {len(checks)}", value)
        return cls(*[inner(item) for inner, item in zip(checks, value, strict=True)])

    return check


def _limited(inner: Check, limits: tuple[Any, ...], where: str) -> Check:
    for limit in limits:
        match limit:
            case Size(most):
                inner = _sized(inner, most, where)
            case Items(most):
                inner = _counted(inner, most, where)
            case Range(low, high):
                inner = _ranged(inner, low, high, where)
            case _:
                raise TypeError(f"{where}: unknown limit {limit!r}")
    return inner


def _sized(inner: Check, most: int, where: str) -> Check:
    def check(value: Any) -> Any:
        value = inner(value)
        size = len(value) if type(value) is bytes else len(value.encode()) if len(value) * 4 > most else 0
        if size > most:
            raise DecodeError(f"{where}: {size} bytes are over the limit of {most} bytes")
        return value

    return check


def _counted(inner: Check, most: int, where: str) -> Check:
    def check(value: Any) -> Any:
        if type(value) is list and len(value) > most:
            raise DecodeError(f"{where}: {len(value)} items are over the limit of {most}")
        return inner(value)

    return check


def _ranged(inner: Check, low: int, high: int, where: str) -> Check:
    def check(value: Any) -> Any:
        if not low <= inner(value) <= high:
            raise DecodeError(f"{where}: {value} is not between {low} and {high}")
        return value

    return check
