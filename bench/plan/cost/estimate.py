"""Estimate what a run asks of a target: requests, tokens and, where prices are known, money."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from bench.core.target import Price

N = TypeVar("N", int, float)
CHARS_PER_TOKEN = 4
"""Rule of thumb for English text with OpenAI's tokenizers (OpenAI help: "1 token ~= 4 chars in English")."""


@dataclass(frozen=True)
class Part:
    """Trials that are alike."""

    trials: int
    input_chars: int
    """Characters that the first request of each trial sends."""
    output_tokens: int | None
    """Most tokens of each answer; None: no limit was set."""
    price: Price | None
    requests: int = 1
    """Requests of each trial. Each request is assumed to repeat all earlier answers, as a conversation does, so the
    estimate is rather too high than too low."""


@dataclass(frozen=True)
class CostEstimate:
    """Sums over all parts. None: cannot be said."""

    requests: int
    input_tokens: int
    output_tokens: int | None
    cost_usd: float | None

    def line(self, where: str) -> str:
        """Return the estimate as one line; `where` is what is asked, for instance `openai/gpt-4o-mini`."""
        output = "an unknown number of output tokens (no --output-tokens)"
        if self.output_tokens is not None:
            output = f"{short(self.output_tokens)} output tokens"
        return (
            f"about {self.requests} requests, {short(self.input_tokens)} input and {output}, {self._cost()} on {where}"
        )

    def _cost(self) -> str:
        if self.cost_usd is None:
            return "cost unknown"
        return "under 0.01 USD" if 0 < self.cost_usd < 0.01 else f"{self.cost_usd:.2f} USD"


def estimate(parts: Iterable[Part]) -> CostEstimate:
    """Add up the parts. Without a limit on the output neither its length nor the cost can be said."""
    parts = list(parts)
    return CostEstimate(
        requests=sum(part.trials * part.requests for part in parts),
        input_tokens=sum(part.trials * _input_tokens(part) for part in parts),
        output_tokens=_sum(map(_output_tokens, parts)),
        cost_usd=_sum(map(_cost_usd, parts)),
    )


def short(count: int) -> str:
    """Write a count in two significant digits: 216 → 220, 3456 → 3.5k, 65000 → 65k, 1200000 → 1.2M."""
    rounded = float(f"{count:.1e}")
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if rounded >= size:
            return f"{rounded / size:g}{unit}"
    return f"{rounded:g}"


def _input_tokens(part: Part) -> int:
    """Estimate the input tokens of all requests of a trial. Answers of unknown length count as nothing."""
    again = part.requests * (part.requests - 1) // 2
    return part.requests * math.ceil(part.input_chars / CHARS_PER_TOKEN) + again * (part.output_tokens or 0)


def _output_tokens(part: Part) -> int | None:
    """Estimate the output tokens of all trials."""
    return None if part.output_tokens is None else part.trials * part.requests * part.output_tokens


def _cost_usd(part: Part) -> float | None:
    output_tokens = _output_tokens(part)
    if part.price is None or output_tokens is None:
        return None
    return (part.trials * _input_tokens(part) * part.price.input + output_tokens * part.price.output) / 1e6


def _sum(values: Iterable[N | None]) -> N | None:
    """Add up the values; None when any is unknown."""
    values = list(values)
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
