"""What the options of `bench run` accept: one set of bounds for the command line and for `[run]` in `bench.toml`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from bench.core.errors import BenchError, unknown
from bench.core.option_text import parts
from bench.core.slo import parse_slo
from bench.plan.arrivals import parse_rates
from bench.plan.budget import parse_budget
from bench.plan.prompt_lengths import parse_lengths


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


class Length(Seconds):
    """A length of time in seconds, or with its unit: `90s`, `10m`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        units = {"s": 1, "m": 60, "h": 3600}
        text = str(value).strip()
        times = units.get(text[-1:], 0)
        try:
            number = float(text[:-1] if times else text)
        except ValueError:
            self.fail(f"{text!r} is no length of time; write for instance 90s, 10m or 1h", param, ctx)
        return super().convert(number, param, ctx) * (times or 1)


class Levels(click.ParamType[tuple[int, ...]]):
    """Whole numbers from 1 on, between commas."""

    name = "levels"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        levels: list[int] = []
        for part in parts(str(value), ","):
            if not (part.text.isdecimal() and int(part.text) > 0):
                wrong = "write numbers from 1 on with commas between them, for instance 1,8,32"
                self.fail(str(part.wrong(wrong)), param, ctx)
            if int(part.text) in levels:
                self.fail(str(part.wrong(f"{part.text} is given twice; keep one")), param, ctx)
            levels.append(int(part.text))
        return tuple(levels)


def as_fraction(text: str) -> float:
    """`5%` or `0.05` as a fraction; nan where it is no number."""
    text = text.strip()
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        return math.nan


class Precision(click.ParamType[float]):
    """A fraction between 0 and 1, as `5%` or `0.05`."""

    name = "fraction"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        fraction = as_fraction(str(value))
        if not 0 < fraction < 1:
            self.fail(f"{str(value).strip()!r} is no precision; write it as 5% or 0.05", param, ctx)
        return fraction


class Texts(click.ParamType[tuple[str, ...]]):
    """Words of a list, between commas."""

    name = "words"

    def __init__(self, choices: Sequence[str]) -> None:
        self._choices = choices

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        words = tuple(dict.fromkeys(text.strip() for text in str(value).split(",")))
        for word in words:
            if word not in self._choices:
                self.fail(str(unknown("value", word, self._choices)), param, ctx)
        return words


class Parsed(click.ParamType[Any]):
    """What a parser of ours makes of the text, or the text itself once the parser has taken it."""

    def __init__(self, name: str, parse: Callable[[str], Any], *, keep: bool = False) -> None:
        self.name, self._parse, self._keep = name, parse, keep

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str | int | float):
            return value
        try:
            found = self._parse(str(value))
        except BenchError as error:
            self.fail(str(error), param, ctx)
        return str(value) if self._keep else found


class Share(click.ParamType[float]):
    """A part of a whole, as `1%` or `0.01`: above 0 and up to 1, or from 0 to below 1 where it is `partial`."""

    name = "share"

    def __init__(self, *, partial: bool = False) -> None:
        self._partial = partial

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        share = as_fraction(str(value))
        if not (0 <= share < 1 if self._partial else 0 < share <= 1):
            bounds = "0 to less than 100%" if self._partial else "more than 0 to 100%"
            self.fail(f"{str(value).strip()!r} is no share from {bounds}; write for instance 1% or 0.01", param, ctx)
        return share


RUN_TYPES: Mapping[str, click.ParamType[Any]] = {
    "pairs": click.IntRange(min=1),
    "warmup": click.IntRange(min=0),
    "concurrency": Levels(),
    "client": Texts(["sdk", "wire"]),
    "rate": Parsed("rates", parse_rates),
    "arrivals": Choice(["poisson", "constant"]),
    "ramp": Length(),
    "duration": Length(),
    "requests": click.IntRange(min=1),
    "max-in-flight": click.IntRange(min=1),
    "slo": Parsed("limit", parse_slo, keep=True),
    "workers": click.IntRange(min=1),
    "events": Share(),
    "input-tokens": Parsed("lengths", parse_lengths, keep=True),
    "shared-prefix": Share(partial=True),
    "seed": click.IntRange(min=0),
    "api": Choice(["responses", "chat"]),
    "delivery": Choice(["both", "streamed", "blocking"]),
    "deadline": Seconds(),
    "max-retries": click.IntRange(min=0),
    "output-tokens": click.IntRange(min=1),
    "precision": Precision(),
    "budget": Parsed("budget", parse_budget, keep=True),
}
"""By the option's name without dashes in front."""
