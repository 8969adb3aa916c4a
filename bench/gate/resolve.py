"""Find the numbers of a result that a condition is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from bench.analysis.load.knee import unfit
from bench.core.errors import BenchError, unknown
from bench.core.results.comparison import Change, Comparison
from bench.core.results.row import Row
from bench.core.results.summary import Cell, Summary
from bench.gate.check_early import CLASSES, NO_BASELINE, known_metric, misspelt
from bench.gate.condition import Condition, readings
from bench.gate.units import fits, unit_error
from bench.stats.intervals import share_ci

BY_DEFAULT = ("p50", "hl", "share", "mean", "rate", "level", "slope", "sum")
"""The statistic that is meant where none is named: the first of these that the metric has."""


@dataclass(frozen=True)
class Subject:
    """One number that a condition is decided on: of a row, or of a change against a baseline."""

    scenario: str
    label: str
    """`text ttft p50 streamed`, with what else tells its cell apart."""
    row: Row | None
    """None: there is none, `unfit` says why."""
    change: Change | None = None
    unfit: str = ""
    """Why nothing follows from it; empty where something does."""
    trials: int = 0
    """Offered trials of its cell and delivery; 0 where nobody knows."""
    under_load: bool = False
    of_two_runs: bool = False
    """Held against another run, so that more trials are needed in both."""


def resolve(condition: Condition, summary: Summary, comparisons: Sequence[Comparison]) -> list[Subject]:
    """Return all subjects of a condition, at least one. Raises `BenchError` where nothing of that was measured."""
    if condition.operator == ":":
        return _changes(condition, summary, comparisons)
    rows = _matching_rows(condition, with_classes(summary.rows), _scenarios(summary))
    subjects = [_row_subject(row, summary) for row in _best_rows(condition, rows)] if rows else []
    subjects += _unmeasured_subjects(condition, summary, rows)
    if not subjects:
        raise no_subject_error(condition, summary.rows, _scenarios(summary))
    return subjects


def with_classes(rows: Iterable[Row]) -> list[Row]:
    """Add a count and a share of each class of failure: what did not occur is 0 of all, not unknown."""
    rows = list(rows)
    counted = {(row.key, row.delivery, row.metric): row for row in rows if row.metric.startswith("failures.")}
    found = [row for row in rows if not row.metric.startswith("failures.")]
    for row in rows:
        if (row.metric, row.statistic) == ("failures", "sum"):
            for name in (f"failures.{status}" for status in CLASSES):
                none = replace(row, metric=name, failed=0, estimate=0.0)
                count = counted.get((row.key, row.delivery, name), none)
                share = share_ci(int(count.estimate or 0), count.n)
                values = {"estimate": share.value, "low": share.low, "high": share.high, "note": share.note}
                found += [count, replace(count, unit="share", statistic="share", **values)]  # type: ignore[arg-type]
    return found


def _scenarios(summary: Summary) -> set[str]:
    """Return the scenarios that may be named; the run's own checks, in brackets, may not."""
    found = {cell.key.scenario for cell in summary.cells} | {row.scenario for row in summary.rows}
    return {name for name in found if not name.startswith("(")}


def _matching_rows(condition: Condition, rows: Iterable[Row], scenarios: set[str]) -> list[Row]:
    """Select rows of the scenario, metric, statistic and target, by the first reading of the name that finds any."""
    mine = [row for row in rows if condition.target in {None, row.target}]
    for scenario, metric, statistic in readings(condition.name, scenarios):
        found = [row for row in mine if row.metric == metric and scenario in {None, row.scenario}]
        if found := [row for row in found if statistic in {None, row.statistic}]:
            return _rows_of_delivery(condition, found)
    return []


def _rows_of_delivery(condition: Condition, rows: Sequence[Row]) -> list[Row]:
    """Select rows of the delivery that is meant: as named, else streamed, else paired."""
    there = {row.delivery for row in rows}
    wanted = condition.delivery or ("streamed" if "streamed" in there else "paired")
    if wanted not in there:
        raise condition.wrong(f"{rows[0].metric} is here only of /{' and /'.join(sorted(there))}; write that behind it")
    return [row for row in rows if row.delivery == wanted]


def _best_rows(condition: Condition, rows: Sequence[Row]) -> list[Row]:
    """Select one row of each cell: that of the first statistic in a unit that the limit fits."""
    fitting = [row for row in rows if fits(condition, row.unit)]
    if not fitting:
        raise condition.wrong_unit(unit_error(condition, rows[0].metric, [row.unit for row in rows]))
    # a change is told of what is no ratio itself, where there is such a number
    places = {name: place for place, name in enumerate(BY_DEFAULT)}
    best = min(fitting, key=lambda row: (places.get(row.statistic, len(places)), row.unit == "ratio"))
    return [row for row in fitting if (row.statistic, row.unit) == (best.statistic, best.unit)]


def _row_subject(row: Row, summary: Summary) -> Subject:
    cell = next((cell for cell in summary.cells if cell.key == row.key), None)
    name = cell.label if cell else " ".join(filter(None, (row.scenario, row.params, row.load)))
    offered = summary.row(cell, row.delivery, "failures", "sum") if cell else None
    paired = cell.pairs if cell and row.delivery == "paired" else 0
    return Subject(
        scenario=row.scenario,
        label=f"{name} {row.metric} {row.statistic} {row.delivery}",
        row=row,
        unfit=_unfit(cell, summary),
        trials=offered.n if offered else paired,
        under_load=row.load not in {"c=1", ""} and "=" in row.load and not row.load.startswith("tokens"),
    )


def _unfit(cell: Cell | None, summary: Summary) -> str:
    if summary.trust.verdict == "INVALID":
        return f"the run is INVALID: {summary.trust.sentence}"
    return unfit(cell) if cell else ""


def _unmeasured_subjects(condition: Condition, summary: Summary, rows: Sequence[Row]) -> Iterator[Subject]:
    """Yield the cells that the condition would be about, had they been measured: unsupported ones, or not begun."""
    measured = {row.key for row in summary.rows if row.metric == "failures"}
    for scenario, metric, _ in readings(condition.name, _scenarios(summary)):
        if not (known_metric(metric) or any(row.metric == metric for row in rows)):
            continue
        for cell in summary.cells:
            meant = scenario in {None, cell.key.scenario} and condition.target in {None, cell.key.target}
            if meant and cell.key not in measured:
                why = _unfit(cell, summary) or "not measured"
                yield Subject(cell.key.scenario, f"{cell.label} {metric}", None, unfit=why)
        return


def _changes(condition: Condition, summary: Summary, comparisons: Sequence[Comparison]) -> list[Subject]:
    if not comparisons:
        raise condition.wrong(NO_BASELINE)
    if condition.target in {one.baseline.name for one in comparisons if one.kind == "within"}:
        raise condition.wrong(f"target {condition.target} is the baseline itself; name another one behind @")
    subjects = [subject for one in comparisons for subject in _changes_of(condition, summary, one)]
    rows = [change.current for one in comparisons for change in one.changes]
    subjects += _unmeasured_subjects(condition, summary, rows)
    if not subjects:
        alone = "; ".join(text for one in comparisons for text in one.unmatched)
        raise no_subject_error(condition, rows, _scenarios(summary), f" (not compared: {alone})" if alone else "")
    return subjects


def _changes_of(condition: Condition, summary: Summary, comparison: Comparison) -> Iterator[Subject]:
    by_row = {(one.key, one.delivery, one.metric, one.unit, one.statistic): one for one in comparison.changes}
    rows = [replace(change.current, **change.key._asdict()) for change in comparison.changes]
    named = _matching_rows(condition, rows, _scenarios(summary))
    chosen = _best_rows(condition, named) if named else []
    for row in chosen:
        change = by_row[row.key, row.delivery, row.metric, row.unit, row.statistic]
        subject = _row_subject(row, summary)
        label = f"{change.label} {row.metric} {row.statistic} {row.delivery} against {comparison.baseline.name}"
        yield replace(subject, label=label, change=change, of_two_runs=comparison.kind == "runs")
    if chosen:
        yield from _missing_in_baseline(condition, summary, comparison, chosen)


def _missing_in_baseline(
    condition: Condition, summary: Summary, comparison: Comparison, chosen: Sequence[Row]
) -> Iterator[Subject]:
    """Yield this metric of every cell that the baseline lacks, so that no such cell counts as passed."""
    first = chosen[0]
    sides = {(change.key.target, change.key.model) for change in comparison.changes}
    asked, _, _ = next(found for found in readings(condition.name, _scenarios(summary)) if found[1] == first.metric)
    done = {row.key for row in chosen}
    for row in summary.rows:
        same = all(getattr(row, name) == getattr(first, name) for name in ("delivery", "metric", "unit", "statistic"))
        meant = asked in {None, row.scenario} and condition.target in {None, row.target}
        ours = comparison.kind == "runs" or (row.target, row.model) in sides
        if same and meant and ours and row.key not in done and not row.scenario.startswith("("):
            subject = _row_subject(row, summary)
            yield replace(subject, unfit=subject.unfit or f"the baseline {comparison.baseline.name} has no such number")


def no_subject_error(condition: Condition, rows: Iterable[Row], scenarios: set[str], more: str = "") -> BenchError:
    """Make the error for a condition about nothing that was measured, with the nearest name that was."""
    rows = list(rows)
    targets = {row.target for row in rows if row.target}
    if condition.target is not None and condition.target not in targets:
        return condition.wrong(f"{unknown('target', condition.target, targets)}{more}")
    if said := misspelt(condition.name, scenarios):
        return condition.wrong(f"{said}{more}")
    scenario, metric, _ = next(readings(condition.name, scenarios))
    there = {row.metric for row in rows if scenario in {None, row.scenario}}
    where = f"of scenario {scenario}" if scenario else "of this run"
    if metric in there or known_metric(metric):
        return condition.wrong(f"nothing {where} has such a number{more}")
    return condition.wrong(f"{unknown('metric', metric, there)} ({where}){more}")
