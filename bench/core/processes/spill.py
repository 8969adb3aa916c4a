"""Keep bytes until they are needed: in memory up to a limit, beyond it in a temporary file without a name."""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from typing import IO

_SMALLEST = 12
"""Places in the file have 2^12 bytes, 2^13, … so that a free place fits the next bytes of about its size."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the file."""

    offset: int
    length: int


Held = bytes | Place


class Spill:
    """Bytes that are put, and taken once each, in any order."""

    def __init__(self, limit: int) -> None:
        """Keep at most `limit` bytes in memory."""
        self.limit = limit
        self.in_memory = 0
        self._file: IO[bytes] | None = None
        self._end = 0
        self._free: defaultdict[int, list[int]] = defaultdict(list)

    def put(self, blob: bytes) -> Held:
        """Keep the bytes. Raises `OSError` if the disk is full."""
        if self.in_memory + len(blob) <= self.limit:
            self.in_memory += len(blob)
            return blob
        place = Place(self._room(len(blob)), len(blob))
        rest, at = memoryview(blob), place.offset
        while rest:
            written = os.pwrite(self._fd(), rest, at)
            rest, at = rest[written:], at + written
        return place

    def take(self, held: Held) -> bytes:
        """Return the bytes and free their place."""
        if isinstance(held, bytes):
            self.in_memory -= len(held)
            return held
        parts, at, left = [], held.offset, held.length
        while left:
            parts.append(os.pread(self._fd(), left, at))
            at, left = at + len(parts[-1]), left - len(parts[-1])
        self._free[_size_class(held.length)].append(held.offset)
        return b"".join(parts)

    def close(self) -> None:
        """Close the file, which removes it."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def file_bytes(self) -> int:
        """Size of the file in bytes, free places included."""
        return self._end

    def _fd(self) -> int:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="bench-", buffering=0)  # noqa: SIM115  (`close`)
        return self._file.fileno()

    def _room(self, length: int) -> int:
        """Return the offset of a free place of this size, else the end of the file."""
        size_class = _size_class(length)
        if self._free[size_class]:
            return self._free[size_class].pop()
        self._end += 1 << size_class
        return self._end - (1 << size_class)


def _size_class(length: int) -> int:
    return max(_SMALLEST, (length - 1).bit_length())
