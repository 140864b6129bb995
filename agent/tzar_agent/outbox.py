"""The results that wait for their acknowledgement, kept in one append-only file.

A record is its length and CRC-32, a letter for its kind and its content: `O` the owner (first in each file), `R` the
encoded `Result`, `A` an attempt whose result is acknowledged. What one turn of the loop brings is one write, before
anybody is told of it, so that an agent that is killed loses nothing it had told. Nothing is flushed to the platter:
what a power failure takes is played again, and no score is invented by it; a torn end is cut off when the file is read.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from loguru import logger

from tzar_agent.protocol.codec import DecodeError
from tzar_agent.protocol.messages import CONTROL_LIMIT_BYTES, Result, control_codec

__all__ = ["Outbox"]

_HEAD = struct.Struct(">II")
_EMPTY_OVER_BYTES = 64 * 1024
_COMPACT_OVER_BYTES = 8 * 1024 * 1024


class Outbox:
    """The kept results of one VM. Should the disk fail, they are kept in memory, and the log says so.

    Args:
        path: the file; it is made when missing.
        owner: whose results these are (fleet and VM). A file of another owner is emptied: ids of attempts are unique
            within a fleet alone.
    """

    def __init__(self, path: Path, owner: str) -> None:
        self.frames: dict[str, bytes] = {}  # encoded results by attempt, oldest first
        self._path = path
        self._owner = _record(b"O", owner.encode())
        self._fd: int | None = None
        self._size = 0
        self._unwritten: list[bytes] = []
        self._is_failing = False
        try:
            self._load()
        except OSError as error:
            self._fail("open", error)

    def keep(self, attempt: str, frame: bytes) -> None:
        """Keeps the encoded result of `attempt` until `forget`. It is on the disk after `flush`."""
        self.frames[attempt] = frame
        self._unwritten.append(_record(b"R", frame))

    def forget(self, attempt: str) -> None:
        """The result of `attempt` is acknowledged. An attempt that is not kept changes nothing."""
        if self.frames.pop(attempt, None) is None:
            return
        if (not self.frames and self._size > _EMPTY_OVER_BYTES) or self._size > _COMPACT_OVER_BYTES:
            self._rewrite()
        else:
            self._unwritten.append(_record(b"A", attempt.encode()))

    def flush(self) -> None:
        """Writes what changed. Nobody may be told of a result before."""
        if self._unwritten:
            records, self._unwritten = b"".join(self._unwritten), []
            self._append(records)

    def close(self) -> None:
        """Closes the file; what is kept stays in it."""
        self.flush()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _load(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._fd = os.open(self._path, flags, 0o600)
        data = self._path.read_bytes()
        decode = control_codec().decode
        good = 0
        is_ours = False
        for end, kind, content in _records(data):
            if not is_ours:
                if data[:end] != self._owner:
                    logger.warning("the outbox holds results of another VM or fleet; they are dropped")
                    break
                is_ours = True
            elif kind == b"R":
                try:
                    message = decode(content)
                except DecodeError as error:
                    logger.warning("a kept result cannot be read and is dropped: {}", error)
                else:
                    if isinstance(message, Result):
                        self.frames[message.attempt] = content
            elif kind == b"A":
                self.frames.pop(content.decode(errors="replace"), None)
            good = end
        if is_ours and good < len(data):
            logger.warning("the outbox had a torn end of {} bytes; it is cut off", len(data) - good)
        self._rewrite()

    def _rewrite(self) -> None:
        self._unwritten.clear()  # the new content holds it
        if self._fd is None:
            return
        content = self._owner + b"".join(_record(b"R", frame) for frame in self.frames.values())
        try:
            if self.frames:
                # A new file takes the old one's place as a whole: a crash in between loses no kept result.
                fresh = self._path.with_name(self._path.name + ".new")
                fresh.write_bytes(content)
                os.close(self._fd)
                self._fd = None
                fresh.replace(self._path)
                flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
                self._fd = os.open(self._path, flags, 0o600)
            else:
                os.ftruncate(self._fd, 0)
                os.write(self._fd, content)
            self._size = len(content)
        except OSError as error:
            self._fail("rewrite", error)

    def _append(self, record: bytes) -> None:
        if self._fd is None:
            return
        try:
            written = os.write(self._fd, record)
            if written != len(record):
                os.ftruncate(self._fd, self._size)
                raise OSError(f"only {written} of {len(record)} bytes were written")
        except OSError as error:
            self._fail("write to", error)
        else:
            self._size += len(record)
            if self._is_failing:
                self._is_failing = False
                logger.info("the outbox can be written again")
                self._rewrite()

    def _fail(self, doing: str, error: OSError) -> None:
        if not self._is_failing:
            self._is_failing = True
            logger.error(
                "cannot {} the outbox {}: {}. Results are kept in memory; free the disk", doing, self._path, error
            )


def _record(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def _records(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Each whole record: where it ends, its kind, its content. Stops at the first that is torn."""
    at = 0
    while at + _HEAD.size <= len(data):
        length, crc = _HEAD.unpack_from(data, at)
        body = data[at + _HEAD.size : at + _HEAD.size + length]
        if not 0 < length <= CONTROL_LIMIT_BYTES + 1 or len(body) < length or zlib.crc32(body) != crc:
            return
        at += _HEAD.size + length
        yield at, body[:1], body[1:]
