"""How often does each interval of the report hold the truth? The table of docs/statistics.md, by simulation.

    python -m tools.measure.coverage [TRIES]      a minute or two with the 2,000 tries of the table

The cases are those of tests/support/simulated.py; `pytest -m slow tests/unit/stats/test_coverage.py` holds each to its
promise.
"""

# ruff: noqa: T201

import statistics
import sys
from itertools import groupby

from tests.support.simulated import Case, Measured, all_cases, enough, measure

HEAD = """| interval | n | coverage, % | width |
| --- | --- | --- | --- |"""


def line(estimator: str, n: int, found: list[tuple[Case, Measured]]) -> str:
    """One row: the coverage for each distribution; the width, the median over them."""
    coverage = "; ".join(f"{case.distribution} {100 * m.coverage:.1f}" for case, m in found)
    widths = [m.width for _, m in found if m.width == m.width]
    return f"| {estimator} | {n} | {coverage} | {statistics.median(widths):.2f} |"


def main(tries: int) -> None:
    """Measure every case and print the table."""
    print(HEAD)
    cases = sorted(all_cases(), key=lambda case: (case.estimator, case.n))
    for (estimator, n), group in groupby(cases, key=lambda case: (case.estimator, case.n)):
        print(line(estimator, n, [(case, measure(case, enough(case, tries))) for case in group]), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
