"""Plain text with the synchronous client, in a thread, as scripts and threaded web servers use it.

Compare it with `text`: the server does the same work. What differs is the SDK's other client and the thread.

Useful: the first piece with a character that is not a space, because a user can start to read it.
Blocking: the whole text. It is valid only if it is not blank.
Expect: the times of `text`: one stream at a time waits for the server, whichever client reads it.

Traps: the SDK waits with `time.sleep` before it tries again, which holds the whole thread and cannot be cut short (a
trial that sleeps past its deadline is left behind). After a Chat stream, which ends with `[DONE]`, it closes the
connection, so the next request pays a new one; Responses streams have no `[DONE]` and keep it. And threads share one
lock: while one parses an event, the others wait, and so do their stamps.
"""

from collections.abc import Iterable, Iterator

from openai import OpenAI

from bench import Ask, Scenario, hookimpl
from bench.core.streams import check_text, text_deltas, text_of

PROMPTS = (
    "Explain to a new colleague what a streaming API is and when to use one.",
    "Describe a walk through a harbour town early in the morning.",
    "Summarise how the water cycle works, for a curious twelve-year-old.",
)


def streamed(client: OpenAI, ask: Ask) -> Iterator[str]:
    """Yield each text delta, the moment it comes."""
    with client.responses.create(**ask.request, stream=True) as stream:
        yield from text_deltas(stream)


def blocking(client: OpenAI, ask: Ask) -> str:
    """Return the whole text."""
    return text_of(client.responses.create(**ask.request, stream=False))


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """One scenario: `text_sync`."""
    yield Scenario("text_sync", streamed, blocking, prompts=PROMPTS, tags=("sdk",), check=check_text)
