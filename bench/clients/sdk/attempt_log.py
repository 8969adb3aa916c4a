"""Record each HTTP attempt in the trial that made it."""

from __future__ import annotations

import asyncio
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter_ns

import httpx2

from bench.core.trial import Attempt, Trial

current_trial: ContextVar[Trial | None] = ContextVar("current_trial", default=None)
"""Set in each trial's own task; tasks and threads that the trial starts inherit it."""
_paused: ContextVar[bool] = ContextVar("recording_paused", default=False)
_STREAM = re.compile(rb'"stream"\s*:\s*true')


class AttemptLog:
    """The attempts of one target. Both clients of a target, if it has two, write into the same log."""

    def __init__(self) -> None:
        super().__init__()
        self.orphans: list[Attempt] = []
        """Requests that belong to no trial; after preflight there must be none."""
        self._last: dict[tuple[int, int], Attempt] = {}
        self._lock = threading.Lock()

    def begin(self, request: httpx2.Request) -> Attempt:
        """Record a new attempt: of a new request at retry count 0, else of the caller's last request.

        A caller is a task, or a thread without an event loop.
        """
        trial = current_trial.get()
        if trial is not None and trial.over:  # something that the scenario left running
            trial = None
        retry = int(request.headers.get("x-stainless-retry-count", 0))
        key = (trial.trial_id if trial else -1, _caller())
        with self._lock:  # synchronous trials run in threads
            before = self._last.get(key) if retry else None
            next_request = 1 + max((attempt.request for attempt in trial.attempts), default=-1) if trial else 0
            attempt = Attempt(
                request=before.request if before else next_request,
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
            if is_recording():
                (trial.attempts if trial else self.orphans).append(attempt)
        request.headers["X-Client-Request-Id"] = request.headers["X-Request-Id"] = attempt.client_id
        return attempt

    def forget(self, trial: Trial) -> None:
        """End the trial: a request sent from now on is an orphan."""
        trial.over = True
        with self._lock:
            for key in [key for key in self._last if key[0] == trial.trial_id]:
                del self._last[key]


def cold_trial() -> Trial | None:
    """Return the running trial if it must open connections of its own."""
    trial = current_trial.get()
    return None if trial is None or not trial.cold or trial.over or not is_recording() else trial


@contextmanager
def recording_paused() -> Iterator[None]:
    """Record no request sent in this block, or by tasks that start in it: neither in a trial nor as an orphan."""
    token = _paused.set(True)
    try:
        yield
    finally:
        _paused.reset(token)


def is_recording() -> bool:
    """Return False inside `recording_paused`."""
    return not _paused.get()


def _caller() -> int:
    try:
        return id(asyncio.current_task())
    except RuntimeError:
        return threading.get_ident()


def _asks_for_stream(request: httpx2.Request) -> bool:
    """Return True for a streamed call (by its body) and for a resumed stream (by its query)."""
    # A search, not a parse or a copy: this stands between the trial's origin and its first byte. Quotes inside of JSON
    # text are escaped, so text cannot match.
    return bool(_STREAM.search(_body(request))) or request.url.params.get("stream") == "true"


def _body(request: httpx2.Request) -> bytes:
    """Return the body, or b"" for an upload that is read while it is sent."""
    try:
        return request.content
    except httpx2.RequestNotRead:
        return b""
