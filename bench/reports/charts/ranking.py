"""Draw which target or model is fastest: medians to the first useful piece, one above another."""

from __future__ import annotations

import math

import altair as alt

from bench.analysis.wording import with_interval
from bench.core.results.comparison import Ranking, RankingEntry
from bench.core.results.row import Row
from bench.core.results.summary import Summary
from bench.reports.charts import style
from bench.reports.charts.chart import Chart
from bench.reports.charts.forest import ratio_text
from bench.reports.charts.strips import MarkKind, Strip, spec

KINDS = (MarkKind("streamed", style.BLUE, "circle"),)
CAPTION = "Median time to the first useful piece, streamed, with its 95 % interval, fastest first."
HEADS = ("name", "median [95 %]", "trials", "behind the fastest")


def ranking_chart(ranking: Ranking, summary: Summary) -> Chart | None:
    """Draw the medians of a ranking; None where fewer than two have a finite median."""
    found = [(entry, summary.row(entry, "streamed", "ttfu", "p50")) for entry in ranking.entries]
    known = [(entry, row) for entry, row in found if row and row.estimate is not None and math.isfinite(row.estimate)]
    if len(known) < 2:
        return None
    rows = []
    for entry, row in found:
        behind = "; ".join(f"{change.metric} {ratio_text(change)}" for change in entry.behind)
        rows.append((entry.name, with_interval(row), str(row.n) if row else "", behind))
    words = "; ".join(f"{entry.name}: {with_interval(row)}" for entry, row in known) + f". {ranking.sentence}"
    missing = len(found) - len(known)
    caption = CAPTION + (f" {missing} without a finite median: in the table only." if missing else "")
    return style.with_table(f"Who is fastest: {ranking.label}", caption, words, _spec(known), HEADS, rows)


def _spec(known: list[tuple[RankingEntry, Row]]) -> style.Spec:
    most = max(end for _, row in known for end in (row.estimate, row.low, row.high) if end and math.isfinite(end))
    unit = style.unit_of(most)
    top = most * 1.05 / unit.ms
    strips = []
    for entry, row in known:
        at = (row.estimate or 0.0) / unit.ms
        low, high = (min(top, end / unit.ms) if end is not None else at for end in (row.low, row.high))
        strips.append(Strip(entry.name, with_interval(row), round(at, 4), round(low, 4), round(high, 4), KINDS[0].name))
    scale = alt.Scale(domain=[0, round(top, 4)], nice=False)
    title = f"{unit.name} to the first useful piece"
    return spec(strips, KINDS, lambda field: alt.X(f"{field}:Q", title=title, scale=scale, axis=alt.Axis(grid=False)))
