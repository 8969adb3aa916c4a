"""Budgets, the ledger, and the rule that ends a cell by the width of its intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.stopping_line import stopping_line
from bench.core.errors import BenchError
from bench.core.scenario import Scenario
from bench.core.target import Price, Target
from bench.plan.budget import Budget, parse_budget
from bench.plan.plan import BOTH, FEWEST_AA, FEWEST_CHECKED, Plan, PlannedTrial
from bench.plan.schedule import make_plan
from bench.plan.settings import FIRST_LOOK
from bench.run.stopping.ending import ending
from bench.run.stopping.ledger import Ceiling, Ledger
from bench.run.stopping.precision import CellWidth, TrialTimes, next_look
from bench.run.stopping.stopping import Stopping
from bench.stats.serial_correlation import shift_in_time
from tests.support.harness import cell_of

LOOKS = (30, 42, 59, 83, 117)
PRICE = Price(input=1, output=10)
CELL = cell_of(Scenario("text", lambda *_: iter(())), BOTH, 1, 1)


def planned(trial_id: int, phase: Any = "measure", cell: int = 0) -> PlannedTrial:
    """Two to a pair, the streamed one first."""
    return PlannedTrial(
        trial_id=trial_id,
        cell=cell,
        pair=trial_id // 2,
        block=0,
        order=trial_id % 2,
        phase=phase,
        delivery=BOTH[trial_id % 2],
        ask=0,
        nonce="",
        seed=0,
    )


def pair_of(number: int, phase: Any = "measure") -> list[PlannedTrial]:
    return [planned(2 * number, phase), planned(2 * number + 1, phase)]


def row_of(trial: PlannedTrial, useful: int = 1000, total: int = 2000, **changed: Any) -> dict[str, Any]:
    """A row of `trials`: ok, 10 tokens in and 20 out."""
    start = trial.trial_id * 10_000
    return {
        "delivery": trial.delivery,
        "status": "ok",
        "t_origin": start,
        "t_first_useful": start + useful,
        "t_end": start + total,
        "result_sha256": "same",
        "input_tokens": 10,
        "output_tokens": 20,
        "requests": 1,
        "attempts": 1,
        **changed,
    }


def wants(stopping: Stopping, pair: Sequence[PlannedTrial]) -> bool:
    """As the runner asks before it begins a pair."""
    return stopping.wants(pair[0].phase, pair[0].cell)


def run_pair(stopping: Stopping, number: int, phase: Any = "measure", **changed: Any) -> None:
    """One pair from the question to its end, as the runner asks when nothing else is in flight."""
    stopping.look()
    pair = pair_of(number, phase)
    assert stopping.allows(pair)
    for trial in pair:
        stopping.trial_ended(trial, CELL, row_of(trial, **changed))


# ---- the text of a budget


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("10m", Budget("time", 600, "10m")),
        ("90s", Budget("time", 90, "90s")),
        ("1.5H", Budget("time", 5400, "1.5h")),
        ("200k-tokens", Budget("tokens", 200_000, "200k tokens")),
        ("1.5m-tokens", Budget("tokens", 1_500_000, "1.5m tokens")),
        ("700tokens", Budget("tokens", 700, "700 tokens")),
        ("2usd", Budget("money", 2, "2 USD")),
        (".5usd", Budget("money", 0.5, ".5 USD")),
    ],
)
def test_budgets_that_mean_something(text: str, budget: Budget) -> None:
    """Time, tokens and money, in the ways that people write them."""
    assert parse_budget(text) == budget


@given(st.one_of(st.text(), st.from_regex(r"[0-9.]{1,20}[smhk]?-?(tokens|usd)?", fullmatch=True)))
def test_any_other_text_is_one_line_with_examples(text: str) -> None:
    """Whatever is typed is either a positive, finite limit or an error of one line."""
    said, amount = "", 1.0
    try:
        amount = parse_budget(text).amount
    except BenchError as error:
        said = str(error)
    assert 0 < amount < math.inf
    assert not said or said.endswith("write 10m, 90s or 1h; 200k-tokens or 1.5m-tokens; 2usd")
    assert len(said.splitlines()) <= 1


@given(st.integers(1, 10**6), st.sampled_from(["s", "m", "h", "-tokens", "k-tokens", "m-tokens", "usd"]))
def test_numbers_are_read_as_they_stand(number: int, unit: str) -> None:
    """The amount is the number times its unit."""
    times = {"s": 1, "m": 60, "h": 3600, "-tokens": 1, "k-tokens": 1e3, "m-tokens": 1e6, "usd": 1}
    assert parse_budget(f"{number}{unit}").amount == number * times[unit]


@pytest.mark.parametrize("text", ["0m", "0usd", "-1s", "10", "m", "1e3s", "inf", "1 0s", "10min", "5%"])
def test_what_is_no_budget(text: str) -> None:
    """Nothing, less than nothing and unknown units are refused."""
    with pytest.raises(BenchError, match="is no budget"):
        parse_budget(text)


# ---- the ledger


def ledger(*budgets: str, requests: int = 1, retries: int = 0) -> Ledger:
    """Every trial takes at most 100 tokens in and 50 out a request."""
    most = Ceiling(requests=requests, input=100, output=50, price=PRICE)
    return Ledger([parse_budget(text) for text in budgets], {(0, 0): most}, retries)


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


# ---- time


def test_time_ends_before_the_pair_that_could_exceed_it() -> None:
    """It counts from the first trial, and a pair is taken to last as long as the longest of its cell so far."""
    now = 50.0
    stopping = Stopping(budgets=[parse_budget("10s")], clock=lambda: int(now * 1e9))
    assert stopping.allows(pair_of(0))
    now += 4
    for trial in pair_of(0):
        stopping.trial_ended(trial, CELL, row_of(trial))
    now += 1.9
    assert stopping.allows(pair_of(1))
    for trial in pair_of(1):
        stopping.trial_ended(trial, CELL, row_of(trial))
    now += 0.2
    assert not stopping.allows(pair_of(2))
    assert stopping.out_of == parse_budget("10s")
    assert stopping.seconds == pytest.approx(5.9)
    assert not stopping.allows([planned(9, cell=1)])


# ---- precision


def test_looks() -> None:
    """The first at 30 pairs, each further one at 1.4 times as many."""
    looks = [FIRST_LOOK]
    while len(looks) < len(LOOKS):
        looks.append(next_look(looks[-1]))
    assert tuple(looks) == LOOKS


def test_a_cell_that_is_close_enough_needs_no_more() -> None:
    """At 30 pairs and not one earlier; its A/A pairs end with it, once the run has enough of them."""
    stopping = Stopping(precision=0.05)
    for number in range(FIRST_LOOK - 1):
        run_pair(stopping, number)
    stopping.look()
    assert wants(stopping, pair_of(99))
    run_pair(stopping, FIRST_LOOK)
    stopping.look()
    assert not wants(stopping, pair_of(99))
    for number in range(100, 100 + FEWEST_AA):
        assert wants(stopping, pair_of(number, "aa"))
        run_pair(stopping, number, "aa")
    assert not wants(stopping, pair_of(99, "aa"))
    assert wants(stopping, [planned(0, cell=1)])
    assert len(stopping.widths[0].pairs) == FIRST_LOOK


def test_nobody_looks_while_trials_are_in_flight() -> None:
    """A look at 400 pairs takes 15 ms: it waits until the segment is done, and then counts all of its pairs."""
    stopping = Stopping(precision=0.05)
    assert stopping.allows(pair_of(0))
    for number in range(1, FIRST_LOOK + 5):
        assert stopping.allows(pair_of(number))
        for trial in pair_of(number):
            stopping.trial_ended(trial, CELL, row_of(trial))
    assert wants(stopping, pair_of(99)), "pair 0 is still in flight"
    for trial in pair_of(0):
        stopping.trial_ended(trial, CELL, row_of(trial))
    stopping.look()
    assert not wants(stopping, pair_of(99))


def test_a_look_counts_once() -> None:
    """Between two looks nothing is decided, however often it is asked: at 32 pairs, and next at 42."""
    cell = CellWidth(simulated=True, deliveries=1)
    noisy = [
        TrialTimes(0, "streamed", ok=True, useful=10 ** (3 + n % 3), total=5000, result="x", tokens=1)
        for n in range(32)
    ]
    calm = [TrialTimes(0, "streamed", ok=True, useful=1000, total=5000, result="x", tokens=1) for _ in range(60)]
    ends = []
    for number, trial in enumerate([*noisy, *calm]):
        cell.add(number, trial)
        if number >= 31:
            cell.look(0.05)
        if cell.met:
            ends.append(number + 1)
    assert ends[0] in LOOKS


def test_the_calibration_has_its_pairs_before_it_ends() -> None:
    """Above concurrency 1 a cell may be close enough before its first calibration: that one is not left out."""
    stopping = Stopping(precision=0.05)
    for number in range(FIRST_LOOK):
        run_pair(stopping, number)
    stopping.look()
    for number in range(100, 100 + FEWEST_CHECKED):
        assert wants(stopping, pair_of(number, "calibrate"))
        run_pair(stopping, number, "calibrate")
    assert not wants(stopping, pair_of(99, "calibrate"))


def test_without_a_precision_nothing_is_skipped() -> None:
    """The plan is carried out however close the numbers are."""
    stopping = Stopping()
    for number in range(FIRST_LOOK):
        run_pair(stopping, number)
    stopping.look()
    assert wants(stopping, pair_of(99))


def test_failed_pairs_are_not_close_enough() -> None:
    """Where more than 5 % failed, the report compares nothing, so no width is narrow enough."""
    stopping = Stopping(precision=0.05)
    for number in range(FIRST_LOOK):
        run_pair(stopping, number, status="timeout" if number in {3, 7} else "ok")
    stopping.look()
    assert wants(stopping, pair_of(99))
    assert stopping.widths[0].half_width() is None


def test_one_delivery_is_measured_by_its_medians() -> None:
    """Without pairs the interval of the median counts; failures are answers that never came."""
    cell = CellWidth(simulated=True, deliveries=1)
    for number in range(FIRST_LOOK):
        cell.add(
            number, TrialTimes(number, "streamed", ok=True, useful=1000 + number, total=5000, result="x", tokens=1)
        )
    low, high = math.log(1000 + 9), math.log(1000 + 20)  # order statistics 10 and 21 of 30
    assert cell.half_width() == pytest.approx((high - low) / 2)
    late = [[trial._replace(ok=trial.began > 14)] for (trial,) in cell.pairs]
    assert CellWidth(simulated=True, deliveries=1, pairs=list(late)).half_width() is None


def stopped_at(noise: np.ndarray[Any, Any], effect: float) -> int:
    """Pairs at which the rule ends a cell whose streamed totals differ by `effect`, with this noise on the log."""
    cell = CellWidth(simulated=True, deliveries=2)
    for number, (first, whole) in enumerate(noise):
        useful, total = int(1e9 * math.exp(first + effect)), int(2e9 * math.exp(whole + effect))
        streamed = TrialTimes(number, "streamed", ok=True, useful=useful, total=total, result="x", tokens=1)
        blocking = TrialTimes(number, "blocking", ok=True, useful=2 * 10**9, total=2 * 10**9, result="x", tokens=1)
        cell.add(number, streamed)
        cell.add(number, blocking)
        cell.look(0.05)
        if cell.met:
            break
    return len(cell.pairs)


def heavy_tailed(rng: np.random.Generator, pairs: int = LOOKS[-1]) -> np.ndarray[Any, Any]:
    """Student's t with 3 degrees of freedom, 12 %: looks of all sizes end such cells."""
    return 0.12 * rng.standard_t(3, (pairs, 2))


def test_a_strong_effect_does_not_end_a_cell_earlier() -> None:
    """The width of the interval decides, not where it lies: with the same noise, the same number of pairs."""
    rng = np.random.default_rng(5)
    noises = [heavy_tailed(rng) for _ in range(25)]
    none = [stopped_at(noise, 0.0) for noise in noises]
    assert none == [stopped_at(noise, 0.7) for noise in noises]
    assert len(set(none)) > 2


def test_looking_at_the_width_keeps_the_coverage() -> None:
    """Over 500 runs that end by the rule, the interval of the total holds the truth in at least 93 %."""
    rng, held, ends = np.random.default_rng(17), 0, set[int]()
    for _ in range(500):
        noise = heavy_tailed(rng)
        pairs = stopped_at(noise, 0.1)
        found = shift_in_time(noise[:pairs, 1] + 0.1)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.1 <= found.high
        ends.add(pairs)
    assert held / 500 >= 0.93
    assert len(ends) >= 3


def test_looking_at_significance_would_not() -> None:
    """Why not: looked at every 10 pairs from 30 to 400, no difference looks like one in more than 20 % of runs."""
    d = np.random.default_rng(3).standard_normal((2000, 400))
    n = np.arange(1, 401)
    t = np.cumsum(d, axis=1) / np.sqrt(n)
    assert np.mean((np.abs(t[:, 29::10]) > 1.96).any(axis=1)) > 0.2


# ---- what is said of it


def plan_of(pairs: int) -> Plan:
    return make_plan([CELL], pairs=pairs, warmup=0, seed=1)


def line(stopping: Stopping, *targets: Target, whole: bool = True, pairs: int = 36) -> str:
    return stopping_line({"stopping": ending(stopping, plan_of(pairs), targets, whole=whole)})


SIM = Target(name="sim", base_url=None)
PAID = Target(name="paid", base_url="https://llm.example.com/v1", price=PRICE)


def test_the_plan_was_carried_out() -> None:
    """All pairs, and what they cost by usage and price."""
    stopping = Stopping(ledger=ledger())
    for number in range(36):
        run_pair(stopping, number)
    assert line(stopping, SIM) == (
        "ended: all 36 pairs; cost: 1,440 output and 720 input tokens, nothing was spent: simulated"
    )
    assert line(stopping, PAID).endswith("720 input tokens, 0.02 USD at the prices given")
    assert line(stopping, Target(name="openai", base_url="https://x/v1")).endswith(
        "cost unknown (no price in bench.toml)"
    )
    assert "ended: interrupted; cost: 1,440 output" in line(stopping, SIM, whole=False)


def test_a_load_was_carried_out() -> None:
    """Under load pairs are not what was asked for; where workers were lost, that ended it."""
    loads = [replace(CELL, load=load, cell=number) for number, load in enumerate(("c=1", "c=8"))]
    for cells, said in (([loads[1]], "all of the planned load"), (loads, "all 9 pairs at c=1 and all of the planned")):
        plan = make_plan([replace(cell, cell=number) for number, cell in enumerate(cells)], pairs=9, warmup=0, seed=1)
        ended = ending(Stopping(ledger=ledger()), plan, [SIM], whole=True)
        assert stopping_line({"stopping": ended}).startswith(f"ended: {said}")
        lost = ending(Stopping(ledger=ledger()), plan, [SIM], whole=True, lost="all workers were lost")
        assert stopping_line({"stopping": lost}).startswith("ended: all workers were lost; cost:")


def test_precision_was_met() -> None:
    """In how many cells, after how many pairs."""
    stopping = Stopping(precision=0.05, ledger=ledger())
    for number in range(30):
        run_pair(stopping, number)
    assert line(stopping, SIM).startswith("ended: precision of 5 % met in 1 of 1 cells (30 pairs); cost:")


def test_a_budget_was_spent() -> None:
    """Which, how much of it, and how close the numbers are then."""
    stopping = Stopping(budgets=[parse_budget("500-tokens")], ledger=ledger("500-tokens"))
    number = 0
    while stopping.allows(pair_of(number)):
        for trial in pair_of(number):
            stopping.trial_ended(trial, CELL, row_of(trial, useful=900 + 20 * number))
        number += 1
    assert number == 6
    said = line(stopping, SIM)
    assert said.startswith("ended: budget of 500 tokens (360 spent), ±")
    assert " % in text; cost: 240 output" in said


def test_what_was_not_told_is_said() -> None:
    """Answers without a usage are no zero."""
    stopping = Stopping(ledger=ledger())
    for trial in pair_of(0):
        stopping.allows([trial])
        stopping.trial_ended(trial, CELL, row_of(trial, input_tokens=None, output_tokens=None), without_usage=1)
    assert line(stopping, PAID, pairs=1) == (
        "ended: all 1 pairs; cost: 0 output and 0 input tokens, nothing was spent: on this machine; "
        "2 trials had answers that did not say what they used, at most 300 tokens or under 0.01 USD"
    )


def test_a_killed_run_says_nothing() -> None:
    """Its manifest does not know."""
    assert not stopping_line({"stopping": None})
    assert not stopping_line({})
