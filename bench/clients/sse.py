"""Server-sent events out of bytes, as the HTML standard frames them (section 9.2.6): pure and incremental."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

_BOM = b"\xef\xbb\xbf"


@dataclass(slots=True)
class SseParser:
    """Feed it body bytes in any cut; it gives each event's data when its blank line has come.

    Comment lines (pings) are counted, not given. `event:`, `id:` and `retry:` are passed over: OpenAI's events carry
    their type in the data. What stands after the last blank line is no event, as the standard says.
    """

    pings: int = 0
    _buffer: bytearray = field(default_factory=bytearray)
    _data: list[bytes] = field(default_factory=list)
    _started: bool = False
    _skip_lf: bool = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The data of every event that this chunk completed, in order."""
        for line in self._lines(chunk):
            if not line:
                if self._data:
                    yield b"\n".join(self._data)
                    self._data = []
            elif line.startswith(b":"):
                self.pings += 1
            elif line.startswith(b"data"):
                self._field(line)

    @property
    def unfinished(self) -> bool:
        """Is there part of an event that was never completed?"""
        return bool(self._data or self._buffer)

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        """Whole lines without their ends: LF, CR or CRLF, the last of which may come in two chunks."""
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
