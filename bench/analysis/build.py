"""Build the Summary of a run folder: the same folder gives the same Summary, whenever and wherever it is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.cell.arm import Arm, arm_trials, floats
from bench.analysis.cell.deltas import read_lags
from bench.analysis.cell.sdk_cost import sdk_rows
from bench.analysis.checks import aa
from bench.analysis.checks.drift import trend
from bench.analysis.checks.floor import Resolution, Way, floor_rows, resolution, way
from bench.analysis.checks.guard import calibration_lines, guard_cell, machine_lines
from bench.analysis.claims import claims
from bench.analysis.comparison.ranking import rankings
from bench.analysis.comparison.within_run import comparisons
from bench.analysis.ids import last_ids, printable
from bench.analysis.load.knee import GREW, is_overloaded, knee_row, knees, queue_grows
from bench.analysis.measured_cell import MeasuredCell
from bench.analysis.memory import memory_curves, memory_rows
from bench.analysis.outliers.outliers import outliers
from bench.analysis.stopping_line import stopping_line
from bench.analysis.tables import RunFrames, load
from bench.analysis.verdicts import cell as verdicts
from bench.analysis.verdicts.answer import answer
from bench.analysis.verdicts.trust import floor_lines, trust
from bench.core.load import parse_load
from bench.core.results.labels import cell_key, cell_labels
from bench.core.results.row import CellKey, Row
from bench.core.results.summary import Cell, Ecdf, Failure, MemoryCurve, Summary
from bench.plan.baseline import Baseline, check_named
from bench.plan.consumers import CONSUMERS
from bench.stats import intervals

MOST_FAILURES = 1000
"""Failed trials named one by one; an overloaded server fails a million."""
ChartData = Callable[[RunFrames], Mapping[int, Mapping[type, Any]]]
LATE_NOTE = "SATURATED: the client was late"
"""Before the note of every number of such a cell: the numbers stay for programs, and are in no table."""


def build(run: Path, baseline: Baseline | None = None, chart_data: ChartData | None = None) -> Summary:
    """Analyse a run folder. Raises `BenchError` when it is damaged or its numbers do not add up.

    `baseline`: the target or model that the others are compared with, where it is another than the manifest names.
    `chart_data`: chooses what the charts of each cell are drawn from; None where no page is made of the Summary.
    """
    frames = load(run)
    labels = cell_labels(frames.cells)
    lags = read_lags(frames.trials, dict(frames.tables))
    floors = floor_rows(frames)
    ways = {way(cell_key(cell)) for cell in frames.cells}
    resolutions = {(client, load): resolution(floors, load, client) for client, load in ways}
    parts = [
        _cell(MeasuredCell(frames, cell, lags, resolutions[way(cell_key(cell))]), label)
        for cell, label in zip(frames.cells, labels, strict=True)
    ]
    memory, memory_numbers = _memory(frames)
    cells, found = tuple(cell for cell, _ in parts), [row for _, rows in parts for row in rows]
    found += sdk_rows(cells, _arms_of(frames), found, int(frames.plan["seed"]))
    checked = aa.check(frames, resolutions, [cell.number for cell in cells if cell.saturated])
    drift = trend(frames, [cell.number for cell in cells if is_overloaded(cell)])
    named = dict(zip((cell["cell"] for cell in frames.cells), labels, strict=True))
    far, unlisted = outliers(frames, named)
    summary = Summary(
        manifest=frames.manifest,
        headline=headline(frames.manifest, cells),
        answer="",
        trust=trust(
            frames,
            cells,
            checked,
            drift,
            evidence=list(evidence(frames)),
            machine=machine_lines(frames),
            further=[
                *floor_lines(floors),
                *calibration_lines(frames),
                stopping_line(frames.manifest),
                *further(frames, cells, lags),
            ],
        ),
        notes=tuple(str(note) for note in frames.manifest.get("notes") or ()),
        cells=tuple(replace(cell, invalid=cell.invalid or checked.invalid) for cell in cells),
        rows=(*found, *floors, *checked.rows, *drift.rows, *memory_numbers),
        memory=memory,
        failures=tuple(_failures(frames, named)),
        unlisted=max(0, int((frames.trials["status"] != "ok").sum()) - MOST_FAILURES),
        environment=_environment(frames.manifest),
        chart_data=chart_data(frames) if chart_data else {},
        outliers=far,
        outliers_unlisted=unlisted,
    )
    summary = _with_comparisons(frames, replace(summary, claims=claims(frames, summary)), baseline)
    return _with_verdicts(summary, resolutions)


def _with_comparisons(frames: RunFrames, summary: Summary, baseline: Baseline | None) -> Summary:
    """Add the rankings of targets and models, and their comparison with the baseline."""
    named = frames.manifest.get("baseline") or {} if baseline is None else baseline
    check_named(baseline, [cell.key for cell in summary.cells])
    return replace(
        summary,
        rankings=rankings(frames, summary.cells, summary.row),
        comparisons=comparisons(frames, summary.cells, summary.rows, named),
    )


def _growth_note(rows: Iterable[Row]) -> str:
    """Note on arms whose queue grew: their times had to grow, and would be longer in a longer run."""
    arms: dict[str, dict[tuple[str, str], Row]] = {}
    for row in rows:
        arms.setdefault(row.delivery, {})[row.metric, row.statistic] = row
    grew = next(filter(None, (queue_grows(lambda *name, of=of: of.get(name)) for of in arms.values())), "")
    return f"{GREW}: {grew}; its times would be longer in a longer run" if grew else ""


def _cell(measured: MeasuredCell, label: str) -> tuple[Cell, list[Row]]:
    """Build one cell with its numbers; the verdict comes when all numbers are there."""
    cell, key, trials = measured.cell, measured.key, measured.frames.trials
    streamed, blocking = measured.streamed_arm, measured.blocking_arm
    rows = list(measured.rows())
    reasons, orphans = measured.counters["unsupported"].dropna(), int(measured.counters["orphans"].sum())
    unsupported = printable(str(reasons.iloc[0])) if len(reasons) else ""
    only_streamed = measured.run.plan.get("delivery") == "both" and cell.get("deliveries") == ["streamed"]
    finding = guard_cell(measured.run, measured.number, key, measured.read_lags, measured.lateness)
    checked = (measured.order.sentence, measured.connections.sentence, _growth_note(rows))
    notes = (
        *(measured.pairs.notes if measured.is_paired else []),
        streamed.never_useful,
        *_cell_notes(trials),
        *finding.notes,
        *checked,
    )
    made = Cell(
        number=measured.number,
        key=key,
        label=label,
        host=str(cell["host"]),
        simulated=bool(cell["simulated"]),
        description=str(cell.get("description") or ""),
        useful=str(cell.get("useful") or ""),
        pairs=measured.pairs.offered,
        first_useful=_ecdf(streamed, "ttfu"),
        blocking_total=_ecdf(blocking, "total"),
        invalid=f"{orphans} requests belonged to no trial" if orphans else "",
        verdict="",
        notes=() if unsupported else tuple(filter(None, notes)),
        unpaired="no blocking counterpart" if only_streamed else "",
        unsupported=unsupported,
        saturated=finding.saturated,
        curves={metric: _ecdf(streamed, metric) for metric in ("ttft", "total")},
    )
    return made, rows


def _arms_of(frames: RunFrames) -> dict[tuple[CellKey, str], Arm]:
    """Collect the arms of all cells; only where several clients measured, for nothing else asks for them."""
    if len({cell["client"] for cell in frames.cells}) < 2:
        return {}
    by_cell = dict(list(frames.trials.groupby("cell")))
    keys = {cell["cell"]: cell_key(cell) for cell in frames.cells if cell["cell"] in by_cell}
    return {
        (key, delivery): Arm(key, delivery, arm_trials(by_cell[number], delivery))
        for number, key in keys.items()
        for delivery in ("streamed", "blocking")
    }


def _ecdf(arm: Arm, metric: str) -> Ecdf:
    return Ecdf(len(arm.trials), tuple(sorted(floats(arm.ok_values[metric]).tolist())))


def _cell_notes(trials: pd.DataFrame) -> Iterator[str]:
    if trials.empty:
        yield "not started: the run ended before its turn"
    if cancelled := int((trials["status"] == "cancelled").sum()):
        yield f"{cancelled} trials in flight when the run was stopped: our doing, so in no figure"
    if (trials["client"] == "own").any():
        yield "own client: nothing is seen of its wire, so those figures are n/a, and a silent end only by `check`"
    elif len(trials) and not trials["attempts"].fillna(0).any():
        yield "no request went through the client that the scenario was given: wire figures are n/a"
    if truncated := int(trials["truncated"].fillna(value=False).sum()):
        yield f"{truncated} ok answers ended at the length cap"
    if cached := int((trials["cached_tokens"].fillna(0) > 0).sum()):
        yield f"{cached} trials were answered partly from the server's prompt cache"


def _memory(frames: RunFrames) -> tuple[tuple[MemoryCurve, ...], list[Row]]:
    apis = {cell["scenario"]: str(cell["api"]) for cell in frames.cells}
    found = list(memory_curves(frames.tables["memory"]))
    of_scenarios = [one for one in found if one[0].scenario not in CONSUMERS]  # those have claims, and no rows
    longest = max((tokens for curve, _, _ in of_scenarios for tokens, _ in curve.points), default=0)
    rows = [row for curve, slope, failed in of_scenarios for row in memory_rows(curve, slope, failed, longest, apis)]
    return tuple(curve for curve, _, _ in found), rows


def _with_verdicts(summary: Summary, resolutions: Mapping[Way, Resolution]) -> Summary:
    cells = tuple(
        replace(cell, verdict=verdicts.cell_verdict(summary.row, cell, resolutions[way(cell.key)]))
        for cell in summary.cells
    )
    late = {cell.key for cell in cells if cell.saturated}
    rows = tuple(
        replace(row, note="; ".join(filter(None, (LATE_NOTE, row.note)))) if row.key in late else row
        for row in summary.rows
    )
    found = tuple(knees(summary.row, cells))
    judged = replace(summary, cells=cells, rows=(*rows, *map(knee_row, found)), knees=found)
    return replace(judged, answer=answer(judged, resolutions))


def headline(manifest: Mapping[str, Any], cells: Iterable[Cell]) -> str:
    """Write the headline: hosts and models, each SIMULATED or real."""
    places: dict[tuple[bool, str], list[str]] = {}
    for cell in cells:
        models = places.setdefault((cell.simulated, cell.host), [])
        models += [] if cell.key.model in models else [cell.key.model]
    profile = (manifest.get("simulator") or {}).get("profile")
    return "; ".join(_place(simulated, host, models, profile) for (simulated, host), models in places.items())


def _place(simulated: bool, host: str, models: Sequence[str], profile: object) -> str:
    if not simulated:
        return f"real endpoint {host}, model {', '.join(models)}"
    return f"SIMULATED: {host}, model {', '.join(models)}" + (f", profile {profile}" if profile else "")


def evidence(frames: RunFrames) -> Iterator[str]:
    """Yield a line on what was counted, and one if the run is partial."""
    yield f"{offered_line(frames.trials)}; warm-up trials, in no figure: {frames.warmup}"
    ended = frames.manifest.get("ended")
    if ended != "finished":
        yield f"PARTIAL RUN: {ended or 'it was killed'}; the figures are of what was measured until then"


def further(frames: RunFrames, cells: Sequence[Cell], lags: pd.Series[float]) -> Iterator[str]:
    """Yield what else a reader should know before believing a number."""
    if (known := floats(lags)).size:
        found = {name: intervals.quantile_ci(known, q) for name, q in (("p50", 0.5), ("p99", 0.99))}
        shown = (f"{name} {e.note if e.value is None else f'{e.value:.2f} ms'}" for name, e in found.items())
        yield f"read lag against the simulator's send log, {known.size} trials: {', '.join(shown)}"
    if frames.tables["memory"].empty:
        yield "no memory pass in this run: memory is n/a"
    loops = sorted({cell.key.load for cell in cells}, key=lambda label: parse_load(label).place)
    yield f"seed {frames.plan['seed']}, load {', '.join(loops)}; intervals: 95 %; a failure counts as ∞"


def offered_line(trials: pd.DataFrame) -> str:
    """Count the trials by status: `216 offered = 214 ok + 1 http_429 + 1 timeout`."""
    counts = trials["status"].value_counts()
    classes = [f"{counts[status]} {status}" for status in sorted(set(counts.index) - {"ok"})]
    return f"{len(trials)} offered = " + " + ".join([f"{counts.get('ok', 0)} ok", *classes])


def _failures(frames: RunFrames, labels: Mapping[int, str]) -> Iterator[Failure]:
    columns = ["cell", "delivery", "status", "error"]
    failed = frames.trials.loc[frames.trials["status"] != "ok", columns].sort_index().head(MOST_FAILURES)
    ids = failed.join(last_ids(frames.tables["attempts"], failed.index)).replace({np.nan: None})
    for trial_id, trial in ids.iterrows():
        yield Failure(
            trial_id=int(str(trial_id)),
            cell=labels.get(int(trial["cell"]), ""),
            **{name: printable(trial[name]) for name in ("delivery", "status", "client_id", "server_id", "error")},
        )


def _environment(manifest: Mapping[str, Any]) -> dict[str, str]:
    targets = {f"target {name}": seen for name, seen in (manifest.get("targets") or {}).items()}
    found = {**(manifest.get("environment") or {}), **(manifest.get("versions") or {}), **targets}
    return dict(sorted(pair for name, value in found.items() for pair in _flat(name, value)))


def _flat(name: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield the value as text; of a mapping each member as `NAME: KEY`. Values that could not be read are left out."""
    if isinstance(value, Mapping):
        for key, member in value.items():
            yield from _flat(f"{name}: {key}", member)
    elif value is not None:
        yield name, value if isinstance(value, str) else json.dumps(value, sort_keys=True)
