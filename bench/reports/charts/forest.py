"""Draw what changed against a baseline: every ratio with its interval, worst first."""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt

from bench.analysis.wording import with_interval
from bench.core.results.comparison import Change, Comparison
from bench.reports.charts import style
from bench.reports.charts.chart import Chart
from bench.reports.charts.strips import MarkKind, Strip, spec

MOST_STRIPS = 40
WORSE, BETTER, OTHER, UNCLEAR = "worse", "better", "changed", "not clear"
KINDS = (
    MarkKind(WORSE, style.VERMILION, "square"),
    MarkKind(BETTER, style.GREEN, "triangle-up"),
    MarkKind(OTHER, style.SKY, "diamond"),
    MarkKind(UNCLEAR, style.GREY, "circle"),
)
FURTHEST = 20.0
"""Ratios beyond this factor are drawn at the edge."""
DOWN, UP = (
    (-0.95, -0.9, -0.8, -0.5, -0.3, -0.2, -0.1, -0.05, -0.02, -0.01),
    (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 4, 9, 19),
)
HEADS = ("what", "baseline", "now", "change [95 %]", "difference [95 %]", "n", "verdict")
CAPTION = (
    "Change against {baseline}, with the 95 % interval, worst first. Upright line: no change; an interval that reaches "
    "over it says nothing either way."
)


def forest_chart(comparison: Comparison) -> Chart:
    """Draw the first changes that have a ratio. The table also lists changes without one, with the reason."""
    known = [change for change in comparison.changes if change.ratio is not None]
    drawn, without = known[:MOST_STRIPS], len(comparison.changes) - len(known)
    caption = CAPTION.format(baseline=comparison.baseline.name)
    if len(drawn) < len(known):
        caption += f" Drawn: the first {len(drawn)} of {len(known)}."
    if without:
        caption += f" {without} without a ratio {'is' if without == 1 else 'are'} in the table only."
    ends = (1 + end for change in drawn for end in (change.ratio, change.low, change.high) if end is not None)
    if not all(1 / FURTHEST <= end <= FURTHEST for end in ends):
        caption += " Intervals that end at the edge go on beyond it."
    title = f"{comparison.current.name} against {comparison.baseline.name}"
    rows = [
        (
            *(name(change), with_interval(change.baseline), with_interval(change.current), ratio_text(change)),
            *(_difference(change), str(change.n), verdict(change)),
        )
        for change in comparison.changes
    ]
    return style.with_table(title, caption, _words(known), _spec(drawn), HEADS, rows)


def verdict(change: Change) -> str:
    """Return better, worse, changed (where neither is better), or not clear, by the interval alone."""
    if change.ratio is None or change.low is None or change.high is None or change.low <= 0 <= change.high:
        return UNCLEAR
    if change.better == "neither":
        return OTHER
    return WORSE if (change.low > 0) == (change.better == "lower") else BETTER


def name(change: Change) -> str:
    """Return what the change is of."""
    return " ".join(filter(None, (change.label, change.metric, change.statistic, change.delivery)))


def ratio_text(change: Change) -> str:
    """Return `+10.2 % [+8.1, +12.4]`, or why there is no ratio."""
    if change.ratio is None:
        return f"n/a ({change.note})" if change.note else "n/a"
    return f"{style.percent(change.ratio, sign=True)} {_interval(change.low, change.high, 100.0)}".strip()


def _interval(low: float | None, high: float | None, times: float) -> str:
    if low is None or high is None:
        return ""
    return f"[{_signed_number(low * times)}, {_signed_number(high * times)}]"


def _signed_number(x: float) -> str:
    if math.isinf(x):
        return "∞" if x > 0 else "-∞"
    return f"{x:+,.0f}" if abs(x) >= 1000 else f"{x:+.1f}"


def _difference(change: Change) -> str:
    if change.difference is None:
        return ""
    times, unit = (100.0, "%") if change.unit in {"share", "ratio"} else (1.0, change.unit)
    ends = _interval(change.difference_low, change.difference_high, times)
    return " ".join(filter(None, (_signed_number(change.difference * times), unit, ends)))


def _words(known: Sequence[Change]) -> str:
    found = {kind.name: [change for change in known if verdict(change) == kind.name] for kind in KINDS}
    parts = [f"{len(changes)} {kind}" for kind, changes in found.items() if changes]
    telling = [changes[0] for kind, changes in found.items() if changes and kind in {WORSE, BETTER}]
    said = [f"{name(change)}: {ratio_text(change)}" for change in telling or known[:1]]
    return f"Of {len(known)} changes {', '.join(parts)}. {'; '.join(said)}." if known else "No change has a ratio."


def _spec(changes: Sequence[Change]) -> style.Spec:
    low, high = _domain(changes)

    def inside(share: float | None, otherwise: float) -> float:
        return round(min(high, max(low, 1 + share)), 5) if share is not None else otherwise

    strips = []
    for change in changes:
        at = inside(change.ratio, 1.0)
        ends = inside(change.low, at), inside(change.high, at)
        strips.append(Strip(name(change), ratio_text(change), at, *ends, verdict(change)))
    scale = alt.Scale(type="log", domain=[round(low, 5), round(high, 5)], nice=False)
    values = [round(1 + share, 4) for share in _labels(low, high)]
    label = "(datum.value > 1.00001 ? '+' : '') + format(round(100 * (datum.value - 1)), ',') + ' %'"
    axis = alt.Axis(values=values, labelExpr=label, labelOverlap=True, grid=False)
    return spec(strips, KINDS, lambda field: alt.X(f"{field}:Q", title="change", scale=scale, axis=axis), line=1.0)


def _domain(changes: Sequence[Change]) -> tuple[float, float]:
    """Return the ends of the axis as factors, with 1 inside and a little room."""
    ends = [
        1 + end
        for change in changes
        for end in (change.ratio, change.low, change.high)
        if end is not None and math.isfinite(end)
    ]
    low = max(1 / FURTHEST, min([0.98, *ends]))
    high = min(FURTHEST, max([1.02, *ends]))
    room = (high / low) ** 0.04
    return low / room, high * room


def _labels(low: float, high: float) -> list[float]:
    """Return zero and the round percentages that are inside and not too near each other."""
    inside = [share for share in (*DOWN, *UP) if low <= 1 + share <= high]
    apart = math.log(high / low) / 9
    shown: list[float] = [0.0]
    for share in sorted(inside, key=abs, reverse=True):
        if all(abs(math.log((1 + share) / (1 + other))) >= apart for other in shown):
            shown.append(share)
    return sorted(shown)
