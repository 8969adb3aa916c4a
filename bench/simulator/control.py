"""The control field: what a request may ask of the simulator itself.

It travels as `metadata={"bench": "<a JSON object>"}`, so every OpenAI client can send it and it is echoed like any
metadata. `Control` is its one definition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.core.errors import BenchError
from bench.core.script import Turn
from bench.simulator.errors import ApiError
from bench.simulator.fault_injection.chances import Chance, parse_chances
from bench.simulator.timing.profiles import Profile, find_profile

FIELD = "bench"
_PARAM = f"metadata.{FIELD}"


class Control(BaseModel):
    """What `metadata.bench` may say. Whatever is left out comes from the profile."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    profile: str | None = Field(
        default=None,
        description="Name of the timing: quick, typical, slow or flood; `quick:1.1`: all its waits 1.1 times as long",
    )
    tokens: int | None = Field(default=None, ge=1, le=200_000, description="Exact length of the answer, in tokens")
    tokens_per_event: int | None = Field(
        default=None, ge=1, le=10_000, description="Tokens that each delta event carries"
    )
    ttft_ms: float | None = Field(default=None, ge=0, le=600_000, description="When the first content leaves, in ms")
    token_ms: float | None = Field(default=None, ge=0, le=60_000, description="Time per token after that, in ms")
    jitter: float | None = Field(
        default=None, ge=0, le=2, description="Sigma of the log-normal factor on every waiting time"
    )
    seed: int | None = Field(default=None, ge=0, description="Seed of the answer and of the jitter")
    answers: tuple[Turn, ...] = Field(
        default=(), description='What the answers are, turn by turn (see "Scripts"); the last one repeats'
    )
    faults: tuple[str, ...] | None = Field(
        default=None, description='What goes wrong how often, each as `--fault` has it (see "Faults"); none: `[]`'
    )


def read_control(metadata: Mapping[str, str]) -> Control:
    """Read the control field of a request; an empty one if there is none. Raise `ApiError` naming what is allowed."""
    if FIELD not in metadata:
        return Control()
    try:
        return Control.model_validate_json(metadata[FIELD])
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = ".".join(map(str, first["loc"]))
        allowed = ", ".join(Control.model_fields)
        message = f"{_PARAM}: {name + ': ' if name else ''}{first['msg']}; allowed: a JSON object with {allowed}"
        raise ApiError(400, message, param=_PARAM, code="invalid_control") from error


def chances_of(control: Control) -> tuple[Chance, ...]:
    """Return the faults that the control field asks for."""
    try:
        return parse_chances(control.faults or ())
    except BenchError as error:
        raise ApiError(400, f"{_PARAM}: {error}", param=_PARAM, code="invalid_control") from error


def profile_of(control: Control, default: str) -> Profile:
    """Return the named profile (or the server's default) with everything that the control field sets itself."""
    try:
        profile = find_profile(control.profile or default)
    except BenchError as error:
        raise ApiError(400, f"{_PARAM}: {error}", param=_PARAM, code="invalid_control") from error
    own = control.model_dump(exclude_none=True, exclude={"profile", "seed", "answers", "faults"})
    if control.tokens_per_event:
        own["tokens_per_event"] = (control.tokens_per_event, control.tokens_per_event)
    return replace(profile, **own)
