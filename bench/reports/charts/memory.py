"""Draw peak client memory by the length of the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import altair as alt

from bench.analysis.wording import with_interval
from bench.core.results.summary import Cell, MemoryCurve, Summary
from bench.reports.charts import style
from bench.reports.charts.chart import Chart

HEADS = ("delivery", "output tokens", "peak", "line")
METERS = {"tracemalloc": "Python's own blocks", "rss": "resident size of the process"}


def draw(summary: Summary, cell: Cell) -> Iterator[Chart]:
    """Draw a chart for each meter that measured the cell's scenario."""
    for meter, what in METERS.items():
        curves = [c for c in summary.memory if (c.scenario, c.params, c.meter) == (*cell.key[:2], meter) and c.points]
        if curves:
            caption = f"Peak of {what} during one call, measured apart on sim; line: Theil-Sen fit."
            rows = [
                (curve.delivery, str(tokens), f"{peak / 1000:.1f} kB", f"{fit:.1f} kB" if fit is not None else "")
                for curve in curves
                for tokens, peak in curve.points
                for fit in [_fit_kb(curve, tokens)]
            ]
            words = "; ".join(_words(summary, cell, curve) for curve in curves) + "."
            yield style.with_table(f"Client memory: {meter}", caption, words, _spec(curves), HEADS, rows)


def _fit_kb(curve: MemoryCurve, tokens: int) -> float | None:
    if curve.slope is None or curve.intercept is None:
        return None
    return (curve.intercept + curve.slope * tokens) / 1000


def _words(summary: Summary, cell: Cell, curve: MemoryCurve) -> str:
    suffix = "" if curve.meter == "tracemalloc" else f".{curve.meter}"
    names = ("memory_peak", "memory_slope")
    peak, slope = (with_interval(summary.memory_row(cell, curve.delivery, name + suffix)) for name in names)
    return f"{curve.delivery}: peak {peak} at the longest, slope {slope}"


def _spec(curves: Sequence[MemoryCurve]) -> style.Spec:
    points = [{"tokens": x, "kB": y / 1000, "delivery": curve.delivery} for curve in curves for x, y in curve.points]
    lines = [
        {"tokens": tokens, "kB": fit, "delivery": curve.delivery}
        for curve in curves
        for tokens in (min(curve.points)[0], max(curve.points)[0])
        if (fit := _fit_kb(curve, tokens)) is not None
    ]
    dots = style.data(points).mark_point(filled=True, size=60, opacity=0.8)
    fits = style.data(lines).mark_line(strokeWidth=1.5)
    x = alt.X("tokens:Q", title="output tokens")
    y = alt.Y("kB:Q", title="peak above the base, kB")
    color, shape = style.color_by_delivery(), style.shape_by("delivery", style.COLORS)
    dash = style.dash_by("delivery", style.COLORS)
    return style.finish(
        alt.layer(dots.encode(x=x, y=y, color=color, shape=shape), fits.encode(x=x, y=y, color=color, strokeDash=dash))
    )
