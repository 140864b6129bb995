"""The values of the line protocol between the agent and an evaluator process: JSON that can carry what msgpack can.

JSON has no bytes and no infinite numbers, so a map with one key stands for them: `{"$bytes": "<base64>"}`,
`{"$float": "nan"}` (`"inf"`, `"-inf"`). A map of a game's params or details that has just one key, and one of these
two, means that and nothing else. This module is imported by the evaluator's child: it stays light.
"""

import json
import math
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

__all__ = ["LINE_LIMIT_BYTES", "from_line", "to_line"]

LINE_LIMIT_BYTES = 4 * 1024 * 1024  # details of 256 KiB packed are up to seven times as long in JSON


def to_line(message: Mapping[str, object]) -> bytes:
    """`message` as one line with its newline.

    Raises:
        TypeError: a value in it cannot travel; the text says which.
        ValueError: a text in it is not valid Unicode, or it is nested without end.
    """
    return json.dumps(_plain(message, ""), ensure_ascii=False, allow_nan=False, check_circular=False).encode() + b"\n"


def from_line(line: bytes) -> dict[str, Any] | None:
    """The message on `line`; None when it is none: then it is something that was printed."""
    if not line.startswith(b"{") or b'"tzar"' not in line:
        return None
    try:
        message = json.loads(line)
        value = _rich(message)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and isinstance(value.get("tzar"), str) else None


def _plain(value: object, where: str, depth: int = 0) -> object:
    if depth > 20:
        raise TypeError(f"{where[1:60]}...: nested too deeply")
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": str(float(value))}
    if isinstance(value, bytes):
        return {"$bytes": b64encode(value).decode()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{where[1:]}: the key {key!r} is not a string")
        return {key: _plain(item, f"{where}.{key}", depth + 1) for key, item in value.items()}
    kind = type(value).__name__
    raise TypeError(f"{where[1:]}: a {kind} cannot travel; None, bool, int, float, str, bytes, list and dict can")


def _rich(value: Any) -> Any:
    if isinstance(value, list):
        return [_rich(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, text),) = value.items()
        if key == "$bytes" and isinstance(text, str):
            return b64decode(text, validate=True)
        if key == "$float" and text in ("nan", "inf", "-inf"):
            return float(text)
    return {key: _rich(item) for key, item in value.items()}
