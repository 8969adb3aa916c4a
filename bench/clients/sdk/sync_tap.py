"""The tap of the synchronous client: what `tap` is for the asynchronous one, its attempts in the same ledger."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from functools import partial
from time import perf_counter_ns

import httpcore2
import httpx2

from bench.clients.sdk.lease import current_lease
from bench.clients.sdk.pools import Pools
from bench.clients.sdk.sockets import current_attempt
from bench.clients.sdk.sync_sockets import SyncTapBackend
from bench.clients.sdk.tap import (
    Ledger,
    answered,
    as_httpx2,
    cold_trial,
    ended,
    name_of,
    pool_options,
    proxy_for,
    proxy_options,
    to_core,
)
from bench.core.trial import Attempt, Trial


class SyncTapTransport(httpx2.BaseTransport):
    """A connection pool of its own for the same target. It is used by several threads at a time, each with a trial."""

    def __init__(self, base_url: str, ledger: Ledger, *, direct: bool = False) -> None:
        """`ledger`: the target's. `direct`: no proxy, whatever the environment says."""
        self._ledger = ledger
        new_pool = partial(_pool, httpx2.create_ssl_context(), None if direct else proxy_for(base_url))
        self._pools = Pools(new_pool)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if lease := current_lease.get():
            lease.check()  # before the attempt: what has been ended from outside sends nothing any more
        attempt = self._ledger.begin(request)
        current_attempt.set(attempt)
        try:
            with as_httpx2():
                response = self._pools.of(cold_trial()).handle_request(to_core(request))
        except BaseException as error:
            attempt.error, attempt.t_end = name_of(error), perf_counter_ns()
            raise
        return answered(attempt, response, _TapBody(response.stream, attempt))  # type: ignore[arg-type]

    def close(self) -> None:
        for pool in self._pools:
            pool.close()

    def close_cold(self, trial: Trial) -> None:
        """Close the connections that only this trial could use, if it had any."""
        if pool := self._pools.take(trial):
            pool.close()


class _TapBody(httpx2.SyncByteStream):
    """The body as httpcore2 gives it, noting how it ended."""

    def __init__(self, stream: Iterable[bytes], attempt: Attempt) -> None:
        self._stream, self._attempt, self._whole = stream, attempt, False

    def __iter__(self) -> Iterator[bytes]:
        try:
            with as_httpx2():
                yield from self._stream
            self._whole = True
        except Exception as error:
            self._attempt.error = name_of(error)
            raise

    def close(self) -> None:
        ended(self._attempt, whole=self._whole)
        if hasattr(self._stream, "close"):
            self._stream.close()


def _pool(context: ssl.SSLContext, proxy: httpx2.Proxy | None) -> httpcore2.ConnectionPool:
    """A pool on stamping sockets, through the proxy where there is one."""
    asked = pool_options(context, SyncTapBackend())
    if proxy is None:
        return httpcore2.ConnectionPool(**asked)
    return httpcore2.HTTPProxy(**proxy_options(proxy), **asked)
