"""Record what preflight sees of the connection to a target, for the manifest: an allow-list without addresses."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter_ns
from typing import Any

import httpx2

from bench.run.preflight.error_body import content

SAID = ("server", "via", "x-powered-by", "openai-version")
"""Headers in which a server says what it is."""
CONNECTS = 3
CONNECT_SECONDS = 2.0
LONGEST = 100
"""Characters that are kept of anything a server says."""


@dataclass
class WireInfo:
    """Collects from each answer what goes into the manifest (`found`)."""

    found: dict[str, Any] = field(default_factory=dict)
    """`http`, `tls`, `cipher`, `ip`, `proxied`, `tcp_connect_ms`, `dns_ms`, `header NAME`, `system_fingerprint`."""
    _peer: tuple[Any, ...] | None = None
    """The address of the server or, where there is one, of the proxy."""

    async def on_response(self, response: httpx2.Response) -> None:
        """Read the connection of an answer while it is open. An event hook of the client."""
        self.found["http"] = response.http_version
        stream = response.extensions.get("network_stream")
        encrypted = stream and stream.get_extra_info("ssl_object")
        if encrypted:
            self.found["tls"] = encrypted.version()
            self.found["cipher"] = (encrypted.cipher() or ["unknown"])[0]
        peer = stream and stream.get_extra_info("server_addr")
        if isinstance(peer, tuple):
            self._peer = peer
            self.found["ip"] = "IPv6" if len(peer) == 4 else "IPv4"

    def on_answer(self, response: httpx2.Response) -> None:
        """Read the headers and the body of a whole answer."""
        said = {f"header {name}": response.headers.get(name) for name in SAID}
        said["system_fingerprint"] = content(response).get("system_fingerprint")
        self.found |= {name: _short(text) for name, text in said.items() if isinstance(text, str) and text}

    async def time_it(self, host: str, *, proxied: bool) -> None:
        """Time `CONNECTS` plain TCP connects, about a round trip each, and the name lookup. Never raises."""
        self.found["proxied"] = proxied
        if self._peer and (times := [ms for _ in range(CONNECTS) if (ms := await _connect_ms(self._peer)) is not None]):
            self.found["tcp_connect_ms"] = round(median(times), 3)
        if not proxied and (looked_up := await _lookup_ms(host)) is not None:
            self.found["dns_ms"] = round(looked_up, 3)


async def _connect_ms(peer: tuple[Any, ...]) -> float | None:
    """Time one TCP connect to an address, without name lookup and TLS. None if it fails."""
    family = socket.AF_INET6 if len(peer) == 4 else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as plain:
        plain.setblocking(False)
        start = perf_counter_ns()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await asyncio.get_running_loop().sock_connect(plain, peer)
        except OSError:  # also a TimeoutError
            return None
        return (perf_counter_ns() - start) / 1e6


async def _lookup_ms(host: str) -> float | None:
    """Time the lookup of a host name, which a cache may answer. None for an address."""
    loop = asyncio.get_running_loop()
    start = perf_counter_ns()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            addresses = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return None
    took = (perf_counter_ns() - start) / 1e6
    return None if host in {address[4][0] for address in addresses} else took


def _short(text: str) -> str:
    """Return the text without control characters, cut to `LONGEST`."""
    return "".join(char if char.isprintable() else "?" for char in text)[:LONGEST]
