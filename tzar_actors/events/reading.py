"""Reads a log of events, also one that is being written or was cut off in the middle of a line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["read"]


def read(path: Path | str) -> Iterator[dict[str, Any]]:
    """The events in the file at `path`, in the order of their lines.

    A line that is no whole event is passed over: the last one may still be written, and a power cut may have torn one.

    Raises:
        OSError: the file cannot be read.
    """
    with Path(path).open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and "event" in event:
                yield event
