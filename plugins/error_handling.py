"""A stream that may fail before, during or at its end: every way is noticed, and a blocking call then gives the answer.

What was shown stays until the whole answer of that one call takes its place. On the simulator each prompt meets a
fault of its own; elsewhere whatever happens is noticed, which is mostly nothing.

Useful: the first piece with a character that is not a space, shown before anything failed or by the fallback.
Blocking: a blocking call with the same fallback. The result of both is the text of a whole answer, and it is valid only
if it is not blank.
Expect: on sim, streamed, most faults known while the text is being shown, blocking only when the whole would have
come; then both wait for the fallback, so the gain is what was seen before. Elsewhere no fault, and the times of `text`.

Records: only where something went wrong, `detected.KIND`, 1 for the kind of fault; `detection`, ms from the start to
knowing of it; `seen_chars`, what the user had seen by then; `fallback`, ms that the second call took. The kinds:
`status` (an HTTP error), `timeout`, `connection` (cut, or never there), `malformed` (not JSON, not UTF-8, no Response),
`error_raised` (an event with an object `error`, which the SDK raises), `error_event` (OpenAI's flat one, which it does
not), `failed`, `incomplete` (ended early, not by the asked length), `silent_end` (no terminal event).

The traps: an `error` event raises nothing, and its text is `event.message`, not `event.error.message`; nor do
`response.failed`, `response.incomplete` and a stream that just ends. A broken frame raises a bare `JSONDecodeError` or
`UnicodeDecodeError`, which are no `OpenAIError`. The SDK never tries a broken stream again, but does so unseen with a
blocking body that is cut, so there `connection` is seldom noticed. A stalled stream raises only after the SDK's read
timeout, 600 s where the app sets none.
"""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import openai
from openai import AsyncOpenAI
from openai.types.responses import Response

from bench import Ask, Scenario, hookimpl
from bench.core.streams import Replacement, check_text, join_pieces, text_of

FAULTS = {
    "Describe a lighthouse in a storm.": {"kind": "status", "status": 400},
    "Explain how bread rises.": {"kind": "cut"},
    "Tell the story of a lost letter.": {"kind": "malformed"},
    "Explain why leaves turn red in autumn.": {"kind": "error"},
    "Describe a market on a Saturday morning.": {"kind": "error_nested"},
    "Explain how a lock on a canal works.": {"kind": "failed"},
    "Describe the first snow of a winter.": {"kind": "incomplete"},
    "Explain what a compass points to.": {"kind": "silent_end"},
}
"""What the simulator lets go wrong with the first attempt, by prompt."""
PROMPTS = tuple({"prompt": prompt, "sim": [{"faults": [fault]}]} for prompt, fault in FAULTS.items())

RAISED: Sequence[tuple[type[Exception], str]] = (
    (openai.APIStatusError, "status"),
    (openai.APITimeoutError, "timeout"),
    (openai.APIConnectionError, "connection"),
    (openai.APIResponseValidationError, "malformed"),
    (openai.APIError, "error_raised"),
    (json.JSONDecodeError, "malformed"),
    (UnicodeDecodeError, "malformed"),
)
"""The first that fits an exception says its kind."""
EXPECTED = tuple(type_ for type_, _ in RAISED)
ENDINGS = {"response.completed": "", "response.failed": "failed", "error": "error_event"}


def kind_of_exception(error: Exception) -> str:
    """Return the kind of fault that an exception is."""
    return next((kind for type_, kind in RAISED if isinstance(error, type_)), "other")


def kind_of_response(response: Any) -> str | None:
    """Return the kind of fault that a Response tells of; None for a whole answer, or one cut by the asked length."""
    if not isinstance(response, Response):  # the SDK gives the bare text of a body that is not called JSON
        return "malformed"
    if response.status in {None, "completed"}:
        return None
    details = response.incomplete_details
    capped = response.status == "incomplete" and details and details.reason == "max_output_tokens"
    return None if capped else "incomplete" if response.status == "incomplete" else "failed"


def ending(event: Any) -> str | None:
    """Return the kind of fault that an event tells of, empty for a good end, None for an event that ends nothing."""
    if event.type == "response.incomplete":
        return kind_of_response(event.response) or ""
    return ENDINGS.get(event.type)


def record_detection(ask: Ask, kind: str, start: int, seen: int) -> int:
    """Record what was noticed just now. Return the time, ns."""
    now = ask.now()
    ask.record(f"detected.{kind}", 1, "0 or 1")
    ask.record("detection", (now - start) / 1e6, "ms")
    ask.record("seen_chars", seen, "chars")
    return now


async def fallback(client: AsyncOpenAI, ask: Ask, since: int) -> str:
    """Return the whole text by one blocking call; raise if that fails too."""
    response: Response = await client.responses.create(**ask.request, stream=False)
    if kind := kind_of_response(response):
        raise RuntimeError(f"the fallback went wrong as well: {kind}")
    ask.record("fallback", (ask.now() - since) / 1e6, "ms")
    return text_of(response)


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Yield each text delta, and the whole text once more if anything went wrong."""
    start, seen, kind = ask.now(), 0, "silent_end"
    try:
        async with await client.responses.create(**ask.request, stream=True) as stream:
            async for event in stream:
                if event.type == "response.output_text.delta" and event.delta:
                    seen += len(event.delta)
                    yield event.delta
                elif (found := ending(event)) is not None:
                    kind = found
                if kind not in {"", "silent_end"}:
                    break
    except EXPECTED as error:
        kind = kind and kind_of_exception(error)  # behind a good end nothing is missing
    if kind:
        yield Replacement(await fallback(client, ask, record_detection(ask, kind, start, seen)))


async def blocking(client: AsyncOpenAI, ask: Ask) -> str:
    """Return the whole text, by the second call if anything went wrong with the first."""
    start, response = ask.now(), None
    try:
        response = await client.responses.create(**ask.request, stream=False)
        kind = kind_of_response(response)
    except EXPECTED as error:
        kind = kind_of_exception(error)
    if kind or response is None:
        return await fallback(client, ask, record_detection(ask, kind or "other", start, 0))
    return text_of(response)


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """One scenario: `error_handling`."""
    yield Scenario(
        "error_handling",
        streamed,
        blocking,
        prompts=PROMPTS,
        tags=("guide", "recovery"),
        assemble=join_pieces,
        check=check_text,
        recovers=True,
        requests=2,
        memory=False,
    )
