"""What `wire` raises: the SDK's own exceptions for what servers do, its own for what it does not offer."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import orjson

from bench.clients.decode.decode import Answer
from bench.clients.sdk.tap import current_trial, proxy_for
from bench.core.errors import BenchError
from bench.core.trial import Attempt, Deadline

DEADLINE = "(--deadline)"
"""How the error of an attempt ends that the trial's deadline has ended."""
_BY_STATUS: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
}


class NotOffered(BenchError):
    """The scenario wants something of the client that `wire` has not."""


class NotDeferred(BenchError):
    """The scenario does something that cannot be done with the events of an answer that is complete already."""


def check_direct(base_url: str) -> None:
    """`BenchError` where the environment's proxy would be in the way."""
    if proxy_for(base_url):
        raise BenchError("the client wire goes through no proxy: add the host to NO_PROXY, or run with --client sdk")


def not_offered(what: str, scenario: str | None = None) -> NotOffered:
    """The line for the user; without a scenario's name, the one of the trial that runs."""
    trial = current_trial.get()
    name = scenario or (trial.scenario if trial else None)
    who = f"scenario {name!r}" if name else "a request outside of a trial"
    return NotOffered(f"{who} uses {what}, which the client wire does not offer: run it with --client sdk")


def not_deferred(scenario: str, does: str) -> NotDeferred:
    """The line for the user. `does`: as it reads after the scenario's name."""
    return NotDeferred(
        f"scenario {scenario!r} {does}: say live=True in its Scenario(…), so that the client wire decodes each event "
        "as it is awaited"
    )


def exchange_error(attempt: Attempt, request: httpx2.Request) -> Exception:
    """The exception that the SDK raises where an exchange failed as the attempt's `error` says, with its cause."""
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
    """The exception of an HTTP status, as the SDK makes it."""
    status = response.status_code
    kind = _BY_STATUS.get(status, openai.InternalServerError if status >= 500 else openai.APIStatusError)
    said = _said(body)
    if isinstance(said, dict):
        said = said.get("error", said)
    message = said.get("message") if isinstance(said, dict) else None
    text = f"Error code: {status}" + (f" - {message}" if isinstance(message, str) and message else "")
    return kind(text, response=response, body=said)


def _said(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace").strip()


def event_error(value: dict[str, Any], request: httpx2.Request) -> openai.APIError:
    """The exception of an event that has an `error`, as the SDK makes it."""
    error = value["error"]
    message = error.get("message") if isinstance(error, dict) else None
    if not isinstance(message, str) or not message:
        message = "An error occurred during streaming"
    return openai.APIError(message, request=request, body=error)


def unreadable(answer: Answer, response: httpx2.Response) -> openai.APIResponseValidationError:
    """The exception of an answer that nothing can be read of."""
    return openai.APIResponseValidationError(response=response, body=None, message=answer.malformed)
