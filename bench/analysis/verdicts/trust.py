"""Write the first line of every report: whether this run can be believed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.analysis.checks.aa import AaCheck
from bench.analysis.checks.drift import Drift
from bench.analysis.pairs import FEW_ALIKE, NONE_ALIKE
from bench.analysis.tables import RunFrames, planned_phases
from bench.analysis.wording import value
from bench.core.load import parse_load
from bench.core.results.row import Row
from bench.core.results.summary import CALIBRATION, Cell, Trust
from bench.plan.plan import FEWEST_CHECKED

THIN = "NOT ENOUGH DATA"
"""A note that begins so says that too many pairs are missing from its cell."""
OF_LOADS = "the segments of loads are too few to test the method against itself"


def trust(
    frames: RunFrames,
    cells: Sequence[Cell],
    aa: AaCheck,
    drift: Drift,
    *,
    evidence: Sequence[str],
    machine: Sequence[str],
    further: Sequence[str] = (),
) -> Trust:
    """Judge the run, with the reason.

    `evidence`: what was counted; `machine`: how busy it was, where that matters; `further`: what only some will read.
    """
    said = filter(None, (*evidence, *machine, drift.sentence, aa.sentence, *further))
    lines = tuple(dict.fromkeys(said))
    if reason := invalid(frames, cells, aa):
        return Trust("INVALID", f"{reason}.", lines)
    unchecked = "" if aa.checked else why_unchecked(frames, cells)
    if doubts := list(cautions(frames, cells, aa, drift, machine)):
        return Trust("CAUTION", f"{'; '.join(filter(None, (*doubts, unchecked)))}.", lines)
    if unchecked:
        return Trust("UNCHECKED", f"{unchecked}.", lines)
    same = "the same call measured against itself shows no difference beyond chance"
    return Trust("VALID", f"the client kept up, and {same}." if len(frames.tables["probes"]) else f"{same}.", lines)


def invalid(frames: RunFrames, cells: Sequence[Cell], aa: AaCheck) -> str:
    """Return why no number of the run may be believed; empty where they may.

    A short run gives no verdicts to take back.
    """
    measured = [cell for cell in cells if not cell.unsupported]
    broken = [f"{cell.label}: {cell.invalid}" for cell in measured if cell.invalid]
    if broken or aa.invalid:
        return "; ".join(filter(None, (*broken, aa.invalid)))
    if measured and all(cell.saturated for cell in measured) and not _is_short(frames):
        return "no number can be trusted: the client itself was late in every cell (the notes say how, and what helps)"
    return ""


def cautions(
    frames: RunFrames, cells: Sequence[Cell], aa: AaCheck, drift: Drift, machine: Sequence[str]
) -> Iterator[str]:
    """Yield what a reader must know first, in plain words; nothing where nothing is amiss."""
    if (ended := frames.manifest.get("ended")) != "finished":
        yield f"the run is partial ({ended or 'it was killed'})"
    if late := [cell.label for cell in cells if cell.saturated]:
        yield f"the client was late in {_cell_names(late, cells)}, so their numbers are not shown"
    if machine:
        yield "this machine was busy while it measured, so some of the time may be its own doing"
    if thin := [cell.label for cell in cells if any(note.startswith(THIN) for note in cell.notes)]:
        yield f"too many pairs are missing from {_cell_names(thin, cells)}"
    if unlike := [cell.label for cell in cells if any(note.startswith((FEW_ALIKE, NONE_ALIKE)) for note in cell.notes)]:
        yield f"most answers were not alike in {_cell_names(unlike, cells)}, so the comparison rests on few pairs"
    if drift.sentence:
        yield "times changed while the run went on: the comparison stands, but a median is that of a moving target"
    if not aa.checked and "aa" in planned_phases(frames.plan) and not _all_loaded(cells):
        yield "too few calls could be measured against themselves to say whether the method is sound"


def why_unchecked(frames: RunFrames, cells: Sequence[Cell]) -> str:
    """Return why the run did not check itself; empty where it was meant to."""
    if "aa" in planned_phases(frames.plan):
        return f"{OF_LOADS} (--concurrency 1 beside them checks it)" if _all_loaded(cells) else ""
    if _is_short(frames):
        return f"this run was too short to check itself (it does from {FEWEST_CHECKED} pairs on)"
    if all(len(cell.get("deliveries") or ()) == 1 for cell in frames.cells):
        return "this run did not check itself, for it has one delivery only"
    return "this run did not check itself"


def _all_loaded(cells: Sequence[Cell]) -> bool:
    return not any(parse_load(cell.key.load).sequential for cell in cells)


def _is_short(frames: RunFrames) -> bool:
    return int(frames.plan.get("pairs") or 0) < FEWEST_CHECKED


def floor_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield what the instrument itself adds, for each client and load that was calibrated."""
    same = (row for row in rows if (row.scenario, row.statistic, row.delivery) == (CALIBRATION, "p50", "streamed"))
    medians = [row for row in same if row.estimate is not None]
    clients = {row.client for row in medians}
    for client, load in dict.fromkeys((row.client, row.load) for row in medians):
        of = {row.metric: row for row in reversed(medians) if (row.client, row.load) == (client, load)}
        named = (("first token", "floor_ttft"), ("first useful", "floor_ttfu"), ("whole", "floor_total"))
        shown = [
            f"{name} {value(row)}" for name, metric in named if (row := of.get(metric)) and row.estimate is not None
        ]
        if shown:
            n = max(row.n for row in of.values())
            whose = f"client {client}" if len(clients) > 1 else "this instrument"
            yield f"{whose} adds at {load}: {', '.join(shown)} (medians of {n} streams; never subtracted)"


def _cell_names(labels: Sequence[str], cells: Sequence[Cell]) -> str:
    """Write `1 of 3 cells (text)`, with the names where they are few."""
    names = f" ({', '.join(labels)})" if len(labels) <= 4 else ""
    return f"{len(labels)} of {len(cells)} cells{names}"
