"""The format of scripted answers: `Scenario(sim=[...])`, `bench serve --script FILE`, and the conformance set.

`Turn` is the one definition of the format; docs/simulator.md ("Scripts") is generated from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, model_validator

ItemType = Literal["message", "refusal", "reasoning", "reasoning_summary", "function_call"]
End = Literal["completed", "incomplete:max_output_tokens", "incomplete:content_filter"]
FaultKind = Literal[
    "status",
    "slow_headers",
    "stall",
    "cut",
    "silent_end",
    "malformed",
    "error",
    "error_nested",
    "failed",
    "incomplete",
    "pings",
]
_FIELDS_OF: Mapping[FaultKind, set[str]] = {
    "status": {"status", "retry_after_s"},
    "slow_headers": {"ms"},
    "stall": {"ms", "after"},
    "pings": set(),
}
"""What a fault has beside its kind; any other kind has `after`."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Item(_Model):
    """One output item of an answer."""

    type: ItemType = Field(default="message", description="What it is")
    text: str | None = Field(default=None, description="Its text; left out: made up, `tokens` long")
    tokens: int | None = Field(default=None, ge=1, le=200_000, description="Length of a made-up text")
    name: str | None = Field(default=None, description="Of a function call: the function; left out: the first tool")
    arguments: str | dict[str, Any] | None = Field(
        default=None, description="Of a function call; left out: made up to fit the tool's parameters"
    )

    @model_validator(mode="after")
    def _one_content(self) -> Item:
        if self.type == "function_call" and self.text is not None:
            raise ValueError("a function call has no `text`: use `arguments`")
        if self.type != "function_call" and not (self.name is None and self.arguments is None):
            raise ValueError(f"a {self.type} has no `name` and no `arguments`: those are a function_call's")
        if self.tokens is not None and not (self.text is None and self.arguments is None):
            raise ValueError("`tokens` is the length of what is made up: leave it out")
        return self


class Fault(_Model):
    """Something that goes wrong with one attempt."""

    kind: FaultKind = Field(
        description="`status`: an HTTP error; `slow_headers`: they come `ms` late; `stall`: a pause of `ms`; `cut`: "
        "the connection closes; `silent_end`: a clean end without the terminal event; `malformed`: a frame that is "
        "no JSON; `error`, `error_nested`: an error event, flat as OpenAI's or with an `error` object; `failed`, "
        "`incomplete`: the answer ends as that; `pings`: nothing but comments until the client goes"
    )
    after: float = Field(default=0.5, ge=0, le=1, description="Share of the deltas that is sent before it")
    status: int = Field(default=500, ge=400, le=599, description="Of `status`")
    retry_after_s: float | None = Field(default=None, ge=0, description="Of `status`: the Retry-After header")
    ms: float = Field(default=1000, ge=0, le=600_000, description="Of `stall` and `slow_headers`")

    @model_validator(mode="after")
    def _check_fields(self) -> Fault:
        vain = self.model_fields_set - {"kind"} - _FIELDS_OF.get(self.kind, {"after"})
        if vain:
            raise ValueError(f"{self.kind} has no `{min(vain)}`: it would change nothing")
        return self


class Write(_Model):
    """One write to the socket, at its time, in place of a made-up stream."""

    at: float = Field(ge=0, description="ms after the request was received")
    events: tuple[dict[str, Any], ...] = Field(default=(), description="Events, all in this one write")
    lines: bool = Field(default=True, description="With an `event:` line where the event has a `type`")
    raw: str = Field(default="", description="Text written as it is, after the events")
    base64: Base64Bytes = Field(default=b"", description="Bytes written as they are, after that; in base64")


class Turn(_Model):
    """One answer of the simulator."""

    items: tuple[Item, ...] = Field(default=(), description="Output items in order; none: the answer made up as usual")
    interleaved: bool = Field(default=False, description="Deltas of the items take turns instead of following on")
    end: End = Field(default="completed", description="How it ends")
    faults: tuple[Fault | None, ...] = Field(
        default=(), description="By attempt at this turn, null: none; further attempts are healthy"
    )
    writes: tuple[Write, ...] = Field(default=(), description="The whole stream, write by write, instead of `items`")
    close: Literal["end", "cut"] = Field(
        default="end", description="After `writes`: the body ends as HTTP says, or the connection closes inside it"
    )
    status: int = Field(default=200, ge=200, le=599, description="HTTP status of `writes`")
    headers: dict[str, str] = Field(default={}, description="Further or other headers of `writes`")

    @model_validator(mode="after")
    def _one_kind(self) -> Turn:
        if self.writes and (self.items or self.faults):
            raise ValueError("`writes` is the whole stream: it has no `items` and no `faults`")
        if not self.writes and (self.status != 200 or self.headers or self.close != "end"):
            raise ValueError("`status`, `headers` and `close` are of `writes`; without them use `faults`")
        return self
