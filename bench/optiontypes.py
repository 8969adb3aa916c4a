"""What the options of `bench run` accept: one set of bounds for the command line and for `[run]` in `bench.toml`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import click

from bench.nearest import unknown


class Choice(click.Choice[str]):
    """A choice that names the nearest value."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:  # noqa: ARG002
        return str(unknown("value", str(value), self.choices))


class Seconds(click.FloatRange):
    """A length of time: more than 0, and neither infinite nor nan."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{seconds} is not a length of time", param, ctx)
        return seconds


RUN_TYPES: Mapping[str, click.ParamType[Any]] = {
    "pairs": click.IntRange(min=1),
    "warmup": click.IntRange(min=0),
    "concurrency": click.IntRange(min=1),
    "seed": click.IntRange(min=0),
    "api": Choice(["responses", "chat"]),
    "delivery": Choice(["both", "streamed", "blocking"]),
    "deadline": Seconds(),
    "max-retries": click.IntRange(min=0),
    "output-tokens": click.IntRange(min=1),
}
"""By the option's name without dashes in front."""
