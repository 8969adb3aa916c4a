"""The staircase of an answer: how much of it had arrived, by time since the request was sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import altair as alt

from bench.doctor.diagnosis import Curve
from bench.reports.charts import style
from bench.reports.charts.chart import Chart

MOST = 6
"""Hops in one chart: as many as there are colours."""
COLORS = (style.BLUE, style.VERMILION, style.GREEN, style.PURPLE, style.ORANGE, style.SKY)
DASHES = ([1, 0], [7, 3], [9, 3, 2, 3], [3, 2], [12, 3], [5, 2, 1, 2])
SENT, SENT_DASH = "sent", [1.5, 2.5]
LEGEND = alt.Legend(
    orient="top", columns=2, labelLimit=220, symbolType="stroke", symbolSize=900, symbolStrokeWidth=2.5, symbolOpacity=1
)
CAPTION = (
    "The longest answer of this kind. A step is one read from the socket, as high as what came with it: a slope is a "
    "stream, stairs are lumps, one step is an answer that came whole. Upright: the headers."
)
SAID_SENT = " Dotted: what the simulator had sent by then."
HEADS = ("line", "since the request", "characters", "of the answer")


class Staircase(NamedTuple):
    """One line of the chart."""

    name: str
    points: Sequence[tuple[float, float]]
    """(ms, characters), of which the last stand until the end."""
    color: str
    dash: Sequence[float]

    @property
    def total(self) -> float:
        """The characters of the whole answer."""
        return self.points[-1][1]


def arrivals(curves: Sequence[Curve], height: int = style.HEIGHT) -> Chart | None:
    """Draw the curves of all hops for one API and mode; None where nothing arrived."""
    shown = [one for one in curves if one.arrivals][:MOST]
    if not shown:
        return None
    end = max(max(one.end_ms, *(ms for ms, _ in one.sent[-1:]), 0.0) for one in shown) * 1.02 or 1.0
    lines = list(_lines(shown, end))
    sent = any(line.name.startswith(SENT) for line in lines)
    missing = len(curves) - len(shown)
    caption = CAPTION + (SAID_SENT if sent else "")
    caption += f" {missing} without an arrival, or beyond the first {MOST}, are left out." if missing else ""
    rows = [
        (line.name, style.time(ms), f"{chars:,.0f}", style.percent(chars / line.total) if line.total else "")
        for line in lines
        for ms, chars in line.points
    ]
    words = " ".join(map(_words, shown))
    return style.with_table(shown[0].label, caption, words, _spec(shown, lines, end, height), HEADS, rows)


def _lines(shown: Sequence[Curve], end: float) -> Iterator[Staircase]:
    """Yield the lines of what arrived, then of what was sent."""
    for place, one in enumerate(shown):
        yield Staircase(one.hop, style.thin(one.arrivals, end), COLORS[place], DASHES[place])
    alone = len(shown) == 1
    for one in shown:
        if one.sent:
            yield Staircase(SENT if alone else f"{SENT}, {one.hop}", style.thin(one.sent, end), style.GREY, SENT_DASH)


def _words(one: Curve) -> str:
    """Describe a curve in words, with the numbers that decide its verdict."""
    headers = "no headers" if one.headers_ms is None else f"headers after {style.time(one.headers_ms)}"
    chars, n = one.arrivals[-1][1], len(one.arrivals)
    reads = f"{chars:,} characters in {n} read{'' if n == 1 else 's'}"
    first, last = style.time(one.arrivals[0][0]), style.time(one.arrivals[-1][0])
    half = style.time(next(ms for ms, so_far in one.arrivals if 2 * so_far >= chars))
    times = f"the first after {first}, half of them after {half}, the last after {last}" if n > 1 else f"after {first}"
    sent = ""
    if one.sent:
        first, last = style.time(one.sent[0][0]), style.time(one.sent[-1][0])
        sent = f" The simulator had sent the first after {first} and the last after {last}."
    return f"{one.hop}, {one.verdict}: {headers}; {reads}, {times}.{sent}"


def _spec(shown: Sequence[Curve], lines: Sequence[Staircase], end: float, height: int) -> style.Spec:
    unit = style.unit_of(end)
    most = max(y for line in lines for _, y in line.points)
    scale = alt.Scale(domain=[0, round(end / unit.ms, 4)], nice=False)
    x = alt.X("x:Q", title=f"{unit.name} after the request", axis=style.TICKS, scale=scale)
    axis = alt.Axis(format=",.0f", tickCount=5)
    y = alt.Y("y:Q", title="characters", axis=axis, scale=alt.Scale(domain=[0, most * 1.06 or 1.0], nice=False))
    names = [line.name for line in lines]
    color = style.color_by("line", names, [line.color for line in lines], LEGEND)
    dash = alt.StrokeDash(
        "line:N", title=None, legend=LEGEND, scale=style.names_to(names, [line.dash for line in lines])
    )
    base = style.data([row for line in lines for row in _rows(line, end, unit)])
    stairs = base.mark_line(interpolate="step-after", strokeWidth=2.2)
    layers = [*_headers(shown, end, unit, x), stairs.encode(x=x, y=y, color=color, strokeDash=dash)]
    return style.finish(alt.layer(*layers), height)


def _rows(line: Staircase, end: float, unit: style.Unit) -> Iterator[dict[str, float | str]]:
    # From nothing at the start to all of it at the end; two clocks may disagree on what came first.
    for ms, chars in ((0.0, 0.0), *line.points, (end, line.total)):
        yield {"x": round(max(ms, 0.0) / unit.ms, 4), "y": chars, "line": line.name}


def _headers(shown: Sequence[Curve], end: float, unit: style.Unit, x: alt.X) -> Iterator[alt.Chart]:
    """Draw a rule for the headers of each hop, in its colour and dash, named at its top."""
    for place, one in enumerate(shown):
        if one.headers_ms is None:
            continue
        base = style.data([{"x": round(one.headers_ms / unit.ms, 4), "text": "headers"}])
        left = one.headers_ms < end / 2
        rule = base.mark_rule(color=COLORS[place], strokeDash=DASHES[place], strokeWidth=1.2)
        name = base.mark_text(fontSize=10, align="left" if left else "right", dx=3 if left else -3, baseline="top")
        yield rule.encode(x=x)
        yield name.encode(x=x, y=alt.value(2 + 12 * place), text="text:N")
