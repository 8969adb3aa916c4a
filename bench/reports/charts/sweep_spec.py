"""The drawing of a sweep: lines by load with intervals, the limit and the knee."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import altair as alt

from bench.reports.charts import style

WIDE = 10
"""Times further apart than this factor are drawn on a log axis."""


class Mark(NamedTuple):
    """A straight line through the whole chart: a limit (`y`) or a knee (`x`)."""

    axis: Literal["x", "y"]
    at: float
    text: str
    series: str
    """Whose; empty where it is of all."""


def spec(
    points: Sequence[dict[str, Any]],
    series: Sequence[str],
    marks: Sequence[Mark],
    *,
    loop: str,
    of: Literal["time", "share"],
    axis: str,
) -> style.Spec:
    """As Vega-Lite. A point: load, y, low, high (any of them may be infinite or missing), series, late."""
    known = [point for point in points if math.isfinite(point["y"])]
    heights = [height for point in known for height in _heights(point)] + [m.at for m in marks if m.axis == "y"]
    unit = style.unit_of(max(heights)) if of == "time" else style.Unit(1.0, "")
    x, ends = _x(points, loop, axis), _ends(heights, of, unit)
    y, rule_y = (_y(field, ends, of, unit) for field in ("y", "low"))
    color = _color(series)
    fit = [_scaled(point, unit, ends[1]) for point in known if not point["late"]]
    late = [_scaled(point, unit, ends[1]) for point in known if point["late"]]
    never = [{"load": point["load"], "series": point["series"]} for point in points if math.isinf(point["y"])]
    base = style.data(fit)
    shape = style.shaped("series", series)
    layers = [
        *(_straight(mark, unit, x, y) for mark in marks),
        style.data([row for row in fit if "low" in row])
        .mark_rule(strokeWidth=1.2)
        .encode(x=x, y=rule_y, y2="high:Q", color=color),
        base.mark_line(strokeWidth=2).encode(x=x, y=y, color=color, strokeDash=style.dashed("series", series)),
        base.mark_point(filled=True, size=70, opacity=1).encode(x=x, y=y, color=color, shape=shape),
        style.data(late).mark_point(filled=False, size=70, stroke=style.GREY).encode(x=x, y=y, shape=shape),
        style.data(never).mark_point(shape="triangle-up", size=70).encode(x=x, y=alt.value(6), color=color),
    ]
    return style.finished(alt.layer(*layers))


def _heights(point: dict[str, Any]) -> list[float]:
    return [value for value in (point["y"], point["low"], point["high"]) if value is not None and math.isfinite(value)]


def _scaled(point: dict[str, Any], unit: style.Unit, top: float) -> dict[str, Any]:
    """In the unit drawn; with the interval where it has two ends, one without end up to the edge."""
    names = ("y", "low", "high") if None not in (point["low"], point["high"]) else ("y",)
    drawn = {name: round(min(top, point[name] / unit.ms), 4) for name in names}
    return {"load": point["load"], "series": point["series"]} | drawn


def _color(series: Sequence[str]) -> alt.Color:
    colors = [style.COLORS.get(name, other) for name, other in zip(series, (*_OTHERS, style.SKY), strict=False)]
    return style.by("series", series, colors)


_OTHERS = (style.BLUE, style.ORANGE, style.PURPLE)


def _x(points: Sequence[dict[str, Any]], loop: str, title: str) -> alt.X:
    loads = sorted({point["load"] for point in points})
    axis = alt.Axis(values=loads, labelExpr="format(datum.value, ',~g')", labelOverlap=True)
    if loop == "c":
        scale = alt.Scale(type="log", base=2, domain=[loads[0] / 1.2, loads[-1] * 1.2], nice=False)
    else:
        scale = alt.Scale(domain=[0, loads[-1] * 1.08], nice=False)
    return alt.X("load:Q", title=title, scale=scale, axis=axis)


def _ends(heights: Sequence[float], of: str, unit: style.Unit) -> tuple[float, float]:
    """Of the upright axis; that of times begins at 0 unless it is a log axis."""
    low, high = min(heights) / unit.ms, max(heights) / unit.ms
    if of == "share":
        return 0.0, 1.04
    return (low / 1.3, high * 1.5) if low > 0 and high / low > WIDE else (0.0, high * 1.15)


def _y(field: str, ends: tuple[float, float], of: str, unit: style.Unit) -> alt.Y:
    if of == "share":
        scale = alt.Scale(domain=list(ends), nice=False)
        return alt.Y(f"{field}:Q", title="share of offered", axis=alt.Axis(format="%"), scale=scale)
    log = ends[0] > 0
    scale = alt.Scale(type="log" if log else "linear", domain=[round(end, 4) for end in ends], nice=False)
    values = style.log_values(*ends) if log else alt.Undefined
    axis = alt.Axis(labelExpr="format(datum.value, ',~r')", tickCount=5, values=values)
    return alt.Y(f"{field}:Q", title=f"first token, {unit.name}{' (log)' if log else ''}", axis=axis, scale=scale)


def _straight(mark: Mark, unit: style.Unit, x: alt.X, y: alt.Y) -> alt.LayerChart | alt.FacetChart:
    """A line with its name at the end; that of a share below it, as most points are above."""
    color = style.COLORS.get(mark.series, style.GREEN if mark.axis == "y" else style.GREY)
    one = style.data(
        [{"load": mark.at, "text": mark.text} if mark.axis == "x" else {"y": mark.at / unit.ms, "text": mark.text}]
    )
    rule = one.mark_rule(color=color, strokeDash=[4, 3], strokeWidth=1.6)
    if mark.axis == "x":
        text = one.mark_text(align="right", baseline="bottom", dx=-4, dy=-4, fontSize=10)
        return alt.layer(rule.encode(x=x), text.encode(x=x, y=alt.value(alt.ExprRef("height")), text="text:N"))
    text = one.mark_text(align="left", baseline="bottom" if unit.name else "top", dx=4, dy=-3 if unit.name else 4)
    return alt.layer(rule.encode(y=y), text.encode(x=alt.value(0), y=y, text="text:N"))
