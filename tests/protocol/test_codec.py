"""What the codec takes, what it refuses, and that it refuses with nothing but `DecodeError`."""

import math
import tracemalloc
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, Literal, get_args

import msgpack
import pytest

from tzar_agent.protocol import messages as m
from tzar_agent.protocol.codec import (
    Codec,
    DecodeError,
    EncodeError,
    Items,
    Range,
    Size,
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
