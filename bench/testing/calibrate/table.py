"""Analyse the levels of `bench calibrate` and print them as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from textwrap import fill

from bench.analysis.cell.deltas import read_lags
from bench.analysis.checks.floor import FLOORS, Resolution, floor_rows, resolution
from bench.analysis.checks.guard import guard_cell
from bench.analysis.measured_cell import MeasuredCell
from bench.analysis.tables import load
from bench.core.results.labels import cell_key
from bench.core.results.metrics.client import LATENESS
from bench.core.results.metrics.registry import places
from bench.core.results.row import Row
from bench.plan.calibration import TOKEN_MS
from bench.run.environment import clock_step

SHOWN = tuple((place.top, place.delivery, metric.name) for metric, place in places("calibration"))
"""Label, delivery (any, where empty), metric."""
STATISTICS = ("p50", "p99")
ABREAST = 3
"""Levels next to each other: as many as fit into 100 columns."""
COLUMN = 24
WIDTH = 100


@dataclass(frozen=True, kw_only=True)
class Level:
    """What the instrument adds at one concurrency."""

    concurrency: int
    client: str
    offered: int
    failed: int
    rows: Sequence[Row]
    resolution: Resolution
    late: str
    """How the client was late, by the rule of every run's guard; "" if it kept up."""


def level_of(concurrency: int, run: Path) -> Level:
    """Analyse the folder of one level."""
    frames = load(run)
    (cell,) = frames.plan["cells"]
    floors, key = floor_rows(frames), cell_key(cell)
    lags = read_lags(frames.calibration, dict(frames.tables))
    as_measured = replace(frames, trials=frames.calibration, calibration=frames.calibration[:0])
    measured = MeasuredCell(as_measured, cell, lags)
    guarded = guard_cell(as_measured, cell["cell"], key, lags, measured.lateness)
    return Level(
        concurrency=concurrency,
        client=key.client,
        offered=len(frames.calibration),
        failed=int((frames.calibration["status"] != "ok").sum()),
        rows=(*floors, *measured.cell_rows(sorted(LATENESS, key=lambda metric: metric.csv_order))),
        resolution=resolution(floors, key.load, key.client),
        late=guarded.saturated,
    )


def in_time(levels: Sequence[Level]) -> int | None:
    """Return the largest concurrency up to which the client was always in time; None if it was never."""
    kept = None
    for level in levels:
        if level.late:
            break
        kept = level.concurrency
    return kept


def as_json(levels: Sequence[Level]) -> str:
    """Return one JSON object: every row as in summary.csv, and what the sentences say."""
    found = {"client": levels[0].client, "clock_step_ns": clock_step(), "in_time_up_to": in_time(levels)}
    return json.dumps({**found, "levels": [asdict(level) for level in levels]}, indent=2)


def as_table(levels: Sequence[Level]) -> str:
    """Return the levels as a text table with sentences below."""
    lines = [
        f"What the client {levels[0].client} itself adds on this machine, in ms: it reads streams of known send times.",
        "In brackets the 95 % interval. Beside results, never subtracted from them.",
    ]
    for start in range(0, len(levels), ABREAST):
        lines += ["", *_columns(levels[start : start + ABREAST])]
    return "\n".join([*lines, "", *_sentences(levels)])


def _columns(levels: Sequence[Level]) -> Iterator[str]:
    wide = max(len(label) for label, _, _ in SHOWN) + len(", p99") + 1
    yield " " * wide + "".join(f"{level.concurrency} at a time".rjust(COLUMN) for level in levels)
    for label, delivery, metric in SHOWN:
        for statistic in STATISTICS:
            cells = [_cell(level, delivery, metric, statistic) for level in levels]
            if any(cells):
                yield (f"{label}, {statistic}".ljust(wide) + "".join(cell.rjust(COLUMN) for cell in cells)).rstrip()


def _cell(level: Level, delivery: str, metric: str, statistic: str) -> str:
    """Return `0.21 [0.18, 0.26]`, or why there is no value; the mean where the trials are not measured one by one."""
    same = (row for row in level.rows if row.metric == metric and (not delivery or row.delivery == delivery))
    found = {row.statistic: row for row in same}
    mean = found.get("mean")
    if statistic == "p50" and mean and mean.estimate is not None and found["p50"].estimate is None:
        return f"{_short(mean.estimate)} (mean)"
    row = found.get(statistic)
    return "" if row is None else _number(row)


def _number(row: Row) -> str:
    if row.estimate is None:
        return row.note
    interval = "" if row.low is None or row.high is None else f" [{_short(row.low)}, {_short(row.high)}]"
    return f"{_short(row.estimate)}{interval}"


def _short(value: float) -> str:
    """Format with two decimals below 10, else with one."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _sentences(levels: Sequence[Level]) -> Iterator[str]:
    for level in levels:
        if level.failed:
            yield f"{level.concurrency} at a time: {level.failed} of {level.offered} trials failed: in no figure."
    yield _kept_up(levels)
    for level in levels:
        if level.late:
            yield fill(f"{level.concurrency} at a time: {level.late}", WIDTH, subsequent_indent="  ")
    yield f"The smallest differences that it resolves ({FLOORS} × the larger median of the two that are compared):"
    for level in levels:
        gain, total = level.resolution.gain_ms, level.resolution.total_ms
        yield f"  {level.concurrency} at a time: seen sooner by {_ms(gain)}, whole answer {_ms(total)}"
    yield f"The clock's smallest step: {clock_step()} ns."


def _kept_up(levels: Sequence[Level]) -> str:
    kept, most = in_time(levels), levels[-1].concurrency
    pace = f"streams of {1000 // TOKEN_MS} tokens a second"
    if kept is None:
        return f"The client was late at {levels[0].concurrency} at a time already ({pace}): is this machine idle?"
    more = "; more were not tried" if kept == most else ""
    return f"The client is in time up to {kept} at a time ({pace}){more}."


def _ms(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.1f} ms"
