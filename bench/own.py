"""How a trial of a scenario with a stack of its own ended. Pure.

Nothing is seen of its wire: an exception is all that tells a failure, and what kind it is.
"""

from __future__ import annotations

from http.client import HTTPException
from socket import gaierror
from urllib.error import HTTPError, URLError

import openai

from bench.outcome import Outcome, chain_of, http_class, judge
from bench.trial import Trial

_TIMEOUTS = {"httpx.TimeoutException", "httpx2.TimeoutException", "requests.Timeout"}
_CONNECTION = {
    "aiohttp.ClientConnectionError",
    "aiohttp.ClientPayloadError",
    "httpx.TransportError",
    "httpx2.TransportError",
    "requests.ChunkedEncodingError",
    "requests.ConnectionError",
}
"""By name, as a library that is not installed cannot be imported: its package, and the class or one that it extends."""


def judge_own(trial: Trial) -> Outcome:
    """The outcome of such a trial, `check` not yet asked: ok unless something was raised."""
    error = trial.error
    if error is None or isinstance(error, openai.OpenAIError):
        return judge(trial, ())
    if isinstance(error, URLError) and isinstance(error.reason, Exception):
        error = error.reason  # urllib's wrapper
    kind = _class_of(error, streaming=bool(trial.pieces))
    return Outcome(kind, chain_of(error)) if kind else judge(trial, ())


def _class_of(error: BaseException, *, streaming: bool) -> str | None:
    """The class of a failure of HTTP or of a connection; None for any other exception."""
    names = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__}
    if (status := _status(error)) is not None:
        return http_class(status) if status >= 400 else None
    if isinstance(error, TimeoutError) or names & _TIMEOUTS:
        return "timeout"
    if isinstance(error, ConnectionError | gaierror | HTTPException) or names & _CONNECTION:
        return "cut_mid_stream" if streaming else "connect"
    return None


def _status(error: BaseException) -> int | None:
    """The HTTP status that an exception is about, as httpx, requests, aiohttp and urllib say it."""
    if isinstance(error, HTTPError):
        return error.code
    said = getattr(getattr(error, "response", None), "status_code", None) or getattr(error, "status", None)
    return said if isinstance(said, int) else None
