"""Compute what the SDK itself adds: the same cell, measured by the SDK and by the client that only reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bench.analysis.cell.arm import Arm, RowMaker, floats
from bench.core.results.metrics.registry import BY_NAME, NO_DIFFERENCE
from bench.core.results.row import CellKey, Row
from bench.core.results.summary import Cell
from bench.stats.intervals import Estimate
from bench.stats.two_sample_shift import two_sample_shift

SDK, WIRE = "sdk", "wire"
TIMES = {"sdk_ttft": "ttft", "sdk_ttfu": "ttfu", "sdk_total": "total"}


def sdk_rows(
    cells: Sequence[Cell], arms: Mapping[tuple[CellKey, str], Arm], rows: Sequence[Row], seed: int
) -> Iterator[Row]:
    """Make the rows of each cell that both clients measured. Where one of both was late there is no number."""
    others = {cell.key: cell for cell in cells if cell.key.client == WIRE}
    cpu = {row.key: row for row in rows if (row.metric, row.statistic) == ("cpu_per_event", "mean")}
    for cell in cells:
        other = others.get(cell.key._replace(client=WIRE))
        if cell.key.client != SDK or other is None:
            continue
        late = bool(cell.saturated or other.saturated or cell.invalid or other.invalid)
        for delivery in ("streamed", "blocking"):
            both = arms.get((cell.key, delivery)), arms.get((other.key, delivery))
            if both[0] is not None and both[1] is not None:
                yield from _shift_rows(both[0], both[1], seed, late=late)
        yield from _cpu_row(cell.key, cpu.get(cell.key), cpu.get(other.key))


def _shift_rows(sdk: Arm, wire: Arm, seed: int, *, late: bool) -> Iterator[Row]:
    if sdk.ok.empty or wire.ok.empty:
        return
    for name, metric in TIMES.items():
        if sdk.delivery not in BY_NAME[metric].deliveries:
            continue
        a, b = (floats(arm.ok_values[metric]) for arm in (sdk, wire))
        shift = Estimate(note=NO_DIFFERENCE) if late else two_sample_shift(a, b, seed=seed)
        failed = f"{sdk.failures} and {wire.failures} failed: left out" if sdk.failures or wire.failures else ""
        yield sdk.row(name, "hl", shift, a.size, note="; ".join(filter(None, (f"unpaired, wire n={b.size}", failed))))


def _cpu_row(key: CellKey, sdk: Row | None, wire: Row | None) -> Iterator[Row]:
    if sdk is None or wire is None or sdk.estimate is None or wire.estimate is None:
        return
    note = f"{1000 * sdk.estimate:.3g} - {1000 * wire.estimate:.3g} µs; no interval: of wire the whole process is known"
    difference = sdk.estimate - wire.estimate
    yield RowMaker(key, "streamed").number("sdk_cpu_per_event", "rate", difference, sdk.n, note=note)
