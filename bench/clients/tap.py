"""The tap: an httpx2 transport that records every HTTP attempt of the SDK, on public interfaces only.

It sits below the SDK's retries, so hidden ones are seen, and above the sockets of `net`, which stamp each read. It
only notes; nothing is decoded while a trial runs. Proxies, TLS and exception types stay as the SDK has them.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter_ns
from urllib.request import getproxies, proxy_bypass

import httpcore2
import httpx2

from bench.clients.net import TapBackend, current_attempt
from bench.errors import BenchError
from bench.trial import Attempt, Trial

current_trial: ContextVar[Trial | None] = ContextVar("current_trial", default=None)
"""Set in each trial's own task; tasks and threads that the trial starts inherit it."""

KEEPALIVE_S = 600.0
"""Longer than any think time: httpx2's 5 s would make a slow run pay a handshake with each request."""
MAX_CONNECTIONS = 1000
_STREAM = re.compile(rb'"stream"\s*:\s*true')


class TapTransport(httpx2.AsyncBaseTransport):
    """One connection pool for one target, each attempt recorded in the trial that made it."""

    def __init__(self, base_url: str, *, direct: bool = False) -> None:
        """`direct`: no proxy, whatever the environment says."""
        self._pool = _pool(httpx2.URL(base_url), direct=direct)
        self.orphans: list[Attempt] = []
        """Requests that belong to no trial; after preflight there must be none."""
        self._last: dict[tuple[int, int], Attempt] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        attempt = self._begin(request)
        current_attempt.set(attempt)
        try:
            with _as_httpx2():
                response = await self._pool.handle_async_request(_to_core(request))
        except BaseException as error:
            attempt.error, attempt.t_end = _name(error), perf_counter_ns()
            raise
        attempt.t_headers, attempt.status = perf_counter_ns(), response.status
        answer = httpx2.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_TapBody(response.stream, attempt),  # type: ignore[arg-type]
            extensions=response.extensions,
        )
        attempt.headers = dict(answer.headers)
        attempt.http_version = answer.http_version
        return answer

    async def aclose(self) -> None:
        await self._pool.aclose()

    def _begin(self, request: httpx2.Request) -> Attempt:
        """A new attempt: of a new request at retry count 0, else of the request this task made last."""
        trial = current_trial.get()
        if trial is not None and trial.over:  # something that the scenario left running
            trial = None
        retry = int(request.headers.get("x-stainless-retry-count", 0))
        key = (trial.trial_id if trial else -1, id(asyncio.current_task()))
        before = self._last.get(key) if retry else None
        attempt = Attempt(
            request=before.request if before else _next_request(trial),
            number=before.number + 1 if before else 0,
            client_id=f"bench-{uuid.uuid4().hex}",
            method=request.method,
            path=request.url.path,
            retry_count=retry,
            asked_stream=_asks_for_stream(request),
            t_start=perf_counter_ns(),
        )
        self._last[key] = attempt
        (trial.attempts if trial else self.orphans).append(attempt)
        request.headers["X-Client-Request-Id"] = request.headers["X-Request-Id"] = attempt.client_id
        return attempt

    def forget(self, trial: Trial) -> None:
        """The trial is over: what is sent from now on is none of it."""
        trial.over = True
        for key in [key for key in self._last if key[0] == trial.trial_id]:
            del self._last[key]


class _TapBody(httpx2.AsyncByteStream):
    """The body as httpcore2 gives it, noting how it ended."""

    def __init__(self, stream: AsyncIterable[bytes], attempt: Attempt) -> None:
        self._stream, self._attempt, self._whole = stream, attempt, False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            with _as_httpx2():
                async for part in self._stream:
                    yield part
            self._whole = True
        except Exception as error:
            self._attempt.error = _name(error)
            raise

    async def aclose(self) -> None:
        attempt = self._attempt
        attempt.closed_early = not self._whole and attempt.error is None
        if attempt.t_end is None:
            attempt.t_end = perf_counter_ns()
        if hasattr(self._stream, "aclose"):
            await self._stream.aclose()


def _next_request(trial: Trial | None) -> int:
    return 1 + max((attempt.request for attempt in trial.attempts), default=-1) if trial else 0


def _asks_for_stream(request: httpx2.Request) -> bool:
    """By the body of a call, or by the query of a resumed stream; quotes inside of JSON text are escaped.

    A search, not a parse or a copy: this stands between the trial's origin and its first byte.
    """
    try:
        in_body = bool(_STREAM.search(request.content))
    except httpx2.RequestNotRead:  # an upload
        in_body = False
    return in_body or request.url.params.get("stream") == "true"


def _name(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


@contextmanager
def _as_httpx2() -> Iterator[None]:
    """httpcore2's exceptions as httpx2's of the same name: the SDK decides on retries by their type."""
    try:
        yield
    except Exception as error:
        for kind in type(error).__mro__:
            mapped = getattr(httpx2, kind.__name__, None)
            if kind.__module__ == "httpcore2" and isinstance(mapped, type) and issubclass(mapped, httpx2.HTTPError):
                raise mapped(str(error)) from error
        raise


def _to_core(request: httpx2.Request) -> httpcore2.Request:
    url = request.url
    return httpcore2.Request(
        method=request.method,
        url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


def _pool(url: httpx2.URL, *, direct: bool) -> httpcore2.AsyncConnectionPool:
    """A pool on stamping sockets, through the environment's proxy where one applies to this host."""
    context = httpx2.create_ssl_context()
    proxy = None if direct else _proxy_for(url)
    if proxy is None:
        return httpcore2.AsyncConnectionPool(
            ssl_context=context,
            max_connections=MAX_CONNECTIONS,
            keepalive_expiry=KEEPALIVE_S,
            network_backend=TapBackend(),
        )
    if proxy.url.scheme not in {"http", "https"}:
        raise BenchError(
            f"proxy {proxy.url.scheme}://{proxy.url.host}: bench measures through http and https proxies only; "
            "unset it, or add the host to NO_PROXY"
        )
    return httpcore2.AsyncHTTPProxy(
        proxy_url=httpcore2.URL(
            scheme=proxy.url.raw_scheme, host=proxy.url.raw_host, port=proxy.url.port, target=proxy.url.raw_path
        ),
        proxy_auth=proxy.raw_auth,
        ssl_context=context,
        max_connections=MAX_CONNECTIONS,
        keepalive_expiry=KEEPALIVE_S,
        network_backend=TapBackend(),
    )


def _proxy_for(url: httpx2.URL) -> httpx2.Proxy | None:
    proxies = getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found or proxy_bypass(url.host):
        return None
    return httpx2.Proxy(found if "://" in found else f"http://{found}")
