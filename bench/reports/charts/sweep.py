"""Draw times and goodput by load. Open and closed loop are not comparable, so each has charts of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import altair as alt

from bench.analysis.wording import with_interval
from bench.core.errors import BenchError
from bench.core.load import parse_load
from bench.core.results.metrics.registry import LEAST_GOOD
from bench.core.results.row import Row
from bench.core.results.summary import Cell, Knee, Summary
from bench.core.slo import parse_slo
from bench.reports.charts import style
from bench.reports.charts.chart import Chart
from bench.reports.tables import sweep
from bench.reports.tables.times import unfit

QUANTILES = ("p50", "p90", "p99")
HOLLOW = " Hollow and grey: the client was late, so these numbers say nothing."
NEVER = " Triangles at the upper edge: so many failed that there is no such time."
AXES = {"c": "trials at a time", "rate": "starts a second"}
NAMES = {"c": "concurrency", "rate": "rate"}
WIDE = 10
"""Times further apart than this factor are drawn on a log axis."""


class MarkLine(NamedTuple):
    """A straight line through the whole chart: a limit (`y`) or a knee (`x`)."""

    axis: Literal["x", "y"]
    at: float
    text: str
    series: str
    """Whose; empty where it is of all."""


class LoadPoint(NamedTuple):
    """One number of one cell of a sweep."""

    cell: Cell
    series: str
    row: Row
    y: float
    """Its estimate, which may be infinite."""

    @property
    def size(self) -> float:
        """Return the size of the load: trials at a time, or starts a second."""
        return parse_load(self.cell.key.load).place[1]


def sweep_charts(summary: Summary) -> Iterator[tuple[str, Chart]]:
    """Draw time to the first token and goodput of each sweep with at least two loads; yield them with its label."""
    for cells in sweep.under_load(summary):
        for loop in AXES:
            mine = [cell for cell in cells if cell.key.load.partition("=")[0] == loop]
            if len(mine) > 1:
                charts = (_ttft(summary, mine, loop), _goodput(summary, mine, loop))
                yield from ((sweep.label(cells[0]), chart) for chart in charts if chart)


def _ttft(summary: Summary, cells: Sequence[Cell], loop: str) -> Chart | None:
    wanted = [("streamed", "ttft", name, name) for name in QUANTILES]
    found = _numbers(summary, cells, wanted)
    if not any(math.isfinite(at.y) for at in found):
        return None
    limits = [MarkLine("y", limit, f"SLO {text}", "") for text, limit in _limits(summary)]
    knees = [MarkLine("x", size, "knee", "") for name, size in _sizes(summary, cells) if name == "streamed"]
    caption = (
        f"Time to the first token, streamed, by load ({AXES[loop]}), with 95 % intervals"
        + ("; level line: the limit" if limits else "")
        + ("; upright line: the knee, the highest load that kept to the limits." if knees else ".")
        + (NEVER if any(math.isinf(at.y) for at in found) else "")
    )
    drawn = _spec(found, [*limits, *knees], loop, "time")
    return _chart(f"First token by {NAMES[loop]}", caption, _words(found, summary, cells), drawn, found)


def _goodput(summary: Summary, cells: Sequence[Cell], loop: str) -> Chart | None:
    found = _numbers(summary, cells, [(name, "goodput", "share", name) for name in style.COLORS])
    if not found:
        return None
    sizes = _sizes(summary, cells)
    alike = len(sizes) > 1 and len({size for _, size in sizes}) == 1
    knees = [MarkLine("x", size, "knee", "" if alike else name) for name, size in (sizes[:1] if alike else sizes)]
    limits = " and ".join(dict.fromkeys(sweep.slos(summary)))
    caption = (
        f"Share of all offered trials that kept to {limits}, by load ({AXES[loop]}), with 95 % intervals"
        + (f"; up to the knee {100 * LEAST_GOOD:.0f} % and more do." if knees else ".")
    )  # fmt: skip
    marks = [MarkLine("y", LEAST_GOOD, f"{100 * LEAST_GOOD:.0f} %", ""), *knees]
    drawn = _spec(found, marks, loop, "share")
    return _chart(f"Goodput by {NAMES[loop]}", caption, _words(found, summary, cells), drawn, found)


def _chart(title: str, caption: str, words: str, drawn: style.Spec, found: Sequence[LoadPoint]) -> Chart:
    rows = [(at.cell.key.load, at.series, with_interval(at.row), str(at.row.n), unfit(at.cell)) for at in found]
    late = HOLLOW if any(unfit(at.cell) for at in found) else ""
    return style.with_table(title, caption + late, words, drawn, ("load", "of", "value [95 %]", "trials", ""), rows)


def _series(found: Sequence[LoadPoint]) -> list[str]:
    return list(dict.fromkeys(at.series for at in found))


def _numbers(summary: Summary, cells: Sequence[Cell], wanted: Sequence[tuple[str, str, str, str]]) -> list[LoadPoint]:
    """Find the numbers that there are. `wanted`: delivery, metric, statistic, and what the series is called."""
    rows = (
        (cell, series, summary.row(cell, delivery, metric, statistic))
        for delivery, metric, statistic, series in wanted
        for cell in cells
    )
    return [
        LoadPoint(cell, series, row, row.estimate) for cell, series, row in rows if row and row.estimate is not None
    ]


def _limits(summary: Summary) -> Iterator[tuple[str, float]]:
    """Yield the limits on the first token, as text and in ms."""
    for text in dict.fromkeys(sweep.slos(summary)):
        try:
            slo = parse_slo(text)
        except BenchError:  # of a run of another version
            continue
        if slo.metric == "ttft":
            yield text, slo.limit_ms


def _knees(summary: Summary, cells: Sequence[Cell]) -> list[Knee]:
    key = cells[0].key._replace(load=cells[0].key.load.partition("=")[0])
    return [knee for knee in summary.knees if knee.key == key]


def _sizes(summary: Summary, cells: Sequence[Cell]) -> list[tuple[str, float]]:
    """Return delivery and load of each knee that was found."""
    return [(knee.delivery, knee.size) for knee in _knees(summary, cells) if knee.size]


def _words(found: Sequence[LoadPoint], summary: Summary, cells: Sequence[Cell]) -> str:
    """Say the numbers at the lowest and the highest load of each series that may be believed, and the knee."""
    parts = []
    for series in _series(found):
        mine = [at for at in found if at.series == series and not unfit(at.cell)]
        if mine:
            ends = mine[:: max(1, len(mine) - 1)]  # the first and the last
            parts.append(f"{series}: " + ", ".join(f"{with_interval(at.row)} at {at.cell.key.load}" for at in ends))
    said = dict.fromkeys(knee.said for knee in _knees(summary, cells))
    return ". ".join([*(parts or ["no load at which the client kept up"]), *(f"Knee: {text}" for text in said)]) + "."


def _spec(found: Sequence[LoadPoint], marks: Sequence[MarkLine], loop: str, of: Literal["time", "share"]) -> style.Spec:
    known, series = [at for at in found if math.isfinite(at.y)], _series(found)
    ends_of_intervals = [end for at in known for end in (at.row.low, at.row.high) if end is not None]
    heights = [at.y for at in known] + list(filter(math.isfinite, ends_of_intervals))
    heights += [mark.at for mark in marks if mark.axis == "y"]
    unit = style.unit_of(max(heights)) if of == "time" else style.Unit(1.0, "")
    x, ends = _x(found, loop), _ends(heights, of, unit)
    y, rule_y = (_y(field, ends, of, unit) for field in ("y", "low"))
    color = _color(series)
    fit = [_in_unit(at, unit, ends[1]) for at in known if not unfit(at.cell)]
    late = [_in_unit(at, unit, ends[1]) for at in known if unfit(at.cell)]
    never = [{"load": at.size, "series": at.series} for at in found if math.isinf(at.y)]
    base = style.data(fit)
    shape = style.shape_by("series", series)
    layers = [
        *(_mark_layer(mark, unit, x, y) for mark in marks),
        style.data([row for row in fit if "low" in row])
        .mark_rule(strokeWidth=1.2)
        .encode(x=x, y=rule_y, y2="high:Q", color=color),
        base.mark_line(strokeWidth=2).encode(x=x, y=y, color=color, strokeDash=style.dash_by("series", series)),
        base.mark_point(filled=True, size=70, opacity=1).encode(x=x, y=y, color=color, shape=shape),
        style.data(late).mark_point(filled=False, size=70, stroke=style.GREY).encode(x=x, y=y, shape=shape),
        style.data(never).mark_point(shape="triangle-up", size=70).encode(x=x, y=alt.value(6), color=color),
    ]
    return style.finish(alt.layer(*layers))


def _in_unit(at: LoadPoint, unit: style.Unit, top: float) -> dict[str, Any]:
    """Convert to the unit drawn; an interval that has both ends is kept, one without end up to the edge."""
    heights = {"y": at.y}
    if at.row.low is not None and at.row.high is not None:
        heights |= {"low": at.row.low, "high": at.row.high}
    drawn = {name: round(min(top, height / unit.ms), 4) for name, height in heights.items()}
    return {"load": at.size, "series": at.series, **drawn}


def _color(series: Sequence[str]) -> alt.Color:
    others = (style.BLUE, style.ORANGE, style.PURPLE, style.SKY)
    colors = [style.COLORS.get(name, other) for name, other in zip(series, others, strict=False)]
    return style.color_by("series", series, colors)


def _x(found: Sequence[LoadPoint], loop: str) -> alt.X:
    loads = sorted({at.size for at in found})
    axis = alt.Axis(values=loads, labelExpr="format(datum.value, ',~g')", labelOverlap=True)
    if loop == "c":
        scale = alt.Scale(type="log", base=2, domain=[loads[0] / 1.2, loads[-1] * 1.2], nice=False)
    else:
        scale = alt.Scale(domain=[0, loads[-1] * 1.08], nice=False)
    return alt.X("load:Q", title=AXES[loop], scale=scale, axis=axis)


def _ends(heights: Sequence[float], of: str, unit: style.Unit) -> tuple[float, float]:
    """Return the ends of the y axis; that of times begins at 0 unless it is a log axis."""
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


def _mark_layer(mark: MarkLine, unit: style.Unit, x: alt.X, y: alt.Y) -> alt.LayerChart | alt.FacetChart:
    """Draw a line with its name at the end; the name of a share stands below, as most points are above."""
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
