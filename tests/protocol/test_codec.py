"""What the codec takes, what it refuses, and that it refuses with nothing but `DecodeError`."""

import math
import tracemalloc
import types
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tzar_agent.protocol import messages as m
from tzar_agent.protocol.codec import (
    Codec,
    DecodeError,
    EncodeError,
    Items,
    Range,
    Size,
    pack_value,
    unpack_value,
)

CONTROL, BLOB = get_args(m.Control), get_args(m.Blob)


@dataclass(frozen=True, slots=True)
class Inner:
    number: int
    text: Annotated[str, Size(8)]


@dataclass(frozen=True, slots=True)
class Everything:
    """One field of each type that a schema may have."""

    TAG: ClassVar[str] = "everything"
    text: Annotated[str, Size(8)]
    data: Annotated[bytes, Size(4)]
    key: Annotated[bytes, Size(2, 2)]
    whole: int
    count: Annotated[int, Range(1, 10)]
    real: float
    flag: bool
    choice: Literal["a", "b"]
    maybe: Annotated[int, Range(0, 5)] | None
    inner: Inner | None
    names: Annotated[tuple[Annotated[str, Size(4)], ...], Items(3)]
    inners: Annotated[tuple[Inner, ...], Items(2)]


@dataclass(frozen=True, slots=True)
class Empty:
    TAG: ClassVar[str] = "empty"


GOOD = Everything("text", b"data", b"kk", -5, 3, 1.5, True, "a", None, Inner(1, "x"), ("a", "b"), (Inner(2, "y"),))
PLACES = {field.name: number + 1 for number, field in enumerate(fields(Everything))}


@pytest.fixture
def codec() -> "Codec[Everything | Empty]":
    return Codec((Everything, Empty), 4096)


def with_field(name: str, value: Any) -> bytes:
    values = msgpack.unpackb(Codec((Everything,), 4096).encode(GOOD))
    values[PLACES[name]] = value
    packed: bytes = msgpack.packb(values)
    return packed


def test_a_message_is_an_array_of_its_tag_and_its_fields(codec: "Codec[Any]") -> None:
    expected = ["everything", "text", b"data", b"kk", -5, 3, 1.5, True, "a", None, [1, "x"], ["a", "b"], [[2, "y"]]]
    assert msgpack.unpackb(codec.encode(GOOD)) == expected
    assert codec.encode(Empty()) == b"\x91\xa5empty"


@pytest.mark.parametrize("message", [GOOD, Empty()])
def test_what_was_encoded_is_decoded_to_the_same(codec: "Codec[Any]", message: Any) -> None:
    assert codec.decode(codec.encode(message)) == message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", ""),
        ("text", "é" * 4),
        ("text", "\N{GRINNING FACE}" * 2),
        ("text", "nul\0nul"),
        ("data", b""),
        ("whole", 2**63 - 1),
        ("whole", -(2**63)),
        ("count", 1),
        ("count", 10),
        ("real", -0.0),
        ("real", 1e308),
        ("maybe", 5),
        ("inner", None),
        ("names", []),
        ("names", ["a", "b", "c"]),
        ("inners", [[1, "a"], [2, "b"]]),
    ],
)
def test_a_value_at_its_limit_is_taken(codec: "Codec[Any]", name: str, value: Any) -> None:
    message = codec.decode(with_field(name, value))
    assert codec.decode(codec.encode(message)) == message


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("text", b"text", "text of at most 8 bytes needed, not bytes"),
        ("text", None, "not NoneType"),
        ("text", 5, "not int"),
        ("text", "123456789", "of length 9"),
        ("text", "é" * 5, "text of at most 8 bytes"),
        ("data", "text", "at most 4 bytes needed, not str"),
        ("data", b"12345", "of length 5"),
        ("key", b"k", "bytes of length 2 needed"),
        ("key", b"", "bytes of length 2 needed"),
        ("key", b"kkk", "bytes of length 2 needed"),
        ("whole", True, "not bool"),
        ("whole", 1.0, "not float"),
        ("whole", "1", "not str"),
        ("whole", None, "not NoneType"),
        ("whole", 2**63, "integer"),
        ("count", 0, "between 1 and 10"),
        ("count", 11, "between 1 and 10"),
        ("count", True, "not bool"),
        ("real", math.nan, "a finite number"),
        ("real", math.inf, "a finite number"),
        ("real", -math.inf, "a finite number"),
        ("real", True, "not bool"),
        ("real", "1.0", "not str"),
        ("flag", 1, "a boolean needed, not int"),
        ("flag", None, "not NoneType"),
        ("choice", "c", "one of a, b"),
        ("choice", ["a"], "one of a, b"),
        ("choice", 0, "one of a, b"),
        ("maybe", 6, "between 0 and 5"),
        ("maybe", False, "not bool"),
        ("inner", [1], "an array of 2"),
        ("inner", [1, "x", "y"], "an array of 2"),
        ("inner", "no", "an array of 2"),
        ("inner", ["1", "x"], "everything.inner.number"),
        ("names", ["a"] * 4, "at most 3 items"),
        ("names", "abc", "at most 3 items"),
        ("names", None, "not NoneType"),
        ("names", ["a", b"b"], "not bytes"),
        ("names", ["a", "12345"], "of length 5"),
        ("inners", [[1, "a"], None], "an array of 2"),
        ("inners", [[1, 2]], "everything.inners.text"),
        ("whole", {}, "not dict"),
    ],
)
def test_a_value_of_a_wrong_type_or_size_is_refused_with_its_name(
    codec: "Codec[Any]", name: str, value: Any, said: str
) -> None:
    with pytest.raises(DecodeError) as caught:
        codec.decode(with_field(name, value))
    assert said in str(caught.value)
    assert f"everything.{name}" in str(caught.value)
    assert len(str(caught.value)) < 300


def test_an_integer_in_place_of_a_float_is_taken_as_a_float(codec: "Codec[Any]") -> None:
    for whole in (0, -7, 2**63 - 1, 2**64 - 1):
        real = codec.decode(with_field("real", whole)).real
        assert type(real) is float
        assert real == float(whole)


@pytest.mark.parametrize("count", [0, 1, 11, 13, 20])
def test_another_number_of_fields_is_refused(codec: "Codec[Any]", count: int) -> None:
    values = msgpack.unpackb(codec.encode(GOOD))
    frame = msgpack.packb((values + [None] * 10)[: count + 1])
    with pytest.raises(DecodeError, match="an array of 13 is needed"):
        codec.decode(frame)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (b"", "not msgpack"),
        (b"\xc1", "not msgpack"),
        (b"GET / HTTP/1.1\r\n\r\n", "not msgpack"),
        (b"\x91\xa5empty\xc0", "not msgpack"),  # a second value behind the message
        (b"\x91\xa5empt", "not msgpack"),
        (b"\x91\xa2\xff\xff", "not msgpack"),  # no UTF-8
        (b"\x91\xa3\xed\xa0\x80", "not msgpack"),  # half a surrogate pair, written as if it were a character
        (b"\x92\xa5empty\xd4\x05\x00", "not msgpack"),  # an extension type
        (b"\x92\xa5empty\xd6\xff\0\0\0\0", "an array of 1"),  # a timestamp
        (b"\x92\xa5empty\x81\xa1a\xc0", "not msgpack"),  # a map
        (b"\x90", "not a message"),
        (b"\x80", "not a message"),
        (b"\x91\xc0", "not a message"),
        (b"\x91\xc4\x05empty", "not a message"),  # the tag as bytes
        (b"\x91\x91\xa5empty", "not a message"),
        (b"\xa5empty", "not a message"),
        (b"\x91\xa4Hell", "unknown message 'Hell'"),
        (b"\x91" * 2000, "not msgpack"),
        (b"\xdd\x7f\xff\xff\xff\xa5empty", "not msgpack"),
        (b"\x91\xdb\x7f\xff\xff\xff", "not msgpack"),
        (b"\x00" * 4097, "4097 bytes are over the limit of 4096 bytes"),
    ],
)
def test_a_frame_that_is_no_message_is_refused(codec: "Codec[Any]", frame: bytes, said: str) -> None:
    with pytest.raises(DecodeError) as caught:
        codec.decode(frame)
    assert said in str(caught.value)


def test_a_long_unknown_tag_is_not_repeated_whole(codec: "Codec[Any]") -> None:
    with pytest.raises(DecodeError) as caught:
        codec.decode(msgpack.packb(["x" * 3000]))
    assert len(str(caught.value)) < 100


def peak_of(call: Any) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError):
            call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_nested_arrays_that_claim_much_get_little_memory() -> None:
    control = m.control_codec()
    claims = b"\xdd\x00\x0f\x00\x00" * 900  # each claims a million items, 8 MB of room
    assert peak_of(lambda: control.decode(claims + b"\x00" * 1_000_000)) < 4_000_000
    allowed_claims = b"\xdc\x27\x10" * 900  # as many items as a hello may have
    assert peak_of(lambda: control.decode(allowed_claims + b"\x00" * 1_000_000)) < 100_000_000
    assert peak_of(lambda: unpack_value(claims + b"\x00" * 200_000)) < 4_000_000


def test_a_frame_over_the_limit_is_not_encoded(codec: "Codec[Any]") -> None:
    small: Codec[Any] = Codec((Everything,), 20)
    with pytest.raises(EncodeError, match=r"a Everything of \d+ bytes is over the limit of 20 bytes"):
        small.encode(GOOD)


def test_what_msgpack_cannot_carry_is_an_encode_error_and_the_codec_works_on() -> None:
    control = m.control_codec()
    for wrong in (m.Bye("\ud800"), m.SupervisorHeartbeat(2**70), m.Bye(object())):  # type: ignore[arg-type]  # on purpose
        with pytest.raises(EncodeError, match="cannot travel"):
            control.encode(wrong)
    assert control.decode(control.encode(m.Bye("well"))) == m.Bye("well")


def test_two_messages_with_one_tag_are_an_error_of_the_program() -> None:
    with pytest.raises(TypeError, match="two messages have the tag 'empty'"):
        Codec((Empty, Empty), 100)


@dataclass(frozen=True, slots=True)
class Unlimited:
    TAG: ClassVar[str] = "unlimited"
    text: str


@dataclass(frozen=True, slots=True)
class Mapped:
    TAG: ClassVar[str] = "mapped"
    mapping: dict[str, str]


@dataclass(frozen=True)
class Slotless:
    TAG: ClassVar[str] = "slotless"


@pytest.mark.parametrize("cls", [Unlimited, Mapped, Slotless])
def test_a_class_that_no_schema_can_be_made_of_is_an_error_of_the_program(cls: type[Any]) -> None:
    with pytest.raises(TypeError):
        Codec((cls,), 100)


def test_the_unions_and_their_codecs_have_the_same_messages() -> None:
    for union, made in ((CONTROL, m.control_codec()), (BLOB, m.blob_codec())):
        for cls in union:
            with pytest.raises(DecodeError, match=cls.TAG):
                made.decode(msgpack.packb([cls.TAG] + [{}] * 20))
        assert {cls.TAG for cls in union} == set(made._decoders)


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


def test_equal_values_are_packed_to_equal_bytes() -> None:
    one = pack_value({"b": [1, 2.5, None], "a": {"y": b"x", "x": True}}, 100)
    other = pack_value({"a": {"x": True, "y": b"x"}, "b": (1, 2.5, None)}, 100)
    assert one == other
    assert unpack_value(one) == {"a": {"x": True, "y": b"x"}, "b": [1, 2.5, None]}


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_a_value_is_nested_sixteen_deep_and_no_deeper() -> None:
    assert unpack_value(pack_value(nested(16), 100)) == nested(16)
    with pytest.raises(EncodeError, match="nested deeper than 16"):
        pack_value(nested(17), 100)
    with pytest.raises(DecodeError, match="nested deeper than 16"):
        unpack_value(msgpack.packb(nested(17)))
    ring: list[Any] = []
    ring.append(ring)
    with pytest.raises(EncodeError, match="nested deeper than 16"):
        pack_value(ring, 100)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": [0, {1}]}, r"details.a\[1\]: a set cannot travel"),
        ({1: "one"}, "the key 1 is not a string"),
        ({"\ud800": 1}, "is not valid Unicode"),
        ({"a": "\ud800"}, "details.a: the text .* is not valid Unicode"),
        (2**63, "does not fit in 64 bits"),
        (object(), "a object cannot travel"),
        ("x" * 200, "details: 202 bytes are over the limit of 100 bytes"),
    ],
)
def test_a_value_that_cannot_travel_says_where_it_lies(value: Any, said: str) -> None:
    with pytest.raises(EncodeError, match=said):
        pack_value(value, 100, "details")


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\xc0\xc0",
        b"\xd4\x05\x00",
        b"\xc7\x00\x05",
        b"\xd6\xff\x00\x00\x00\x00",
        b"\xcf" + b"\xff" * 8,
        b"\x81\x01\x01",
        b"\x81\xc4\x01a\x01",
        b"\xa2\xff\xff",
        b"\x91" * 5000,
        b"\xdd\x00\xff\xff\xff" * 2000,
    ],
)
def test_bytes_that_are_no_value_are_refused(packed: bytes) -> None:
    with pytest.raises(DecodeError, match="params"):
        unpack_value(packed, "params")


@settings(max_examples=200, deadline=None)
@given(JUNK)
def test_any_value_comes_back_as_it_was_or_is_refused(value: Any) -> None:
    try:
        packed = pack_value(value, 10_000)
    except EncodeError:
        return
    assert pack_value(unpack_value(packed), 10_000) == packed
