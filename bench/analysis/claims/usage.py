"""Usage is the same, streamed and blocking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from bench.analysis.claims.endpoints import EndpointCells, endpoints
from bench.analysis.claims.parts import (
    HOLDS,
    REFUTED,
    UNDECIDED,
    UNTESTABLE,
    Draft,
    count_text,
    make_claim,
    trial_list,
    untestable,
)
from bench.analysis.tables import RunFrames
from bench.core.results.summary import Claim, ClaimPart, ClaimVerdict, Summary
from bench.stats.intervals import ALPHA

Count = Literal["output_tokens", "input_tokens"]
COUNTS: tuple[Count, Count] = ("output_tokens", "input_tokens")
FEWEST = 59
"""Pairs without a difference that show that fewer than 5 % differ: 0.95⁵⁹ < 0.05."""
REPRODUCED = 2
STATEMENT = "Usage counts the same tokens, streamed and blocking."
TEST = (
    "Exact, for each endpoint: pairs with the same answer (hash) and as many requests, without retries. Output tokens "
    "are compared without reasoning, which no two answers share. REFUTED: two pairs or more differ; HOLDS: none of n "
    f"does, for n of {FEWEST} and more; then fewer than 1 - 0.05^(1/n) of all pairs differ (95 %). Where pairs of one "
    "delivery with itself (A/A) differ too, it is not the delivery."
)
_COLUMNS = [
    "pair",
    "cell",
    "order",
    "delivery",
    "status",
    "requests",
    "attempts",
    "result_sha256",
    "input_tokens",
    "output_tokens",
    "reasoning_tokens",
]
_COMPARED = ["trial_id", "pair", "delivery", "requests", "result_sha256", "tokens", "place"]


def claim(frames: RunFrames, summary: Summary) -> Claim:
    """Judge the output and the input tokens of each endpoint."""
    drafts = [_part(endpoint, count, frames) for endpoint in endpoints(summary.cells) for count in COUNTS] or [
        untestable("usage", "there is no cell")
    ]
    return make_claim("usage", STATEMENT, TEST, drafts)


def _part(endpoint: EndpointCells, count: Count, frames: RunFrames) -> Draft:
    subject = f"{count.replace('_', ' ')} of {endpoint.name}"
    if not endpoint.cells:
        return untestable(subject, endpoint.left_out)
    known = _pairs(frames.trials, endpoint, count)
    if known.empty:
        return untestable(subject, "no two trials of a pair with the same answer have usage")
    differ = known[known["tokens_0"] != known["tokens_1"]]
    again = _pairs(frames.aa, endpoint, count)
    verdict, reason = _judge_counts(known, differ, again)
    words = "; ".join(filter(None, (reason, endpoint.left_out)))
    n = len(known)
    bound = f" (fewer than {100 * (1 - ALPHA ** (1 / n)):.1f} % of all, 95 %)" if differ.empty else ""
    return Draft(ClaimPart(subject, verdict, f"{len(differ)} of {count_text(n, 'pair')} differ{bound}", n, words))


def _pairs(trials: pd.DataFrame, endpoint: EndpointCells, count: Count) -> pd.DataFrame:
    """Tabulate pairs of equal work: each trial's count and id in columns ending in _0 or _1, its place."""
    parts = [_cell_pairs(trials, cell, count) for cell in endpoint.cells]
    return pd.concat(parts).sort_values("place_0", ignore_index=True)


def _cell_pairs(trials: pd.DataFrame, cell: int, count: Count) -> pd.DataFrame:
    """Tabulate the pairs of one cell, to save memory in a long run. `place`: row number in the records."""
    ok = (trials["cell"] == cell) & (trials["status"] == "ok")
    mine = trials.loc[ok, _COLUMNS].reset_index().assign(place=np.flatnonzero(ok))
    mine["tokens"] = mine[count] - (mine["reasoning_tokens"].fillna(0) if count == "output_tokens" else 0)
    mine = mine[(mine["requests"] == mine["attempts"]) & mine["tokens"].notna()]
    first, second = (mine.loc[mine["order"] == order, _COMPARED] for order in (0, 1))
    both = first.merge(second, on="pair", suffixes=("_0", "_1"))
    both = both[(both["tokens_0"] > 0) | (both["tokens_1"] > 0)]  # 0 and 0 is a server that does not count
    kept = [f"{name}_{order}" for name in ("trial_id", "delivery", "tokens", "place") for order in (0, 1)]
    same = (both["requests_0"] == both["requests_1"]) & (both["result_sha256_0"] == both["result_sha256_1"])
    return both.loc[same.fillna(value=False).astype(bool), kept]


def _judge_counts(known: pd.DataFrame, differ: pd.DataFrame, again: pd.DataFrame) -> tuple[ClaimVerdict, str]:
    if differ.empty:
        if len(known) >= FEWEST:
            return HOLDS, "every pair with the same answer has the same count"
        return UNDECIDED, f"none differs, but {len(known)} pairs are fewer than {FEWEST}"
    where = "; ".join(_examples(differ))
    alike = again[again["tokens_0"] != again["tokens_1"]]
    if len(alike):
        cause = "one delivery differs from itself too (A/A), so the nonce or the server is the cause"
        return UNTESTABLE, f"{cause}: {len(alike)} of {count_text(len(again), 'pair')}; {where}"
    if len(differ) < REPRODUCED:
        return UNDECIDED, f"seen once, so not reproduced: {where}; run it again"
    checked = f"none of {count_text(len(again), 'A/A pair')} does" if len(again) else "no A/A pair to compare with"
    return REFUTED, f"{where}; {checked}"


def _examples(differ: pd.DataFrame, shown: int = 3) -> Iterator[str]:
    ids: Sequence[int] = sorted(int(number) for number in (*differ["trial_id_0"], *differ["trial_id_1"]))
    yield trial_list(ids, 2 * shown)
    one = differ.iloc[0]
    yield f"such as {one['tokens_0']} {one['delivery_0']} and {one['tokens_1']} {one['delivery_1']}"
