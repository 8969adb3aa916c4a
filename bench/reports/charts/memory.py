"""Peak client memory by the length of the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import altair as alt

from bench.analysis.wording import both
from bench.core.summary import Cell, MemoryCurve, Summary
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
            title, words = f"Client memory: {meter}", _words(summary, cell, curves)
            yield style.with_table(title, caption, words, _spec(curves), HEADS, _table(curves))


def _table(curves: Sequence[MemoryCurve]) -> list[style.Row]:
    return [
        (curve.delivery, str(tokens), f"{peak / 1000:.1f} kB", _fit_text(curve, tokens))
        for curve in curves
        for tokens, peak in curve.points
    ]


def _fit_text(curve: MemoryCurve, tokens: int) -> str:
    if curve.slope is None or curve.intercept is None:
        return ""
    return f"{(curve.intercept + curve.slope * tokens) / 1000:.1f} kB"


def _words(summary: Summary, cell: Cell, curves: Sequence[MemoryCurve]) -> str:
    def number(curve: MemoryCurve, metric: str) -> str:
        suffix = "" if curve.meter == "tracemalloc" else f".{curve.meter}"
        return both(summary.memory_row(cell, curve.delivery, metric + suffix))

    parts = [(c.delivery, number(c, "memory_peak"), number(c, "memory_slope")) for c in curves]
    return "; ".join(f"{delivery}: peak {peak} at the longest, slope {slope}" for delivery, peak, slope in parts) + "."


def _spec(curves: Sequence[MemoryCurve]) -> style.Spec:
    points = [{"tokens": x, "kB": y / 1000, "delivery": curve.delivery} for curve in curves for x, y in curve.points]
    dots = style.data(points).mark_point(filled=True, size=60, opacity=0.8)
    fits = style.data([row for curve in curves for row in _line(curve)]).mark_line(strokeWidth=1.5)
    x = alt.X("tokens:Q", title="output tokens")
    y = alt.Y("kB:Q", title="peak above the base, kB")
    color, shape = style.color_by_delivery(), style.shape_by("delivery", style.COLORS)
    dash = style.dash_by("delivery", style.COLORS)
    return style.finish(
        alt.layer(dots.encode(x=x, y=y, color=color, shape=shape), fits.encode(x=x, y=y, color=color, strokeDash=dash))
    )


def _line(curve: MemoryCurve) -> Iterator[dict[str, float | str]]:
    if curve.slope is None or curve.intercept is None:
        return
    lengths = [tokens for tokens, _ in curve.points]
    for tokens in (min(lengths), max(lengths)):
        yield {"tokens": tokens, "kB": (curve.intercept + curve.slope * tokens) / 1000, "delivery": curve.delivery}
