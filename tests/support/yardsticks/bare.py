"""The least that can be done: an asyncio protocol that stamps its reads; with `Parsing` also the JSON of each event."""

from __future__ import annotations

import asyncio
from time import perf_counter_ns
from urllib.parse import urlsplit

import orjson

from tests.support.yardsticks.reader import DELTA, Reader, body_for

LAST_CHUNK = b"0\r\n\r\n"


class Stamping(asyncio.Protocol):
    """Keeps (time, bytes) of each read; an answer ends where the chunked body does."""

    def __init__(self) -> None:
        self.reads: list[tuple[int, bytes]] = []
        self.done: asyncio.Future[None] | None = None

    def data_received(self, data: bytes) -> None:
        self.reads.append((perf_counter_ns(), data))
        if data.endswith(LAST_CHUNK) and self.done:
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.done and not self.done.done():
            self.done.set_exception(exc or ConnectionError("closed"))


class Parsing(Stamping):
    """The same, and decodes each event as it comes."""

    def __init__(self) -> None:
        super().__init__()
        self._tail = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._tail = (self._tail + data).split(b"\n")
        super().data_received(data)
        for line in lines:
            if line.startswith(b"data: "):
                orjson.loads(line[6:])


class BareReader:
    """One connection, one stream at a time on it."""

    def __init__(self, transport: asyncio.Transport, protocol: Stamping, control: str, host: str) -> None:
        self._transport, self._protocol = transport, protocol
        self._body = orjson.dumps(body_for(control))
        self._head = f"POST /v1/responses HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(self._body)}\r\n"

    async def read(self, client_id: str) -> int:
        """When the read came that brought the first delta."""
        protocol = self._protocol
        protocol.done = asyncio.get_running_loop().create_future()
        self._transport.write(f"{self._head}x-client-request-id: {client_id}\r\n\r\n".encode() + self._body)
        await protocol.done
        first = next(t for t, data in protocol.reads if DELTA in data)
        protocol.reads.clear()
        return first

    async def close(self) -> None:
        """Close the connection."""
        self._transport.close()


async def connect(protocol: type[Stamping], base_url: str, control: str, streams: int) -> list[Reader]:
    """So many connections."""
    url, loop, readers = urlsplit(base_url), asyncio.get_running_loop(), list[Reader]()
    for _ in range(streams):
        transport, made = await loop.create_connection(protocol, str(url.hostname), int(url.port or 80))
        readers.append(BareReader(transport, made, control, url.netloc))
    return readers
