"""One rule of "same work": the run, which looks pair by pair, and the report, which takes columns, agree."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.analysis import pairs as report
from bench.run.stopping import precision
from bench.run.stopping.precision import TrialTimes
from bench.stats.same_work import MOST_EXCLUDED, same_work, too_many_excluded

Side = tuple[str | None, int | None]
SIDES = st.tuples(st.sampled_from([None, "x", "y"]), st.none() | st.integers(0, 3) | st.integers(0, 5000))


@given(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=20), st.booleans())
@example([(("x", 100), ("x", 90)), (("x", 100), ("y", 98)), (("x", 100), ("y", 97)), (("x", 0), (None, None))], False)
@example([(("x", 100), ("x", 90)), (("x", 100), ("y", 98)), (("x", 50), ("y", 50)), (("x", 0), ("y", 0))], True)
@settings(deadline=None)
def test_the_run_looks_at_the_pairs_that_the_report_compares(sides: list[tuple[Side, Side]], simulated: bool) -> None:
    """What is looked at while the run goes on is what will be compared, whatever is missing."""
    seen = [
        [TrialTimes(0, "", ok=True, useful=1, total=1, result=of[0], tokens=of[1]) for of in pair] for pair in sides
    ]
    frame = pd.DataFrame(
        {
            f"{column}_{side}": pd.array([pair[place][field] for pair in sides], dtype=dtype)  # type: ignore[call-overload]
            for place, side in enumerate("sb")
            for field, (column, dtype) in enumerate((("result_sha256", "string"), ("output_tokens", "Int64")))
        }
    )
    one_by_one = [precision.did_same_work(s, b, simulated=simulated) for s, b in seen]
    assert report.did_same_work(frame, simulated=simulated).tolist() == one_by_one


@pytest.mark.parametrize(
    ("tokens_a", "tokens_b", "simulated", "same"),
    [
        (100, 98, False, True),
        (98, 100, False, True),
        (100, 97, False, False),
        (97, 100, False, False),
        (0, 0, False, False),  # a server that does not count
        (100, 99, True, False),
        (100, 100, True, False),
    ],
)
def test_unequal_results(tokens_a: int, tokens_b: int, simulated: bool, same: bool) -> None:
    """A model may write something else with up to 2 % more tokens, the simulator may not; equal results are enough."""
    assert same_work(False, tokens_a, tokens_b, simulated=simulated) is same
    assert same_work(True, tokens_a, tokens_b, simulated=simulated) is True


def test_one_pair_of_twenty_may_be_excluded() -> None:
    """5 % are not too many, more are."""
    assert MOST_EXCLUDED == 0.05
    assert [too_many_excluded(excluded, 40) for excluded in (0, 2, 3)] == [False, False, True]
