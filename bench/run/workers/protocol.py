"""What goes between a run and its workers: frames of a kind, a length and bytes, over any stream. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import orjson

_HEADER = struct.Struct(">cI")
LINES, MESSAGE = b"L", b"M"
"""Kinds: lines of the journal as they are; a JSON object with `kind`."""


def frame(kind: bytes, data: bytes) -> bytes:
    """The bytes of one frame."""
    return _HEADER.pack(kind, len(data)) + data


def message(**values: Any) -> bytes:
    """The frame of a message."""
    return frame(MESSAGE, orjson.dumps(values, option=orjson.OPT_NON_STR_KEYS))


class Frames:
    """Takes bytes as they come, in pieces of any size, and gives whole frames."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """(kind, data) of each frame that is whole by now."""
        self._rest += data
        while len(self._rest) >= _HEADER.size:
            kind, length = _HEADER.unpack_from(self._rest)
            end = _HEADER.size + length
            if len(self._rest) < end:
                return
            whole = bytes(self._rest[_HEADER.size : end])
            del self._rest[:end]
            yield kind, whole
