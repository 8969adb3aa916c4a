"""Every metric, in the order of the glossary: a new one is a file beside this one and a line in `METRICS`."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from bench.core.results.metrics import (
    attempts,
    checks,
    client,
    floors,
    gaps,
    latency,
    load,
    memory,
    pace,
    pairs,
    sdk,
    stalls,
    tokens,
)
from bench.core.results.metrics.metric import Metric, ReportPlace

METRICS = (
    *latency.METRICS,
    *gaps.METRICS,
    pace.TPOT,
    *stalls.METRICS,
    pace.TOKENS_PER_S,
    *tokens.METRICS,
    *attempts.METRICS,
    client.CPU_PER_EVENT,
    client.READ_LAG,
    *pairs.METRICS,
    *memory.METRICS,
    *floors.METRICS,
    stalls.STALL_MS,
    *client.LATENESS,
    *checks.METRICS,
    *load.METRICS,
    *sdk.METRICS,
)
BY_NAME = {metric.name: metric for metric in METRICS}
MEMBERS = tuple(f"{metric.name}." for metric in METRICS if metric.members)
"""How the names of rows begin that stand in the registry under a shorter name."""
NO_DIFFERENCE = "n/a (the client was late)"
"""Note of what the SDK adds, where one of the two clients was late."""
LEAST_GOOD = 0.9
"""Share of the offered trials that must keep to every limit for a load to pass."""
FLAG = "0 or 1"
"""The unit of a recorded no or yes: beside its quantiles it has the share of yes, as a median would hide the few."""


def metric_of(name: str) -> Metric | None:
    """Return the metric of a row's name; of `failures.timeout` that of `failures`. None for what a plugin recorded."""
    return BY_NAME.get(name) or BY_NAME.get(name.partition(".")[0])


def places(table: str) -> list[tuple[Metric, ReportPlace]]:
    """List the metrics that a table of the reports shows, in the table's order."""
    shown = [(metric, place) for metric in METRICS for place in metric.places if place.table == table]
    return sorted(shown, key=lambda one: one[1].order)


def csv_metrics() -> Iterator[Metric]:
    """List the metrics in the order in which their rows stand in `summary.csv`."""
    return iter(sorted(METRICS, key=lambda metric: metric.csv_order))


def glossary_markdown() -> str:
    """Write `docs/metrics.md`: every metric with its unit, what is better, and its formula."""
    lines = [f"| `{m.name}` | {m.unit or 'count'} | {m.better} | {m.formula} |" for m in METRICS]
    return "\n".join([_GLOSSARY_HEAD, *lines, ""])


_GLOSSARY_HEAD = """# Metrics

Durations count from the trial's origin, just before the scenario's function was entered. Latency quantiles are of all
offered trials, a failure being +∞; an ok trial without the mark is left out, which the report says, but in `ttfu` it is
+∞ too. Other metrics are of the trials that were ok. Deltas are never called tokens: tokens come from the server's
usage. A quantile needs 6 (p50), 36 (p90), 72 (p95) or 368 (p99) samples for a 95 % interval; with fewer it is not
printed. What a plugin records appears under its own name, a mark as `mark.NAME`.

| metric | unit | better | formula |
| --- | --- | --- | --- |"""
DIGITS = 8


def definitions() -> dict[str, str]:
    """Hash each metric's unit, formula, and what it is taken over; by name."""
    texts = {metric.name: "\n".join((metric.unit, metric.formula, metric.of)) for metric in METRICS}
    return {name: sha256(text.encode()).hexdigest()[:DIGITS] for name, text in texts.items()}
