"""Turn the arguments of `create` into the bytes of an HTTP request."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
from openai import NotGiven, Omit
from openai.resources.chat.completions import AsyncCompletions
from openai.resources.responses import AsyncResponses
from pydantic import BaseModel

from bench import __version__
from bench.clients.http.pool import Server
from bench.clients.wire.errors import not_offered

_OWN = ("extra_headers", "extra_query", "extra_body", "timeout")
"""Arguments that are not part of the body."""


@dataclass(frozen=True)
class Call:
    """A call of `create`, ready to send."""

    path: str
    """Path with query."""
    body: bytes
    stream: bool
    headers: Mapping[str, str]
    """Headers of this call, which replace all others."""


@dataclass(frozen=True)
class Address:
    """The target's address, key and headers."""

    base_url: str
    key: str
    headers: Mapping[str, str]
    """Headers of the target, which replace those of every request."""
    accept_encoding: str = "identity"
    """Anything else compresses the answer, and its times would include the compressor's."""

    @cached_property
    def server(self) -> Server:
        """Host, port and TLS of the base URL."""
        url = urlsplit(self.base_url)
        tls = url.scheme == "https"
        return Server(host=url.hostname or "", port=url.port or (443 if tls else 80), tls=tls)

    @cached_property
    def path(self) -> str:
        """Path of the base URL, which every path begins with."""
        return urlsplit(self.base_url).path.rstrip("/")

    @property
    def url(self) -> str:
        """Scheme, host and port of the base URL."""
        url = urlsplit(self.base_url)
        return f"{url.scheme}://{url.netloc}"

    def request(self, call: Call, client_id: str) -> bytes:
        """Return the bytes of a request. `client_id` is sent as a header, so the server's log can be matched."""
        static = self._static_headers[call.stream]
        own = {**static, **_lower(call.headers)} if call.headers else static
        lines = [f"POST {call.path} HTTP/1.1", *(f"{name}: {value}" for name, value in own.items())]
        lines += [f"x-client-request-id: {client_id}", f"x-request-id: {client_id}"]
        lines += [f"content-length: {len(call.body)}", "", ""]
        return "\r\n".join(lines).encode("latin-1") + call.body

    @cached_property
    def _static_headers(self) -> dict[bool, dict[str, str]]:
        """Headers of every request: of streamed calls (True) and blocking ones (False)."""
        return {
            stream: {
                "host": urlsplit(self.base_url).netloc.rpartition("@")[2],
                "authorization": f"Bearer {self.key}",
                "content-type": "application/json",
                "accept": "text/event-stream" if stream else "application/json",
                "user-agent": f"streambench/{__version__}",
                **_lower(self.headers),
                "accept-encoding": self.accept_encoding,
            }
            for stream in (True, False)
        }


def make_call(path: str, known: frozenset[str], arguments: Mapping[str, Any]) -> Call:
    """Return the call of `create(**arguments)`. `known`: the arguments that the SDK's method takes.

    Raises TypeError for an unknown argument, and `MissingFeature` for a timeout.
    """
    if unknown := arguments.keys() - known:
        raise TypeError(f"create() got an unexpected keyword argument {min(unknown)!r}")
    given = {name: value for name, value in arguments.items() if not isinstance(value, NotGiven | Omit)}
    if given.get("timeout") is not None:
        raise not_offered("create(timeout=…)")
    body = {name: value for name, value in given.items() if name not in _OWN}
    body |= given.get("extra_body") or {}
    query = given.get("extra_query")
    return Call(
        path=f"{path}?{urlencode(query, doseq=True)}" if query else path,
        body=to_json(body),
        stream=body.get("stream") is True,
        headers={name: value for name, value in (given.get("extra_headers") or {}).items() if isinstance(value, str)},
    )


@cache
def arguments_of(*, chat: bool) -> frozenset[str]:
    """Return the argument names of the SDK's `create`."""
    create = AsyncCompletions.create if chat else AsyncResponses.create
    return frozenset(inspect.signature(create).parameters) - {"self"}


def to_json(value: Any) -> bytes:
    """Return a body as JSON. What orjson refuses (half a surrogate pair) is written as the SDK writes it."""
    try:
        return orjson.dumps(value, default=_plain)
    except (TypeError, ValueError):
        return json.dumps(value, default=_plain, ensure_ascii=True, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True, by_alias=True)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
