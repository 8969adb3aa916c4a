"""Each interval, on data of known truth: how often it holds the truth, and that it is no wider than it must be."""

from __future__ import annotations

import math
import re

import pytest

from tests.support.simulated import Case, all_cases, enough, few_cases, measure

WIDEST = 1.7
"""Median width over the spread of the estimates, from n=36 on: ties and discrete ranks cost this much at most."""


@pytest.mark.parametrize("case", list(few_cases()), ids=str)
def test_coverage(case: Case) -> None:
    """The interval holds the truth as often as its docstring says, within three standard errors of 600 tries."""
    check(case, 600)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_coverage_of_the_whole_grid() -> None:
    """The same for every estimator, distribution and n of docs/statistics.md, with twice the tries."""
    for case in all_cases():
        check(case, enough(case, 1200))


def check(case: Case, tries: int) -> None:
    """Each interval covers, and is of use."""
    found = measure(case, tries)
    error = math.sqrt(case.promise * (1 - case.promise) / tries)
    assert found.coverage >= case.promise - 3 * error, f"{case}: {found.coverage:.3f}"
    if case.n >= 36 and not math.isnan(found.width) and not extreme(case):
        assert found.width <= WIDEST, f"{case}: {found.width:.2f} times as wide as the spread"


def extreme(case: Case) -> bool:
    """Where the interval reaches the last few samples, its width is that of the tail; of rare shares alike."""
    q = re.search(r" p(\d+)$", case.estimator)
    return case.distribution == "share 2 %" or bool(q and case.n * (1 - int(q[1]) / 100) < 8)
