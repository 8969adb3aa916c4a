"""Make the facts beside the verdict on the run: what a reader asks first before believing a number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bench.analysis.wording import interval, value
from bench.core.results.labels import WHOLE_RUN
from bench.core.results.summary import Summary

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
    """Yield trials, failures, the run against itself, its drift, and what the instrument adds, where there are data."""
    yield from _trial_facts(summary)
    yield from _check_fact(summary, "a call against itself", "aa", "hl", "A/A pairs; ideal: 0")
    yield from _check_fact(summary, "drift over the run", "trend", "slope", "trials; ideal: 0")
    yield from _floor_fact(summary)


def _trial_facts(summary: Summary) -> Iterator[Fact]:
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


def _check_fact(summary: Summary, name: str, metric: str, statistic: str, of: str) -> Iterator[Fact]:
    wanted = (WHOLE_RUN, metric, statistic, "paired")
    found = (row for row in summary.rows if (row.scenario, row.metric, row.statistic, row.delivery) == wanted)
    row = next(found, None)
    if row and row.estimate is not None:
        yield Fact(name, value(row), f"{interval(row)} · {row.n:,} {of}")


def _floor_fact(summary: Summary) -> Iterator[Fact]:
    for cell in summary.cells:
        row = summary.floor(cell.key.load, "streamed", "floor_ttfu", client=cell.key.client)
        if row and row.estimate is not None:
            yield Fact("instrument adds", value(row), f"{interval(row)} to first useful · {cell.key.load}")
            return
