"""What the instrument itself adds, by client and load: the same table in Markdown and in HTML."""

from __future__ import annotations

from collections.abc import Iterator

from bench.core.summary import CALIBRATION, Summary
from bench.reports.tables.times import Entry, entry

TITLE = "What the instrument adds"
CAPTION = (
    "Medians over streams whose send times are known, read in this run at the same load, with 95 % intervals. They are "
    "inside the numbers above and are never subtracted; an effect below three of them is not called one."
)
FLOORS = (
    ("first token", "streamed", "floor_ttft", "p50"),
    ("first useful", "streamed", "floor_ttfu", "p50"),
    ("gap", "streamed", "floor_gap", "p50"),
    ("whole, streamed", "streamed", "floor_total", "p50"),
    ("whole, blocking", "blocking", "floor_total", "p50"),
    ("CPU per event", "streamed", "floor_cpu_per_event", "p50"),
)
HEADS = ("load", *(name for name, *_ in FLOORS))


def floors(summary: Summary) -> Iterator[tuple[str, list[Entry]]]:
    """Each client and load that was calibrated, and the entries under the other HEADS."""
    metrics = {metric for _, _, metric, _ in FLOORS}
    known = [row for row in summary.rows if row.scenario == CALIBRATION and row.metric in metrics]
    several = len({row.client for row in known}) > 1
    for client, load in dict.fromkeys((row.client, row.load) for row in known):
        entries = [entry(summary.floor(load, of, metric, stat, client=client)) for _, of, metric, stat in FLOORS]
        yield f"{client} {load}" if several else load, entries
