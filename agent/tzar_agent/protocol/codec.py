"""Turns messages into msgpack and back, and refuses everything else with one `DecodeError`.

A message is a frozen dataclass. On the wire it is one msgpack array: its tag, then its fields in the class's order.
The types of the fields are the schema: what they do not allow is refused, so a decoded message needs no further checks.
"""

from collections.abc import Callable, Iterable
from typing import Any, Generic, NoReturn, TypeVar

import msgpack

from tzar_agent.protocol.schema import (
    INT_MAX,
    INT_MIN,
    DecodeError,
    Items,
    Range,
    Size,
    compile_decoder,
    compile_encoder,
    longest_array,
)

__all__ = ["Codec", "DecodeError", "EncodeError", "Items", "Range", "Size", "pack_value", "unpack_value"]

_DEPTH = 16
_SCALARS = frozenset({type(None), bool, int, float, str, bytes})
_SKIM_BYTES = 4096  # what is shorter cannot claim much

Message = TypeVar("Message")


class EncodeError(ValueError):
    """A value that the protocol cannot carry. Its text says where it lies and what is allowed."""


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
        self._longest_array = 64  # a message of another version, with more fields, is told what is wrong with it
        self._decoders: dict[str, Callable[[Any], Message]] = {}
        self._encoders: dict[type[Message], Callable[[Message], list[Any]]] = {}
        for cls in messages:
            tag: str = cls.TAG  # type: ignore[attr-defined]  # messages are told by their tag alone, not by a base class
            if tag in self._decoders:
                raise TypeError(f"two messages have the tag {tag!r}")
            self._decoders[tag] = compile_decoder(cls, tag, tag)
            self._encoders[cls] = compile_encoder(cls, tag)
            self._longest_array = max(self._longest_array, longest_array(cls))

    def encode(self, message: Message) -> bytes:
        """The frame of `message`. Its fields are trusted to be what their types say; the frame's length is checked.

        Raises:
            EncodeError: the frame would be longer than the limit, or msgpack cannot carry a field at all.
        """
        try:
            packed: bytes = self._packer.pack(self._encoders[type(message)](message))
        except (TypeError, ValueError, OverflowError) as error:
            raise EncodeError(f"a {type(message).__name__} cannot travel: {error}") from error
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
            # An array's claimed length is room that msgpack makes at once, so it claims no more than a message may.
            values = msgpack.unpackb(frame, max_array_len=self._longest_array, max_map_len=0, ext_hook=_refuse_ext)
        except Exception as error:
            raise DecodeError(_not_msgpack(error)) from error
        if type(values) is not list or not values or type(values[0]) is not str:
            raise DecodeError("not a message: an array that begins with a tag is needed")
        decoder = self._decoders.get(values[0])
        if decoder is None:
            raise DecodeError(f"unknown message {values[0][:40]!r}")
        return decoder(values)


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
        if len(packed) > _SKIM_BYTES:
            _skim(packed)
        value = msgpack.unpackb(packed, ext_hook=_refuse_ext)
    except Exception as error:
        raise DecodeError(f"{what}: {_not_msgpack(error)}") from error
    if _is_plain(value, 0):
        return value
    try:
        return _plain(value, what, 0)
    except EncodeError as error:
        raise DecodeError(str(error)) from error


def _is_plain(value: Any, depth: int) -> bool:
    """Whether `_plain` would find nothing wrong with what msgpack unpacked; it need not say where anything lies."""
    kind = type(value)
    if kind in _SCALARS:
        return kind is not int or value <= INT_MAX
    if depth >= _DEPTH:
        return False
    if kind is dict:
        return all(type(key) is str and _is_plain(item, depth + 1) for key, item in value.items())
    return kind is list and all(_is_plain(item, depth + 1) for item in value)


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
        if not INT_MIN <= value <= INT_MAX:
            raise EncodeError(f"{where}: the integer {value} does not fit in 64 bits")
        return value
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise EncodeError(f"{where}: the key {key!r} is not a string")
            _plain(key, f"{where}'s key", depth)
        return {key: _plain(value[key], f"{where}.{key}", depth + 1) for key in sorted(value)}
    kind = type(value).__name__
    raise EncodeError(f"{where}: a {kind} cannot travel; allowed are None, bool, int, float, str, bytes, list and dict")


def _skim(packed: bytes) -> None:
    """Raises unless all items that arrays and maps claim are there: unpacking makes room for what is claimed.

    A few hundred bytes of nested claims would have gigabytes allocated. Skipping over a value allocates nothing.
    """
    unpacker = msgpack.Unpacker(max_buffer_size=len(packed))
    unpacker.feed(packed)
    unpacker.skip()


def _refuse_ext(code: int, data: bytes) -> NoReturn:
    raise ValueError(f"extension type {code} of {len(data)} bytes")


def _not_msgpack(error: Exception) -> str:
    return f"not msgpack that is allowed here: {type(error).__name__} {str(error)[:80]}".rstrip()
