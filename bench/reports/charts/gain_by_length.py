"""How much sooner by the length of the answer, with what is claimed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import altair as alt

from bench.core.summary import Cell, Claim, ClaimPart, Summary
from bench.reports.charts import style
from bench.reports.charts.chart import Chart

GAIN = "sooner"
"""The claim whose curve stands with its cell."""
CLAIMED = {GAIN: (0.2, 0.4)}
"""The range that a claim with a curve names."""
MOST_CURVES = 6
"""Charts of a claim; the numbers of all its parts are listed beside them."""
Point = tuple[float, float, float, float]


def gain(summary: Summary, cell: Cell) -> Chart | None:
    """The curve of the claim for this cell; None where there is none."""
    claims = [claim for claim in summary.claims if claim.name == GAIN]
    parts = [(claim, part) for claim in claims for part in claim.parts if part.subject == cell.label]
    drawn = [_of_part(claim, part, "Sooner by length of the answer") for claim, part in parts]
    chart = next(filter(None, drawn), None)
    return chart._replace(caption=style.believed(chart.caption, cell)) if chart else None


def claim_charts(claim: Claim) -> Iterator[Chart]:
    """Of any other claim that depends on the length of the answer, the first few."""
    if claim.name != GAIN:
        found = (_of_part(claim, part, part.subject) for part in claim.parts)
        yield from [chart for chart in found if chart][:MOST_CURVES]


def _of_part(claim: Claim, part: ClaimPart, title: str) -> Chart | None:
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
    words = "; ".join(f"{_said(point)} at {point[0]:.0f} output tokens" for point in _telling(known)) + "."
    rows = [(f"{x:.0f}", style.percent(y), f"{100 * a:.1f} to {100 * b:.1f} %") for x, y, a, b in known]
    return style.with_table(title, caption, words, _spec(known, band), ("output tokens", "sooner by", "95 %"), rows)


def _telling(points: Sequence[Point]) -> list[Point]:
    """The shortest, one in the middle, the longest."""
    return [points[place] for place in style.evenly(len(points), 3)]


def _said(point: Point) -> str:
    _, y, a, b = point
    return f"{style.percent(y)} [{100 * a:.1f}, {100 * b:.1f}]"


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
    return style.finished(alt.layer(*(_claimed(*band) if band else []), *layers))


def _claimed(low: float, high: float) -> list[alt.Chart]:
    text = f"claimed: {100 * low:.0f} to {100 * high:.0f} %"
    claimed = style.data([{"low": low, "high": high, "text": text}])
    rect = claimed.mark_rect(opacity=0.2, color=style.GREY, stroke=style.GREY, strokeDash=[4, 3])
    name = claimed.mark_text(align="right", baseline="bottom", dx=-4, dy=-3, fontSize=10)
    y = alt.Y("low:Q", title="sooner by")
    return [rect.encode(y=y, y2="high:Q"), name.encode(x=alt.value(alt.ExprRef("width")), y=y, text="text:N")]
