"""How evenly an answer comes: the time between its deltas, and between the pieces at the caller."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.core.results.metrics.metric import QUANTILES, STREAMED, Metric

if TYPE_CHECKING:
    from bench.analysis.cell.arm import Arm, GapSample
    from bench.analysis.measured_cell import MeasuredCell
    from bench.core.results.row import Row


def _gap_rows(_: Metric, arm: Arm) -> Iterator[Row]:
    """Make quantiles of the gaps between deltas, and of ITL where a delta is a token; of stored trials only."""
    if arm.delivery not in STREAMED:
        return
    gaps = arm.delta_gaps
    if not gaps.trials:
        yield _no_gaps(arm, "gap", "deltas")
        return
    alike = arm.one_token_a_delta
    for statistic, q in QUANTILES.items():
        for name in ("gap", "itl") if alike else ("gap",):
            yield _gap_row(arm, name, statistic, gaps, q)
    if not alike:
        yield arm.absent("itl", _tokens_an_event(arm), n=gaps.trials)


def _piece_gap_rows(_: Metric, cell: MeasuredCell) -> Iterator[Row]:
    """Make the quantiles of the time between successive pieces, over the ok trials whose pieces were stored."""
    arm = cell.streamed_arm
    if arm.trials.empty:
        return
    gaps = arm.piece_gaps
    if gaps.trials:
        yield from (_gap_row(arm, "piece_gap", statistic, gaps, q) for statistic, q in QUANTILES.items())
    else:
        yield _no_gaps(arm, "piece_gap", "pieces")


def _gap_row(arm: Arm, name: str, statistic: str, gaps: GapSample, q: float) -> Row:
    note = "; ".join(filter(None, (f"n counts trials; {gaps.ms.size} gaps", arm.sample_note)))
    return arm.row(name, statistic, gaps.quantile(q), gaps.trials, note=note)


def _no_gaps(arm: Arm, name: str, what: str) -> Row:
    return arm.absent(name, f"n/a (no trial had two {what}{arm.sample_note and f', {arm.sample_note}'})")


def _tokens_an_event(arm: Arm) -> str:
    """Say why there is no ITL."""
    known = arm.ok.dropna(subset=["output_tokens", "deltas"])
    deltas = int(known["deltas"].sum())
    if len(known) < len(arm.ok) or not deltas:
        return "n/a (no usage to tell tokens from events)"
    return f"n/a ({int(known['output_tokens'].sum()) / deltas:.3g} tokens per event)"


METRICS = (
    Metric(
        "gap",
        "ms",
        "Time between two successive non-empty deltas of one attempt, over all gaps of all ok trials.",
        deliveries=STREAMED,
        rows=_gap_rows,
        csv_order=6,
        on_wire=True,
        quantiles=6,
        compared=("p50", "p99"),
    ),
    Metric(
        "piece_gap",
        "ms",
        "Time between two successive pieces at the caller, over all gaps of all ok trials; between the requests of "
        "a trial too.",
        deliveries=STREAMED,
        cell_rows=_piece_gap_rows,
        csv_order=1,
        quantiles=7,
    ),
    Metric(
        "itl",
        "ms",
        "The same, but only when every ok trial of the cell had as many output tokens as deltas: then a gap "
        "is the time of one token.",
        deliveries=STREAMED,
        on_wire=True,
        quantiles=8,
    ),
)
