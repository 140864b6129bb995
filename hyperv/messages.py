"""What a lane and its PowerShell say to each other: requests and replies as lines, and secrets that do not show."""

import base64
import binascii
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, TypeAlias

__all__ = [
    "LARGEST_REPLY",
    "LARGEST_REQUEST",
    "DamagedError",
    "Line",
    "Lines",
    "Reply",
    "Request",
    "Secret",
    "Value",
    "definition",
    "read_errors",
    "read_reply",
    "scrub",
]

LARGEST_REQUEST = 200_000  # bytes of JSON; twice in base64 it fits the 500 KiB that WinRM takes in one envelope
LARGEST_REPLY = 64 * 2**20  # bytes of a line
_PREFIX = b"TZAR-REPLY:"  # as in loop.ps1
_LONGEST_STORY = 600
_HIDDEN = "(secret)"


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that shows in no message, log or traceback; `text` has it."""

    text: str = field(repr=False)

    def __str__(self) -> str:
        return _HIDDEN


class Line(bytes):
    """One line without its end. It may hold secrets, so it shows its length alone."""

    def __repr__(self) -> str:
        return f"<a line of {len(self)} bytes>"


class DamagedError(ValueError):
    """A reply that cannot be read."""


Value: TypeAlias = "bool | int | float | str | Secret | PurePath | Sequence[Value] | Mapping[str, Value] | None"


@dataclass(frozen=True, slots=True)
class Request:
    """A call as it is sent.

    Args:
        operation: its id; asked twice, it is done once.
        function: the PowerShell function.
        line: what is sent.
        secrets: the texts that must not show in what comes back.
    """

    operation: str
    function: str
    line: Line
    secrets: tuple[str, ...] = field(repr=False)

    @classmethod
    def make(cls, operation: str, function: str, parameters: Mapping[str, Value]) -> "Request":
        """Raises:
        ValueError: it is larger than `LARGEST_REQUEST`.
        """
        secrets: list[str] = []
        document = {"id": operation, "call": function, "with": _plain(parameters, secrets)}
        text = json.dumps(document, allow_nan=False)
        if len(text) > LARGEST_REQUEST:
            raise ValueError(f"a request of {len(text):,} bytes, and at most {LARGEST_REQUEST:,} fit")
        return cls(operation, function, _encoded(text), tuple(secrets))


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: `value` of a call that worked, else `error` with the record's fields.

    Args:
        operation: the id of the request.
        value: the objects that the function put out.
        error: None when it worked.
        said: warnings and the like that it wrote meanwhile, the first few.
    """

    operation: str
    value: tuple[Any, ...]
    error: Mapping[str, Any] | None
    said: tuple[str, ...] = ()


class Lines:
    """Cuts a stream of bytes into lines. What is left of a line when the stream was interrupted is dropped."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._looked_at = 0

    def feed(self, data: bytes) -> list[Line]:
        """The lines that are whole now. Raises `DamagedError` when one is longer than `LARGEST_REPLY`."""
        self._rest += data
        lines = []
        while (end := self._rest.find(b"\n", self._looked_at)) >= 0:
            lines.append(Line(self._rest[:end].rstrip(b"\r")))
            del self._rest[: end + 1]
            self._looked_at = 0
        self._looked_at = len(self._rest)
        if len(self._rest) > LARGEST_REPLY:
            self.drop()
            raise DamagedError(f"a reply of more than {LARGEST_REPLY:,} bytes")
        return lines

    def drop(self) -> None:
        """Forgets the line that has begun: what follows may not be its other half."""
        self._rest.clear()
        self._looked_at = 0


def definition(operation: str, sources: Sequence[str]) -> Line:
    """The request that defines the functions of `sources`, each the text of a script."""
    return _encoded(json.dumps({"id": operation, "define": list(sources)}))


def read_reply(line: bytes) -> Reply | None:
    """The reply in a line, or None when somebody else wrote it. Raises `DamagedError`."""
    _, prefix, encoded = line.partition(_PREFIX)
    if not prefix:
        return None
    try:
        document = json.loads(base64.b64decode(encoded, validate=True))
        error = None if document["ok"] else dict(document["error"])
        return Reply(document["id"], tuple(document.get("value", ())), error, tuple(document.get("said", ())))
    except (binascii.Error, ValueError, KeyError, TypeError) as failure:
        raise DamagedError(f"a reply that cannot be read ({type(failure).__name__})") from None


def read_errors(stderr: bytes) -> str:
    """What PowerShell wrote on standard error, as one line of text, its end when it is long.

    Started with -EncodedCommand it writes XML (CLIXML), with progress records among the errors.
    """
    text = stderr.decode("utf-8", "replace")
    if "<S S=" in text:
        errors = re.findall(r'<S S="Error">(.*?)</S>', text, re.DOTALL)
        text = re.sub(r"_x[0-9A-F]{4}_", " ", html.unescape(" ".join(errors)))
    return " ".join(text.split())[-_LONGEST_STORY:]


def scrub(text: str, secrets: Sequence[str]) -> str:
    """The text without the secrets."""
    longest_first = sorted(filter(None, secrets), key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)), _HIDDEN, text) if longest_first else text


def _encoded(text: str) -> Line:
    return Line(base64.b64encode(text.encode()))


def _plain(value: Value, secrets: list[str]) -> Any:
    """The value as JSON has it; the secrets in it are revealed, and noted."""
    match value:
        case Secret(text):
            secrets.append(text)
            return text
        case PurePath():
            return str(value)
        case Mapping():
            return {key: _plain(inner, secrets) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner, secrets) for inner in value]
        case None | bool() | int() | float() | str():
            return value
        case _:
            raise TypeError(f"a parameter cannot be a {type(value).__name__}")
