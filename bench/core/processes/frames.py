"""The messages between processes of this program, as bytes: one frame for each, over any stream.

    kind u8 · number u32 · size of the JSON u32 · reads u32 · size of the data u32
    JSON · data: any bytes, or packed reads: stamps int64[], lengths uint32[], the bytes of the reads

The header is little-endian, because workers may run on other machines. Packed reads have this machine's byte order;
they never leave it.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import orjson

_HEADER = struct.Struct("<BIIII")
MESSAGE = 0
"""Kind of a frame whose JSON object tells its meaning by its own `kind`."""
COPY_BELOW = 4096
"""Mean size of reads in bytes below which one copy is cheaper for the kernel than many parts."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message as received."""

    kind: int
    """Meaning of the frame, which sender and receiver agree on."""
    number: int
    """Number of the request that the message is about; 0 for none."""
    json: bytes
    reads: int
    """Number of reads packed in `data`; 0 if `data` is something else."""
    data: bytes

    @property
    def meta(self) -> Any:
        """The value of the JSON part; None if the frame has none."""
        return orjson.loads(self.json) if self.json else None


def encode(
    kind: int, number: int = 0, meta: object = None, *, reads: Sequence[tuple[int, bytes]] = (), data: bytes = b""
) -> list[bytes]:
    """Return a frame as the parts to send in order, without copying long reads. Give either `data` or `reads`."""
    json = b"" if meta is None else orjson.dumps(meta, option=orjson.OPT_NON_STR_KEYS)
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


def message(**values: object) -> bytes:
    """Return a frame of kind `MESSAGE` with these values as its JSON object."""
    return b"".join(encode(MESSAGE, meta=values))


def unpack(packed: bytes, reads: int) -> list[tuple[int, bytes]]:
    """Return the packed reads in order: stamp in ns and bytes of each."""
    stamps, lengths = array("q", packed[: 8 * reads]), array("I", packed[8 * reads : 12 * reads])
    ends = list(accumulate(lengths, initial=12 * reads))
    return [(stamp, packed[start:end]) for stamp, start, end in zip(stamps, ends, ends[1:], strict=False)]


class FrameReader:
    """Collects bytes in pieces of any size and gives whole frames."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that these bytes complete."""
        self._rest += data
        start = 0
        try:
            while (found := self._frame_at(start)) is not None:
                start += _HEADER.size + len(found.json) + len(found.data)
                yield found
        finally:  # also where the consumer raises: no frame is given twice
            del self._rest[:start]

    def _frame_at(self, start: int) -> Frame | None:
        """Return the frame that begins at this offset, or None if it is not complete yet."""
        if len(self._rest) < start + _HEADER.size:
            return None
        kind, number, json_size, reads, data_size = _HEADER.unpack_from(self._rest, start)
        json_start = start + _HEADER.size
        data_start = json_start + json_size
        if len(self._rest) < data_start + data_size:
            return None
        with memoryview(self._rest) as view:
            json = bytes(view[json_start:data_start])
            data = bytes(view[data_start : data_start + data_size])
        return Frame(kind, number, json, reads, data)
