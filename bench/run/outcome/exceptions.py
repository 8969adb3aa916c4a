"""Classify exceptions of other libraries than the SDK: an HTTP status, or how a connection failed.

Classes are compared by name, because a library that is not installed cannot be imported.
"""

from __future__ import annotations

from http.client import HTTPException
from socket import gaierror
from urllib.error import HTTPError, URLError

TIMEOUTS = {"httpx.TimeoutException", "httpx2.TimeoutException", "requests.Timeout"}
CONNECTION = {
    "aiohttp.ClientConnectionError",
    "aiohttp.ClientPayloadError",
    "httpx.TransportError",
    "httpx2.TransportError",
    "requests.ChunkedEncodingError",
    "requests.ConnectionError",
    "websockets.ConnectionClosed",
    "websockets.InvalidHandshake",
}
"""Package and class of the exception, or of a class that it extends."""


def failure_class(error: BaseException, *, streaming: bool) -> str | None:
    """Return the status of a failed request or connection; None for any other exception.

    `streaming`: part of the answer had arrived already.
    """
    names = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__}
    if (status := status_of(error)) is not None and status >= 400:
        return http_class(status)
    if isinstance(error, TimeoutError) or names & TIMEOUTS:
        return "timeout"
    if isinstance(error, ConnectionError | gaierror | HTTPException) or names & CONNECTION:
        return "cut_mid_stream" if streaming else "connect"
    return None


def http_class(status: int) -> str:
    """Return the trial status that stands for an HTTP status of 400 and above."""
    return "http_429" if status == 429 else "http_5xx" if status >= 500 else "http_4xx"


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status of an exception of httpx, requests, aiohttp, urllib or websockets, None if it has none."""
    if isinstance(error, HTTPError):
        return error.code
    said = getattr(getattr(error, "response", None), "status_code", None) or getattr(error, "status", None)
    return said if isinstance(said, int) else None


def unwrap(error: BaseException) -> BaseException:
    """Return the exception that urllib has wrapped, or the exception itself."""
    return error.reason if isinstance(error, URLError) and isinstance(error.reason, Exception) else error
