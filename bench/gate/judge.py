"""PASS, FAIL or UNDECIDED: on the bound of the interval, never on the point."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from bench.analysis.wording import reason, with_interval
from bench.core.errors import BenchError
from bench.core.results.comparison import Change, Comparison
from bench.core.results.row import Row
from bench.core.results.summary import Summary
from bench.gate import sample_size
from bench.gate.condition import Condition, Decision, Verdict, parse_condition
from bench.gate.resolve import Subject, resolve
from bench.gate.units import in_unit

EXACT = ("sum", "level")
"""Statistics without an interval that have no chance in them: what was counted, and a load that tests have decided."""


def judge_all(
    conditions: Sequence[str], summary: Summary, comparisons: Sequence[Comparison]
) -> tuple[list[Decision], list[str]]:
    """Decide the conditions in order; return a line also for each condition about nothing that was measured."""
    judged: list[Decision] = []
    errors: list[str] = []
    for text in conditions:
        try:
            judged += judge(parse_condition(text), summary, comparisons)
        except BenchError as error:
            errors.append(str(error))
    return judged, errors


def judge(condition: Condition, summary: Summary, comparisons: Sequence[Comparison]) -> Iterator[Decision]:
    """Decide one condition on each of its subjects."""
    for subject in resolve(condition, summary, comparisons):
        if subject.unfit:
            ruling: Ruling = ("UNDECIDED", subject.unfit, 0.0)
        elif subject.change is not None:
            ruling = _change(condition, subject, subject.change)
        else:
            assert subject.row is not None  # noqa: S101  (resolve gives a reason where there is none)
            ruling = _row(condition, subject, subject.row)
        yield Decision(condition.text, subject.scenario, subject.label, *ruling)


def decide(low: float, high: float, limit: float, *, upwards: bool) -> Verdict:
    """Return FAIL where the whole interval is beyond the limit, PASS where none of it is; a limit itself is kept."""
    if not upwards:
        low, high, limit = -high, -low, -limit
    return "FAIL" if low > limit else "PASS" if high <= limit else "UNDECIDED"


Ruling = tuple[Verdict, str, float]


def _row(condition: Condition, subject: Subject, row: Row) -> Ruling:
    if row.statistic in EXACT and row.estimate is not None and row.low is None:
        row = replace(row, low=row.estimate, high=row.estimate)
        shown = f"{with_interval(replace(row, low=None, high=None))}, counted"
    else:
        shown = f"{with_interval(row)}, n={row.n}"
    if row.estimate is None:
        need = sample_size.fewest_samples(row.note)
        more = f"; {_trials_advice(need, subject)}" if need else ""
        return "UNDECIDED", f"n/a: {reason(row)}{more}", 0.0
    if row.low is None or row.high is None:
        return "UNDECIDED", f"{shown}: it has no interval{f' ({row.note})' if row.note else ''}", 0.0
    limit = in_unit(condition, row.unit)
    verdict = decide(row.low, row.high, limit, upwards=condition.upwards)
    if verdict == "UNDECIDED":
        return verdict, f"{shown}: {_undecided_row(condition, subject, row, limit)}", 0.0
    return verdict, f"{shown}: {_side_text(verdict, condition)}", _excess(row.low, row.high, limit, condition)


def _side_text(verdict: Verdict, condition: Condition) -> str:
    """Say where the whole interval lies."""
    where = "above" if condition.upwards else "below"
    return f"{'all' if verdict == 'FAIL' else 'none'} of it is {where} {_limit(condition)}"


def _limit(condition: Condition) -> str:
    sign = "+" if condition.operator == ":" and condition.upwards else ""
    return f"{sign}{condition.limit}"


def _undecided_row(condition: Condition, subject: Subject, row: Row, limit: float) -> str:
    held = f"the interval holds {_limit(condition)}"
    if row.metric.startswith("failures") and row.statistic == "share" and limit <= 0 and not row.estimate:
        name = condition.name[0] if condition.name[0] == subject.scenario else ""
        counted = ".".join(filter(None, (name, row.metric, "sum")))
        return f"{held}: a share of 0 cannot be shown; for no failure in this run say {counted} > 0"
    return f"{held}; {_trials_advice(sample_size.for_limit(row, subject.trials, limit), subject)}"


def _trials_advice(trials: int | None, subject: Subject) -> str:
    """Say what to type to get this many trials."""
    if trials is None:
        return "no affordable number of pairs would decide"
    where = " in both runs" if subject.of_two_runs else ""
    return f"use {'--requests' if subject.under_load else '--pairs'} {trials}{where}"


def _change(condition: Condition, subject: Subject, change: Change) -> Ruling:
    points = condition.limit.unit == "pp"
    estimate, low, high = (
        (change.difference, change.difference_low, change.difference_high)
        if points
        else (change.ratio, change.low, change.high)
    )
    # the whole interval of the current number is at ∞, that of the baseline is not
    finite = change.baseline.high is not None and math.isfinite(change.baseline.high)
    if condition.upwards and change.current.low == math.inf and finite and "∞" in change.note:
        return "FAIL", f"most of it failed ({change.current.failed} of {change.current.n}): ∞", math.inf
    if estimate is None or low is None or high is None:
        why = change.note.removeprefix("n/a ").strip("()") or "there is no interval of the change"
        zero = change.unit == "share" and change.difference is not None and not points
        return "UNDECIDED", f"n/a: {why}{'; use points, such as +1pp' if zero else ''}", 0.0
    limit = in_unit(condition, change.unit)
    if points:
        shown = f"{100 * estimate:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}], n={change.n}"
    else:
        ratio = replace(change.current, unit="ratio", statistic="hl", estimate=estimate, low=low, high=high)
        shown = f"{with_interval(ratio)}, n={change.n}"
    verdict = decide(low, high, limit, upwards=condition.upwards)
    if verdict == "UNDECIDED":
        return verdict, f"{shown}: {_undecided_change(condition, subject, change, (estimate, low, high), limit)}", 0.0
    return verdict, f"{shown}: {_side_text(verdict, condition)}", _excess(low, high, limit, condition)


def _undecided_change(
    condition: Condition, subject: Subject, change: Change, seen: tuple[float, float, float], limit: float
) -> str:
    estimate, low, high = seen
    half, trials = (high - low) / 2, subject.trials or change.n
    unit = "points" if condition.limit.unit == "pp" else "%"
    if abs(limit) < half < math.inf:
        more = "a change of 0 cannot be shown"
        if limit:
            more = _trials_advice(sample_size.for_change(change, limit), subject)
        return f"cannot see less than {100 * half:.2g} {unit}, you ask for {100 * abs(limit):.3g} {unit}; {more}"
    side = high - estimate if limit >= estimate else estimate - low
    more = _trials_advice(sample_size.for_width(trials, side, abs(limit - estimate)), subject)
    return f"the interval holds {_limit(condition)}; {more}"


def _excess(low: float, high: float, limit: float, condition: Condition) -> float:
    """Return how far the nearest bound is beyond the limit, as a fraction of it; negative where it keeps to it."""
    beyond = low - limit if condition.upwards else limit - high
    return beyond / abs(limit) if limit else math.copysign(math.inf, beyond)
