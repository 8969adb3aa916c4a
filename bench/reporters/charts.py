"""The charts of `report.html`, as Vega-Lite specifications made with Altair. Deterministic: no generated names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import altair as alt
import numpy as np

from bench.summary import Cell, Ecdf, MemoryCurve

COLORS = {"streamed": "#1f83c6", "blocking": "#d55e00"}
"""Blue and vermilion after Okabe-Ito, readable on light and dark; dashes and shapes say the same."""
MOST_STEPS = 400
"""Points of a curve: more cannot be seen."""
_HEIGHT = 240
_LEGEND = alt.Legend(orient="top")


def ecdf_chart(cell: Cell) -> dict[str, Any]:
    """Share of all offered trials that had arrived after t: streamed TTFU against the blocking answer."""
    longest = max([*cell.first_useful.values[-1:], *cell.blocking_total.values[-1:]], default=1.0) * 1.05
    rows = [
        {"ms": x, "share": y, "delivery": name}
        for name, ecdf in (("streamed", cell.first_useful), ("blocking", cell.blocking_total))
        for x, y in steps(ecdf, longest)
    ]
    chart = alt.Chart(alt.InlineData(values=rows)).mark_line(interpolate="step-after", strokeWidth=2.5)
    return _finished(
        chart.encode(
            x=alt.X("ms:Q", title="ms since the call", scale=alt.Scale(domain=[0, longest], nice=False)),
            y=alt.Y("share:Q", title="share of all trials", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
            color=_by_delivery(),
            strokeDash=alt.StrokeDash("delivery:N", title=None, legend=_LEGEND, scale=_scale([[1, 0], [6, 4]])),
        )
    )


def steps(ecdf: Ecdf, longest: float) -> Iterator[tuple[float, float]]:
    """The curve from 0 to `longest`; failures never arrive, so it ends below 1 where there were any."""
    if not ecdf.offered:
        return
    values = ecdf.values
    ranks = np.unique(np.linspace(1, len(values), min(len(values), MOST_STEPS)).round()) if values else np.empty(0)
    yield 0.0, 0.0
    yield from ((round(values[int(rank) - 1], 3), round(int(rank) / ecdf.offered, 6)) for rank in ranks)
    yield longest, len(values) / ecdf.offered


def memory_chart(curves: Sequence[MemoryCurve]) -> dict[str, Any]:
    """Peak memory by length of the answer, with the fitted lines."""
    points = [{"tokens": x, "kB": y / 1000, "delivery": curve.delivery} for curve in curves for x, y in curve.points]
    lines = [row for curve in curves for row in _line(curve)]
    color = _by_delivery()
    dots = alt.Chart(alt.InlineData(values=points)).mark_point(filled=True, size=60, opacity=0.8)
    fits = alt.Chart(alt.InlineData(values=lines)).mark_line(strokeWidth=1.5)
    x = alt.X("tokens:Q", title="output tokens")
    y = alt.Y("kB:Q", title="peak above the base, kB")
    shape = alt.Shape("delivery:N", title=None, legend=_LEGEND, scale=_scale(["circle", "square"]))
    dash = alt.StrokeDash("delivery:N", title=None, legend=_LEGEND, scale=_scale([[1, 0], [6, 4]]))
    return _finished(
        alt.layer(dots.encode(x=x, y=y, color=color, shape=shape), fits.encode(x=x, y=y, color=color, strokeDash=dash))
    )


def curve_chart(
    curve: Sequence[tuple[float, float, float, float]], low: float | None, high: float | None
) -> dict[str, Any]:
    """A share by length of the answer (log scale), with its interval, above the band from `low` to `high`."""
    rows = [{"tokens": x, "share": y, "low": a, "high": b} for x, y, a, b in curve if np.isfinite((y, a, b)).all()]
    base = alt.Chart(alt.InlineData(values=rows))
    x = alt.X("tokens:Q", title="output tokens", scale=alt.Scale(type="log", nice=False))
    share = alt.Y("share:Q", title="sooner by", axis=alt.Axis(format="%"), scale=alt.Scale(zero=True))
    color = COLORS["streamed"]
    layers = [
        base.mark_area(opacity=0.25, color=color).encode(x=x, y=alt.Y("low:Q", title="sooner by"), y2="high:Q"),
        base.mark_line(color=color, strokeWidth=2.5, point=alt.OverlayMarkDef(color=color)).encode(x=x, y=share),
    ]
    if low is not None and high is not None:
        band = alt.Chart(alt.InlineData(values=[{"low": low, "high": high}]))
        layers.insert(0, band.mark_rect(opacity=0.2, color=COLORS["blocking"]).encode(y="low:Q", y2="high:Q"))
    return _finished(alt.layer(*layers))


def _line(curve: MemoryCurve) -> Iterator[dict[str, Any]]:
    if curve.slope is None or curve.intercept is None:
        return
    lengths = [tokens for tokens, _ in curve.points]
    for tokens in (min(lengths), max(lengths)):
        yield {"tokens": tokens, "kB": (curve.intercept + curve.slope * tokens) / 1000, "delivery": curve.delivery}


def _scale(range_: Sequence[Any]) -> alt.Scale:
    return alt.Scale(domain=list(COLORS), range=list(range_))


def _by_delivery() -> alt.Color:
    return alt.Color("delivery:N", title=None, scale=_scale(list(COLORS.values())), legend=_LEGEND)


def _finished(chart: alt.Chart | alt.LayerChart | alt.FacetChart) -> dict[str, Any]:
    """As wide as the page allows, without a background of its own; colours of text and axes come from the page."""
    spec: dict[str, Any] = chart.properties(
        width="container",
        height=_HEIGHT,
        background="transparent",
        autosize=alt.AutoSizeParams(type="fit", contains="padding"),
    ).to_dict()
    return spec
