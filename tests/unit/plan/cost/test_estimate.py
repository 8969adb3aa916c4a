"""The estimate before a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.core.errors import BenchError
from bench.core.plugins.checks import check_declared
from bench.core.scenario import Scenario
from bench.core.target import Price
from bench.plan.cost.estimate import CostEstimate, Part, estimate, short
from tests.support.cli import invoke

PRICE = Price(input=0.15, output=0.6)


def test_the_line() -> None:
    """Requests, tokens and cost add up by hand, and read as one line."""
    total = estimate([Part(216, 56, 300, PRICE)])
    assert (total.requests, total.input_tokens, total.output_tokens) == (216, 216 * 14, 64800)
    assert total.cost_usd == pytest.approx((216 * 14 * 0.15 + 64800 * 0.6) / 1e6)
    assert total.line("openai/gpt-4o-mini") == (
        "about 216 requests, 3k input and 65k output tokens, 0.04 USD on openai/gpt-4o-mini"
    )


def test_parts_add_up() -> None:
    """Several kinds of requests are summed, each input rounded up to whole tokens."""
    total = estimate([Part(10, 5, 100, PRICE), Part(1, 0, 1_000_000, PRICE)])
    assert (total.requests, total.input_tokens, total.output_tokens) == (11, 20, 1_001_000)
    assert total.cost_usd == pytest.approx(20 * 0.15e-6 + 1_001_000 * 0.6e-6)


def test_what_is_unknown_is_not_a_number() -> None:
    """Without a limit on the output, or a price, no length and no cost are claimed, not even of the other parts."""
    known = Part(1, 4, 10, PRICE)
    assert estimate([known, Part(2, 4, None, PRICE)]) == CostEstimate(3, 3, None, None)
    assert estimate([known, Part(2, 4, 10, None)]) == CostEstimate(3, 3, 30, None)
    assert estimate([Part(2, 4, None, None)]).line("t/m") == (
        "about 2 requests, 2 input and an unknown number of output tokens (no --output-tokens), cost unknown on t/m"
    )


def test_small_costs() -> None:
    """What costs less than a cent says so, and what costs nothing says nothing."""
    assert "under 0.01 USD" in estimate([Part(1, 4, 10, PRICE)]).line("t")
    assert "0.00 USD" in estimate([Part(1, 4, 10, Price(input=0, output=0))]).line("t")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (7, "7"), (216, "220"), (999, "1k"), (3456, "3.5k"), (65432, "65k"), (650_000, "650k"), (999_999, "1M")],
)
def test_short_counts(count: int, text: str) -> None:
    """Counts have two significant digits and a unit."""
    assert short(count) == text


def test_every_request_of_a_trial_counts() -> None:
    """Each further request is taken to send all answers before it again: 3 × 10, and (1 + 2) × 100 of input."""
    total = estimate([Part(2, 40, 100, PRICE, requests=3)])
    assert (total.requests, total.input_tokens, total.output_tokens) == (6, 2 * (30 + 300), 600)
    assert total.cost_usd == pytest.approx((660 * 0.15 + 600 * 0.6) / 1e6)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("multi_turn", "-P", "multi_turn.turns=10"), "about 20 requests"),
        (("early_break",), "about 2 requests"),
        (("long_output", "-P", "long_output.tokens=32000", "--output-tokens", "5"), "64k output tokens"),
    ],
)
def test_what_a_scenario_asks_for_is_in_the_estimate(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """Its number of requests and its own length, by its parameters: nobody spends by accident."""
    dry = ("--pairs", "1", "--warmup", "0", "--dry-run", "--base-url", "http://127.0.0.1:9/v1", "--model", "m")
    assert said in invoke("run", *arguments, *dry, cwd=tmp_path).stdout


def test_a_wrong_number_of_requests_is_refused() -> None:
    """`requests` is a number from 1, or a function."""
    with pytest.raises(BenchError, match="mine: `requests` is a number from 1"):
        check_declared(Scenario("none", lambda *_: iter(()), requests=0), "mine")
