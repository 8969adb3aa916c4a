"""A conversation of several turns, the first answer shown while it is written.

`multi_turn` resends all messages with every turn; `multi_turn_stored` sends only the new one and names the answer
before it (`previous_response_id`). The input grows with every turn either way: a server that stores it still has to
read it. `-P multi_turn.turns=2,8` sets the number of turns.

Useful: the first text of the first turn, because the user reads it while everything else is still to come.
Blocking: all answers, one blocking call for each turn. Both deliveries give the same list, and it is valid only if no
answer is blank.
Expect: a gain that grows with the number of turns, because blocking shows nothing before the last one ends. Both ways
count the same input tokens. `growth` is what the longer input costs the server: about nothing on sim, which reads in no
time.

Records: `turn1.first_text`, `turn2.first_text`, …: ms from sending that turn's request to its first text, and
`growth`, the last of them minus the first.

The traps: the text to resend is that of the whole answer, which a stream from `create(stream=True)` does not keep (it
has no `get_final_response()`): gather the deltas, or take it from `response.completed`. And every turn can break off
without an exception, so a turn counts only with its terminal event; otherwise the next one would build on half an
answer. `instructions` are not carried over by `previous_response_id`.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from openai import AsyncOpenAI
from openai.types.responses import Response
from pydantic import BaseModel, Field

from bench import Ask, Scenario, hookimpl
from bench.core.streams import TextReader, text_of, whole_answer

PROMPTS = (
    "I want to grow tomatoes on a balcony. Where do I start?",
    "Plan a two-day walk for somebody who has never been in the mountains.",
)
FOLLOW_UPS = (
    "Which of these points matters most, and why?",
    "Give me an example for it.",
    "What could go wrong?",
    "Sum it up in a few sentences.",
)
"""The user's next messages, used in turn."""

Messages = list[Mapping[str, Any]]
Follow = Callable[[Ask, Messages, Response], dict[str, Any]]
"""The request after the first: from all messages so far, the last of them the user's new one, and the last response."""


class Params(BaseModel):
    """What `-P multi_turn.…` may set."""

    turns: int = Field(default=3, ge=1, le=100, description="Number of turns")


class Piece(NamedTuple):
    """Some text of a turn."""

    turn: int
    """From 0."""
    text: str


def resend(ask: Ask, messages: Messages, _last: Response) -> dict[str, Any]:
    """Send all messages once more."""
    return {**ask.request, "input": messages}


def refer(ask: Ask, messages: Messages, last: Response) -> dict[str, Any]:
    """Send the new message, and the name of the answer that it follows."""
    return {**ask.request, "input": messages[-1:], "previous_response_id": last.id}


def with_next_message(messages: Messages, answer: str, turn: int) -> Messages:
    """Return the conversation with an answer and the user's next message."""
    said = {"role": "assistant", "content": answer}
    return [*messages, said, {"role": "user", "content": FOLLOW_UPS[turn % len(FOLLOW_UPS)]}]


@dataclass(frozen=True)
class Conversation:
    """Both deliveries of one way to carry a conversation on."""

    follow: Follow

    async def streamed(self, client: AsyncOpenAI, ask: Ask) -> AsyncIterator[Piece]:
        """Yield the text of every turn. A turn without text has one empty piece."""
        request, messages, waits = dict(ask.request), list(ask.messages), list[float]()
        for turn in range(ask.params.turns):
            parts, response, reader, sent = list[str](), None, TextReader(), ask.now()
            async with await client.responses.create(**request, stream=True) as stream:
                async for event in stream:
                    if text := reader.feed(event):
                        if not parts:
                            waits.append((ask.now() - sent) / 1e6)
                            ask.record(f"turn{turn + 1}.first_text", waits[-1], "ms")
                        parts.append(text)
                        yield Piece(turn, text)
                    if event.type in {"response.completed", "response.incomplete"}:
                        response = event.response
            last = whole_answer(response)
            if not parts:
                yield Piece(turn, "")
            messages = with_next_message(messages, "".join(parts), turn)
            request = self.follow(ask, messages, last)
        if len(waits) > 1:
            ask.record("growth", waits[-1] - waits[0], "ms")

    async def blocking(self, client: AsyncOpenAI, ask: Ask) -> list[str]:
        """Return the answers of all turns."""
        request, messages, answers = dict(ask.request), list(ask.messages), list[str]()
        for turn in range(ask.params.turns):
            last = whole_answer(await client.responses.create(**request, stream=False))
            answers.append(text_of(last))
            messages = with_next_message(messages, answers[-1], turn)
            request = self.follow(ask, messages, last)
        return answers


def assemble(pieces: Sequence[Piece]) -> list[str]:
    """Return the answer of each turn."""
    answers: dict[int, str] = {}
    for turn, text in pieces:
        answers[turn] = answers.get(turn, "") + text
    return list(answers.values())


def check(answers: Sequence[str]) -> None:
    """Raise `ValueError` unless every turn has something to read."""
    blank = [str(number) for number, answer in enumerate(answers, 1) if not answer.strip()]
    if blank or not answers:
        raise ValueError(f"no text in turn {', '.join(blank) or '1'}")


def scenario(name: str, follow: Follow, about: str, needs: Sequence[str] = ()) -> Scenario:
    """Return the scenario of a conversation that is carried on in this way."""
    conversation = Conversation(follow)
    return Scenario(
        name,
        conversation.streamed,
        conversation.blocking,
        about=about,
        prompts=PROMPTS,
        tags=("guide",),
        needs=needs,
        params=Params,
        requests=lambda params: params.turns,
        useful=lambda piece: bool(piece.text.strip()),
        assemble=assemble,
        check=check,
        memory=False,
    )


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """Two scenarios: `multi_turn` and `multi_turn_stored`."""
    yield scenario("multi_turn", resend, "A conversation of several turns, all messages resent with each.")
    about = "A conversation of several turns, each request naming the answer before it."
    yield scenario("multi_turn_stored", refer, about, needs=("stored",))
