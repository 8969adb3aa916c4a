"""A model that thinks first: its reasoning is shown while the answer is still to come.

The run's own metrics keep the two apart: TTFT is the first token of any kind, TTFT visible the first of the answer.
Compare them: the difference is what a user waits who is shown no reasoning.

Useful: the first text of the answer; reasoning is not what was asked for.
Blocking: the text of the answer. Both deliveries give the same, and it is valid only if it is not blank.
Expect: first useful long after first token, by the time the model reasons; the gain is the answer's own length, which
is all that streaming can show sooner.

Records: `reasoning.first`, ms from the start to the first reasoning, `reasoning.time`, ms from there to the first text
of the answer, and `reasoning.chars`; none of them where no reasoning was streamed.

The traps: OpenAI streams no reasoning unless a summary is asked for, and then a summary; others stream the reasoning
itself, under another event. The tokens of it are billed as output, shown or not (the metric `reasoning_tokens`), and
count towards the length that was asked for.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Any

from openai import AsyncOpenAI

from bench import Ask, Scenario, hookimpl
from bench.core.streams import TextReader, check_text, text_of

PROMPTS = (
    "A farmer has 17 sheep. All but 9 run away. How many are left, and why do people get it wrong?",
    "Which weighs more, a kilogram of feathers or a pound of iron? Explain in three sentences.",
    "Three switches, one lamp in another room, one visit. How do you find the right switch?",
)
ASKED: dict[str, Any] = {"reasoning": {"effort": "low", "summary": "auto"}}
DELTAS = {"response.reasoning_summary_text.delta", "response.reasoning_text.delta"}


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Yield each delta of the answer's text."""
    start, first, chars, answered = ask.now(), None, 0, False
    reader = TextReader()
    async with await client.responses.create(**ask.request, **ASKED, stream=True) as stream:
        async for event in stream:
            if event.type in DELTAS and event.delta:
                first = first or ask.now()
                chars += len(event.delta)
            elif text := reader.feed(event):
                if first and not answered:
                    ask.record("reasoning.time", (ask.now() - first) / 1e6, "ms")
                answered = True
                yield text
    if first:
        ask.record("reasoning.first", (first - start) / 1e6, "ms")
        ask.record("reasoning.chars", chars, "chars")


async def blocking(client: AsyncOpenAI, ask: Ask) -> str:
    """Return the text of the answer."""
    return text_of(await client.responses.create(**ask.request, **ASKED, stream=False))


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """One scenario: `reasoning`."""
    yield Scenario(
        "reasoning",
        streamed,
        blocking,
        prompts=PROMPTS,
        tags=("reasoning",),
        needs=("reasoning",),
        check=check_text,
        memory=False,
    )
