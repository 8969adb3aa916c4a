"""Draw the gaps between successive deltas, as a histogram."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.cell.deltas import gaps_of
from bench.analysis.tables import RunFrames
from bench.core.results.metrics.metric import MS
from bench.core.results.summary import Cell, Summary
from bench.core.stalls import STALL_MIN_NS, STALL_NS, STALL_TIMES, stall_limit
from bench.reports.charts import style
from bench.reports.charts.chart import Chart

BINS_A_DECADE = 10
ALWAYS, MAYBE = STALL_NS / 1e6, STALL_MIN_NS / 1e6
"""ms: above the first every gap is a stall, above the second one that is much longer than the others of its trial."""
SAME = "same read"
CAPTION = (
    'Gaps between successive deltas of all ok streamed trials, log axis. "same read": both came in one socket read, '
    f"so nobody saw them apart. Stall: a gap over {ALWAYS:.0f} ms (shaded), or over {MAYBE:.0f} ms (lightly shaded) "
    f"and {STALL_TIMES} times the median gap of its trial."
)
THOUSANDS = "datum.value < 10000 ? format(datum.value, ',') : format(datum.value / 1000, ',~r') + 'k'"


class Bin(NamedTuple):
    """Gaps from `low` to below `high`, in ms."""

    low: float
    high: float
    number: int


class GapHistogram(NamedTuple):
    """Gaps between successive deltas of the ok streamed trials, in bins of equal width on a log axis."""

    bins: tuple[Bin, ...]
    same_read: int
    """Gaps of 0: both deltas came in one socket read."""
    stalled: int
    """Gaps over the stall limit of their trial."""
    n: int


def data(frames: RunFrames) -> Mapping[int, GapHistogram]:
    """Count the gaps of each cell, by its number; a cell without a gap is left out."""
    trials, events = frames.trials, frames.tables["events"]
    found = {}
    for cell in frames.cells:
        wanted = (trials["cell"] == cell["cell"]) & (trials["status"] == "ok") & (trials["delivery"] == "streamed")
        gaps = gaps_of(events[events["trial_id"].isin(trials.index[wanted.fillna(value=False)])])
        if gaps.ns.size:
            answer = np.unique(gaps.answer, return_inverse=True)[1]
            limits = pd.Series(gaps.ns).groupby(answer).median().map(stall_limit).to_numpy()
            apart = gaps.ns[gaps.ns > 0]
            same_read, stalled = gaps.ns.size - apart.size, (gaps.ns > limits[answer]).sum()
            found[cell["cell"]] = GapHistogram(tuple(bins(apart / MS)), int(same_read), int(stalled), int(gaps.ns.size))
    return found


def bins(gaps: NDArray[np.float64]) -> Iterator[Bin]:
    """Put positive gaps (ms) in bins of a tenth of a decade, from the first that holds one to the last."""
    if not gaps.size:
        return
    first, last = (math.floor(BINS_A_DECADE * math.log10(x)) for x in (gaps.min(), gaps.max()))
    edges = 10.0 ** (np.arange(first - 1, last + 3) / BINS_A_DECADE)  # one more at each end, for what rounding moves
    counts = np.bincount(np.searchsorted(edges, gaps, side="right") - 1, minlength=edges.size - 1)
    held = np.flatnonzero(counts)
    for place in range(held[0], held[-1] + 1):
        yield Bin(float(edges[place]), float(edges[place + 1]), int(counts[place]))


def draw(summary: Summary, cell: Cell) -> Iterator[Chart]:
    """Draw the histogram of a cell that has gaps."""
    gaps = summary.cell_data(cell, GapHistogram)
    if gaps and gaps.n and (gaps.bins or gaps.same_read):
        rows = [(SAME, "", str(gaps.same_read))] if gaps.same_read else []
        rows += [(_ms(one.low), _ms(one.high), str(one.number)) for one in gaps.bins]
        title, caption, heads = "How evenly it flows", style.with_warning(CAPTION, cell), ("from", "to below", "gaps")
        yield style.with_table(title, caption, _words(gaps), _spec(gaps), heads, rows)


def _words(gaps: GapHistogram) -> str:
    share = style.percent(gaps.same_read / gaps.n)
    parts = [f"{gaps.n} gaps", f"{gaps.same_read} ({share}) within the same read", f"{gaps.stalled} were stalls"]
    if gaps.bins:
        fullest = max(gaps.bins, key=lambda one: one.number)
        parts.insert(1, f"most often {_ms(fullest.low)} to {_ms(fullest.high)} ({fullest.number})")
        filled = [one for one in gaps.bins if one.number]
        parts += [f"longest below {_ms(filled[-1].high)}"] if filled else []
    return ", ".join(parts) + "."


def _ms(x: float) -> str:
    return f"{x * 1000:.3g} µs" if x < 1 else f"{x:.3g} ms" if x < 1000 else f"{x / 1000:.3g} s"


def _spec(gaps: GapHistogram) -> style.Spec:
    """Return the specification; the bar of the same read stands left of the bins, as 0 has no place on a log axis."""
    bins = gaps.bins or (Bin(1.0, 10.0, 0),)
    first, right, width = bins[0].low, bins[-1].high, bins[0].high / bins[0].low
    left = first / width**3 if gaps.same_read else first
    label = "datum.value < 1 ? format(datum.value * 1000, '.3~g') + ' µs' : format(datum.value, ',.3~r')"
    axis = alt.Axis(values=style.log_values(first, right), labelExpr=label, labelOverlap=True)
    scale = alt.Scale(type="log", domain=[left, right], nice=False)
    x = alt.X("low:Q", title="ms between deltas", scale=scale, axis=axis)
    y = alt.Y("number:Q", title="gaps", axis=alt.Axis(minExtent=30, labelExpr=THOUSANDS))
    bars = [{"low": one.low, "high": one.high, "number": one.number} for one in gaps.bins if one.number]
    known = style.data(bars).mark_rect(color=style.BLUE, stroke=style.GREY, strokeWidth=0.5)
    layers = [*_zones(left, right, x), known.encode(x=x, x2="high:Q", y=y, y2=alt.datum(0))]
    if gaps.same_read:
        layers += _same_read_bar({"low": left, "high": left * width**2, "number": gaps.same_read, "text": SAME}, x, y)
    return style.finish(alt.layer(*layers))


def _zones(left: float, right: float, x: alt.X) -> list[alt.Chart]:
    """Shade where gaps may be stalls, and where all are."""
    ends = [(low, opacity) for low, opacity in ((MAYBE, 0.1), (ALWAYS, 0.15)) if low < right]
    zones = [{"low": max(left, low), "high": right, "opacity": opacity, "text": "stall"} for low, opacity in ends]
    shade, text = style.data(zones).mark_rect(color=style.PURPLE), style.data(zones[-1:])
    opacity = alt.Opacity("opacity:Q", scale=None, legend=None)
    name = text.mark_text(fontSize=10, align="right", dx=-3, baseline="top").encode(x=alt.value(alt.ExprRef("width")))
    return [
        shade.encode(x=x, x2="high:Q", opacity=opacity),
        name.encode(y=alt.value(4), text="text:N"),
    ]


def _same_read_bar(row: dict[str, float | str], x: alt.X, y: alt.Y) -> list[alt.Chart]:
    base = style.data([row])
    bar = base.mark_rect(fillOpacity=0.25, color=style.ORANGE, stroke=style.ORANGE, strokeDash=[3, 2])
    name = base.mark_text(dx=2, dy=-6, fontSize=10, align="left")
    return [bar.encode(x=x, x2="high:Q", y=y, y2=alt.datum(0)), name.encode(x=x, y=y, text="text:N")]
