"""What parent and shooter say to each other, as bytes: a fixed header, a JSON part, and reads. Pure.

    kind u8 · number u32 · size of the JSON u32 · reads u32 · size of the packed part u32
    JSON · packed part: stamps int64[], lengths uint32[], the bytes of the reads one after the other

Byte order is the machine's: both ends are on it. A request's bytes travel as the packed part with 0 reads.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate
from typing import Any

import orjson

_HEADER = struct.Struct("=BIIII")
COPY_BELOW = 4096
"""Mean size of reads under which one copy is cheaper for the kernel than many parts."""


class Kind(IntEnum):
    """What a message says; parent to shooter first."""

    BEGIN = 1
    FIRE = 2
    END = 3
    CANCEL = 4
    READY = 5
    BEGUN = 6
    FIRED = 7
    READS = 8
    DONE = 9
    PROBES = 10
    SPENT = 11


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it came."""

    kind: Kind
    number: int
    """Of the request it is about; 0 where it is about none."""
    json: bytes
    reads: int
    packed: bytes
    """`reads` reads as `unpack` takes them, or the bytes of a request."""

    @property
    def meta(self) -> Any:
        """The JSON part; None where there is none."""
        return orjson.loads(self.json) if self.json else None


def encode(
    kind: Kind,
    number: int = 0,
    meta: Mapping[str, Any] | Sequence[Any] | None = None,
    *,
    reads: Sequence[tuple[int, bytes]] = (),
    data: bytes = b"",
) -> list[bytes]:
    """A message as parts to be sent one after the other; the bytes of long reads are not copied. `data` or `reads`."""
    json = b"" if meta is None else orjson.dumps(meta)
    if not reads:
        return [_HEADER.pack(kind, number, len(json), 0, len(data)) + json, data]
    count = len(reads)
    parts = [part for _, part in reads]
    lengths = [len(part) for part in parts]
    size = sum(lengths)
    tables = struct.pack(f"={count}q{count}I", *[stamp for stamp, _ in reads], *lengths)
    front = _HEADER.pack(kind, number, len(json), count, len(tables) + size)
    if size < COPY_BELOW * count:
        return [b"".join((front, json, tables, *parts))]
    return [front + json + tables, *parts]


def unpack(packed: bytes, reads: int) -> list[tuple[int, bytes]]:
    """The reads of a packed part, in order: stamp and bytes of each."""
    stamps, lengths = array("q", packed[: 8 * reads]), array("I", packed[8 * reads : 12 * reads])
    ends = list(accumulate(lengths, initial=12 * reads))
    return [(stamp, packed[start:end]) for stamp, start, end in zip(stamps, ends, ends[1:], strict=False)]


class Decoder:
    """Messages out of bytes that come in pieces of any size."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that these bytes complete."""
        self._rest += data
        start = 0
        try:
            while (message := self._message(start)) is not None:
                start += _HEADER.size + len(message.json) + len(message.packed)
                yield message
        finally:  # also where whoever takes them fails: none comes twice
            del self._rest[:start]

    def _message(self, start: int) -> Message | None:
        """The message that begins there, if all of it has come."""
        if len(self._rest) < start + _HEADER.size:
            return None
        kind, number, json_size, reads, packed_size = _HEADER.unpack_from(self._rest, start)
        json_start = start + _HEADER.size
        packed_start = json_start + json_size
        if len(self._rest) < packed_start + packed_size:
            return None
        with memoryview(self._rest) as view:
            json = bytes(view[json_start:packed_start])
            packed = bytes(view[packed_start : packed_start + packed_size])
        return Message(Kind(kind), number, json, reads, packed)
