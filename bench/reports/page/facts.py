"""The small facts beside the verdict on the run: what a reader asks first before believing a number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bench.analysis.wording import interval, value
from bench.core.labels import WHOLE_RUN
from bench.core.row import Row
from bench.core.summary import Summary

DELIVERIES = ("streamed", "blocking")


class Fact(NamedTuple):
    """A number with its name, and what it rests on."""

    name: str
    main: str
    below: str
    bad: bool = False
    link: str = ""
    """Anchor of the part of the page that says more."""


def facts(summary: Summary) -> Iterator[Fact]:
    """Offered and failed, the run against itself, its drift, and what the instrument adds: as far as there is data."""
    yield from _counted(summary)
    yield from _checked(summary, "a call against itself", "aa", "hl", "A/A pairs; ideal: 0")
    yield from _checked(summary, "drift over the run", "trend", "slope", "trials; ideal: 0")
    yield from _floor(summary)


def _counted(summary: Summary) -> Iterator[Fact]:
    cells = {cell.key for cell in summary.cells}
    rows = [r for r in summary.rows if r.key in cells and (r.metric, r.statistic) == ("failures", "sum")]
    rows = [row for row in rows if row.delivery in DELIVERIES]
    if not rows:
        return
    offered, failed = sum(row.n for row in rows), sum(int(row.estimate or 0) for row in rows)
    yield Fact("trials ok", f"{offered - failed:,}", f"of {offered:,} offered")
    link = "failures" if summary.failures else ""
    yield Fact(
        "failed", f"{failed:,}", f"{100 * failed / offered:.1f} % of offered" if failed else "none", bool(failed), link
    )


def _checked(summary: Summary, name: str, metric: str, statistic: str, of: str) -> Iterator[Fact]:
    row = next((row for row in summary.rows if _whole(row, metric, statistic)), None)
    if row and row.estimate is not None:
        yield Fact(name, value(row), f"{interval(row)} · {row.n:,} {of}")


def _whole(row: Row, metric: str, statistic: str) -> bool:
    found = (row.scenario, row.metric, row.statistic, row.delivery)
    return found == (WHOLE_RUN, metric, statistic, "paired")


def _floor(summary: Summary) -> Iterator[Fact]:
    for cell in summary.cells:
        row = summary.floor(cell.key.load, "streamed", "floor_ttfu", client=cell.key.client)
        if row and row.estimate is not None:
            yield Fact("instrument adds", value(row), f"{interval(row)} to first useful · {cell.key.load}")
            return
