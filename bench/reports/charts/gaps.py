"""Gaps between successive deltas, as a histogram."""

from __future__ import annotations

import altair as alt

from bench.core.chart_data import Bin, Gaps
from bench.core.stalls import STALL_MIN_NS, STALL_NS, STALL_TIMES
from bench.core.summary import Cell
from bench.reports.charts import style
from bench.reports.charts.chart import Chart

ALWAYS, MAYBE = STALL_NS / 1e6, STALL_MIN_NS / 1e6
"""ms: above the first every gap is a stall, above the second one that is much longer than the others of its trial."""
SAME = "same read"
CAPTION = (
    'Gaps between successive deltas of all ok streamed trials, log axis. "same read": both came in one socket read, '
    f"so nobody saw them apart. Stall: a gap over {ALWAYS:.0f} ms (shaded), or over {MAYBE:.0f} ms (lightly shaded) "
    f"and {STALL_TIMES} times the median gap of its trial."
)


def histogram(gaps: Gaps, cell: Cell) -> Chart | None:
    """None where there are no gaps."""
    if not gaps.n or not (gaps.bins or gaps.same_read):
        return None
    rows = [(SAME, "", str(gaps.same_read))] if gaps.same_read else []
    rows += [(_ms(one.low), _ms(one.high), str(one.number)) for one in gaps.bins]
    heads = ("from", "to below", "gaps")
    title, caption = "How evenly it flows", style.believed(CAPTION, cell)
    return style.with_table(title, caption, _words(gaps), _spec(gaps), heads, rows)


THOUSANDS = "datum.value < 10000 ? format(datum.value, ',') : format(datum.value / 1000, ',~r') + 'k'"


def _words(gaps: Gaps) -> str:
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


def _spec(gaps: Gaps) -> style.Spec:
    """The bar of the same read stands left of the bins: 0 has no place on a log axis."""
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
        layers += _same({"low": left, "high": left * width**2, "number": gaps.same_read, "text": SAME}, x, y)
    return style.finished(alt.layer(*layers))


def _zones(left: float, right: float, x: alt.X) -> list[alt.Chart]:
    """Where gaps may be stalls, and where all are."""
    ends = [(low, opacity) for low, opacity in ((MAYBE, 0.1), (ALWAYS, 0.15)) if low < right]
    zones = [{"low": max(left, low), "high": right, "opacity": opacity, "text": "stall"} for low, opacity in ends]
    shade, text = style.data(zones).mark_rect(color=style.PURPLE), style.data(zones[-1:])
    opacity = alt.Opacity("opacity:Q", scale=None, legend=None)
    name = text.mark_text(fontSize=10, align="right", dx=-3, baseline="top").encode(x=alt.value(alt.ExprRef("width")))
    return [
        shade.encode(x=x, x2="high:Q", opacity=opacity),
        name.encode(y=alt.value(4), text="text:N"),
    ]


def _same(row: dict[str, float | str], x: alt.X, y: alt.Y) -> list[alt.Chart]:
    base = style.data([row])
    bar = base.mark_rect(fillOpacity=0.25, color=style.ORANGE, stroke=style.ORANGE, strokeDash=[3, 2])
    name = base.mark_text(dx=2, dy=-6, fontSize=10, align="left")
    return [bar.encode(x=x, x2="high:Q", y=y, y2=alt.datum(0)), name.encode(x=x, y=y, text="text:N")]
