"""The exceptions of the client `wire`: the SDK's own for server errors, two more for what `wire` cannot do."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import orjson

from bench.clients.decode.decode import Answer
from bench.clients.sdk.attempt_log import current_trial
from bench.clients.sdk.tap import proxy_for
from bench.core.errors import BenchError
from bench.core.trial import Attempt, Deadline

DEADLINE = "(--deadline)"
"""Last words of an attempt's error if the trial's deadline ended it."""
_BY_STATUS: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
}


class MissingFeature(BenchError):
    """The scenario uses a part of the SDK's client that `wire` does not have."""


class NeedsLive(BenchError):
    """The scenario does something that needs the events while they arrive, not after the answer is complete."""


def check_direct(base_url: str) -> None:
    """Raise `BenchError` if the environment's proxy applies to this URL."""
    if proxy_for(base_url):
        raise BenchError("the client wire goes through no proxy: add the host to NO_PROXY, or run with --client sdk")


def not_offered(what: str, scenario: str | None = None) -> MissingFeature:
    """Return the error for a missing feature; `scenario` defaults to the one of the running trial."""
    trial = current_trial.get()
    name = scenario or (trial.scenario if trial else None)
    who = f"scenario {name!r}" if name else "a request outside of a trial"
    return MissingFeature(f"{who} uses {what}, which the client wire does not offer: run it with --client sdk")


def not_deferred(scenario: str, does: str) -> NeedsLive:
    """Return the error for a scenario that needs `live=True`. `does`: the words after the scenario's name."""
    return NeedsLive(
        f"scenario {scenario!r} {does}: say live=True in its Scenario(…), so that the client wire decodes each event "
        "as it is awaited"
    )


def exchange_error(attempt: Attempt, request: httpx2.Request) -> Exception:
    """Return the SDK's exception, with its cause, for the `error` of a failed attempt."""
    name, _, text = (attempt.error or "").partition(": ")
    if text.endswith(DEADLINE):
        return Deadline(text)
    kind = getattr(httpx2, name, None)
    if not (isinstance(kind, type) and issubclass(kind, httpx2.TransportError)):
        kind, text = httpx2.TransportError, attempt.error or ""
    error = openai.APIConnectionError(request=request)
    if issubclass(kind, httpx2.TimeoutException):
        error = openai.APITimeoutError(request=request)
    error.__cause__ = kind(text)
    return error


def status_error(response: httpx2.Response, body: bytes) -> openai.APIStatusError:
    """Return the exception of an HTTP status, as the SDK makes it."""
    status = response.status_code
    kind = _BY_STATUS.get(status, openai.InternalServerError if status >= 500 else openai.APIStatusError)
    try:
        said = orjson.loads(body)
    except ValueError:
        said = body.decode("utf-8", "replace").strip()
    if isinstance(said, dict):
        said = said.get("error", said)
    message = said.get("message") if isinstance(said, dict) else None
    text = f"Error code: {status}" + (f" - {message}" if isinstance(message, str) and message else "")
    return kind(text, response=response, body=said)


def event_error(value: dict[str, Any], request: httpx2.Request) -> openai.APIError:
    """Return the exception of an event with an `error`, as the SDK makes it."""
    error = value["error"]
    message = error.get("message") if isinstance(error, dict) else None
    if not isinstance(message, str) or not message:
        message = "An error occurred during streaming"
    return openai.APIError(message, request=request, body=error)


def unreadable(answer: Answer, response: httpx2.Response) -> openai.APIResponseValidationError:
    """Return the exception of an answer that cannot be read."""
    return openai.APIResponseValidationError(response=response, body=None, message=answer.malformed)
