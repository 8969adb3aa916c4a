"""Compare the targets or models of a run with the one that was named as their baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from bench.analysis.comparison.effects import worst_first
from bench.analysis.comparison.paired import PAIRED, STATISTIC, is_interleaved, paired_change
from bench.analysis.comparison.runs import change, comparable, hindrance
from bench.analysis.tables import RunFrames
from bench.core.results.comparison import Change, Comparison, Side
from bench.core.results.labels import cell_labels
from bench.core.results.row import CellKey, Row
from bench.core.results.summary import Cell
from bench.plan.baseline import Baseline

FIELDS = ("target", "model")


def comparisons(
    frames: RunFrames, cells: Sequence[Cell], rows: Sequence[Row], baseline: Baseline
) -> tuple[Comparison, ...]:
    """Compare each other target (model, or both together) that did some of the same work."""
    fields = [field for field in FIELDS if baseline.get(field)]
    if not fields:
        return ()
    wanted = tuple(baseline[field] for field in fields)
    named: dict[tuple[str | None, ...], list[Cell]] = {}
    for cell in cells:
        named.setdefault(tuple(getattr(cell.key, field) for field in fields), []).append(cell)
    theirs = named.pop(wanted, [])
    by_cell: dict[CellKey, list[Row]] = {}
    for row in filter(comparable, rows):
        by_cell.setdefault(row.key, []).append(row)
    return tuple(_comparison(frames, theirs, ours, fields, by_cell) for ours in named.values() if theirs)


def _comparison(
    frames: RunFrames,
    theirs: Sequence[Cell],
    ours: Sequence[Cell],
    fields: Sequence[str],
    rows: Mapping[CellKey, Sequence[Row]],
) -> Comparison:
    work = _work(theirs, ours, fields)
    matched = {work(cell.key): cell for cell in theirs}
    pairs = [(matched[work(cell.key)], cell) for cell in ours if work(cell.key) in matched]
    labels = cell_labels([work(cell.key)._asdict() for _, cell in pairs])
    found = [one for pair, label in zip(pairs, labels, strict=True) for one in _changes(frames, pair, label, rows)]
    done = {work(cell.key) for _, cell in pairs}
    missing = [cell.label for cell in (*theirs, *ours) if work(cell.key) not in done]
    return Comparison(
        kind="within",
        baseline=_side(theirs, fields),
        current=_side(ours, fields),
        changes=worst_first(found),
        watermarks=tuple(_watermarks(pairs)),
        unmatched=tuple(f"only on one side: {label}" for label in missing),
    )


def _work(theirs: Sequence[Cell], ours: Sequence[Cell], fields: Sequence[str]) -> Callable[[CellKey], CellKey]:
    """Return the function that maps a cell's key to its work: the key without what the sides are told apart by.

    With `--baseline-target` alone that is the model as well, where each side has one of its own.
    """
    models = [{cell.key.model for cell in cells} for cells in (theirs, ours)]
    blank = dict.fromkeys(fields, "")
    if len(models[0]) == len(models[1]) == 1:
        blank["model"] = ""
    return lambda key: key._replace(**blank)


def _side(cells: Sequence[Cell], fields: Sequence[str]) -> Side:
    names = "/".join(str(getattr(cells[0].key, field)) for field in fields)
    places = dict.fromkeys(f"{cell.key.model} at {cell.host}" for cell in cells)
    return Side(names, ", ".join(places))


def _watermarks(pairs: Sequence[tuple[Cell, Cell]]) -> Iterator[str]:
    models = {(one.key.model, other.key.model) for one, other in pairs if one.key.model != other.key.model}
    targets = {one.key.target for one, _ in pairs} != {other.key.target for _, other in pairs}
    if targets and models:
        yield from (f"another model: {one}, then {other}" for one, other in sorted(models))
    if not all(is_interleaved(cell) for _, cell in pairs):
        yield "under load the cells run one after the other: not compared pair by pair, so the intervals are wider"


def _changes(
    frames: RunFrames, pair: tuple[Cell, Cell], label: str, rows: Mapping[CellKey, Sequence[Row]]
) -> Iterator[Change]:
    """Every number that both cells have; what a user waits for pair by pair."""
    theirs = {_identity(row): row for row in rows.get(pair[0].key, ())}
    for row in rows.get(pair[1].key, ()):
        other = theirs.get(_identity(row))
        if other is None:
            continue
        if (row.delivery, row.metric) in PAIRED and row.statistic == STATISTIC:
            yield paired_change(frames, pair, (other, row), label)
        else:
            yield change(other, row, label, hindrance(row.metric, *pair))


def _identity(row: Row) -> tuple[str, str, str, str]:
    return row.delivery, row.metric, row.unit, row.statistic
