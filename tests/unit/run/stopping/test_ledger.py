"""The ledger: what a pair may cost is set aside, and no budget is exceeded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.target import Price, Target
from bench.plan.cost.budget import parse_budget
from bench.plan.plan import PlannedTrial
from tests.support.stopping import PRICE, ledger, pair_of, planned, row_of


def test_a_pair_is_set_aside_at_its_most() -> None:
    """Both trials, every request as often as it may be tried; pairs in flight count until they have ended."""
    book = ledger("901-tokens", retries=2)
    assert book.reserve(planned(0)) == pytest.approx((450, 3 * (100 + 500) / 1e6))
    assert book.exceeded_by(pair_of(0)) is None
    book.set_aside(pair_of(0))
    assert book.exceeded_by(pair_of(1)) == parse_budget("901-tokens")
    for trial in pair_of(0):
        book.settle(trial, row_of(trial), without_usage=0)
    assert book.total() == pytest.approx((60, 2 * (10 + 200) / 1e6))
    assert book.exceeded_by(pair_of(1)) is None


def test_money_is_counted_by_price() -> None:
    """A budget in dollars ends before the pair that could cost more."""
    book = ledger("0.001usd")
    assert book.exceeded_by(pair_of(0)) == parse_budget("0.001usd")
    assert ledger("0.0013usd").exceeded_by(pair_of(0)) is None


def test_a_priced_gateway_on_this_machine_is_not_free() -> None:
    """Who gives a price for a local address pays it, so a budget in money holds there; without one it is free."""
    local = Target(name="gateway", base_url="http://127.0.0.1:4000/v1")
    assert local.free
    assert replace(local, price=Price(input=0, output=0)).free
    assert not replace(local, price=PRICE).free


def test_a_conversation_sends_its_answers_again() -> None:
    """Each request of a trial is taken to send all answers before it once more, as the estimate has it."""
    assert ledger(requests=3).reserve(planned(0))[0] == 3 * 100 + (1 + 2) * 50 + 3 * 50


def test_what_answers_showed_takes_the_place_of_the_bound() -> None:
    """Input as shown and the nonce's 18 bytes; an answer longer than its limit is expected again."""
    book = ledger()
    book.settle(planned(0), row_of(planned(0), input_tokens=10, output_tokens=70), without_usage=0)
    assert book.reserve(planned(1))[0] == 10 + 18 + 70


def test_an_answer_without_usage_counts_at_its_most() -> None:
    """It may be charged, so it counts against the budget, and is kept apart from what usage said."""
    book = ledger()
    book.settle(
        planned(0), row_of(planned(0), status="cancelled", input_tokens=None, output_tokens=None), without_usage=1
    )
    assert (book.by_usage.tokens.total, book.without_usage.tokens.total, book.without_usage.trials) == (0, 150, 1)
    assert book.total()[0] == 150
    book.settle(
        planned(1), row_of(planned(1), status="http_429", input_tokens=None, output_tokens=None), without_usage=0
    )
    assert book.total()[0] == 150
    book.settle(planned(2), row_of(planned(2), attempts=None, requests=None), without_usage=0)
    assert book.without_usage.trials == 2


def test_calibration_is_free() -> None:
    """The ledger does not know its cells."""
    book = ledger("1-tokens")
    assert book.exceeded_by([planned(0, "calibrate", cell=5)]) is None
    book.settle(planned(0, "calibrate", cell=5), row_of(planned(0)), without_usage=1)
    assert book.total() == (0, 0.0)


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(82, 100), st.integers(0, 50), st.booleans()), min_size=1, max_size=40),
    st.integers(300, 3000),
    st.integers(1, 6),
)
def test_the_budget_is_never_exceeded(answers: list[tuple[int, int, bool]], limit: int, at_a_time: int) -> None:
    """Whatever answers within their bounds come, in whatever order of ends, what counts stays below the limit."""
    book, flying = ledger(f"{limit}-tokens"), list[PlannedTrial]()
    for number, (sent, made, told) in enumerate(answers):
        if len(flying) == 2 * at_a_time:
            usage: dict[str, Any] = {"input_tokens": sent if told else None, "output_tokens": made if told else None}
            book.settle(flying.pop(), row_of(planned(0), **usage), without_usage=int(not told))
        elif book.exceeded_by(pair_of(number)) is None:
            book.set_aside(pair_of(number))
            flying += pair_of(number)
    for trial in flying:
        book.settle(trial, row_of(trial, input_tokens=100, output_tokens=50), without_usage=0)
    assert book.by_usage.tokens.total + book.without_usage.tokens.total <= limit
