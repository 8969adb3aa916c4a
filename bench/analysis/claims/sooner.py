"""Streaming brings the first token 20 to 40 % sooner."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bench.analysis.cell.arm import Arm, arm_trials
from bench.analysis.checks.floor import resolution, way
from bench.analysis.claims.lengths import Curve, gain_curve, true_range
from bench.analysis.claims.parts import HOLDS, REFUTED, UNDECIDED, Draft, make_claim, untestable, unusable
from bench.analysis.pairs import make_pairs
from bench.analysis.tables import RunFrames
from bench.analysis.verdicts.cell import gain_of
from bench.analysis.wording import with_interval
from bench.core.results.row import Row
from bench.core.results.summary import Cell, Claim, ClaimPart, Summary
from bench.stats.hypotheses import signed_rank_p

LEAST, MOST = 0.2, 0.4
STATEMENT = "Streaming brings the first useful output 20 to 40 % sooner."
TEST = (
    "For each cell: the share of the blocking total that is saved, 1 - streamed TTFU / blocking total, by "
    "Hodges-Lehmann on the log scale over pairs. HOLDS: its 95 % interval lies within 20 to 40 %; REFUTED: outside; "
    "Wilcoxon's signed-rank test against 20 and 40 %, Holm over the cells. The curve by length is of the streams "
    "alone, with order-statistic intervals of the median."
)


def claim(frames: RunFrames, summary: Summary) -> Claim:
    """Judge each cell, with the curve over shorter answers that its streams tell of."""
    drafts = [_cell_draft(frames, summary, cell) for cell in summary.cells]
    return make_claim("sooner", STATEMENT, TEST, drafts)


def _cell_draft(frames: RunFrames, summary: Summary, cell: Cell) -> Draft:
    if reason := unusable(cell):
        return untestable(cell.label, reason)
    row = summary.row(cell, "paired", "gain", "hl", "ratio")
    if row is None:
        return untestable(cell.label, cell.unpaired or "it was not measured streamed and blocking")
    trials = frames.trials[frames.trials["cell"] == cell.number]
    streamed, blocking = (Arm(cell.key, name, arm_trials(trials, name)) for name in ("streamed", "blocking"))
    curve = gain_curve(streamed.ok, frames.tables["events"])
    if row.estimate is None or row.low is None or row.high is None:
        return Draft(ClaimPart(cell.label, UNDECIDED, "", row.n, row.note, curve))
    client, load = way(cell.key)
    if gain_of(summary.row, cell, resolution(summary.rows, load, client))[1] == "unresolved":
        small = "so small a difference in time is below what this instrument resolves"
        return Draft(ClaimPart(cell.label, UNDECIDED, with_interval(row), row.n, small, curve))
    pairs = make_pairs(cell.key, streamed, blocking, simulated=cell.simulated)
    share = np.log(pairs.same["ttfu_s"].to_numpy(float) / pairs.same["total_b"].to_numpy(float))
    length = blocking.ok["output_tokens"].dropna().astype(float)
    tokens = f" at {length.median():.0f} tokens" if len(length) else ""
    overhead = with_interval(summary.row(cell, "paired", "overhead", "hl", "ratio"))
    where = list(_shorter(curve, overhead, streamed.sample_note))
    return _judge_gain(cell.label, row, share, tokens, curve, where)


def _judge_gain(label: str, row: Row, share: NDArray[np.float64], tokens: str, curve: Curve, where: list[str]) -> Draft:
    """Judge by the interval. `share`: log(TTFU / blocking total) of each pair.

    `where`: for which lengths it is true.
    """
    low, high = float(row.low or 0), float(row.high or 0)
    less, more = math.log(1 - LEAST), math.log(1 - MOST)  # of the time that is left
    if low > MOST:
        verdict, p, words = REFUTED, signed_rank_p(share, more, "less"), f"more than said{tokens}"
    elif high < LEAST:
        verdict, p, words = REFUTED, signed_rank_p(share, less, "greater"), f"less than said{tokens}"
    elif low >= LEAST and high <= MOST:
        p = max(signed_rank_p(share, less, "less"), signed_rank_p(share, more, "greater"))
        verdict, words = HOLDS, f"as said{tokens}"
    else:
        verdict, p, words = UNDECIDED, None, f"the interval{tokens} reaches over an end of 20 to 40 %: more pairs"
    told = [*where[:1], words, *where[1:]] if verdict == REFUTED else [words, *where]
    reason = "; ".join(told)
    return Draft(
        ClaimPart(label, verdict, with_interval(row), row.n, reason, curve), None if p is None else min(1.0, 2 * p)
    )


def _shorter(curve: Curve, overhead: str, sample: str) -> Iterator[str]:
    """Yield for which lengths the streams say that the claim is true, and what that supposes."""
    if not curve:
        return
    if found := true_range(curve, LEAST, MOST):
        first, last = found
        where = f"{first:.0f} tokens" if first == last else f"{first:.0f} to {last:.0f} tokens"
        yield f"true for answers of {where}"
    else:
        yield f"true for no length from {curve[0][0]:.0f} to {curve[-1][0]:.0f} tokens"
    yield (
        "the lengths are read off these streams, as if a blocking answer came with their last token (the whole "
        f"streamed answer took {overhead} against it){sample and f', {sample}'}"
    )
