"""What a plugin author writes (`Scenario`) and what its functions get (`Ask`)."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from pydantic import BaseModel
import inspect

Api = Literal["responses", "chat"]
API_NAMES: Mapping[Api, str] = {"responses": "Responses API", "chat": "Chat Completions API"}
OTHER_API: Mapping[Api, Api] = {"responses": "chat", "chat": "responses"}
"""What a server may have that has no route for an API."""
Prompt = str | Mapping[str, Any]
"""A prompt text, or a mapping with `prompt` or `messages` and columns of its own (they become `ask.row`)."""
NEEDS: Mapping[str, str] = {
    "tools": "function calls",
    "json_schema": "structured output by a JSON Schema",
    "background": "background=True, resuming with starting_after, and cancelling",
    "stored": "previous_response_id",
    "reasoning": "a model that reasons, and streams it",
    "parallel_tools": "several function calls in one answer",
    "websocket": "the Responses API over WebSocket",
}
"""What a scenario may need of a target, and a target lack (`lacks = [...]` in bench.toml)."""
_PARAGRAPH = r"^{}: (.*?)(?=^\s*$|^\w+: |\Z)"
Streamed = Callable[[Any, "Ask"], AsyncIterator[Any] | Iterator[Any]]
"""An async generator; a plain generator is run in a worker thread with the synchronous client."""
Blocking = Callable[[Any, "Ask"], Any]
"""An `async def`, or a plain function if `streamed` is one."""
Setup = Callable[[Any, "Ask"], AbstractAsyncContextManager[Any] | AbstractContextManager[Any]]
"""An ordinary context manager, of a synchronous scenario, is entered and left in a thread."""


def is_useful(piece: object) -> bool:
    """Accept text with a non-space character, or any other piece that is not None: the default of `Scenario.useful`."""
    return bool(piece.strip()) if isinstance(piece, str) else piece is not None


def join(pieces: Sequence[Any]) -> Any:
    """Join all text pieces in order: the default of `Scenario.assemble`."""
    return "".join(pieces)


@dataclass(frozen=True)
class Scenario:
    """A piece of work with a streamed and (usually) a blocking way of doing it.

    `streamed(client, ask)` is an async generator that yields each piece at the moment a user could use it; the
    runner stamps every yield, the plugin never touches a clock. `blocking(client, ask)` returns the whole result;
    None means that there is no blocking counterpart, so no pair, only its own columns.
    """

    name: str
    streamed: Streamed
    blocking: Blocking | None = None
    prompts: Sequence[Prompt] = field(default=("Tell me about streaming APIs.",), kw_only=True)
    """Prompts that are used in turn, unless the user gives prompts."""
    about: str = field(default="", kw_only=True)
    """One line that describes the scenario, for a file with several; default: the first line of the docstring."""
    api: Api = field(default="responses", kw_only=True)
    tags: Sequence[str] = field(default=(), kw_only=True)
    needs: Sequence[str] = field(default=(), kw_only=True)
    """Capabilities a target must have, in the words of `NEEDS`."""
    useful: Callable[[Any], bool] = field(default=is_useful, kw_only=True)
    """Returns True if a user could act on this piece. The first such piece sets TTFU."""
    assemble: Callable[[Sequence[Any]], Any] = field(default=join, kw_only=True)
    """All pieces → the result that `blocking` would have returned."""
    check: Callable[[Any], object] | None = field(default=None, kw_only=True)
    """Raises when the result is not a valid answer. Runs after the clock has stopped, for both deliveries."""

    params: type[BaseModel] | None = field(default=None, kw_only=True)
    """What `-P NAME.key=a,b` may set; each combination becomes a cell. All fields have defaults."""
    setup: Setup | None = field(default=None, kw_only=True)
    """`setup(client, ask)` is entered before the clock starts and left after it stopped; it gives `ask.resource`.
    Requests that it makes are no part of the trial."""
    connection: Literal["warm", "cold"] = field(default="warm", kw_only=True)
    """`cold`: every trial starts without an open connection and so pays TCP, and TLS where there is TLS."""
    client: Literal["sdk", "own"] = field(default="sdk", kw_only=True)
    """`own`: the functions use their own HTTP client, and get an `Endpoint` in place of an SDK client."""
    live: bool = field(default=False, kw_only=True)
    """True if the scenario acts, sleeps or leaves while the stream runs. The client `wire` then decodes each event when
    it is awaited. Other scenarios get their events, with true times, once the answer is complete, which disturbs no
    measurement. A scenario with a `setup` or several `requests` is live anyway."""
    sim: Sequence[Mapping[str, Any]] = field(default=(), kw_only=True)
    """What the simulator shall answer, turn by turn, in the format of docs/simulator.md, "Scripts". The last one
    repeats. A prompt mapping may have a `sim` of its own. Other targets never see it."""
    recovers: bool = field(default=False, kw_only=True)
    """True if the scenario itself notices an answer that ends badly without an exception (it failed, or its stream
    just stops) and goes on with another request. Otherwise such an answer fails the trial, regardless of later ones."""
    requests: int | Callable[[Any], int] = field(default=1, kw_only=True)
    """About how many answers a trial asks for, or a function of its parameters: for the estimate before a run."""
    output_tokens: Callable[[Any], int] | None = field(default=None, kw_only=True)
    """Returns, from the parameters, the length that the scenario itself asks of each answer, regardless of
    `--output-tokens`. The estimate uses this length too."""
    memory: bool = field(default=True, kw_only=True)
    """True if the memory pass measures the scenario. Set False if answer length is not its subject."""

    @property
    def description(self) -> str:
        """One line that describes the scenario."""
        return self.about or self._doc.split("\n")[0]

    @property
    def useful_means(self) -> str:
        """What "first useful" means, in a sentence: the paragraph `Useful: …` of that docstring."""
        return self._says("Useful") or "the first piece that `useful` accepts"

    @property
    def expect(self) -> str:
        """What a run will show, and why: the paragraph `Expect: …`; empty if there is none."""
        return self._says("Expect")

    def _says(self, word: str) -> str:
        """Return the paragraph of the docstring that begins with a word, on one line."""
        found = re.search(_PARAGRAPH.format(word), self._doc, re.MULTILINE | re.DOTALL)
        return " ".join(found[1].split()) if found else ""

    @property
    def _doc(self) -> str:
        return (getattr(sys.modules.get(self.streamed.__module__), "__doc__", None) or "").strip()


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """What a scenario with `client="own"` gets: where to send its requests, and with what."""

    base_url: str
    """Ends in `/v1`, or wherever the target's API begins."""
    api_key: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Recorder(Protocol):
    """Where an ask leaves what its scenario says while it runs."""

    def now(self) -> int: ...
    def mark(self, name: str) -> None: ...
    def record(self, name: str, value: float, unit: str) -> None: ...


@dataclass(frozen=True)
class Ask:
    """One input of a scenario: `request` is ready for the scenario's API, the rest is for those who build their own."""

    request: Mapping[str, Any]
    """Keyword arguments for `client.responses.create` or, where the scenario's `api` is `chat`,
    `client.chat.completions.create`: model, input or messages (nonce in front), length, the target's extras."""
    prompt: str
    """The text of the last user message, nonce in front (behind what a prompt shares with others, if it does)."""
    messages: Sequence[Mapping[str, Any]]
    nonce: str
    """Fresh for every trial and of equal length: keeps prefix caches from answering the second of a pair."""
    model: str
    output_tokens: int | None
    """The asked length, where one was asked for."""
    row: Mapping[str, Any]
    """Further columns of the prompt file."""
    seed: int
    recorder: Recorder = field(repr=False)
    params: Any = None
    """The scenario's `params` model with the values of this cell; None if it has none."""
    resource: Any = None
    """What the scenario's `setup` gave."""

    def now(self) -> int:
        """Nanoseconds on the run's clock: the only clock a scenario may read."""
        return self.recorder.now()

    def mark(self, name: str) -> None:
        """Name this moment; the report shows it as `mark.NAME`, in ms from the trial's origin."""
        self.recorder.mark(name)

    def record(self, name: str, value: float, unit: str) -> None:
        """Add a number of the scenario's own to the trial."""
        self.recorder.record(name, value, unit)


def canonical(result: Any) -> bytes:
    """Return a result as bytes that are equal when two deliveries gave the same answer.

    Text as UTF-8, pydantic models and other values as JSON with sorted keys, anything else by `repr`.
    """
    if isinstance(result, str):
        return result.encode("utf-8", "surrogatepass")
    dump = getattr(result, "model_dump", None)
    value = dump(mode="json") if callable(dump) else result
    try:
        text = json.dumps(value, sort_keys=True, default=repr, ensure_ascii=False)
    except (TypeError, ValueError):  # keys of several kinds, a circle
        text = repr(value)
    return text.encode("utf-8", "surrogatepass")


def is_sync(scenario: Scenario) -> bool:
    """Return True if `streamed` is a plain generator: both functions then run in a thread, with the sync client."""
    return inspect.isgeneratorfunction(scenario.streamed)


def fault_of(scenario: Scenario) -> str | None:
    """Say in one line what is wrong with the kinds of the scenario's functions; None when nothing is."""
    sync = is_sync(scenario)
    if not sync and not inspect.isasyncgenfunction(scenario.streamed):
        return "`streamed` must be a generator: `async def`, or `def` for the synchronous client, with a `yield` in it"
    if scenario.blocking is None or inspect.iscoroutinefunction(scenario.blocking) is not sync:
        generator = inspect.isgeneratorfunction(scenario.blocking) or inspect.isasyncgenfunction(scenario.blocking)
        return "`blocking` must return the result, not yield it" if generator else None
    kind, other = ("def", "async def") if sync else ("async def", "def")
    return f"`streamed` is {kind} but `blocking` is {other}; make both asynchronous, or both synchronous"
