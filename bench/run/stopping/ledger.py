"""Keep account of tokens and money: each pair's maximum is reserved before the pair is sent.

Once a trial has ended, it counts by its usage. A run therefore ends before the pair that could exceed its budget, no
matter how many trials are in flight. Calibration trials are free: the ledger does not know their cells.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.core.target import Price
from bench.plan.cost.budget import Budget
from bench.plan.plan import PlannedTrial

if TYPE_CHECKING:
    from bench.run.outcome.judge import Exchange

NONCE = 18
"""Tokens by which the inputs of one ask may differ, for its nonce has 18 bytes and a token is at least a byte."""
REFUSED = 400
"""From this HTTP status on nothing was answered, so nothing is charged."""


@dataclass(frozen=True)
class Tokens:
    """Input and output tokens, used or reserved."""

    input: int = 0
    output: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.input + other.input, self.output + other.output)

    def times(self, number: int) -> Tokens:
        """Return `number` times as many tokens."""
        return Tokens(self.input * number, self.output * number)

    @property
    def total(self) -> int:
        """Return the sum of both kinds, which a budget in tokens limits."""
        return self.input + self.output

    def usd(self, price: Price | None) -> float:
        """Return the cost in USD, 0 if the price is unknown."""
        return (self.input * price.input + self.output * price.output) / 1e6 if price else 0.0


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """The most a trial of one ask can take, before any such trial has ended."""

    requests: int
    input: int
    """Tokens of the first request; each later one sends all answers before it once more."""
    output: int
    """Tokens of each answer; 0 where nothing limits them."""
    price: Price | None
    """None: unknown."""


@dataclass
class Account:
    """Tokens and their cost, summed over trials."""

    tokens: Tokens = Tokens()
    usd: float = 0.0
    trials: int = 0

    def add(self, tokens: Tokens, price: Price | None) -> None:
        """Add one trial."""
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
    """All trials that have ended, by their usage."""
    without_usage: Account = field(default_factory=Account)
    """The most that answers without a usage can have taken."""
    _aside: dict[int, tuple[int, float]] = field(default_factory=dict)
    """By trial in flight: tokens and US dollars at most."""
    _input: dict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    """The most that a trial showed, by cell and ask; the next two by cell."""
    _output: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    _requests: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def total(self) -> tuple[int, float]:
        """Return tokens and US dollars spent: by usage, and the maximum for answers without one."""
        return self.by_usage.tokens.total + self.without_usage.tokens.total, self.by_usage.usd + self.without_usage.usd

    def exceeded_by(self, pair: Sequence[PlannedTrial]) -> Budget | None:
        """Return the budget that this pair, with all trials in flight, could exceed; None if none."""
        if not self.budgets:  # nothing to compare with, and there may be thousands in flight
            return None
        tokens, usd = map(sum, zip(self.total(), *self._aside.values(), *map(self.reserve, pair), strict=True))
        needed = {"tokens": tokens, "money": usd}
        return next((budget for budget in self.budgets if needed.get(budget.kind, 0) > budget.amount), None)

    def set_aside(self, pair: Sequence[PlannedTrial]) -> None:
        """Reserve the most that the pair can take; it is about to be sent."""
        self._aside |= {planned.trial_id: self.reserve(planned) for planned in pair}

    def reserve(self, planned: PlannedTrial) -> tuple[int, float]:
        """Return the most tokens and US dollars a trial can take, with every request retried `max_retries` times."""
        most = self.most.get((planned.cell, planned.ask))
        if most is None:
            return 0, 0.0
        tokens = self.at_most(planned, most).times(1 + self.max_retries)
        return tokens.total, tokens.usd(most.price)

    def settle(self, planned: PlannedTrial, row: Mapping[str, Any], without_usage: int) -> None:
        """Count a trial that has ended; `without_usage`: its answers that may be charged but have no usage."""
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
        """Return the most a trial takes without retries: by earlier trials of its cell, else by its prompt."""
        seen = self._input[planned.cell, planned.ask]
        requests = max(most.requests, self._requests[planned.cell])
        again = requests * (requests - 1) // 2 * most.output
        first = seen + NONCE * requests if seen else most.input * requests
        return Tokens(first + again, max(most.output * requests, self._output[planned.cell]))

    def _not_told(self, planned: PlannedTrial, most: Ceiling, used: Tokens, answers: int) -> Tokens:
        """Return the most that this many answers without usage can have taken, within the trial's reserve."""
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
    """Count the answers that may be charged but did not report their usage: cut, abandoned, or without a usage.

    Refused and unsent requests cost nothing, nor does asking about an answer by its id.
    """
    return sum(
        attempt.t_sent is not None
        and (attempt.status or 0) < REFUSED
        and attempt.method != "GET"
        and not attempt.path.endswith("/cancel")
        and (answer.usage is None or answer.usage.output is None)
        for attempt, answer in exchanges
    )
