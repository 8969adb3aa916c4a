"""Share what charts have in common: colours, shapes, units, text of numbers, and the data as a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import altair as alt
from altair.utils.schemapi import debug_mode

from bench.analysis.wording import milliseconds
from bench.core.results.summary import Cell
from bench.reports.charts.chart import Chart
from bench.reports.tables.times import unfit

BLUE, VERMILION, GREEN, ORANGE, SKY, PURPLE, YELLOW = (
    *("#1f83c6", "#d55e00", "#009e73", "#e69f00", "#56b4e9", "#cc79a7", "#f0e442"),
)
"""After Okabe and Ito, readable on light and dark; the blue is a little lighter than theirs, for the dark."""
GREY = "#808080"
"""Has the same contrast to white as to black."""
COLORS = {"streamed": BLUE, "blocking": VERMILION}
DASHES = ([1, 0], [6, 4], [2, 2])
SHAPES = ("circle", "square", "triangle-up")
HEIGHT = 240
MOST_ROWS = 60
"""Of a table below a chart."""
COLUMNS = 300
"""Points beside each other that can be told apart."""
LEGEND = alt.Legend(orient="top", columns=3, labelLimit=140, symbolOpacity=1, symbolStrokeWidth=2)
TICKS = alt.Axis(tickCount=6, labelOverlap=True)
Spec = dict[str, Any]
Data = Sequence[Mapping[str, Any]]
Row = tuple[str, ...]


class Unit(NamedTuple):
    """What times are drawn in."""

    ms: float
    name: str


def unit_of(longest_ms: float) -> Unit:
    """Return milliseconds, or seconds from 10 s on."""
    return Unit(1000.0, "s") if longest_ms > 10_000 else Unit(1.0, "ms")


def time(ms: float) -> str:
    """Write a time as `0.35 ms`, `120 ms` or `12.3 s`."""
    return f"{ms / 1000:.1f} s" if ms > 10_000 else milliseconds(ms)


def percent(share: float, *, sign: bool = False) -> str:
    """Write a fraction as `12.5 %`, with its sign as `+12.5 %`."""
    return f"{100 * share:{'+' if sign else ''}.1f} %" if math.isfinite(share) else "∞" if share > 0 else "-∞"


def data(rows: Data) -> alt.Chart:
    """Make a chart of these rows, without a mark."""
    with debug_mode(False):  # else altair checks every row, which takes longer than all the rest
        return alt.Chart(alt.InlineData(values=tuple(dict(row) for row in rows)))  # a list would often be copied


def color_by(field: str, names: Iterable[str], colors: Iterable[str], legend: alt.Legend | None = LEGEND) -> alt.Color:
    """Tell the names in a field apart by colour."""
    return alt.Color(f"{field}:N", title=None, scale=names_to(names, colors), legend=legend)


def names_to(names: Iterable[str], values: Iterable[Any]) -> alt.Scale:
    """Make the scale from names to colours, dashes or shapes."""
    return alt.Scale(domain=list(names), range=list(values))


def color_by_delivery(field: str = "delivery") -> alt.Color:
    """Tell streamed and blocking apart by colour."""
    return color_by(field, COLORS, COLORS.values())


def dash_by(field: str, names: Iterable[str]) -> alt.StrokeDash:
    """Encode the names in a field as dashes of lines."""
    names = list(names)
    return alt.StrokeDash(f"{field}:N", title=None, legend=LEGEND, scale=names_to(names, DASHES[: len(names)]))


def shape_by(field: str, names: Iterable[str]) -> alt.Shape:
    """Encode the names in a field as shapes of points."""
    names = list(names)
    return alt.Shape(f"{field}:N", title=None, legend=LEGEND, scale=names_to(names, SHAPES[: len(names)]))


def finish(chart: alt.Chart | alt.LayerChart | alt.FacetChart, height: int = HEIGHT) -> Spec:
    """Return the specification, as wide as the page allows; background and colours of text come from the page.

    Only single and layered views can be that: those side by side or one above another have widths of their own.
    """
    spec: Spec = chart.properties(
        width="container",
        height=height,
        background="transparent",
        autosize=alt.AutoSizeParams(type="fit", contains="padding"),
    ).to_dict(validate=False)  # the tests do
    return spec | {"datasets": {name: list(rows) for name, rows in spec.get("datasets", {}).items()}}


def with_table(
    title: str, caption: str, alternative: str, spec: Spec, heads: Sequence[str], rows: Sequence[Row]
) -> Chart:
    """Make the chart with its data as a table, of which the caption says what was left out."""
    every = max(1, math.ceil(len(rows) / MOST_ROWS))
    said = f" Table: every {ordinal(every)} of {len(rows)} rows." if every > 1 else ""
    return Chart(title, caption + said, alternative, spec, tuple(heads), tuple(rows[::every]))


def log_values(low: float, high: float) -> list[float]:
    """Return round numbers for a log axis: by decades; of few decades 1, 2 and 5 in each, or all."""
    decades = [10.0**k for k in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    for parts in ((1, 2, 5) if high / low < 1e4 else (1,), range(1, 10)):
        found = [decade * part for decade in decades for part in parts if low <= decade * part <= high]
        if len(found) > 1:
            return found
    return [low, high]


def ordinal(n: int) -> str:
    """Write a number as `2nd`, `3rd` or `11th`."""
    last = "th" if n % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{last}"


def with_warning(caption: str, cell: Cell) -> str:
    """Add a warning to the caption of a cell whose times may not be believed; the cell's part of the page says why."""
    word = unfit(cell)
    return f"{caption} {word}: shown, but no evidence." if word else caption


def evenly(n: int, most: int) -> list[int]:
    """Return at most `most` indices of n, evenly spread, the first and the last among them."""
    if n <= most:
        return list(range(n))
    return sorted({round(i * (n - 1) / (most - 1)) for i in range(most)})


def thin(points: Sequence[tuple[float, float]], width: float) -> list[tuple[float, float]]:
    """Keep of points in ascending x the last in each of `COLUMNS` parts of the width: more cannot be seen."""
    last = {int(point[0] * COLUMNS / width): point for point in points}
    return list(last.values())
