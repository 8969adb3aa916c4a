"""Parse server-sent events incrementally, as the HTML standard frames them (section 9.2.6)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, repeat
from operator import add

_BOM = b"\xef\xbb\xbf"
_FEW = 4
"""Fewer chunks than this are faster to read one by one."""


@dataclass(slots=True)
class SseParser:
    """Takes body bytes cut anywhere, and returns each event's data once its blank line has come.

    Comment lines (pings) are counted, not returned. `event:`, `id:` and `retry:` are skipped, because OpenAI's events
    carry their type in the data. Bytes after the last blank line are not an event, as the standard says.
    """

    pings: int = 0
    _buffer: bytearray = field(default_factory=bytearray)
    _data: list[bytes] = field(default_factory=list)
    _started: bool = False
    _skip_lf: bool = False
    _clean: bool = False
    """No event is open, and a byte-order mark cannot come any more."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of every event that this chunk completes, in order."""
        odd = b"\r" in chunk
        if self._clean and not odd and chunk.startswith(b"event:"):
            lines = chunk.split(b"\n")
            if len(lines) == 4 and lines[1].startswith(b"data: ") and not lines[2] and not lines[3]:
                return [lines[1][6:]]  # one whole event: what nearly every read brings
        found = self._events(self._lines(chunk) if odd or self._skip_lf or not self._started else self._split(chunk))
        self._clean = self._started and not (self._buffer or self._data or self._skip_lf)
        return found

    def feed_all(self, chunks: Sequence[bytes]) -> tuple[list[int], list[bytes]]:
        """Return for each event the index of the chunk that completes it, and its data.

        Many chunks at once take half the time if all their events have the same lines.
        """
        places, found = list[int](), list[bytes]()
        untried = len(chunks) >= _FEW
        for place, chunk in enumerate(chunks):
            if untried and not (self._buffer or self._data or self._skip_lf):
                untried = False
                rest = chunks[place:]
                text = b"".join(rest)
                whole = text.rfind(b"\n\n") + 2
                if alike := _alike(text[:whole]):
                    self._started = True
                    self.feed(text[whole:])
                    return places + _places(alike[0], rest, place), found + alike[1]
            events = self.feed(chunk)
            places += [place] * len(events)
            found += events
        return places, found

    @property
    def is_unfinished(self) -> bool:
        """True if a part of an event was never completed."""
        return bool(self._data or self._buffer)

    def _events(self, lines: Iterable[bytes]) -> list[bytes]:
        events, held = [], self._data
        for line in lines:
            if line.startswith(b"data: "):
                held.append(line[6:])
            elif not line:
                if held:
                    events.append(b"\n".join(held))
                    held.clear()
            elif line.startswith(b":"):
                self.pings += 1
            elif line.startswith(b"data"):
                name, _, value = line.partition(b":")
                if name == b"data":
                    held.append(value.removeprefix(b" "))
        return events

    def _split(self, chunk: bytes) -> list[bytes]:
        """Return whole lines of a chunk in which all lines end with LF."""
        *lines, rest = chunk.split(b"\n")
        if lines and self._buffer:
            lines[0] = bytes(self._buffer) + lines[0]
            self._buffer.clear()
        self._buffer += rest
        return lines

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        """Yield whole lines without their ends: LF, CR or CRLF, the last of which may come in two chunks."""
        if self._skip_lf and chunk:
            chunk, self._skip_lf = chunk.removeprefix(b"\n"), False
        if not chunk:
            return
        self._skip_lf = chunk.endswith(b"\r")
        *lines, rest = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            yield self._complete(line)
        self._buffer += rest

    def _complete(self, tail: bytes) -> bytes:
        line = bytes(self._buffer + tail) if self._buffer else tail
        self._buffer.clear()
        if not self._started:
            self._started, line = True, line.removeprefix(_BOM)
        return line


def _alike(text: bytes) -> tuple[list[int], list[bytes]] | None:
    """Return sizes and data of events that are all `event: …` and `data: …`, or all `data: …`; None for others."""
    every = 3 if text.startswith(b"event:") else 2
    *lines, _ = text.split(b"\n")
    if not lines or len(lines) % every or b"\r" in text or any(lines[every - 1 :: every]):
        return None
    data, names = lines[every - 2 :: every], lines[::every]
    if not _all_begin(data, b"data: ") or (every == 3 and not _all_begin(names, b"event:")):
        return None
    sizes = map(add, map(len, data), map(len, names)) if every == 3 else map(len, data)
    return [size + every for size in sizes], [line[6:] for line in data]


def _all_begin(lines: list[bytes], first: bytes) -> bool:
    return all(map(bytes.startswith, lines, repeat(first)))


def _places(sizes: list[int], chunks: Sequence[bytes], first: int) -> list[int]:
    """Return the index of the chunk in which each event ends; the first event begins with the first chunk."""
    if list(map(len, filter(None, chunks))) == sizes:  # one in each
        return [place for place, chunk in enumerate(chunks, first) if chunk]
    reaches = list(accumulate(map(len, chunks)))
    return [first + bisect_left(reaches, end) for end in accumulate(sizes)]
