"""Draw how much sooner streaming is by the length of the answer, with what is claimed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt

from bench.core.results.summary import Cell, Claim, ClaimPart, Summary
from bench.reports.charts import style
from bench.reports.charts.chart import Chart

GAIN = "sooner"
"""The claim whose curve stands with its cell."""
CLAIMED = {GAIN: (0.2, 0.4)}
"""The range that a claim with a curve names."""
MOST_CURVES = 6
"""Charts of a claim; the numbers of all its parts are listed beside them."""
Point = tuple[float, float, float, float]


def draw(summary: Summary, cell: Cell) -> list[Chart]:
    """Draw the claim for this cell, where it has a curve."""
    claims = [claim for claim in summary.claims if claim.name == GAIN]
    parts = [(claim, part) for claim in claims for part in claim.parts if part.subject == cell.label]
    charts = [_chart(claim, part, "Sooner by length of the answer") for claim, part in parts]
    return [chart._replace(caption=style.with_warning(chart.caption, cell)) for chart in charts if chart][:1]


def claim_charts(claim: Claim) -> list[Chart]:
    """Draw the first parts of any other claim that depends on the length of the answer."""
    found = (_chart(claim, part, part.subject) for part in claim.parts if claim.name != GAIN)
    return [chart for chart in found if chart][:MOST_CURVES]


def _chart(claim: Claim, part: ClaimPart, title: str) -> Chart | None:
    known = [point for point in part.curve if all(map(math.isfinite, point))]
    if len(known) < 2:
        return None
    band = CLAIMED.get(claim.name)
    left_out = len(part.curve) - len(known)
    caption = (
        "By length of the answer, with the 95 % interval, as these streams tell it"
        + (f"; the grey band is what the guide says, {100 * band[0]:.0f} to {100 * band[1]:.0f} %" if band else "")
        + (f". {left_out} lengths without a finite interval are left out." if left_out else ".")
    )
    told = [known[place] for place in style.evenly(len(known), 3)]  # the shortest, one in the middle, the longest
    interval = "{} [{:.1f}, {:.1f}] at {:.0f} output tokens".format
    words = "; ".join(interval(style.percent(y), 100 * a, 100 * b, x) for x, y, a, b in told) + "."
    rows = [(f"{x:.0f}", style.percent(y), f"{100 * a:.1f} to {100 * b:.1f} %") for x, y, a, b in known]
    return style.with_table(title, caption, words, _spec(known, band), ("output tokens", "sooner by", "95 %"), rows)


def _spec(points: Sequence[Point], band: tuple[float, float] | None) -> style.Spec:
    rows = [{"tokens": x, "share": round(y, 5), "low": round(a, 5), "high": round(b, 5)} for x, y, a, b in points]
    base, title = style.data(rows), "sooner by"
    values = style.log_values(points[0][0], points[-1][0])
    axis = alt.Axis(values=values, labelExpr="format(datum.value, ',~g')", labelOverlap=True)
    x = alt.X("tokens:Q", title="output tokens", scale=alt.Scale(type="log", nice=False), axis=axis)
    share = alt.Y("share:Q", title=title, axis=alt.Axis(format="%"), scale=alt.Scale(zero=True))
    line = base.mark_line(color=style.BLUE, strokeWidth=2.5, point=alt.OverlayMarkDef(color=style.BLUE))
    area = base.mark_area(opacity=0.25, color=style.BLUE)
    layers = [area.encode(x=x, y=alt.Y("low:Q", title=title), y2="high:Q"), line.encode(x=x, y=share)]
    return style.finish(alt.layer(*(_claim_layers(*band) if band else []), *layers))


def _claim_layers(low: float, high: float) -> list[alt.Chart]:
    text = f"claimed: {100 * low:.0f} to {100 * high:.0f} %"
    claimed = style.data([{"low": low, "high": high, "text": text}])
    rect = claimed.mark_rect(opacity=0.2, color=style.GREY, stroke=style.GREY, strokeDash=[4, 3])
    name = claimed.mark_text(align="right", baseline="bottom", dx=-4, dy=-3, fontSize=10)
    y = alt.Y("low:Q", title="sooner by")
    return [rect.encode(y=y, y2="high:Q"), name.encode(x=alt.value(alt.ExprRef("width")), y=y, text="text:N")]
