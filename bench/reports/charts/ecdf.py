"""Draw the curve of arrival: the share of all offered trials that had something useful after a time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import altair as alt

from bench.core.results.summary import Cell, Ecdf, Summary
from bench.reports.charts import style
from bench.reports.charts.chart import Chart

MOST_STEPS = 200
"""Points of a curve: more cannot be seen."""
ALPHA = 0.05
NAMES = {"streamed": "Streamed, first useful piece", "blocking": "Blocking, whole answer"}
CAPTION = (
    "How many of all trials had something useful, by time since the call: streamed its first useful piece, blocking "
    "its whole answer. The further left, the sooner; the marks are the medians, a curve that ends below 100 % had "
    "failures. Shaded: where the curve may lie, with 95 % confidence (Dvoretzky-Kiefer-Wolfowitz)."
)


def draw(_summary: Summary, cell: Cell) -> Iterator[Chart]:
    """Draw streamed TTFU against the blocking answer, each with its band, where anything was offered."""
    curves = {
        name: one for name, one in (("streamed", cell.first_useful), ("blocking", cell.blocking_total)) if one.offered
    }
    if not curves:
        return
    longest = max((x for one in curves.values() for x in one.values[-1:]), default=1.0) * 1.05 or 1.0
    table = [
        (name, style.time(x), style.percent(y), f"{100 * max(0.0, y - half):.0f} to {100 * min(1.0, y + half):.0f} %")
        for name, one in curves.items()
        for half in [band(one.offered)]
        for x, y in list(steps(one, longest))[1:-1]
    ]
    heads = ("delivery", "since the call", "arrived", "95 % band")
    words = ". ".join(f"{NAMES[name]}: {_arrival_words(one)}" for name, one in curves.items()) + "."
    caption = style.with_warning(CAPTION, cell)
    yield style.with_table("When it arrives", caption, words, _spec(curves, longest), heads, table)


def steps(ecdf: Ecdf, longest: float) -> Iterator[tuple[float, float]]:
    """Yield the curve from 0 to `longest`; failures never arrive, so it ends below 1 where there were any."""
    if not ecdf.offered:
        return
    values = ecdf.values
    yield 0.0, 0.0
    for place in style.evenly(len(values), MOST_STEPS):
        yield round(values[place], 3), round((place + 1) / ecdf.offered, 6)
    yield longest, len(values) / ecdf.offered


def band(n: int) -> float:
    """Return half the height of the band that contains the whole true curve with 95 % confidence."""
    return math.sqrt(math.log(2 / ALPHA) / (2 * n))


def _spec(curves: dict[str, Ecdf], longest: float) -> style.Spec:
    unit = style.unit_of(longest)
    rows = [
        {"t": round(x / unit.ms, 4), "share": y, "delivery": name}
        for name, one in curves.items()
        for x, y in steps(one, longest)
    ]
    half = " : ".join(f"datum.delivery === '{name}' ? {band(one.offered):.6f}" for name, one in curves.items()) + " : 0"
    base = style.data(rows)
    scale = alt.Scale(domain=[0, longest / unit.ms], nice=False)
    x = alt.X("t:Q", title=f"{unit.name} since the call", axis=style.TICKS, scale=scale)
    y = alt.Y("share:Q", title="share of all trials", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1]))
    color = style.color_by_delivery()
    area = base.transform_calculate(low=f"max(0, datum.share - ({half}))", high=f"min(1, datum.share + ({half}))")
    shade = area.mark_area(interpolate="step-after", opacity=0.15).encode(
        x=x, y=alt.Y("low:Q", title="share of all trials"), y2="high:Q", color=color
    )
    lines = [  # dashed each: as an encoding, dashes would fray the symbols of the legend
        base.transform_filter(f"datum.delivery === '{name}'")
        .mark_line(interpolate="step-after", strokeWidth=2.5, strokeDash=dash)
        .encode(x=x, y=y, color=color)
        for name, dash in zip(style.COLORS, style.DASHES, strict=False)
    ]
    medians = [
        {"t": round(median / unit.ms, 4), "share": 0.5, "delivery": name}
        for name, one in curves.items()
        if (median := _median(one)) is not None
    ]
    shape = style.shape_by("delivery", style.COLORS)
    marks = style.data(medians).mark_point(filled=True, size=90, opacity=1).encode(x=x, y=y, color=color, shape=shape)
    return style.finish(alt.layer(shade, *lines, marks))


def _median(ecdf: Ecdf) -> float | None:
    """Return when half of the offered trials had arrived; None if they never did."""
    half = math.ceil(ecdf.offered / 2)
    return ecdf.values[half - 1] if half <= len(ecdf.values) else None


def _arrival_words(ecdf: Ecdf) -> str:
    if not ecdf.values:
        return f"none of {ecdf.offered} arrived"
    median = _median(ecdf)
    half = "not half of them" if median is None else f"half of them by {style.time(median)}"
    first, last = style.time(ecdf.values[0]), style.time(ecdf.values[-1])
    return f"{len(ecdf.values)} of {ecdf.offered} arrived, after {first} to {last}, {half}"
