"""Draw a waterfall as one view with one axis of time, which can be as wide as the page allows.

Up are characters; below zero each lane has a strip of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import altair as alt

from bench.reports.charts import style
from bench.reports.charts.waterfall.bars import (
    COLORS,
    HALF,
    INK,
    KINDS,
    MOST_LANES,
    PAUSE,
    LaneStrips,
    bars,
    delta_times,
    hatches,
    strip_names,
)
from bench.reports.charts.waterfall.lanes import Lane, Tick, TrialPair

PLOT, FRAME = 170, 95
"""Pixels: of the upper part, of the legend and axis."""
STRIP = 34
"""Pixels of a lane."""
NO_WIDER = alt.ExprRef("max(24, datum.part * width)")
LEGEND = alt.Legend(**{**style.LEGEND.to_dict(), "columns": 4})
Points = Sequence[tuple[float, float]]


def spec(pair: TrialPair, arrivals: Points, ticks: Sequence[Tick], read: Points) -> style.Spec:
    """Return the Vega-Lite specification.

    `arrivals`: (ms, characters so far); `read`: how far a reader was, if that is to be seen; both may be empty.
    """
    end = axis_end(pair)
    blocking = pair.blocking.chars if pair.blocking else 0
    most = max([blocking, *(chars for _, chars in arrivals)]) if arrivals else 0
    names = [*strip_names(pair.streamed), *(["blocking"] if pair.blocking else [])]
    strips = LaneStrips(names, (most or 1) * STRIP / PLOT)
    unit = style.unit_of(end)
    spans = list(bars(pair, strips, end))
    there = [name for name in KINDS.values() if any(bar["kind"] == name for bar in spans)]
    color = style.color_by("kind", there, [COLORS[name] for name in there], LEGEND)
    lines, known = list(_lines(pair, arrivals, most, end)), style.thin(read, end)
    x, y = _axes(end, most, strips, unit)
    layers = [
        *(layer.encode(x=x, y=y, color=color) for layer in _bar_layers(spans, unit)),
        _hatch_layer(hatches(spans, end), unit).encode(x=x, y=y),
        *(layer.encode(x=x) for layer in _delta_layers(pair.streamed, ticks, strips, end, unit)),
        _name_layer(spans, unit, end).encode(x=x, y=y),
        *(layer.encode(x=x) for layer in _failure_layers(pair, strips, end, unit)),
        *(_line(name, points, unit).encode(x=x, y=y) for name, points in lines),
        *(layer.encode(x=x, y=y) for layer in _reader_layers(known, unit)),
        style.data([{"y": 0}]).mark_rule(color=style.GREY, opacity=0.6).encode(y=y),
    ]
    return style.finish(alt.layer(*layers), (PLOT if most else 0) + STRIP * len(strips.names) + FRAME)


def axis_end(pair: TrialPair) -> float:
    """Return how long the axis is, in ms."""
    return max(lane.total for lane in pair.lanes) * 1.02 or 1.0


def _bar_layers(spans: style.Data, unit: style.Unit) -> Iterator[alt.Chart]:
    """Yield the bars; the outline of a back-off is dashed."""
    full = alt.FillOpacity("full:Q", scale=None, legend=None)
    for dashed in (False, True):
        rows = [_in_unit(bar, unit, ("kind", "full", "y", "y2")) for bar in spans if (bar["kind"] == PAUSE) is dashed]
        mark = style.data(rows).mark_rect(stroke=style.GREY, strokeWidth=0.8, strokeDash=[3, 2] if dashed else [1, 0])
        if rows:
            yield mark.encode(x2="x2:Q", y2="y2:Q", fillOpacity=full)


def _in_unit(row: Any, unit: style.Unit, kept: Sequence[str]) -> dict[str, Any]:
    times = {name: round(row[name] / unit.ms, 4) for name in ("x", "x2") if name in row}
    return times | {name: row[name] for name in kept}


def _hatch_layer(rows: style.Data, unit: style.Unit) -> alt.Chart:
    scaled = [_in_unit(row, unit, ("y", "y2")) for row in rows]
    drawn: alt.Chart = style.data(scaled).mark_rule(color=INK, strokeWidth=1.2).encode(x2="x2:Q", y2="y2:Q")
    return drawn


def _delta_layers(
    lane: Lane, ticks: Sequence[Tick], strips: LaneStrips, end: float, unit: style.Unit
) -> Iterator[alt.Chart]:
    """Yield a stroke above the bar for each delta that can be told from its neighbours."""
    for strip, times in delta_times(lane, ticks, end).items():
        rows = [{"x": round(ms / unit.ms, 4)} for ms in times]
        low = strips.middle(strip) + HALF["tokens"] * strips.height
        ends = [alt.datum(round(height, 3)) for height in (low, low + 0.2 * strips.height)]
        yield style.data(rows).mark_rule(color=style.GREY, strokeWidth=0.8).encode(y=ends[0], y2=ends[1])


def _name_layer(spans: style.Data, unit: style.Unit, end: float) -> alt.Chart:
    """Name each wide bar below it, as far as the name is not wider than the bar."""
    rows = [
        {
            "x": round((bar["x"] + bar["x2"]) / 2 / unit.ms, 4),
            "y": bar["below"],
            "name": bar["name"],
            "part": round((bar["x2"] - bar["x"]) / end, 4),
        }
        for bar in spans
        if bar["name"] and bar["x"] < end
    ]
    drawn: alt.Chart = style.data(rows).mark_text(fontSize=9, baseline="top", limit=NO_WIDER).encode(text="name:N")
    return drawn


def _failure_layers(pair: TrialPair, strips: LaneStrips, end: float, unit: style.Unit) -> Iterator[alt.Chart]:
    """Write how a trial failed, at the end of its bars."""
    for lane in pair.lanes:
        if lane.status != "ok":
            last = max((span.attempt for span in lane.spans), default=0)
            strip = len(strips.names) - 1 if lane is pair.blocking else min(last, MOST_LANES - 1)
            row = {"x": round(lane.total / unit.ms, 4), "text": f"✕ {lane.status}"}
            align: Literal["left", "right"] = "left" if lane.total < end / 2 else "right"
            mark = style.data([row]).mark_text(align=align, baseline="top", fontSize=10)
            below = round(strips.middle(strip) - 0.24 * strips.height, 3)
            yield mark.encode(y=alt.datum(below), text="text:N")


def blocking_has_line(pair: TrialPair) -> bool:
    """Return True if the length of the blocking answer is known, by itself or from a streamed one that was whole."""
    answer = pair.blocking
    return answer is not None and answer.status == "ok" and bool(answer.chars or pair.streamed.status == "ok")


def _lines(
    pair: TrialPair, arrivals: Points, most: float, end: float
) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Yield each line with the kind whose colour it has."""
    if arrivals:
        until = end if pair.streamed.status == "ok" else min(pair.streamed.total, end)
        yield "tokens", [(0.0, 0.0), *style.thin(arrivals, end), (until, arrivals[-1][1])]
    if pair.blocking and most and blocking_has_line(pair):
        whole = pair.blocking.chars or most
        yield "body", [(0.0, 0.0), (pair.blocking.total, whole), (end, whole)]


def _line(kind: str, points: Points, unit: style.Unit) -> alt.Chart:
    """Draw a line in the colour of a kind."""
    rows = [{"x": round(x / unit.ms, 4), "y": round(y, 1)} for x, y in points]
    color, dash = COLORS[kind], [1, 0] if kind == "tokens" else [6, 4]
    mark = style.data(rows).mark_line
    drawn: alt.Chart = mark(interpolate="step-after", color=color, strokeDash=dash, strokeWidth=2.2)
    return drawn


def _reader_layers(points: Points, unit: style.Unit) -> Iterator[alt.Chart]:
    """Yield the reader's line, and its name where it ends."""
    rows = [{"x": round(x / unit.ms, 4), "y": round(y, 1)} for x, y in points]
    if rows:
        yield style.data(rows).mark_line(color=style.GREY, strokeDash=[2, 3], strokeWidth=2.2)
        name = style.data([rows[-1] | {"name": "reader"}]).mark_text(
            align="right", baseline="bottom", dx=-4, dy=-4, fontSize=10
        )
        yield name.encode(text="name:N")


def _axes(end: float, most: float, strips: LaneStrips, unit: style.Unit) -> tuple[alt.X, alt.Y]:
    x = alt.X(
        "x:Q",
        title=f"{unit.name} since the call",
        axis=style.TICKS,
        scale=alt.Scale(domain=[0, round(end / unit.ms, 4)], nice=False, zero=True),
    )
    lanes = range(len(strips.names))
    names = ", ".join(f"'{name}'" for name in strips.names)
    label = f"datum.value < 0 ? [{names}][floor(-datum.value / {strips.height:.6f})] : format(datum.value, ',')"
    values = [*(_round_values(most) if most else []), *(round(strips.middle(lane), 3) for lane in lanes)]
    axis = alt.Axis(
        values=values,
        tickCount=len(values),  # else Vega leaves out every other one, as soon as they are many for the height
        labelOverlap=False,
        labelExpr=label,
        grid=False,
        titleAnchor="end",
    )
    lowest = -strips.height * len(strips.names)
    scale = alt.Scale(domain=[round(lowest, 3), round(most * 1.1, 3)], nice=False)
    return x, alt.Y("y:Q", title="characters" if most else None, axis=axis, scale=scale)


def _round_values(most: float) -> list[float]:
    """Return zero and up to five round numbers."""
    step = 10.0 ** math.floor(math.log10(most))
    step = max(1.0, next((step * part for part in (0.2, 0.25, 0.5, 1.0) if most / (step * part) <= 5.0), step))
    return [step * i for i in range(int(most / step) + 1)]
