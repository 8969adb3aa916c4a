"""The tap: httpx2 transports that record every HTTP attempt of the SDK, on public interfaces only.

They sit below the SDK's retries, so hidden retries are recorded, and above the stamping sockets. They only record;
nothing is decoded while a trial runs. Proxies, TLS and exception types stay as the SDK has them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from time import perf_counter_ns
from typing import Any, Generic, TypeVar
from urllib.request import getproxies, proxy_bypass

import httpcore2
import httpx2

from bench.clients.sdk.attempt_log import AttemptLog, cold_trial
from bench.clients.sdk.connection import current_attempt
from bench.clients.sdk.lease import current_lease
from bench.clients.sdk.sockets import TapBackend
from bench.clients.sdk.sync_sockets import SyncTapBackend
from bench.core.errors import BenchError
from bench.core.trial import Attempt, Trial

KEEPALIVE_S = 600.0
"""Longer than any think time: httpx2's 5 s would make a slow run pay a handshake with each request."""
MAX_CONNECTIONS = 1000
Pool = TypeVar("Pool")


class Pools(Generic[Pool]):
    """Connection pools of one client: one that all trials share, and one for each trial that begins cold."""

    def __init__(self, new: Callable[[], Pool]) -> None:
        self._new, self._shared = new, new()
        self._cold: dict[int, Pool] = {}
        """By trial id."""

    def current(self) -> Pool:
        """Return the pool of the trial that is running."""
        cold = cold_trial()
        if cold is None:
            return self._shared
        if cold.trial_id not in self._cold:
            self._cold[cold.trial_id] = self._new()
        return self._cold[cold.trial_id]

    def pop(self, trial: Trial) -> Pool | None:
        """Remove and return the pool that only this trial used, if it had one. The caller closes it."""
        return self._cold.pop(trial.trial_id, None)

    def __iter__(self) -> Iterator[Pool]:
        return iter((self._shared, *self._cold.values()))


class TapTransport(AttemptLog, httpx2.AsyncBaseTransport):
    """The transport of the asynchronous client, and the log of its target's attempts."""

    def __init__(self, base_url: str, *, direct: bool = False) -> None:
        """`direct`: use no proxy, whatever the environment says."""
        super().__init__()
        pools = (httpcore2.AsyncConnectionPool, httpcore2.AsyncHTTPProxy)
        self._pools = Pools(_pool_maker(*pools, TapBackend(), None if direct else proxy_for(base_url)))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        attempt = self.begin(request)
        current_attempt.set(attempt)
        try:
            response = await self._pools.current().handle_async_request(to_core(request))
        except BaseException as error:
            attempt.t_end = perf_counter_ns()
            _record_error(attempt, error)
            raise
        return _record_headers(attempt, response)

    async def aclose(self) -> None:
        for pool in self._pools:
            await pool.aclose()

    async def close_cold(self, trial: Trial) -> None:
        """Close the connections that only this trial used, if it had any."""
        if pool := self._pools.pop(trial):
            await pool.aclose()


class SyncTapTransport(httpx2.BaseTransport):
    """The transport of the synchronous client. Several threads use it concurrently, each with a trial."""

    def __init__(self, base_url: str, log: AttemptLog, *, direct: bool = False) -> None:
        """`log`: the target's. `direct`: use no proxy, whatever the environment says."""
        self._log = log
        pools = (httpcore2.ConnectionPool, httpcore2.HTTPProxy)
        self._pools = Pools(_pool_maker(*pools, SyncTapBackend(), None if direct else proxy_for(base_url)))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if lease := current_lease.get():
            lease.check()  # before the attempt: a call that was ended from outside sends nothing any more
        attempt = self._log.begin(request)
        current_attempt.set(attempt)
        try:
            response = self._pools.current().handle_request(to_core(request))
        except BaseException as error:
            attempt.t_end = perf_counter_ns()
            _record_error(attempt, error)
            raise
        return _record_headers(attempt, response)

    def close(self) -> None:
        for pool in self._pools:
            pool.close()

    def close_cold(self, trial: Trial) -> None:
        """Close the connections that only this trial used, if it had any."""
        if pool := self._pools.pop(trial):
            pool.close()


class _Body(httpx2.AsyncByteStream, httpx2.SyncByteStream):
    """The body of either client as httpcore2 gives it, recording how it ends."""

    def __init__(self, stream: Any, attempt: Attempt) -> None:
        self._stream, self._attempt, self._whole = stream, attempt, False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._stream:
                yield part
            self._whole = True
        except Exception as error:
            _record_error(self._attempt, error)
            raise

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
            self._whole = True
        except Exception as error:
            _record_error(self._attempt, error)
            raise

    async def aclose(self) -> None:
        record_end(self._attempt, whole=self._whole)
        if hasattr(self._stream, "aclose"):
            await self._stream.aclose()

    def close(self) -> None:
        record_end(self._attempt, whole=self._whole)
        if hasattr(self._stream, "close"):
            self._stream.close()


def _record_headers(attempt: Attempt, response: httpcore2.Response) -> httpx2.Response:
    """Record the headers, and return the response with a body that records the rest."""
    attempt.t_headers, attempt.status = perf_counter_ns(), response.status
    answer = httpx2.Response(
        status_code=response.status,
        headers=response.headers,
        stream=_Body(response.stream, attempt),
        extensions=response.extensions,
    )
    attempt.headers = dict(answer.headers)
    attempt.http_version = answer.http_version
    return answer


def _record_error(attempt: Attempt, error: BaseException) -> None:
    """Record the exception that ends the attempt.

    Raises httpx2's exception of the same name in place of one of httpcore2's: the SDK decides on retries by its type.
    """
    for kind in type(error).__mro__:
        mapped = getattr(httpx2, kind.__name__, None)
        if kind.__module__ == "httpcore2" and isinstance(mapped, type) and issubclass(mapped, httpx2.HTTPError):
            attempt.error = error_text(mapped(str(error)))
            raise mapped(str(error)) from error
    attempt.error = error_text(error)


def record_end(attempt: Attempt, *, whole: bool) -> None:
    """Record that the body is closed. `whole`: it was read to its end."""
    attempt.closed_early = not whole and attempt.error is None
    if attempt.t_end is None:
        attempt.t_end = perf_counter_ns()


def error_text(error: BaseException) -> str:
    """Return `Type: message` of an exception, or its type alone."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def to_core(request: httpx2.Request) -> httpcore2.Request:
    """Convert a request to httpcore2's type, which its pools take."""
    url = request.url
    return httpcore2.Request(
        method=request.method,
        url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


def _pool_maker(
    direct: Callable[..., Pool], proxied: Callable[..., Pool], backend: object, proxy: httpx2.Proxy | None
) -> Callable[[], Pool]:
    """Return a function that makes pools on stamping sockets, through the proxy if there is one."""
    options: dict[str, Any] = {
        "ssl_context": httpx2.create_ssl_context(),
        "max_connections": MAX_CONNECTIONS,
        "keepalive_expiry": KEEPALIVE_S,
        "network_backend": backend,
    }
    if proxy is None:
        return partial(direct, **options)
    url = proxy.url
    if url.scheme not in {"http", "https"}:
        raise BenchError(
            f"proxy {url.scheme}://{url.host}: bench measures through http and https proxies only; "
            "unset it, or add the host to NO_PROXY"
        )
    proxy_url = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    return partial(proxied, proxy_url=proxy_url, proxy_auth=proxy.raw_auth, **options)


def proxy_for(base_url: str) -> httpx2.Proxy | None:
    """Return the environment's proxy for this host, if one applies."""
    url = httpx2.URL(base_url)
    proxies = getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found or proxy_bypass(url.host):
        return None
    return httpx2.Proxy(found if "://" in found else f"http://{found}")
