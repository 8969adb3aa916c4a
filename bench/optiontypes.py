"""What the options of `bench run` accept: one set of bounds for the command line and for `[run]` in `bench.toml`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import click

from bench.budget import parse_budget
from bench.errors import BenchError
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


class Levels(click.ParamType[tuple[int, ...]]):
    """Whole numbers from 1 on, between commas."""

    name = "levels"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        texts = [text.strip() for text in str(value).split(",")]
        if not all(text.isdecimal() and int(text) > 0 for text in texts):
            self.fail(f"{value!r}: write numbers from 1 on with commas between them, for instance 1,8,32", param, ctx)
        return tuple(map(int, texts))


class Precision(click.ParamType[float]):
    """A fraction between 0 and 1, as `5%` or `0.05`."""

    name = "fraction"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value).strip()
        try:
            fraction = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            fraction = math.nan
        if not 0 < fraction < 1:
            self.fail(f"{text!r} is no precision; write it as 5% or 0.05", param, ctx)
        return fraction


class BudgetText(click.ParamType[str]):
    """A budget, kept as it was typed."""

    name = "budget"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            parse_budget(str(value))
        except BenchError as error:
            self.fail(str(error), param, ctx)
        return str(value)


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
    "precision": Precision(),
    "budget": BudgetText(),
}
"""By the option's name without dashes in front."""
