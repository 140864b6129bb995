"""Values that are packed by themselves: what travels in them, and what is refused with the place where it lies."""

from typing import Any

import msgpack
import pytest

from tzar_agent.protocol.codec import DecodeError, EncodeError, pack_value, unpack_value


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
