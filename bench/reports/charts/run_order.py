"""Draw how long each trial took, in the order of the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import altair as alt
import numpy as np
import pandas as pd

from bench.analysis.tables import RunFrames
from bench.core.results.metrics.metric import MS
from bench.core.results.summary import Cell, Summary
from bench.reports.charts import style
from bench.reports.charts.chart import Chart, offered_trials

MOST_KEPT = 600
"""Points of a cell, both deliveries together: more are a blot, and a large page."""
MOST_POINTS = 400
COLUMNS = ["delivery", "status", "t_origin", "t_end"]
S = 1e9
CAPTION = (
    "How long each trial took, by when it began in the run: a trend or a jump is the machine's or the server's doing. "
    "Crosses at the upper edge: failed."
)


class RunPoint(NamedTuple):
    """A trial in the order of the run."""

    seconds: float
    """Since the run's start."""
    delivery: str
    total: float | None
    """None: it failed, or never arrived."""
    trial_id: int


class RunOrder(NamedTuple):
    """The trials of a cell by time; of a long run a seeded sample."""

    points: tuple[RunPoint, ...]
    of: int
    """Trials that the sample was taken from."""


def data(frames: RunFrames) -> Mapping[int, RunOrder]:
    """Choose the points of each cell, by its number: all trials, or a sample in which each is as likely."""
    found = {}
    for number, offered in offered_trials(frames, COLUMNS):
        begun = offered[offered["t_origin"].notna()]
        of = len(begun)
        if of > MOST_KEPT:
            random = np.random.default_rng([int(frames.plan["seed"]), number])
            begun = begun.iloc[random.choice(of, MOST_KEPT, replace=False)]
        points = sorted(_points(begun), key=lambda point: (point.seconds, point.trial_id))
        found[number] = RunOrder(tuple(points), of)
    return found


def _points(begun: pd.DataFrame) -> list[RunPoint]:
    origin = begun["t_origin"].to_numpy(dtype=np.float64)
    end = begun["t_end"].to_numpy(dtype=np.float64, na_value=np.nan)
    arrived = (begun["status"] == "ok").to_numpy(dtype=bool) & ~np.isnan(end)
    rows = zip(origin.tolist(), end.tolist(), arrived.tolist(), begun["delivery"], begun.index, strict=True)
    return [
        RunPoint(start / S, str(delivery), (over - start) / MS if there else None, int(number))
        for start, over, there, delivery, number in rows
    ]


def draw(summary: Summary, cell: Cell) -> Iterator[Chart]:
    """Draw the trials of a cell that has any."""
    order = summary.cell_data(cell, RunOrder)
    if not order or not order.points:
        return
    points = [order.points[place] for place in style.evenly(len(order.points), MOST_POINTS)]
    of = max(order.of, len(order.points))
    caption = style.with_warning(CAPTION, cell)
    if of > len(points):
        caption += f" Drawn: {len(points)} of {of} trials."
    heads = ("trial", "started in the run", "delivery", "total")
    rows = [
        (str(p.trial_id), f"{p.seconds:.1f} s", p.delivery, "failed" if p.total is None else style.time(p.total))
        for p in points
    ]
    words = "; ".join(_words(points)) + "."
    yield style.with_table("In the order of the run", caption, words, _spec(points), heads, rows)


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
    rows = [_row(point, point.total / unit.ms) for point in points if point.total is not None]
    failed = [_row(point, top * 0.97) for point in points if point.total is None]
    x = alt.X("s:Q", title="seconds since the start of the run", scale=alt.Scale(zero=False), axis=style.TICKS)
    y = alt.Y("t:Q", title=f"total, {unit.name}", scale=alt.Scale(domain=[0, round(top, 4)], nice=False))
    color, shape = style.color_by_delivery(), style.shape_by("delivery", style.COLORS)
    dots = style.data(rows).mark_point(filled=True, size=36, opacity=0.75)
    crosses = style.data(failed).mark_point(shape="M-1,-1L1,1M1,-1L-1,1", size=60, strokeWidth=2)
    return style.finish(
        alt.layer(dots.encode(x=x, y=y, color=color, shape=shape), crosses.encode(x=x, y=y, color=color))
    )


def _row(point: RunPoint, height: float) -> dict[str, float | str]:
    return {"s": round(point.seconds, 2), "t": round(height, 3), "delivery": point.delivery}
