"""What a test asserts on: the numbers of one run, and the gate's conditions."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NoReturn

import pytest

from bench.analysis.build import build
from bench.analysis.comparison.runs import compare
from bench.analysis.load.knee import unfit
from bench.core.errors import BenchError
from bench.core.results.comparison import Comparison
from bench.core.results.row import CellKey, Row
from bench.core.results.summary import Summary
from bench.gate.condition import Decision
from bench.gate.judge import judge_all
from bench.gate.terminal import worst_first, write
from bench.records.find import find_run

COLUMNS = (*CellKey._fields, "unit")
"""Columns of summary.csv that tell numbers of the same metric, statistic and delivery apart."""
Undecided = Literal["fail", "skip", "pass"]


@dataclass(frozen=True)
class Result:
    """What was measured. Its numbers are those of summary.csv: times in ms, shares and ratios as fractions."""

    summary: Summary = field(repr=False)
    folder: Path
    """The run folder, with report.html."""

    def row(self, metric: str, statistic: str = "p50", *, delivery: str = "streamed", **columns: str) -> Row:
        """Return the number that is meant, with its interval, `n` and `note`; the test fails where none or several are.

        `columns` tell several apart: `scenario`, `params`, `api`, `target`, `model`, `client`, `load`, `unit`.
        """
        wanted = {"metric": metric, "statistic": statistic, "delivery": delivery, **columns}
        if strange := set(columns) - set(COLUMNS):
            self._fail(f"{', '.join(strange)}: no such column; there are {', '.join(COLUMNS)}")
        found = [row for row in self.summary.rows if all(getattr(row, name) == wanted[name] for name in wanted)]
        if len(found) != 1:
            self._fail(f"{' '.join(wanted.values())}: {self._instead(found, metric)}")
        return found[0]

    def value(self, metric: str, statistic: str = "p50", *, delivery: str = "streamed", **columns: str) -> float:
        """Return the estimate as a plain number. The test fails with the reason if there is no valid number."""
        row = self.row(metric, statistic, delivery=delivery, **columns)
        doubt = self._doubt(row)
        if row.estimate is None or doubt:
            self._fail(f"{metric} {statistic} {delivery}: n/a ({doubt or row.note})")
        return row.estimate

    def p50(self, metric: str, *, delivery: str = "streamed", **columns: str) -> float:
        """Return the median over all offered trials; a failed one counts as infinite."""
        return self.value(metric, "p50", delivery=delivery, **columns)

    def fail_on(
        self,
        condition: str,
        *more: str,
        baseline: Result | Path | str | None = None,
        undecided: Undecided = "fail",
    ) -> None:
        """Fail the test where a condition is so, as `bench run --fail-on` does: `ttft.p90 > 2s`, `failures > 1%`.

        `baseline`: another result, or a stored run (a folder, or the name of an earlier one beside this), for
        conditions like `ttft:+10%`. `undecided`: what the test does where the data cannot say.
        """
        try:
            judged, errors = judge_all([condition, *more], self.summary, self._comparisons(baseline))
        except BenchError as error:
            self._fail(str(error))
        write(judged, errors, sys.stdout, allow_undecided=undecided != "fail")
        bad = [one for one in worst_first(judged) if one.verdict == "FAIL"]
        open_ = [one for one in judged if one.verdict == "UNDECIDED"]
        if errors or bad or (open_ and undecided == "fail"):
            self._fail("\n".join([*errors, *map(_line, [*bad, *open_])]))
        if open_ and undecided == "skip":
            pytest.skip("\n".join(map(_line, open_)))

    def _comparisons(self, baseline: Result | Path | str | None) -> Sequence[Comparison]:
        """Compare with the baseline; without a baseline return the comparisons within the run."""
        if baseline is None:
            return self.summary.comparisons
        if isinstance(baseline, Result):
            return [compare(baseline.summary, self.summary)]
        return [compare(build(find_run(self.folder.parent, str(baseline))), self.summary)]

    def _instead(self, found: Sequence[Row], metric: str) -> str:
        """Say what to write instead: the columns in which several numbers differ, else what there is."""
        if found:
            names = [name for name in COLUMNS if len({getattr(row, name) for row in found}) > 1]
            return f"{len(found)} numbers; say which by {', '.join(names)}"
        same = sorted({f"{row.statistic} {row.delivery}" for row in self.summary.rows if row.metric == metric})
        if same:
            return f"no such number; of {metric} there are: {', '.join(same)}"
        return f"no such metric; there are: {', '.join(sorted({row.metric for row in self.summary.rows}))}"

    def _doubt(self, row: Row) -> str:
        """Say why the cell may not be believed; "" where it may."""
        return next((unfit(cell) for cell in self.summary.cells if cell.key == row.key), "")

    def _fail(self, line: str) -> NoReturn:
        pytest.fail(f"{line}\n{self.folder}", pytrace=False)


def _line(judged: Decision) -> str:
    return f"{judged.verdict} {judged.condition}  {judged.subject}: {judged.sentence}"
