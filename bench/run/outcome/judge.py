"""How a trial ended: exactly one status, and a line that says why. Pure.

The wire outranks the scenario: an exception in a plugin that stumbled over half an answer is the server's fault, and
a loop that simply ended is no success unless the stream had its terminal event.
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
"""Of `CONFIRMED`: how a request asks for it. Quotes inside of JSON text are escaped."""
_OURS = {Deadline: "timeout", Shed: "shed", TrialLost: "lost"}


@dataclass(frozen=True)
class Outcome:
    """A status of `schema.TRIAL_STATUS`, why (None when ok), and whether it ended at the length cap."""

    status: str
    error: str | None = None
    truncated: bool = False


def judge(trial: Trial, exchanges: Sequence[Exchange], *, recovers: bool = False) -> Outcome:
    """The outcome of a trial that has ended, `check` not yet asked. `recovers`: as its scenario says."""
    final = [exchange for exchange in exchanges if _is_final(exchange[0], trial.attempts)]
    if trial.error is not None:
        return _from_error(trial.error, final)
    for exchange in exchanges:
        counts = exchange in final or (not recovers and _ended_unseen(*exchange))
        if counts and (problem := wire_problem(*exchange)):
            return problem
    return Outcome("ok", truncated=any(answer.terminal == LENGTH_CAP for _, answer in final))


def _is_final(attempt: Attempt, attempts: Sequence[Attempt]) -> bool:
    """Is it what the scenario was left with? Not when it was tried again, or went on with another request."""
    end = attempt.t_end
    return end is None or not any(later.t_start >= end for later in attempts if later is not attempt)


def _ended_unseen(attempt: Attempt, answer: Answer) -> bool:
    """Could the scenario go on from this answer without an exception? One that is still being made is no bad end."""
    answered = attempt.status is not None and attempt.status < 400
    return answered and attempt.error is None and answer.terminal not in {"queued", "in_progress"}


def wire_problem(attempt: Attempt, answer: Answer) -> Outcome | None:
    """What was wrong with an answer by the bytes alone; None when nothing was."""
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
        return _wrong_kind(attempt)
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
    """What a server that answered took no notice of, so that the answer is to another question; empty: nothing."""
    ignored = [name for name in CONFIRMED if name not in answer.confirmed and _ASKED[name].search(attempt.sent)]
    answered = attempt.status == 200 and not answer.chat and attempt.path.endswith("/responses")
    return f"the server passed over {' and '.join(ignored)}" if answered and ignored else ""


def _no_end(attempt: Attempt, answer: Answer) -> Outcome | None:
    """A stream without its terminal event, or a body that is no answer of its API; None when it is whole."""
    if answer.is_stream:
        without = f"the stream ended after {len(answer.events)} events without a terminal one"
        return Outcome("no_terminal_event", without) if answer.terminal is None else None
    if attempt.method == "POST" and not answer.is_response:
        if answer.chat:
            return Outcome("malformed", "the body is no chat completion: it has no list `choices`")
        if attempt.path.endswith("/responses"):
            return Outcome("malformed", "the body is no Response object: it has no list `output`")
    return None


def _wrong_kind(attempt: Attempt) -> Outcome:
    got = attempt.headers.get("content-type", "no content type")
    if attempt.asked_stream:
        return Outcome("no_terminal_event", f"asked for an event stream, got {got}")
    return Outcome("malformed", f"asked for one JSON body, got {got}")


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
    """An answer that is not valid; an end at the length cap is the usual reason, and is said."""
    return Outcome(
        "invalid_result", _line(error) + (" (the answer ended at the length cap)" if truncated else ""), truncated
    )


def plugin_fault(error: BaseException) -> Outcome:
    """An exception out of plugin code, with its file and line."""
    return Outcome("scenario_error", f"{_line(error)} ({_source_line(error)})")


def from_foreign(error: BaseException, *, streaming: bool) -> Outcome | None:
    """What another library than the SDK raised about a request; None for any other exception."""
    error = unwrap(error)
    kind = failure_class(error, streaming=streaming)
    return Outcome(kind, chain_of(error)) if kind else None


def _from_client_error(error: BaseException, final: Sequence[Exchange]) -> Outcome | None:
    """What the SDK raised, by its type; None when the exception is not the SDK's."""
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
    """The server's message; what is no OpenAI error (text, `{"detail": …}`) as it came, cut."""
    if isinstance(error.body, Mapping) and error.body.get("message"):
        return str(error.body["message"])
    return " ".join(str(error.body).split())[:300] if error.body else "no message"


def _raised_in_sdk(error: BaseException) -> bool:
    home = str(Path(openai.__file__).parent)
    return any(frame.filename.startswith(home) for frame in traceback.extract_tb(error.__traceback__))


def _reads_answer(error: BaseException, final: Sequence[Exchange]) -> bool:
    """Did the SDK stumble over what is in an answer, as in `response.output_text` over a null?"""
    frames = traceback.extract_tb(error.__traceback__)
    home, last = Path(openai.__file__).parent, Path(frames[-1].filename if frames else "")
    in_sdk = last.is_relative_to(home / "types") or last.is_relative_to(home / "lib")
    return in_sdk and any(attempt.status == 200 for attempt, _ in final)


def _source_line(error: BaseException) -> str:
    """File and line of the innermost frame that is neither the SDK's nor a library's: the plugin's own."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename and "/lib/python" not in frame.filename]
    return next((f"{frame.filename}:{frame.lineno}" for frame in reversed(own or frames)), "no traceback")


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def chain_of(error: BaseException) -> str:
    """The SDK's wrapper says little ("Connection error."); its cause says what happened."""
    return f"{_line(error)} <- {_line(error.__cause__)}" if error.__cause__ else _line(error)


def judge_own(trial: Trial) -> Outcome:
    """The outcome of such a trial, `check` not yet asked: ok unless something was raised."""
    error = trial.error
    if error is None or isinstance(error, openai.OpenAIError):
        return judge(trial, ())
    return from_foreign(error, streaming=bool(trial.pieces)) or judge(trial, ())
