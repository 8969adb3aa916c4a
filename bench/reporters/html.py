"""`report.html`: one file that needs no network, to look at or to send to someone."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.analysis.metrics import QUANTILES
from bench.analysis.wording import both
from bench.reporters import claims, floors, recorded, sweep
from bench.reporters.checks import checks
from bench.reporters.markdown import MOST_FAILURES
from bench.reporters.table import (
    CAPTION,
    COST,
    TIME,
    Detail,
    cost_deliveries,
    cost_texts,
    details,
    footnotes,
    pairs_text,
    time_entries,
    unfit,
)
from bench.reporters.terminal import title
from bench.summary import Cell, Claim, ClaimPart, Ecdf, MemoryCurve, Summary

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).parent / "templates"
MOST_CURVES = 6
"""Charts of a claim; the numbers of all its parts are in the list above them."""
CLAIMED = {"sooner": (0.2, 0.4)}
"""The range that a claim with a curve names."""
METERS = {"tracemalloc": "Python's own blocks", "rss": "resident size of the process"}


class Chart(NamedTuple):
    """One chart with what it says in words, for those who do not see it."""

    title: str
    caption: str
    alternative: str
    spec: Mapping[str, Any]


def render_html(summary: Summary) -> str:
    """The whole page. Scripts are allowed by their hashes alone, so nothing that a server sent can run."""
    sections, cards = list(_sections(summary)), [_card(claim) for claim in summary.claims]
    drawn = any(s.charts for s in sections) or any(card.charts for card in cards)
    scripts = [vega(), (TEMPLATES / "charts.js").read_text("utf-8")] if drawn else []
    return _environment().get_template("report.html.j2").render(
        summary=summary,
        title=title(summary),
        style=(TEMPLATES / "report.css").read_text("utf-8"),
        scripts=scripts,
        policy=policy(scripts),
        sections=sections,
        cards=cards,
        claims_title=claims.TITLE,
        floors=list(floors.floors(summary)),
        floors_words=floors,
        sweeps=sweep.sweeps(summary),
        sweep_caption=sweep.caption(summary),
        added=sweep.added(summary),
        sweep_words=sweep,
        unfit=unfit,
        time=TIME,
        cost=COST,
        caption=CAPTION,
        costs=[(c, d, cost_texts(summary, c, d)) for c in summary.cells for d in cost_deliveries(summary, c)],
        times=[(cell, pairs_text(cell), time_entries(summary, cell)) for cell in summary.cells],
        recorded=list(recorded.recorded(summary)),
        recorded_words=recorded,
        most_failures=MOST_FAILURES,
        quantiles=tuple(QUANTILES),
        command=" ".join(map(str, summary.manifest["command"])),
    )  # fmt: skip


def _environment() -> jinja2.Environment:
    import jinja2  # noqa: PLC0415  (start-up time)

    loader = jinja2.FileSystemLoader(TEMPLATES)
    return jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )


@cache
def vega() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, out of a package that is installed."""
    import vl_convert  # noqa: PLC0415

    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def policy(scripts: list[str]) -> str:
    """Content-Security-Policy: no network, and only these scripts."""
    hashes = [f"'sha256-{base64.b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts]
    allowed = " ".join(hashes) or "'none'"
    rest = "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {allowed}; {rest}"


class Section(NamedTuple):
    """One cell's part of the page."""

    cell: Cell
    notes: list[str]
    charts: list[tuple[Chart, str]]
    """Each with its specification as JSON that cannot end a script element."""
    details: list[Detail]
    checks: list[str]


class Card(NamedTuple):
    """One claim's part of the page."""

    claim: Claim
    charts: list[tuple[Chart, str]]


def _card(claim: Claim) -> Card:
    curves = [part for part in claim.parts if len(part.curve) > 1]
    charts = [claim_chart(claim, part) for part in curves[:MOST_CURVES]]
    return Card(claim, [(chart, script_json(chart.spec)) for chart in charts])


def claim_chart(claim: Claim, part: ClaimPart) -> Chart:
    """The curve of a claim that depends on the length of the answer; of `sooner` with the range that is claimed."""
    from bench.reporters.charts import curve_chart  # noqa: PLC0415

    low, high = CLAIMED.get(claim.name, (None, None))
    (first, *_), (last, *_) = part.curve[0], part.curve[-1]
    shown = f"{part.curve[0][1]:.0%} at {first:.0f} output tokens, {part.curve[-1][1]:.0%} at {last:.0f}"
    caption = "By length of the answer, with the 95 % interval" + ("; the band is what is claimed." if low else ".")
    return Chart(part.subject, caption, f"{shown}.", curve_chart(part.curve, low, high))


def _sections(summary: Summary) -> Iterator[Section]:
    for cell in summary.cells:
        charts = [(chart, script_json(chart.spec)) for chart in cell_charts(summary, cell)]
        yield Section(
            cell, list(footnotes(summary, cell)), charts, list(details(summary, cell)), list(checks(summary, cell))
        )


def script_json(value: object) -> str:
    """JSON for a script element."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).replace("<", "\\u003c")


def cell_charts(summary: Summary, cell: Cell) -> Iterator[Chart]:
    """The curve of arrival, and memory by length for each meter."""
    from bench.reporters.charts import ecdf_chart, memory_chart  # noqa: PLC0415

    if cell.first_useful.offered or cell.blocking_total.offered:
        caption = "How many of all trials had something useful, by time since the call. The further left, the sooner."
        yield Chart("When it arrives", caption, _ecdf_words(cell), ecdf_chart(cell))
    for meter, words in METERS.items():
        curves = [c for c in summary.memory if (c.scenario, c.params, c.meter) == (*cell.key[:2], meter) and c.points]
        if curves:
            caption = f"Peak of {words} during one call, measured apart on sim; line: Theil-Sen fit."
            yield Chart(f"Client memory: {meter}", caption, _memory_words(summary, cell, curves), memory_chart(curves))


def _ecdf_words(cell: Cell) -> str:
    parts = (("streamed, first useful", cell.first_useful), ("blocking, whole answer", cell.blocking_total))
    return "; ".join(f"{name}: {_arrived(ecdf)}" for name, ecdf in parts if ecdf.offered) + "."


def _arrived(ecdf: Ecdf) -> str:
    if not ecdf.values:
        return f"none of {ecdf.offered} arrived"
    return f"{len(ecdf.values)} of {ecdf.offered} arrived, after {ecdf.values[0]:.0f} to {ecdf.values[-1]:.0f} ms"


def _memory_words(summary: Summary, cell: Cell, curves: list[MemoryCurve]) -> str:
    def number(curve: MemoryCurve, metric: str) -> str:
        suffix = "" if curve.meter == "tracemalloc" else f".{curve.meter}"
        return both(summary.memory_row(cell, curve.delivery, metric + suffix))

    parts = [(c.delivery, number(c, "memory_peak"), number(c, "memory_slope")) for c in curves]
    return "; ".join(f"{delivery}: peak {peak} at the longest, slope {slope}" for delivery, peak, slope in parts) + "."
