"""Three ways to go on after a stream broke off: show all again, drop what was shown, or resume where it ended.

`recovery_naive` starts again and shows the text a second time. `recovery_restart` starts again and drops what is
already on the screen, as far as the new text repeats it; a text that differs takes its place. `recovery_resume` asks
for a background response and goes on behind the last event it has seen. All wait between tries: 0.25 s, 0.5 s, 1 s, up
to half of it less by chance, 4 tries in all. On the simulator the first stream is cut after half its text.

Useful: the first piece with a character that is not a space; what broke off counts, because the user has read it.
Blocking: a plain blocking call with the same fault and the same tries. A body that is cut the SDK tries again unseen.
The result is the text of the last try (resumed: of all of them); it is valid only if it is not blank.
Expect: on sim, `recovery_resume` soonest and with nothing wasted, because the server goes on writing during the pause;
the two that start again waste what was shown, and the naive one shows it twice. Elsewhere few breaks: the times of
`text`.

Records: `recovery.attempts`, HTTP attempts; `recovery.backoff`, ms without any of them under way;
`recovery.wasted_bytes`, read by attempts that are no part of the answer. Of the streamed delivery also
`recovery.wasted_chars` and `recovery.wasted_deltas`, received but no part of the answer; `recovery.wasted_tokens`, only
where a broken try told its usage; `recovery.duplicated_chars`, on the screen beside the answer;
`recovery.replaced_chars`, taken off the screen again; and `recovery.time`, ms from the breaks to the next character
that the user had not seen yet.

The traps: the SDK tries a stream again only before its body begins. Two answers to one question seldom begin alike, so
dropping what was shown works on a server that repeats itself. `responses.stream(response_id=…, starting_after=N)` does
not send `starting_after`; `retrieve(…, stream=True, starting_after=N)` does. And each try that starts again is billed.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import openai
from openai import AsyncOpenAI, AsyncStream
from openai.types.responses import Response, ResponseStreamEvent

from bench import Ask, Scenario, Trial, hookimpl
from bench.core.streams import check_text

PROMPTS = (
    "Describe a journey by night train.",
    "Explain how a violin makes its sound.",
    "Tell the story of a clock that ran backwards.",
)
SIM = ({"faults": [{"kind": "cut", "after": 0.5}]},)
TRIES = 4
FIRST_PAUSE_S = 0.25


class BrokenAnswer(Exception):
    """A stream or an answer that ended, but not as it should; the message says how."""


BROKEN = (BrokenAnswer, openai.APIError, json.JSONDecodeError, UnicodeDecodeError)
"""Worth another try, except for an HTTP error: the SDK has tried that again already where it makes sense."""


class NewStart(str):
    """The first piece of a text that starts again, below what is on the screen."""

    __slots__ = ()


class Rewrite(NewStart):
    """A piece that takes the place of all that is on the screen."""

    __slots__ = ()


def assemble(pieces: Sequence[str]) -> str:
    """Join the pieces from the last one on that starts again, or all of them."""
    start = max((number for number, piece in enumerate(pieces) if isinstance(piece, NewStart)), default=0)
    return "".join(pieces[start:])


class AppendScreen:
    """The text of a try goes on where the one before ended."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.text = ""
        """Of this try, so far."""

    def feed(self, text: str) -> str:
        """Return what to show for a delta, perhaps nothing."""
        self.text += text
        return text

    def end(self) -> NewStart | None:
        """Return what to show at the end of a whole answer, if anything."""
        return None


class RepeatScreen(AppendScreen):
    """The text of a try is shown from its beginning."""

    def feed(self, text: str) -> str:
        """Show the delta below what was shown."""
        first = bool(self.shown) and not self.text
        text = super().feed(text)
        return NewStart(text) if first else text

    def end(self) -> NewStart | None:
        """Return an empty text for an empty answer: what was shown before is no part of it."""
        return NewStart() if self.shown and not self.text else None


class JoinScreen(AppendScreen):
    """The text of a try is shown from where it goes beyond the text before, which it replaces if it differs."""

    def __init__(self, shown: str) -> None:
        super().__init__(shown)
        self._joined = not shown

    def feed(self, text: str) -> str:
        """Return what of the delta is new; all of this try's text where it turns out to be another."""
        self.text += text
        if self._joined:
            return text
        if self.shown.startswith(self.text):
            return ""
        self._joined = True
        return self.text[len(self.shown) :] if self.text.startswith(self.shown) else Rewrite(self.text)

    def end(self) -> Rewrite | None:
        """Return all of this try's text, if it ended before it had reached the length of the one before."""
        return None if self._joined or self.text == self.shown else Rewrite(self.text)


class Story:
    """What a trial has received, shown and lost, over all tries."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.id: str | None = None
        """Of the response that can be resumed."""
        self.number = -1
        """The last sequence number of it."""
        self.answer = ""
        """What is shown of the present text."""
        self.ended = False
        self._seen = self._chars = self._screen = self._replaced = 0
        self._deltas = self._wasted_deltas = self._tokens = 0
        self._usage_told = False
        self._broke_at: int | None = None
        self._waited: list[int] = []

    def text_in(self, event: Any) -> str:
        """Return the new text in an event. Raise `BrokenAnswer` where it says that the answer failed."""
        text = (event.delta or "") if event.type == "response.output_text.delta" else ""
        self._chars += len(text)
        if self.id and event.sequence_number is not None and event.sequence_number <= self.number:
            self._wasted_deltas += bool(text)  # sent once more
            return ""
        self._deltas += bool(text)
        self.number = event.sequence_number if event.sequence_number is not None else self.number
        self.ended = self.ended or event.type in {"response.completed", "response.incomplete"}
        if event.type == "response.failed":
            self._note_usage(event.response)
            self.id, self.number = None, -1  # there is nothing to resume
        if event.type in {"error", "response.failed"}:
            raise BrokenAnswer(f"the stream ended with {event.type}")
        return text

    def show(self, piece: str) -> str:
        """Note a piece that is shown now."""
        if isinstance(piece, NewStart):
            self._replaced += self._screen if isinstance(piece, Rewrite) else 0
            self._screen = 0 if isinstance(piece, Rewrite) else self._screen
            self.answer = ""
        self.answer += piece
        self._screen += len(piece)
        if self._broke_at is not None and (isinstance(piece, Rewrite) or len(self.answer) > self._seen):
            self._waited.append(self.ask.now() - self._broke_at)
            self._broke_at = None
        self._seen = max(self._seen, len(self.answer))
        return piece

    def note_break(self) -> None:
        """Note that a try has just ended badly."""
        self._broke_at = self._broke_at or self.ask.now()
        if self.number < 0:
            self.id = None  # without sequence numbers nobody can say where to go on
        if self.id is None:  # the next try begins anew
            self._wasted_deltas += self._deltas
            self._deltas = 0

    def tell(self) -> None:
        """Record what was received, shown and lost."""
        for name, count in {
            "wasted_chars": self._chars - len(self.answer),
            "duplicated_chars": self._screen - len(self.answer),
            "replaced_chars": self._replaced,
        }.items():
            self.ask.record(f"recovery.{name}", count, "chars")
        self.ask.record("recovery.wasted_deltas", self._wasted_deltas, "events")
        if self._usage_told:
            self.ask.record("recovery.wasted_tokens", self._tokens, "tokens")
        if self._waited:
            self.ask.record("recovery.time", sum(self._waited) / 1e6, "ms")

    def _note_usage(self, response: Response | None) -> None:
        if response and response.usage:
            self._usage_told = True
            self._tokens += response.usage.output_tokens


def pauses(seed: int) -> Iterator[float]:
    """Yield the seconds to wait before each further try: twice as long each time, up to half of it less by chance."""
    rng = random.Random(seed)  # noqa: S311  (no secrets)
    for number in range(TRIES - 1):
        yield FIRST_PAUSE_S * 2**number * (0.5 + rng.random() / 2)


@dataclass(frozen=True)
class Recovery:
    """Both deliveries of one way to recover."""

    screen: type[AppendScreen]
    """How a further try is shown that starts again."""
    resumes: bool = False

    async def streamed(self, client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
        """Yield what is shown, try by try, until an answer is whole or no try is left."""
        story, waits = Story(ask), pauses(ask.seed)
        try:
            while not story.ended:
                screen = (AppendScreen if story.id else self.screen)(story.answer)
                try:
                    async with await self._open(client, ask, story) as stream:
                        async for event in stream:
                            self._note_id(event, story)
                            if piece := screen.feed(story.text_in(event)):
                                yield story.show(piece)
                    if not story.ended:
                        raise BrokenAnswer("the stream ended without a terminal event")
                except openai.APIStatusError:
                    raise
                except BROKEN:
                    story.note_break()
                    if (pause := next(waits, None)) is None:
                        raise
                    await asyncio.sleep(pause)
            if (rest := screen.end()) is not None:
                yield story.show(rest)
        finally:
            story.tell()

    async def _open(self, client: AsyncOpenAI, ask: Ask, story: Story) -> AsyncStream[ResponseStreamEvent]:
        if story.id is not None:
            return await client.responses.retrieve(story.id, stream=True, starting_after=story.number)
        request: dict[str, Any] = {**ask.request, "background": True} if self.resumes else dict(ask.request)
        stream: AsyncStream[ResponseStreamEvent] = await client.responses.create(**request, stream=True)
        return stream

    def _note_id(self, event: Any, story: Story) -> None:
        if self.resumes and event.type == "response.created" and event.response and story.id is None:
            story.id = event.response.id

    async def blocking(self, client: AsyncOpenAI, ask: Ask) -> str:
        """Return the whole text of the first try that brings one."""
        waits = pauses(ask.seed)
        while True:
            try:
                return text_of(await client.responses.create(**ask.request, stream=False))
            except openai.APIStatusError:
                raise
            except BROKEN:
                if (pause := next(waits, None)) is None:
                    raise
                await asyncio.sleep(pause)


def text_of(response: Response) -> str:
    """Return the text of an answer. Raise `BrokenAnswer` for a failed one."""
    if response.status == "failed":
        raise BrokenAnswer("the response failed")
    return response.output_text


@asynccontextmanager
async def count_attempts(trial: Trial) -> AsyncIterator[None]:
    """Record after the trial its attempts, the time between them, and the bytes that are no part of the answer."""
    yield
    attempts = trial.attempts
    trial.record("recovery.attempts", len(attempts), "attempts")
    gaps = [later.t_start - earlier.t_end for earlier, later in pairwise(attempts) if earlier.t_end]
    trial.record("recovery.backoff", sum(max(0, gap) for gap in gaps) / 1e6, "ms")
    last = max((number for number, attempt in enumerate(attempts) if attempt.method == "POST"), default=0)
    wasted = [attempt for number, attempt in enumerate(attempts) if number < last or attempt.status != 200]
    trial.record("recovery.wasted_bytes", sum(len(data) for one in wasted for _, data in one.reads), "bytes")


@hookimpl
def observe(trial: Trial) -> AbstractAsyncContextManager[None] | None:
    """Count the attempts of these scenarios' trials."""
    return count_attempts(trial) if trial.scenario in WAYS else None


ABOUT = {
    "recovery_naive": "After a stream broke off: ask again, and show all of the new answer.",
    "recovery_restart": "After a stream broke off: ask again, and leave out what was shown already.",
    "recovery_resume": "After a stream broke off: resume it where it ended.",
}
WAYS = {
    "recovery_naive": Recovery(RepeatScreen),
    "recovery_restart": Recovery(JoinScreen),
    "recovery_resume": Recovery(JoinScreen, resumes=True),
}


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """Three scenarios: `recovery_naive`, `recovery_restart` and `recovery_resume`."""
    for name, way in WAYS.items():
        yield Scenario(
            name,
            way.streamed,
            way.blocking,
            about=ABOUT[name],
            prompts=PROMPTS,
            tags=("guide", "recovery"),
            needs=("background",) if way.resumes else (),
            assemble=assemble,
            check=check_text,
            sim=SIM,
            recovers=True,
            requests=2,
            memory=False,
        )
