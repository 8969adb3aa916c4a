"""Load by load: times and goodput. Open and closed loop are not comparable, so each has charts of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from bench.analysis.wording import both
from bench.core.errors import BenchError
from bench.core.load import parse_load
from bench.core.metrics import LEAST_GOOD
from bench.core.row import Row
from bench.core.slo import parse_slo
from bench.core.summary import Cell, Knee, Summary
from bench.reports.charts import style
from bench.reports.charts.chart import Chart
from bench.reports.charts.sweep_spec import Mark, spec
from bench.reports.tables import sweep
from bench.reports.tables.times import unfit

QUANTILES = ("p50", "p90", "p99")
HOLLOW = " Hollow and grey: the client was late, so these numbers say nothing."
NEVER = " Triangles at the upper edge: so many failed that there is no such time."
AXES = {"c": "trials at a time", "rate": "starts a second"}
NAMES = {"c": "concurrency", "rate": "rate"}


class At(NamedTuple):
    """One number of one cell of a sweep."""

    cell: Cell
    series: str
    row: Row

    @property
    def size(self) -> float:
        """Of the load."""
        return parse_load(self.cell.key.load).place[1]


def sweep_charts(summary: Summary) -> Iterator[tuple[str, Chart]]:
    """For each sweep, by its label: time to the first token, and goodput, wherever at least two loads ran."""
    for cells in sweep.under_load(summary):
        for loop in AXES:
            mine = [cell for cell in cells if cell.key.load.partition("=")[0] == loop]
            if len(mine) > 1:
                charts = (_ttft(summary, mine, loop), _goodput(summary, mine, loop))
                yield from ((sweep.label(cells[0]), chart) for chart in charts if chart)


def _ttft(summary: Summary, cells: Sequence[Cell], loop: str) -> Chart | None:
    wanted = [("streamed", "ttft", name, name) for name in QUANTILES]
    found = _numbers(summary, cells, wanted)
    if not any(math.isfinite(at.row.estimate or 0) for at in found):
        return None
    limits = [Mark("y", limit, f"SLO {text}", "") for text, limit in _limits(summary)]
    knees = [Mark("x", size, "knee", "") for name, size in _sizes(summary, cells) if name == "streamed"]
    caption = (
        f"Time to the first token, streamed, by load ({AXES[loop]}), with 95 % intervals"
        + ("; level line: the limit" if limits else "")
        + ("; upright line: the knee, the highest load that kept to the limits." if knees else ".")
        + (NEVER if any(math.isinf(at.row.estimate or 0) for at in found) else "")
    )
    drawn = spec(_points(found), _series(found), [*limits, *knees], loop=loop, of="time", axis=AXES[loop])
    return _made(f"First token by {NAMES[loop]}", caption, _words(found, summary, cells), drawn, found)


def _goodput(summary: Summary, cells: Sequence[Cell], loop: str) -> Chart | None:
    found = _numbers(summary, cells, [(name, "goodput", "share", name) for name in style.COLORS])
    if not found:
        return None
    sizes = _sizes(summary, cells)
    alike = len(sizes) > 1 and len({size for _, size in sizes}) == 1
    knees = [Mark("x", size, "knee", "" if alike else name) for name, size in (sizes[:1] if alike else sizes)]
    limits = " and ".join(dict.fromkeys(sweep.slos(summary)))
    caption = (
        f"Share of all offered trials that kept to {limits}, by load ({AXES[loop]}), with 95 % intervals"
        + (f"; up to the knee {100 * LEAST_GOOD:.0f} % and more do." if knees else ".")
    )  # fmt: skip
    marks = [Mark("y", LEAST_GOOD, f"{100 * LEAST_GOOD:.0f} %", ""), *knees]
    drawn = spec(_points(found), _series(found), marks, loop=loop, of="share", axis=AXES[loop])
    return _made(f"Goodput by {NAMES[loop]}", caption, _words(found, summary, cells), drawn, found)


def _made(title: str, caption: str, words: str, drawn: style.Spec, found: Sequence[At]) -> Chart:
    rows = [(at.cell.key.load, at.series, both(at.row), str(at.row.n), unfit(at.cell)) for at in found]
    late = HOLLOW if any(unfit(at.cell) for at in found) else ""
    return style.with_table(title, caption + late, words, drawn, ("load", "of", "value [95 %]", "trials", ""), rows)


def _series(found: Sequence[At]) -> list[str]:
    return list(dict.fromkeys(at.series for at in found))


def _numbers(summary: Summary, cells: Sequence[Cell], wanted: Sequence[tuple[str, str, str, str]]) -> list[At]:
    """Those that there are. `wanted`: delivery, metric, statistic, and what the series is called."""
    rows = (
        (cell, series, summary.row(cell, delivery, metric, statistic))
        for delivery, metric, statistic, series in wanted
        for cell in cells
    )
    return [At(cell, series, row) for cell, series, row in rows if row and row.estimate is not None]


def _points(found: Sequence[At]) -> list[dict[str, Any]]:
    return [
        {"load": at.size, "y": at.row.estimate, "series": at.series, "late": bool(unfit(at.cell))}
        | {"low": at.row.low, "high": at.row.high}
        for at in found
    ]


def _limits(summary: Summary) -> Iterator[tuple[str, float]]:
    """Limits on the first token, in ms."""
    for text in dict.fromkeys(sweep.slos(summary)):
        try:
            slo = parse_slo(text)
        except BenchError:  # of a run of another version
            continue
        if slo.metric == "ttft":
            yield text, slo.limit_ms


def _knees(summary: Summary, cells: Sequence[Cell]) -> list[Knee]:
    key = cells[0].key._replace(load=cells[0].key.load.partition("=")[0])
    return [knee for knee in summary.knees if knee.key == key]


def _sizes(summary: Summary, cells: Sequence[Cell]) -> list[tuple[str, float]]:
    """Delivery and load of each knee that was found."""
    return [(knee.delivery, knee.size) for knee in _knees(summary, cells) if knee.size]


def _words(found: Sequence[At], summary: Summary, cells: Sequence[Cell]) -> str:
    """The numbers at the lowest and the highest load of each series that may be believed, and the knee."""
    parts = []
    for series in _series(found):
        mine = [at for at in found if at.series == series and not unfit(at.cell)]
        if mine:
            ends = mine[:: max(1, len(mine) - 1)]  # the first and the last
            parts.append(f"{series}: " + ", ".join(f"{both(at.row)} at {at.cell.key.load}" for at in ends))
    said = dict.fromkeys(knee.said for knee in _knees(summary, cells))
    return ". ".join([*(parts or ["no load at which the client kept up"]), *(f"Knee: {text}" for text in said)]) + "."
