"""What a bare socket sees of one answer: each read of its body with the time, chunks taken out, nothing decoded."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from time import perf_counter_ns
from typing import Any
from urllib.parse import urlsplit

import httptools

TOKENS = 128
PROMPT = "Count upwards from 1, one number a line."
TOGETHER_MS = 3.0
"""Reads that are no further apart are one burst."""
SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "lines": {"type": "array", "items": {"type": "string"}}},
    "required": ["title", "lines"],
    "additionalProperties": False,
}


@dataclass
class Reading:
    """One answer as it arrived; ms are counted from the moment the request was sent."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    headers_ms: float | None = None
    reads: list[tuple[float, bytes]] = field(default_factory=list)
    """Those that brought some of the body."""
    end_ms: float | None = None
    """The end of the body as HTTP has it; None: the connection ended before."""

    @property
    def body(self) -> bytes:
        """All of it, decompressed."""
        body = b"".join(data for _, data in self.reads)
        return gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body

    @property
    def first_ms(self) -> float:
        """The first byte of the body."""
        return self.reads[0][0]

    def bursts(self) -> Sequence[tuple[float, int]]:
        """(ms, bytes) of the reads that came together."""
        found: list[tuple[float, int]] = []
        last = -TOGETHER_MS * 2
        for at, data in self.reads:
            if at - last <= TOGETHER_MS:
                found[-1] = (found[-1][0], found[-1][1] + len(data))
            else:
                found.append((at, len(data)))
            last = at
        return found

    def period_ms(self) -> float:
        """The median time from burst to burst."""
        gaps = sorted(after[0] - before[0] for before, after in pairwise(self.bursts()))
        return gaps[len(gaps) // 2] if gaps else 0.0


class Parser:
    """httptools' callbacks; each note has the time of the read that it belongs to."""

    def __init__(self, reading: Reading) -> None:
        self.reading, self.now = reading, 0.0

    def on_header(self, name: bytes, text: bytes) -> None:
        """One header."""
        self.reading.headers[name.decode().lower()] = text.decode()

    def on_headers_complete(self) -> None:
        """All headers."""
        self.reading.headers_ms = self.now

    def on_body(self, data: bytes) -> None:
        """A piece of the body: several of one read are one."""
        reads = self.reading.reads
        if reads and reads[-1][0] == self.now:
            reads[-1] = (self.now, reads[-1][1] + data)
        else:
            reads.append((self.now, data))

    def on_message_complete(self) -> None:
        """The end."""
        self.reading.end_ms = self.now


def body_for(api: str, stream: bool = True, tokens: int = TOKENS, mode: str = "text") -> dict[str, Any]:
    """A request as any OpenAI client makes it: for a text, a call with long arguments, or JSON by a schema."""
    if api == "responses":
        tool: dict[str, Any] = {"type": "function", "name": "write", "parameters": SCHEMA}
        form: dict[str, Any] = {"text": {"format": {"type": "json_schema", "name": "page", "schema": SCHEMA}}}
        body: dict[str, Any] = {"input": PROMPT, "max_output_tokens": tokens}
    else:
        tool = {"type": "function", "function": {"name": "write", "parameters": SCHEMA}}
        form = {"response_format": {"type": "json_schema", "json_schema": {"name": "page", "schema": SCHEMA}}}
        body = {"messages": [{"role": "user", "content": PROMPT}], "max_completion_tokens": tokens}
    extra = {"text": {}, "tools": {"tools": [tool]}, "structured": form}[mode]
    return {"model": "sim-1", "stream": stream, **body, **extra}


def read(
    base_url: str,
    body: Mapping[str, Any],
    *,
    headers: Mapping[str, str] | None = None,
    authority: Path | None = None,
    most_reads: int | None = None,
) -> Reading:
    """Post it where its API is and read to the end, or no further than so many reads; `authority`: trusted for TLS."""
    url = urlsplit(base_url)
    content = json.dumps(body).encode()
    path = "/responses" if "input" in body else "/chat/completions"
    fields = {"Host": url.netloc, "Content-Type": "application/json", "Content-Length": len(content), **(headers or {})}
    lines = [f"POST {url.path}{path} HTTP/1.1", *(f"{name}: {text}" for name, text in fields.items())]
    reading = Reading()
    parser = Parser(reading)
    protocol = httptools.HttpResponseParser(parser)
    with connected(str(url.hostname), int(url.port or 0), authority) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + content)
        start = perf_counter_ns()
        while reading.end_ms is None and len(reading.reads) != most_reads and (data := connection.recv(65536)):
            parser.now = (perf_counter_ns() - start) / 1e6
            protocol.feed_data(data)
    reading.status = protocol.get_status_code()
    return reading


def connected(host: str, port: int, authority: Path | None) -> socket.socket:
    """A connection, over TLS where an authority is given."""
    plain = socket.create_connection((host, port), timeout=30)
    if authority is None:
        return plain
    return ssl.create_default_context(cafile=authority).wrap_socket(plain, server_hostname=host)
