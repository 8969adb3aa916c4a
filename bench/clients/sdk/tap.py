"""The tap: an httpx2 transport that records every HTTP attempt of the SDK, on public interfaces only.

It sits below the SDK's retries, so hidden ones are seen, and above the sockets of `net`, which stamp each read. It
only notes; nothing is decoded while a trial runs. Proxies, TLS and exception types stay as the SDK has them.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import threading
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from time import perf_counter_ns
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpcore2
import httpx2

from bench.clients.sdk.pools import Pools
from bench.clients.sdk.sockets import TapBackend, current_attempt
from bench.core.errors import BenchError
from bench.core.trial import Attempt, Trial

current_trial: ContextVar[Trial | None] = ContextVar("current_trial", default=None)
"""Set in each trial's own task; tasks and threads that the trial starts inherit it."""
_unmeasured: ContextVar[bool] = ContextVar("unmeasured", default=False)
KEEPALIVE_S = 600.0
"""Longer than any think time: httpx2's 5 s would make a slow run pay a handshake with each request."""
MAX_CONNECTIONS = 1000
_STREAM = re.compile(rb'"stream"\s*:\s*true')


class Ledger:
    """Whose attempt is it? One for each target; both clients of a target, if it has two, write into the same."""

    def __init__(self) -> None:
        self.orphans: list[Attempt] = []
        """Requests that belong to no trial; after preflight there must be none."""
        self._last: dict[tuple[int, int], Attempt] = {}
        self._lock = threading.Lock()

    def begin(self, request: httpx2.Request) -> Attempt:
        """A new attempt: of a new request at retry count 0, else of the request this task, or thread, made last."""
        trial = current_trial.get()
        if trial is not None and trial.over:  # something that the scenario left running
            trial = None
        retry = int(request.headers.get("x-stainless-retry-count", 0))
        key = (trial.trial_id if trial else -1, _caller())
        with self._lock:  # synchronous trials run in threads
            before = self._last.get(key) if retry else None
            attempt = Attempt(
                request=before.request if before else _next_request(trial),
                number=before.number + 1 if before else 0,
                client_id=f"bench-{uuid.uuid4().hex}",
                method=request.method,
                path=request.url.path,
                retry_count=retry,
                asked_stream=_asks_for_stream(request),
                sent=_body(request),
                t_start=perf_counter_ns(),
            )
            self._last[key] = attempt
            if not _unmeasured.get():
                (trial.attempts if trial else self.orphans).append(attempt)
        request.headers["X-Client-Request-Id"] = request.headers["X-Request-Id"] = attempt.client_id
        return attempt

    def forget(self, trial: Trial) -> None:
        """The trial is over: what is sent from now on is none of it."""
        trial.over = True
        with self._lock:
            for key in [key for key in self._last if key[0] == trial.trial_id]:
                del self._last[key]


def _caller() -> int:
    """The task that is running, or the thread where no event loop is."""
    try:
        return id(asyncio.current_task())
    except RuntimeError:
        return threading.get_ident()


class TapTransport(Ledger, httpx2.AsyncBaseTransport):
    """One connection pool for one target, each attempt recorded in the trial that made it."""

    def __init__(self, base_url: str, *, direct: bool = False) -> None:
        """`direct`: no proxy, whatever the environment says."""
        super().__init__()
        new_pool = partial(_pool, httpx2.create_ssl_context(), None if direct else proxy_for(base_url))
        self._pools = Pools(new_pool)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        attempt = self.begin(request)
        current_attempt.set(attempt)
        try:
            with as_httpx2():
                response = await self._pools.of(cold_trial()).handle_async_request(to_core(request))
        except BaseException as error:
            attempt.error, attempt.t_end = name_of(error), perf_counter_ns()
            raise
        return answered(attempt, response, _TapBody(response.stream, attempt))  # type: ignore[arg-type]

    async def aclose(self) -> None:
        for pool in self._pools:
            await pool.aclose()

    async def close_cold(self, trial: Trial) -> None:
        """Close the connections that only this trial could use, if it had any."""
        if pool := self._pools.take(trial):
            await pool.aclose()


def cold_trial() -> Trial | None:
    """The trial that is running, if it is to use no connection but its own."""
    trial = current_trial.get()
    return None if trial is None or not trial.cold or trial.over or _unmeasured.get() else trial


@contextmanager
def unmeasured() -> Iterator[None]:
    """What is sent inside of the block, and by tasks that begin in it, is part of no trial and no orphan either."""
    token = _unmeasured.set(True)
    try:
        yield
    finally:
        _unmeasured.reset(token)


def is_measured() -> bool:
    """Is what is sent now part of a trial, or an orphan? Not inside of `unmeasured`."""
    return not _unmeasured.get()


class _TapBody(httpx2.AsyncByteStream):
    """The body as httpcore2 gives it, noting how it ended."""

    def __init__(self, stream: AsyncIterable[bytes], attempt: Attempt) -> None:
        self._stream, self._attempt, self._whole = stream, attempt, False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            with as_httpx2():
                async for part in self._stream:
                    yield part
            self._whole = True
        except Exception as error:
            self._attempt.error = name_of(error)
            raise

    async def aclose(self) -> None:
        ended(self._attempt, whole=self._whole)
        if hasattr(self._stream, "aclose"):
            await self._stream.aclose()


def answered(
    attempt: Attempt, response: httpcore2.Response, body: httpx2.AsyncByteStream | httpx2.SyncByteStream
) -> httpx2.Response:
    """The headers are there: noted, and handed on with the body that notes the rest."""
    attempt.t_headers, attempt.status = perf_counter_ns(), response.status
    answer = httpx2.Response(
        status_code=response.status, headers=response.headers, stream=body, extensions=response.extensions
    )
    attempt.headers = dict(answer.headers)
    attempt.http_version = answer.http_version
    return answer


def ended(attempt: Attempt, *, whole: bool) -> None:
    """The body is closed, after its end or before."""
    attempt.closed_early = not whole and attempt.error is None
    if attempt.t_end is None:
        attempt.t_end = perf_counter_ns()


def _next_request(trial: Trial | None) -> int:
    return 1 + max((attempt.request for attempt in trial.attempts), default=-1) if trial else 0


def _asks_for_stream(request: httpx2.Request) -> bool:
    """By the body of a call, or by the query of a resumed stream; quotes inside of JSON text are escaped.

    A search, not a parse or a copy: this stands between the trial's origin and its first byte.
    """
    return bool(_STREAM.search(_body(request))) or request.url.params.get("stream") == "true"


def _body(request: httpx2.Request) -> bytes:
    """The body where it is one piece; empty for an upload that is read while it is sent."""
    try:
        return request.content
    except httpx2.RequestNotRead:
        return b""


def name_of(error: BaseException) -> str:
    """Its type, and what it says."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


@contextmanager
def as_httpx2() -> Iterator[None]:
    """httpcore2's exceptions as httpx2's of the same name: the SDK decides on retries by their type."""
    try:
        yield
    except Exception as error:
        for kind in type(error).__mro__:
            mapped = getattr(httpx2, kind.__name__, None)
            if kind.__module__ == "httpcore2" and isinstance(mapped, type) and issubclass(mapped, httpx2.HTTPError):
                raise mapped(str(error)) from error
        raise


def to_core(request: httpx2.Request) -> httpcore2.Request:
    """The same request as a pool takes it."""
    url = request.url
    return httpcore2.Request(
        method=request.method,
        url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


def _pool(context: ssl.SSLContext, proxy: httpx2.Proxy | None) -> httpcore2.AsyncConnectionPool:
    """A pool on stamping sockets, through the proxy where there is one."""
    asked = pool_options(context, TapBackend())
    if proxy is None:
        return httpcore2.AsyncConnectionPool(**asked)
    return httpcore2.AsyncHTTPProxy(**proxy_options(proxy), **asked)


def pool_options(context: ssl.SSLContext, backend: object) -> dict[str, Any]:
    """What every pool of connections is made with."""
    return {
        "ssl_context": context,
        "max_connections": MAX_CONNECTIONS,
        "keepalive_expiry": KEEPALIVE_S,
        "network_backend": backend,
    }


def proxy_options(proxy: httpx2.Proxy) -> dict[str, Any]:
    """What a pool is made with, besides, that goes through a proxy."""
    url = proxy.url
    if url.scheme not in {"http", "https"}:
        raise BenchError(
            f"proxy {url.scheme}://{url.host}: bench measures through http and https proxies only; "
            "unset it, or add the host to NO_PROXY"
        )
    at = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    return {"proxy_url": at, "proxy_auth": proxy.raw_auth}


def proxy_for(base_url: str) -> httpx2.Proxy | None:
    """The environment's proxy where one applies to this host."""
    url = httpx2.URL(base_url)
    proxies = getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found or proxy_bypass(url.host):
        return None
    return httpx2.Proxy(found if "://" in found else f"http://{found}")
