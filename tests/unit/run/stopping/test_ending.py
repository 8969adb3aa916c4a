"""The line that says why a run ended."""

from __future__ import annotations

from dataclasses import replace

from bench.analysis.stopping_line import stopping_line
from bench.core.target import Target
from bench.plan.cost.budget import parse_budget
from bench.plan.plan import Plan
from bench.plan.schedule import make_plan
from bench.run.stopping.ending import ending
from bench.run.stopping.stopping import Stopping
from tests.support.stopping import CELL, PRICE, ledger, pair_of, row_of, run_pair


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
