"""The streams of the conformance set, as their files have them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bench.core.errors import unknown
from bench.core.scenario import Api
from bench.core.script import Turn

FOLDER = Path(__file__).parent / "conformance_streams"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Truth(_Model):
    """What the instrument must say of a stream. Times are those of `at` of a write: ms after the request came in."""

    status: str = Field(description="How the trial ends: `ok`, or the class of the failure")
    terminal: str | None = Field(description="How the answer ends, by the server's own word; null: it says nothing")
    truncated: bool = Field(default=False, description="ok, but ended at the length cap")
    deltas_at: tuple[float, ...] = Field(
        description="When each non-empty delta is complete, of text, reasoning, refusal or arguments: TTFT, gaps"
    )
    whole_at: float | None = Field(
        default=None,
        description="When an answer without (visible) deltas is there as a whole: a token, but no gap ends there",
    )
    visible_at: float | None = Field(description="The first of them that is no reasoning: TTFT visible")
    useful_at: float | None = Field(description="The first piece that is useful to the scenario: TTFU")
    events: int = Field(description="SSE events with data, `[DONE]` among them")
    output_tokens: int | None = Field(description="Of the usage; null where there is none or it is all zero")

    @property
    def tokens_at(self) -> list[float]:
        """Whatever counts as a token, in order: TTFT is the first."""
        return sorted([*self.deltas_at, *([] if self.whole_at is None else [self.whole_at])])

    @property
    def first_at(self) -> float | None:
        """TTFT."""
        return min(self.tokens_at, default=None)


class ConformanceStream(_Model):
    """One stream: what is sent, and what is true of it."""

    api: Api
    name: str
    doc: str
    scenario: Literal["text", "function_call", "chat_text", "chat_function_call"]
    """The built-in scenario that asks for it."""
    truth: Truth
    turn: Turn

    @property
    def model(self) -> str:
        """The model that answers with it: `responses/NAME` or `chat/NAME`."""
        return f"{self.api}/{self.name}"


def load() -> Mapping[str, ConformanceStream]:
    """Load all streams by model; those of Responses first, each API's by name."""
    files = [(api, path) for api in ("responses", "chat") for path in sorted((FOLDER / api).glob("*.json"))]
    streams = [{**json.loads(path.read_text("utf-8")), "api": api, "name": path.stem} for api, path in files]
    return {stream.model: stream for stream in map(ConformanceStream.model_validate, streams)}


def conformance_scripts() -> Mapping[str, Sequence[Turn]]:
    """Return the script with which a simulator offers the conformance streams, by model."""
    return {model: [stream.turn] for model, stream in load().items()}


def choose(streams: Mapping[str, ConformanceStream], names: Sequence[str]) -> list[ConformanceStream]:
    """Return the streams of these names, all if none is named. Raise `BenchError` for a name that fits nothing.

    A name may be that of a model, of a stream in both APIs, or a pattern with `*`.
    """
    chosen = [model for name in names for model in _fitting(streams, name)] if names else list(streams)
    return [streams[model] for model in dict.fromkeys(chosen)]


def _fitting(streams: Mapping[str, ConformanceStream], name: str) -> list[str]:
    found = [model for model, stream in streams.items() if fnmatchcase(model, name) or fnmatchcase(stream.name, name)]
    if not found:
        known = [*streams, *(stream.name for stream in streams.values())]
        raise unknown("stream", name, known, hint="docs/conformance.md lists all")
    return found
