"""The codec against messages and bytes that nobody thought of."""

import types
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tzar_agent.protocol import messages as m
from tzar_agent.protocol.codec import Codec, DecodeError, EncodeError, pack_value, unpack_value

CONTROL, BLOB = get_args(m.Control), get_args(m.Blob)


def any_of(hint: Any) -> st.SearchStrategy[Any]:
    """All values that a field of this type may have."""
    limit: Any = None
    if get_origin(hint) is Annotated:
        hint, limit = get_args(hint)
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return st.sampled_from(args)
    if origin is types.UnionType or origin is Union:
        return st.one_of(*(st.none() if arm is types.NoneType else any_of(arm) for arm in args))
    if origin is tuple:
        return st.lists(any_of(args[0]), max_size=min(limit.limit, 5)).map(tuple)
    if hint is str:
        texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=min(limit.limit // 4, 50))
        return texts | st.just("x" * limit.limit)
    if hint is bytes:
        return st.binary(min_size=limit.least, max_size=max(limit.least, min(limit.limit, 50)))
    if hint is int:
        return st.integers(*((limit.low, limit.high) if limit else (-(2**63), 2**63 - 1)))
    if hint is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    assert is_dataclass(hint)
    return message_of(hint)


def message_of(cls: Any) -> st.SearchStrategy[Any]:
    hints = get_type_hints(cls, include_extras=True)
    return st.builds(cls, *(any_of(hints[field.name]) for field in fields(cls)))


@pytest.mark.parametrize("cls", [*CONTROL, *BLOB])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_every_message_of_both_unions_comes_back_as_it_was(cls: Any, data: st.DataObject) -> None:
    message = data.draw(message_of(cls))
    codec: Codec[Any] = m.control_codec() if cls in CONTROL else m.blob_codec()
    assert codec.decode(codec.encode(message)) == message


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
CODECS: tuple["Codec[Any]", ...] = (m.control_codec(), m.blob_codec())


def decodes_or_refuses(frame: bytes) -> None:
    for codec in CODECS:
        try:
            message = codec.decode(frame)
        except DecodeError:
            continue
        assert codec.decode(codec.encode(message)) == message


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=100))
def test_random_bytes_raise_nothing_but_a_decode_error(frame: bytes) -> None:
    decodes_or_refuses(frame)
    try:
        unpack_value(frame)
    except DecodeError:
        return


@pytest.mark.parametrize("cls", [*CONTROL, *BLOB])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_junk_in_any_field_raises_nothing_but_a_decode_error(cls: Any, data: st.DataObject) -> None:
    codec: Codec[Any] = m.control_codec() if cls in CONTROL else m.blob_codec()
    values = msgpack.unpackb(codec.encode(data.draw(message_of(cls))))
    values[data.draw(st.integers(0, len(values) - 1))] = data.draw(JUNK)
    decodes_or_refuses(msgpack.packb(values))


@pytest.mark.parametrize("cls", [*CONTROL, *BLOB])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_frame_with_any_byte_changed_raises_nothing_but_a_decode_error(cls: Any, data: st.DataObject) -> None:
    codec: Codec[Any] = m.control_codec() if cls in CONTROL else m.blob_codec()
    frame = bytearray(codec.encode(data.draw(message_of(cls))))
    frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    decodes_or_refuses(bytes(frame))


@settings(max_examples=200, deadline=None)
@given(JUNK)
def test_any_value_comes_back_as_it_was_or_is_refused(value: Any) -> None:
    try:
        packed = pack_value(value, 10_000)
    except EncodeError:
        return
    assert pack_value(unpack_value(packed), 10_000) == packed
