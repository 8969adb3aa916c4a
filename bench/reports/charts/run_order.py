"""The totals in the order of the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import altair as alt

from bench.core.chart_data import CellFigures, RunPoint
from bench.core.summary import Cell
from bench.reports.charts import style
from bench.reports.charts.chart import Chart

MOST_POINTS = 400
CAPTION = (
    "How long each trial took, by when it began in the run: a trend or a jump is the machine's or the server's doing. "
    "Crosses at the upper edge: failed."
)


def run_order(figures: CellFigures, cell: Cell) -> Chart | None:
    """None without trials."""
    if not figures.order:
        return None
    points = [figures.order[place] for place in style.evenly(len(figures.order), MOST_POINTS)]
    of = max(figures.order_of, len(figures.order))
    caption = style.believed(CAPTION, cell)
    if of > len(points):
        caption += f" Drawn: {len(points)} of {of} trials."
    heads = ("trial", "started in the run", "delivery", "total")
    rows = [(str(p.trial_id), f"{p.seconds:.1f} s", p.delivery, _total(p)) for p in points]
    words = "; ".join(_words(points)) + "."
    return style.with_table("In the order of the run", caption, words, _spec(points), heads, rows)


def _total(point: RunPoint) -> str:
    return "failed" if point.total is None else style.time(point.total)


def _words(points: Sequence[RunPoint]) -> Iterator[str]:
    for delivery in style.COLORS:
        mine = [point for point in points if point.delivery == delivery]
        totals = [point.total for point in mine if point.total is not None]
        failed = len(mine) - len(totals)
        if mine:
            told = f"{style.time(min(totals))} to {style.time(max(totals))}" if totals else "no total"
            yield f"{delivery}: {len(mine)} trials in {mine[-1].seconds:.0f} s of the run, {told}, {failed} failed"


def _spec(points: Sequence[RunPoint]) -> style.Spec:
    most = max((point.total for point in points if point.total is not None), default=1.0) or 1.0
    unit = style.unit_of(most)
    top = most * 1.12 / unit.ms
    rows = [_at(point, point.total / unit.ms) for point in points if point.total is not None]
    failed = [_at(point, top * 0.97) for point in points if point.total is None]
    x = alt.X("s:Q", title="seconds since the start of the run", scale=alt.Scale(zero=False), axis=style.TICKS)
    y = alt.Y("t:Q", title=f"total, {unit.name}", scale=alt.Scale(domain=[0, round(top, 4)], nice=False))
    color, shape = style.by_delivery(), style.shaped("delivery", style.COLORS)
    dots = style.data(rows).mark_point(filled=True, size=36, opacity=0.75)
    crosses = style.data(failed).mark_point(shape="M-1,-1L1,1M1,-1L-1,1", size=60, strokeWidth=2)
    return style.finished(
        alt.layer(dots.encode(x=x, y=y, color=color, shape=shape), crosses.encode(x=x, y=y, color=color))
    )


def _at(point: RunPoint, height: float) -> dict[str, float | str]:
    return {"s": round(point.seconds, 2), "t": round(height, 3), "delivery": point.delivery}
