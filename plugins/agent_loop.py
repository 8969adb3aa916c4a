"""An agent: it calls a function, reads the result, calls another one, and answers.

The functions are local and take no time, so all of it is the model's. Streamed, a call is run the moment its arguments
are complete, and the answer is shown while it is written. At most 6 rounds; the last one may not call any more.

Useful: the first call that can be run, because then the app starts to work, or the first text of the answer.
Blocking: the same rounds, one blocking call each. Both deliveries give the same calls and the same answer, valid only
if there is a call, each call fits its function, and the answer is not blank.
Expect: the first call hardly sooner than blocking, because short arguments are soon written; the gain is the text of
the last round. The whole takes as long either way.

Records: `rounds`, the requests it took; `mark.first_call`, when the first call could be run; `mark.first_text`, when
the first text could be read: blocking, that is when the round's response is there.

The traps: the next request needs all items of the answer, the reasoning between the calls too, not only the calls. And
every round can break off without an exception, so it counts only with its terminal event.
"""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, NamedTuple

from openai import AsyncOpenAI, pydantic_responses_function_tool
from pydantic import BaseModel, ConfigDict

from bench import Ask, Scenario, hookimpl
from bench.core.streams import TextReader, text_of_items, whole_answer

PROMPTS = (
    "I want to spend Saturday in Lisbon. Look up the weather, then find one thing to do, then advise me.",
    "Plan a day in Bergen: look up the weather first, then find something to do that suits it, then tell me.",
)
SIM = (
    {"items": [{"type": "function_call", "name": "get_weather"}]},
    {"items": [{"type": "function_call", "name": "find_activity"}]},
    {"items": [{"type": "message"}]},
)
ROUNDS = 6


class GetWeather(BaseModel):
    """Look up the weather of a place."""

    model_config = ConfigDict(extra="forbid")

    location: str


class FindActivity(BaseModel):
    """Find something to do at a place."""

    model_config = ConfigDict(extra="forbid")

    location: str
    outdoors: bool


def get_weather(asked: GetWeather) -> str:
    """Return what the app knows of the weather, as JSON."""
    return json.dumps({"location": asked.location, "sky": "clear", "celsius": 18})


def find_activity(asked: FindActivity) -> str:
    """Return what the app finds to do, as JSON."""
    return json.dumps({"location": asked.location, "activity": "a walk" if asked.outdoors else "a museum"})


FUNCTIONS: dict[str, tuple[type[BaseModel], Any]] = {
    "get_weather": (GetWeather, get_weather),
    "find_activity": (FindActivity, find_activity),
}
TOOLS = [pydantic_responses_function_tool(model, name=name) for name, (model, _) in FUNCTIONS.items()]


class Call(NamedTuple):
    """A call that was run."""

    name: str
    arguments: str


class Loop:
    """A conversation of rounds, whichever way each answer comes."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.input: list[Any] = list(ask.messages)
        self.rounds = 0
        self._results: dict[str, str] = {}
        """Of this round's calls, by call id."""
        self._marked: set[str] = set()

    def request(self) -> dict[str, Any]:
        """Return the request of the next round."""
        self.rounds += 1
        choice = "auto" if self.rounds < ROUNDS else "none"
        return {**self.ask.request, "input": self.input, "tools": TOOLS, "tool_choice": choice}

    def mark(self, name: str) -> None:
        """Mark the first of its kind."""
        if name not in self._marked:
            self._marked.add(name)
            self.ask.mark(name)

    def run(self, item: Any) -> list[Call]:
        """Run a call that is complete: that call, or nothing for an item of another kind or one that was run."""
        if not item or item.type != "function_call" or item.call_id in self._results:
            return []
        self.mark("first_call")
        self._results[item.call_id] = result_of(item.name, item.arguments)
        return [Call(item.name, item.arguments)]

    def go_on(self, output: Sequence[Any]) -> bool:
        """Begin another round with this output and the results of its calls. Return False if there is none."""
        results, self._results = self._results, {}
        answers = [{"type": "function_call_output", "call_id": id_, "output": text} for id_, text in results.items()]
        self.input = [*self.input, *output, *answers]
        return bool(answers) and self.rounds < ROUNDS  # not every server knows that `none` means no more calls


def result_of(name: str, arguments: str) -> str:
    """Run a function. Return its result or what is wrong with the call, so that the model can do better."""
    if name not in FUNCTIONS:
        return f"there is no function {name!r}"
    model, function = FUNCTIONS[name]
    try:
        return str(function(model.model_validate_json(arguments)))
    except ValueError as error:
        return f"the arguments are not valid: {error}"


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[Call | str]:
    """Yield each call as soon as it is run, and each text delta."""
    loop, going = Loop(ask), True
    while going:
        response, items, reader = None, list[Any](), TextReader()
        async with await client.responses.create(**loop.request(), stream=True) as stream:
            async for event in stream:
                if text := reader.feed(event):
                    loop.mark("first_text")
                    yield text
                if event.type == "response.output_item.done":
                    items.append(event.item)
                    for call in loop.run(event.item):
                        yield call
                elif event.type in {"response.completed", "response.incomplete"}:
                    response = event.response
        output = whole_answer(response).output or items  # some servers leave it empty at the end
        for item in output:
            for call in loop.run(item):
                yield call
        going = loop.go_on(output)
    ask.record("rounds", loop.rounds, "requests")


async def blocking(client: AsyncOpenAI, ask: Ask) -> dict[str, Any]:
    """Return all calls and the answer."""
    loop, going, pieces = Loop(ask), True, list[Call | str]()
    while going:
        response = whole_answer(await client.responses.create(**loop.request(), stream=False))
        for item in response.output:
            if text := text_of_items([item]):
                loop.mark("first_text")
                pieces.append(text)
            pieces += loop.run(item)
        going = loop.go_on(response.output)
    ask.record("rounds", loop.rounds, "requests")
    return assemble(pieces)


def assemble(pieces: Sequence[Call | str]) -> dict[str, Any]:
    """Return all calls, and the text behind the last of them."""
    last = max((number for number, piece in enumerate(pieces) if isinstance(piece, Call)), default=-1)
    calls = [list(piece) for piece in pieces if isinstance(piece, Call)]
    return {"calls": calls, "text": "".join(piece for piece in pieces[last + 1 :] if isinstance(piece, str))}


def check(result: dict[str, Any]) -> None:
    """Raise `ValueError` unless there was a call, every call could be run, and there is an answer to read."""
    if not result["calls"]:
        raise ValueError("the agent called no function")
    for name, arguments in result["calls"]:
        if name not in FUNCTIONS:
            raise ValueError(f"a call of {name!r}, which is no function of the agent")
        FUNCTIONS[name][0].model_validate_json(arguments)
    if not result["text"].strip():
        raise ValueError("the last answer has no text")


def useful(piece: Call | str) -> bool:
    """Return True for a call that was run and for text that is not blank."""
    return isinstance(piece, Call) or bool(piece.strip())


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """One scenario: `agent_loop`."""
    yield Scenario(
        "agent_loop",
        streamed,
        blocking,
        prompts=PROMPTS,
        tags=("agent",),
        needs=("tools",),
        useful=useful,
        assemble=assemble,
        check=check,
        sim=SIM,
        requests=3,
        memory=False,
    )
