"""Compare two runs number by number, unpaired, by their summaries alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np

from bench.analysis.comparison.align import OF_MEMORY, Alignment, align, unmatched_cells
from bench.analysis.comparison.effects import worst_first
from bench.analysis.comparison.watermarks import refuse_other_kinds, run_name, watermarks
from bench.analysis.wording import reason
from bench.core.load import parse_load
from bench.core.results.comparison import Change, Comparison, Side
from bench.core.results.labels import WHOLE_RUN
from bench.core.results.metrics.registry import metric_of
from bench.core.results.row import CellKey, Row
from bench.core.results.summary import CALIBRATION, Cell, Ecdf, Summary
from bench.stats import mover
from bench.stats.intervals import as_ratio
from bench.stats.mover import Bounds, bounds
from bench.stats.two_sample_shift import two_sample_shift

OF_THE_CHECKS = ("aa", "aa_ttfu", "trend", "order_effect", "floor_")
"""Metrics of how a run checked itself (by their start): they tell nothing about what was measured."""
OF_USEFUL = ("ttfu", "gain")
"""What depends on the scenario's own idea of useful."""
STATISTIC = "p50"
MOST_FAILED = 0.05
"""Above this share of trials that never arrived, those that did no longer speak for the cell."""
Method = Literal["unpaired", "paired"]


def compare(baseline: Summary, current: Summary, *, force: bool = False) -> Comparison:
    """Compare a run with its baseline. Raises `BenchError` where their numbers do not mean the same.

    `force`: compare them all the same.
    """
    if not force:
        refuse_other_kinds(baseline, current)
    alignment = align(baseline.cells, current.cells)
    return Comparison(
        kind="runs",
        baseline=_side(baseline),
        current=_side(current),
        changes=worst_first(_changes(alignment, baseline, current)),
        watermarks=(*watermarks(baseline, current), *alignment.sentences),
        unmatched=tuple(unmatched_cells(alignment, baseline, current)),
    )


def _side(summary: Summary) -> Side:
    return Side(run_name(summary), f"{summary.headline}; {summary.manifest.get('created', '')}")


def _changes(alignment: Alignment, baseline: Summary, current: Summary) -> Iterator[Change]:
    """Yield the change of every number that both runs have."""
    theirs = {_identity(row, alignment.rename(row.key)): row for row in baseline.rows if comparable(row)}
    of_baseline = {alignment.rename(cell.key): cell for cell in baseline.cells}
    of_current = {cell.key: cell for cell in current.cells}
    sides = {"baseline": baseline, "current run": current}
    bad = [name for name, summary in sides.items() if summary.trust.verdict == "INVALID"]
    condemned = f"n/a (INVALID: {' and '.join(bad)})" if bad else ""
    for row in current.rows:
        other = theirs.get(_identity(row, row.key)) if comparable(row) else None
        if other is not None:
            cells = of_baseline.get(row.key), of_current.get(row.key)
            hindered = condemned or hindrance(row.metric, *cells)
            yield _change(other, row, _label(row.key, of_current), hindered, *cells)


def _change(baseline: Row, current: Row, label: str, hindered: str, *cells: Cell | None) -> Change:
    """Compare a median by the shift between the samples, where there are any; else by the two intervals."""
    sampled = current.statistic == STATISTIC and not hindered and not missing(baseline, current)
    if sampled and (found := shifts(cells[0], cells[1], current.delivery, current.metric)):
        arrived = min(row.n - row.failed for row in (baseline, current))
        failed = baseline.failed + current.failed  # they have no time, and so no part in a change of samples
        note = f"without {failed} failed {'trial' if failed == 1 else 'trials'}" if failed else ""
        return make_change(baseline, current, label, "unpaired", *found, arrived, note)
    return change(baseline, current, label, hindered)


def shifts(baseline: Cell | None, current: Cell | None, delivery: str, metric: str) -> tuple[Bounds, Bounds] | None:
    """Estimate (ratio, difference in ms) of two independent samples: Hodges-Lehmann with the Mann-Whitney interval.

    It is narrower than what follows from two medians. None where there are no samples, where too many failed, or under
    load, where trials that ran together are alike.
    """
    samples = [_sample(cell, delivery, metric) for cell in (baseline, current)]
    if any(sample is None for sample in samples):
        return None
    b, c = (np.asarray(sample.values) for sample in samples if sample)
    if min(b.min(), c.min()) <= 0:
        return None
    shift, apart = as_ratio(two_sample_shift(np.log(c), np.log(b))), two_sample_shift(c, b)
    found = bounds(shift.value, shift.low, shift.high), bounds(apart.value, apart.low, apart.high)
    return (found[0], found[1]) if found[0] and found[1] else None


def _sample(cell: Cell | None, delivery: str, metric: str) -> Ecdf | None:
    """Return the times of a cell's trials; None unless they ran one at a time and nearly all of them arrived."""
    if cell is None or not parse_load(cell.key.load).sequential:
        return None
    kept = {
        **{("streamed", name): ecdf for name, ecdf in cell.curves.items()},
        ("streamed", "ttfu"): cell.first_useful,
        ("blocking", "total"): cell.blocking_total,
        ("blocking", "ttfu"): cell.blocking_total,
    }
    found = kept.get((delivery, metric))
    if found is None or not found.values or len(found.values) < (1 - MOST_FAILED) * found.offered:
        return None
    return found


def comparable(row: Row) -> bool:
    """Return True if the row tells of what was measured, not of how the run checked itself."""
    return row.scenario not in {CALIBRATION, WHOLE_RUN} and not row.metric.startswith(OF_THE_CHECKS)


def _identity(row: Row, key: CellKey) -> tuple[CellKey, str, str, str, str]:
    return key, row.delivery, row.metric, row.unit, row.statistic


def _label(key: CellKey, cells: Mapping[CellKey, Cell]) -> str:
    """Return the cell's label; rows of no single cell get the scenario's name, memory with its length."""
    if key in cells:
        return cells[key].label
    length = key.load.removeprefix(OF_MEMORY)
    size = f"{length} tokens" if key.load.startswith(OF_MEMORY) and length.isdecimal() else ""
    return " ".join(filter(None, (key.scenario, key.params, size)))


def hindrance(metric: str, baseline: Cell | None, current: Cell | None) -> str:
    """Return why the numbers of these cells may not be held against each other; empty where they may."""
    for side, cell in (("baseline", baseline), ("current", current)):
        if cell and cell.invalid:
            return f"n/a ({side} INVALID: {cell.invalid})"
        if cell and cell.saturated:
            return f"n/a ({side} SATURATED: the client was late)"
    if baseline and current and metric.startswith(OF_USEFUL) and baseline.useful != current.useful:
        return "n/a (the scenario counts something else as useful)"
    return ""


def change(baseline: Row, current: Row, label: str, hindered: str = "") -> Change:
    """Compare one number with the baseline's; unpaired, so the interval comes from those of both."""
    n, note = min(baseline.n, current.n), hindered or missing(baseline, current)
    old, new = (bounds(row.estimate, row.low, row.high) for row in (baseline, current))
    if note or old is None or new is None:
        return make_change(baseline, current, label, "unpaired", None, None, n, note)
    ratio, why = _ratio(old, new)
    return make_change(baseline, current, label, "unpaired", ratio, mover.difference(new, old), n, why)


def make_change(
    baseline: Row,
    current: Row,
    label: str,
    method: Method,
    ratio: Bounds | None,
    apart: Bounds | None,
    n: int,
    note: str,
) -> Change:
    """Make the change of these numbers."""
    metric = metric_of(current.metric)
    return Change(
        key=current.key,
        label=label,
        delivery=current.delivery,
        metric=current.metric,
        unit=current.unit,
        statistic=current.statistic,
        better=metric.better if metric else "neither",
        method=method,
        baseline=baseline,
        current=current,
        ratio=ratio.value if ratio else None,
        low=ratio.low if ratio else None,
        high=ratio.high if ratio else None,
        difference=apart.value if apart else None,
        difference_low=apart.low if apart else None,
        difference_high=apart.high if apart else None,
        n=n,
        note=note,
    )


def missing(baseline: Row, current: Row) -> str:
    """Return why there is no change, although both rows are there; empty where there is one."""
    for side, row in (("baseline", baseline), ("current", current)):
        if row.estimate is None:
            return f"n/a ({side}: {reason(row)})"
        if math.isinf(row.estimate):
            return f"n/a ({side} is ∞: {row.failed} of {row.n} failed)"
        if row.low is None or row.high is None:
            return f"n/a ({side} has no interval)"
    return ""


def _ratio(baseline: Bounds, current: Bounds) -> tuple[Bounds | None, str]:
    for side, x in (("baseline", baseline.value), ("current number", current.value)):
        if x <= 0:
            return None, f"no ratio: the {side} is {'0' if x == 0 else 'below 0'}"
    return mover.ratio(current, baseline), ""
