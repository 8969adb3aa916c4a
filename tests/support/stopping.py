"""Trials, rows and pairs as the rule that ends a run gets them."""

from __future__ import annotations

from typing import Any

from bench.core.scenario import Scenario
from bench.core.target import Price
from bench.plan.cost.budget import parse_budget
from bench.plan.plan import BOTH, PlannedTrial
from bench.run.stopping.ledger import Ceiling, Ledger
from bench.run.stopping.stopping import Stopping
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


def run_pair(stopping: Stopping, number: int, phase: Any = "measure", **changed: Any) -> None:
    """One pair from the question to its end, as the runner asks when nothing else is in flight."""
    stopping.look()
    pair = pair_of(number, phase)
    assert stopping.allows(pair)
    for trial in pair:
        stopping.trial_ended(trial, CELL, row_of(trial, **changed))


def ledger(*budgets: str, requests: int = 1, retries: int = 0) -> Ledger:
    """Every trial takes at most 100 tokens in and 50 out a request."""
    most = Ceiling(requests=requests, input=100, output=50, price=PRICE)
    return Ledger([parse_budget(text) for text in budgets], {(0, 0): most}, retries)
