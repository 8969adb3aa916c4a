"""What a run has used and may still use: tokens and money, set aside at their most before a pair is sent. Pure.

Once a trial has ended it counts by its usage. So the run ends before the pair that could exceed its budget, however
many are in flight. Calibration trials are free: the ledger does not know their cells.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.core.target import Price
from bench.plan.budget import Budget
from bench.plan.plan import PlannedTrial

if TYPE_CHECKING:
    from bench.run.outcome.judge import Exchange

NONCE = 18
"""Tokens by which the inputs of one ask may differ, for its nonce has 18 bytes and a token is at least a byte."""
REFUSED = 400
"""From this HTTP status on nothing was answered, so nothing is charged."""


@dataclass(frozen=True)
class Tokens:
    """What was used, or may be."""

    input: int = 0
    output: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.input + other.input, self.output + other.output)

    def times(self, number: int) -> Tokens:
        """As much, so many times."""
        return Tokens(self.input * number, self.output * number)

    @property
    def total(self) -> int:
        """Of both kinds: what a budget in tokens is about."""
        return self.input + self.output

    def usd(self, price: Price | None) -> float:
        """What it costs; nothing where the price is unknown."""
        return (self.input * price.input + self.output * price.output) / 1e6 if price else 0.0


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """What a trial of one ask takes at most, before anything is known of it."""

    requests: int
    input: int
    """Tokens of the first request; each later one sends all answers before it once more."""
    output: int
    """Tokens of each answer; 0 where nothing limits them."""
    price: Price | None
    """None: unknown."""


@dataclass
class Account:
    """Tokens with what they cost, over some trials."""

    tokens: Tokens = Tokens()
    usd: float = 0.0
    trials: int = 0

    def add(self, tokens: Tokens, price: Price | None) -> None:
        """One trial more."""
        self.tokens += tokens
        self.usd += tokens.usd(price)
        self.trials += 1


@dataclass
class Ledger:
    """The accounts of a run and its budgets in tokens and money."""

    budgets: Sequence[Budget] = ()
    most: Mapping[tuple[int, int], Ceiling] = field(default_factory=dict)
    """By cell and ask."""
    max_retries: int = 0
    by_usage: Account = field(default_factory=Account)
    """All trials that have ended, by usage."""
    without_usage: Account = field(default_factory=Account)
    """Those of them that had answers without a usage: what these took at most."""
    _aside: dict[int, tuple[int, float]] = field(default_factory=dict)
    """By trial in flight: tokens and US dollars at most."""
    _input: dict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    """The most that a trial showed, by cell and ask; the next two by cell."""
    _output: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    _requests: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def total(self) -> tuple[int, float]:
        """Tokens and US dollars that count: by usage, and at their most where an answer had none."""
        return self.by_usage.tokens.total + self.without_usage.tokens.total, self.by_usage.usd + self.without_usage.usd

    def exceeded_by(self, pair: Sequence[PlannedTrial]) -> Budget | None:
        """The budget that this pair could exceed, with all that is in flight; None where there is none."""
        if not self.budgets:  # nothing to compare with, and there may be thousands in flight
            return None
        tokens, usd = map(sum, zip(self.total(), *self._aside.values(), *map(self.reserve, pair), strict=True))
        needed = {"tokens": tokens, "money": usd}
        return next((budget for budget in self.budgets if needed.get(budget.kind, 0) > budget.amount), None)

    def set_aside(self, pair: Sequence[PlannedTrial]) -> None:
        """The pair is going to be sent."""
        self._aside |= {planned.trial_id: self.reserve(planned) for planned in pair}

    def reserve(self, planned: PlannedTrial) -> tuple[int, float]:
        """Tokens and US dollars that it may take at most, every request tried again as often as may be."""
        most = self.most.get((planned.cell, planned.ask))
        if most is None:
            return 0, 0.0
        tokens = self.at_most(planned, most).times(1 + self.max_retries)
        return tokens.total, tokens.usd(most.price)

    def settle(self, planned: PlannedTrial, row: Mapping[str, Any], without_usage: int) -> None:
        """The trial has ended; `untold`: its answers that may be charged and did not say what they used."""
        self._aside.pop(planned.trial_id, None)
        most = self.most.get((planned.cell, planned.ask))
        if most is None:
            return
        if row["attempts"] is None:  # a stack of its own: nobody saw its requests
            without_usage = 1 + self.max_retries
        used = Tokens(row["input_tokens"] or 0, row["output_tokens"] or 0)
        if without_usage:
            self.without_usage.add(self._not_told(planned, most, used, without_usage), most.price)
        self.by_usage.add(used, most.price)
        self._learn(planned, row, used, whole=row["status"] == "ok" and not without_usage)

    def at_most(self, planned: PlannedTrial, most: Ceiling) -> Tokens:
        """A trial without retries: by what others of its cell showed, else by its prompt."""
        seen = self._input[planned.cell, planned.ask]
        requests = max(most.requests, self._requests[planned.cell])
        again = requests * (requests - 1) // 2 * most.output
        first = seen + NONCE * requests if seen else most.input * requests
        return Tokens(first + again, max(most.output * requests, self._output[planned.cell]))

    def _not_told(self, planned: PlannedTrial, most: Ceiling, used: Tokens, answers: int) -> Tokens:
        """So many answers of it at their most: never more than was set aside for it, less what it told."""
        whole, requests = self.at_most(planned, most), max(most.requests, self._requests[planned.cell])
        last = Tokens(whole.input, -(-whole.output // requests))
        left = whole.times(1 + self.max_retries)
        extra = last.times(answers)
        return Tokens(
            min(extra.input, max(0, left.input - used.input)), min(extra.output, max(0, left.output - used.output))
        )

    def _learn(self, planned: PlannedTrial, row: Mapping[str, Any], used: Tokens, *, whole: bool) -> None:
        cell, ask = planned.cell, (planned.cell, planned.ask)
        if whole:
            self._input[ask] = max(self._input[ask], used.input)
        self._output[cell] = max(self._output[cell], used.output)
        self._requests[cell] = max(self._requests[cell], row["requests"] or 0)


def answers_without_usage(exchanges: Iterable[Exchange]) -> int:
    """How many answers may be charged without having said what they used: cut, abandoned, or without a usage.

    What was refused or never sent costs nothing, nor does asking about an answer by its id.
    """
    return sum(
        attempt.t_sent is not None
        and (attempt.status or 0) < REFUSED
        and attempt.method != "GET"
        and not attempt.path.endswith("/cancel")
        and (answer.usage is None or answer.usage.output is None)
        for attempt, answer in exchanges
    )
