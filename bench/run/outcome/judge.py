"""Judge how a trial ended: exactly one status, and a line that says why.

What the server sent decides. A plugin that fails on half an answer is not blamed for it, and a stream that ends without
its terminal event is a failure even if the plugin noticed nothing.
"""

from __future__ import annotations

import asyncio
import json
import re
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2
import openai
import pydantic

from bench.clients.decode.decode import CONFIRMED, UNFINISHED, Answer
from bench.core.trial import WEBSOCKET, Attempt, Deadline, SetupFault, Shed, Trial, TrialLost
from bench.run.outcome.exceptions import failure_class, http_class, unwrap

Exchange = tuple[Attempt, Answer]
LENGTH_CAP = "incomplete:max_output_tokens"
_ASKED = {
    "background": re.compile(rb'"background"\s*:\s*true'),
    "previous_response_id": re.compile(rb'"previous_response_id"\s*:\s*"'),
}
"""How a request asks for each feature of `CONFIRMED`. Quotes inside JSON text are escaped."""
_OURS = {Deadline: "timeout", Shed: "shed", TrialLost: "lost"}


@dataclass(frozen=True)
class Outcome:
    """A status of `schema.TRIAL_STATUS`, why (None when ok), and whether it ended at the length cap."""

    status: str
    error: str | None = None
    truncated: bool = False


def judge(trial: Trial, exchanges: Sequence[Exchange], *, recovers: bool = False) -> Outcome:
    """Return the outcome of a trial that has ended, before `check` is asked. `recovers`: `Scenario.recovers`."""
    final = [exchange for exchange in exchanges if _is_final(exchange[0], trial.attempts)]
    if trial.error is not None:
        return _from_error(trial.error, final)
    for exchange in exchanges:
        counts = exchange in final or (not recovers and _ended_unseen(*exchange))
        if counts and (problem := wire_problem(*exchange)):
            return problem
    return Outcome("ok", truncated=any(answer.terminal == LENGTH_CAP for _, answer in final))


def _is_final(attempt: Attempt, attempts: Sequence[Attempt]) -> bool:
    """Return True if no later attempt began after this one had ended: no retry, no further request."""
    end = attempt.t_end
    return end is None or not any(later.t_start >= end for later in attempts if later is not attempt)


def _ended_unseen(attempt: Attempt, answer: Answer) -> bool:
    """Return True if the SDK raised nothing for this answer and the server is not still making it."""
    answered = attempt.status is not None and attempt.status < 400
    return answered and attempt.error is None and answer.terminal not in {"queued", "in_progress"}


def wire_problem(attempt: Attempt, answer: Answer) -> Outcome | None:
    """Return what is wrong with an answer by its bytes alone; None if nothing is."""
    if attempt.status is None:
        return Outcome("connect", attempt.error or "no answer")
    if attempt.status >= 400:
        return Outcome(http_class(attempt.status), f"HTTP {attempt.status}: {answer.message or 'no message'}")
    if attempt.method == WEBSOCKET and attempt.status != 101:
        return Outcome("connect", f"HTTP {attempt.status} in place of a WebSocket")
    if attempt.error:
        return Outcome("timeout" if "Timeout" in attempt.error else "cut_mid_stream", attempt.error)
    if attempt.closed_early and answer.terminal is None and not answer.done:
        broken = answer.is_stream and answer.malformed not in {None, UNFINISHED}
        return Outcome("malformed", answer.malformed) if broken else None  # the scenario had enough and left
    return _body_problem(attempt, answer)


def _body_problem(attempt: Attempt, answer: Answer) -> Outcome | None:
    if not (attempt.asked_stream or answer.chat or "/responses" in attempt.path):
        return None  # a file, an embedding: what it has to be is the scenario's affair
    if attempt.asked_stream != answer.is_stream:
        status, asked = (
            ("no_terminal_event", "an event stream") if attempt.asked_stream else ("malformed", "one JSON body")
        )
        return Outcome(status, f"asked for {asked}, got {attempt.headers.get('content-type', 'no content type')}")
    if answer.malformed:
        return Outcome("malformed", answer.malformed)
    if answer.terminal == "cancelled" and not attempt.path.endswith("/responses"):
        return None  # the state of a response that was asked about; only the scenario itself can have cancelled it
    if answer.terminal in {"error", "failed", "cancelled"}:
        return Outcome("in_band_error", answer.message or answer.terminal)
    if answer.terminal not in {None, "completed", LENGTH_CAP}:
        return Outcome("incomplete", f"the answer ended as {answer.terminal}")
    if problem := _no_end(attempt, answer):
        return problem
    ignored = passed_over(attempt, answer)
    return Outcome("invalid_result", ignored) if ignored else None


def passed_over(attempt: Attempt, answer: Answer) -> str:
    """Return which features of the request the server ignored, so that it answered another question; "" if none."""
    ignored = [name for name in CONFIRMED if name not in answer.confirmed and _ASKED[name].search(attempt.sent)]
    answered = attempt.status == 200 and not answer.chat and attempt.path.endswith("/responses")
    return f"the server passed over {' and '.join(ignored)}" if answered and ignored else ""


def _no_end(attempt: Attempt, answer: Answer) -> Outcome | None:
    """Return the problem of a stream without terminal event, or of a body that is no answer of its API; else None."""
    if answer.is_stream:
        without = f"the stream ended after {len(answer.events)} events without a terminal one"
        return Outcome("no_terminal_event", without) if answer.terminal is None else None
    if attempt.method == "POST" and not answer.is_response:
        if answer.chat:
            return Outcome("malformed", "the body is no chat completion: it has no list `choices`")
        if attempt.path.endswith("/responses"):
            return Outcome("malformed", "the body is no Response object: it has no list `output`")
    return None


def _from_error(error: BaseException, final: Sequence[Exchange]) -> Outcome:
    if isinstance(error, asyncio.CancelledError):
        return Outcome("cancelled", "interrupted")
    if own := next((status for kind, status in _OURS.items() if isinstance(error, kind)), None):
        return Outcome(own, str(error))
    if isinstance(error, SetupFault) and error.__cause__:
        cause = error.__cause__
        found = _from_client_error(cause, ()) or from_foreign(cause, streaming=False) or plugin_fault(cause)
        return replace(found, error=f"setup: {found.error}")
    if outcome := _from_client_error(error, final):
        return outcome
    for attempt, answer in final:
        if problem := wire_problem(attempt, answer):
            return problem
    if isinstance(error, TypeError | AttributeError) and _reads_answer(error, final):
        return Outcome("malformed", f"the SDK cannot read the answer: {_line(error)}")
    truncated = any(answer.terminal == LENGTH_CAP for _, answer in final)
    if isinstance(error, pydantic.ValidationError | json.JSONDecodeError):
        return invalid(error, truncated=truncated)
    return replace(plugin_fault(error), truncated=truncated)


def invalid(error: Exception, *, truncated: bool) -> Outcome:
    """Return `invalid_result` with the error; an end at the length cap, the usual reason, is mentioned."""
    return Outcome(
        "invalid_result", _line(error) + (" (the answer ended at the length cap)" if truncated else ""), truncated
    )


def plugin_fault(error: BaseException) -> Outcome:
    """Return `scenario_error` for an exception of plugin code, with file and line."""
    return Outcome("scenario_error", f"{_line(error)} ({_source_line(error)})")


def from_foreign(error: BaseException, *, streaming: bool) -> Outcome | None:
    """Return the outcome of a request's exception from another library than the SDK; None for other exceptions."""
    error = unwrap(error)
    kind = failure_class(error, streaming=streaming)
    return Outcome(kind, chain_of(error)) if kind else None


def _from_client_error(error: BaseException, final: Sequence[Exchange]) -> Outcome | None:
    """Return the outcome by the type of the SDK's exception; None if the SDK did not raise it."""
    if isinstance(error, openai.APITimeoutError | httpx2.TimeoutException):
        return Outcome("timeout", chain_of(error))
    if isinstance(error, openai.APIStatusError):
        return Outcome(http_class(error.status_code), f"HTTP {error.status_code}: {_api_message(error)}")
    if isinstance(error, openai.APIConnectionError | httpx2.TransportError):
        answered = any(attempt.status is not None for attempt, _ in final)
        return Outcome("cut_mid_stream" if answered else "connect", chain_of(error))
    if isinstance(error, openai.APIResponseValidationError):
        return Outcome("malformed", _line(error))
    if isinstance(error, openai.APIError):
        return Outcome("in_band_error", _line(error))
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError) and _raised_in_sdk(error):
        return Outcome("malformed", _line(error))
    return None


def _api_message(error: openai.APIStatusError) -> str:
    """Return the server's message; of an answer that is no OpenAI error, the beginning of its body."""
    if isinstance(error.body, Mapping) and error.body.get("message"):
        return str(error.body["message"])
    return " ".join(str(error.body).split())[:300] if error.body else "no message"


def _raised_in_sdk(error: BaseException) -> bool:
    home = str(Path(openai.__file__).parent)
    return any(frame.filename.startswith(home) for frame in traceback.extract_tb(error.__traceback__))


def _reads_answer(error: BaseException, final: Sequence[Exchange]) -> bool:
    """Return True if the SDK failed on the content of an answer, as `response.output_text` does on a null."""
    frames = traceback.extract_tb(error.__traceback__)
    home, last = Path(openai.__file__).parent, Path(frames[-1].filename if frames else "")
    in_sdk = last.is_relative_to(home / "types") or last.is_relative_to(home / "lib")
    return in_sdk and any(attempt.status == 200 for attempt, _ in final)


def _source_line(error: BaseException) -> str:
    """Return file and line of the innermost frame of the plugin: neither the SDK's nor a library's."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename and "/lib/python" not in frame.filename]
    return next((f"{frame.filename}:{frame.lineno}" for frame in reversed(own or frames)), "no traceback")


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def chain_of(error: BaseException) -> str:
    """Return an exception and its cause on one line: the SDK's wrapper alone says little ("Connection error.")."""
    return f"{_line(error)} <- {_line(error.__cause__)}" if error.__cause__ else _line(error)


def judge_own(trial: Trial) -> Outcome:
    """Return the outcome of a trial with `client="own"`, before `check` is asked: ok unless it raised."""
    error = trial.error
    if error is None or isinstance(error, openai.OpenAIError):
        return judge(trial, ())
    return from_foreign(error, streaming=bool(trial.pieces)) or judge(trial, ())
