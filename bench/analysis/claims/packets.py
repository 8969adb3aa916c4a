"""Smaller packets reduce delay."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.cell.arm import sample_note
from bench.analysis.cell.deltas import non_empty, with_send_times
from bench.analysis.checks.floor import FLOORS, way
from bench.analysis.claims.parts import HOLDS, REFUTED, UNDECIDED, Draft, make_claim, number, untestable, unusable
from bench.analysis.tables import RunFrames
from bench.core.results.metrics.metric import MS
from bench.core.results.summary import Claim, ClaimPart, ClaimVerdict, Summary
from bench.plan.calibration import TOKEN_MS
from bench.stats import intervals
from bench.stats.slope import slope_beyond

LEAST_MARGIN_MS = 1.0
FEWEST = 6
"""Trials of each size."""
DIRECT = "direct, on loopback"
STATEMENT = "Smaller packets reduce the delay of a token."
TEST = (
    "Streams of the same tokens, made at the same times, with several tokens an event. The delay of a token: when it "
    "was read - when it was made; the mean over a trial's tokens. Theil-Sen slope over log2 of the tokens an event, "
    "all trials; over the tested sizes HOLDS: it rises by more than the margin (three floors of the instrument, at "
    "least 1 ms); REFUTED: it does not, or falls. Kendall's test, Holm over the parts."
)
SCOPE = "a token waits until its event is full; a proxy that buffers by size can turn it round, which is not seen here"


def claim(frames: RunFrames, summary: Summary) -> Claim:
    """Judge the calibration's streams at each load, and the scenario `buffered` where it has sizes."""
    drafts = [*_direct_drafts(frames, summary), *_buffered_drafts(frames, summary)]
    missing = "no calibration streams of several sizes: `bench run` with 10 pairs or more, without --no-self-check"
    return make_claim("packets", STATEMENT, TEST, drafts or [untestable(DIRECT, missing)])


def _direct_drafts(frames: RunFrames, summary: Summary) -> Iterator[Draft]:
    streams = [cell for cell in frames.plan["cells"] if cell.get("role") == "calibration"]
    sizes = {cell["cell"]: _param(cell, "tokens_per_event") for cell in streams}
    ok = frames.calibration[frames.calibration["status"] == "ok"]
    ok = ok[ok["cell"].isin([cell for cell, size in sizes.items() if size]) & (ok["delivery"] == "streamed")]
    if ok.empty:
        return
    late = {way(cell.key) for cell in summary.cells if cell.saturated}
    several = ok["client"].nunique() > 1
    for (client, load), trials in ok.groupby(["client", "load"]):
        subject = f"{DIRECT}, {f'{client} ' if several else ''}{load}"
        if (client, load) in late:
            yield untestable(subject, "the client was late at this load, so it shows the client")
            continue
        k = trials["cell"].map(sizes).astype(float)
        delay = _token_delays(trials, k, frames.tables)
        row = summary.floor(str(load), "streamed", "floor_ttft", client=str(client))
        floor = row.estimate if row and row.estimate else 0.0
        words = [SCOPE, *filter(None, [sample_note(trials)]), *_price(trials, k)]
        yield _slope_draft(subject, delay, k.reindex(delay.index), floor, words, "tokens an event")


def _param(cell: Mapping[str, Any], name: str) -> float | None:
    params = cell.get("params") or {}
    found = (json.loads(params) if isinstance(params, str) else params).get(name)
    return float(found) if isinstance(found, int | float) else None


def _token_delays(trials: pd.DataFrame, k: pd.Series[float], tables: Mapping[str, pd.DataFrame]) -> pd.Series[float]:
    """Compute the ms from making to reading, the mean over the tokens of each trial.

    An event leaves when its last token is made; the one that is n before it has then waited n token times.
    """
    events = tables["events"][tables["events"]["trial_id"].isin(trials.index)]
    deltas = with_send_times(non_empty(events), tables).sort_values(["trial_id", "seq"])
    size = deltas["trial_id"].map(k).astype(float)
    before = deltas.groupby("trial_id").cumcount() * size
    left = deltas["trial_id"].map(trials["output_tokens"]).astype(float) - before
    size = size.where(size < left, left)
    waited = (deltas["t_read"] - deltas["t_sent"]).astype(float) / MS + (size - 1) / 2 * TOKEN_MS
    sums = pd.DataFrame({"trial_id": deltas["trial_id"], "ms": waited * size, "tokens": size}).groupby("trial_id").sum()
    mean: pd.Series[float] = sums["ms"] / sums["tokens"]
    return mean.dropna()


def _price(trials: pd.DataFrame, k: pd.Series[float]) -> Iterator[str]:
    """Say what the smallest size costs beside the largest one."""
    tokens = trials["output_tokens"].astype(float)
    cpu = (trials["cpu_ns"] / 1e3 / tokens).astype(float)
    events = (trials["deltas"] / tokens).astype(float)
    ends = [k == k.min(), k == k.max()]
    if cpu.notna().all() and k.min() < k.max():
        costs = [f"{number(events[at].median())} events and {number(cpu[at].median())} µs of CPU" for at in ends]
        calls = f"for each token of {tokens.median():.0f}, the call's own cost included"
        yield f"the price {calls}: {costs[0]} at {k.min():g}, {costs[1]} at {k.max():g} tokens an event"


def _buffered_drafts(frames: RunFrames, summary: Summary) -> Iterator[Draft]:
    """Judge what the scenario that gathers text into chunks recorded itself."""
    cells = [cell for cell in summary.cells if cell.key.scenario == "buffered"]
    ways = sorted({way(cell.key) for cell in cells})
    several = len({client for client, _ in ways}) > 1
    for client, load in ways:
        same = {cell.number: cell for cell in cells if way(cell.key) == (client, load)}
        usable = {number: cell for number, cell in same.items() if not unusable(cell)}
        sizes = {number: _param({"params": cell.key.params}, "chars") for number, cell in usable.items()}
        known = {number: chars for number, chars in sizes.items() if chars}
        if len(set(known.values())) < 2:
            continue
        metrics = frames.tables["metrics"]
        delays = metrics[metrics["name"] == "buffer_delay"].set_index("trial_id")["value"].astype(float)
        ok = frames.trials[frames.trials["cell"].isin(known) & (frames.trials["status"] == "ok")]
        delay = delays[delays.index.isin(ok.index)]
        size = ok["cell"].map(known).astype(float).reindex(delay.index)
        said = "the client itself gathers the text: a character waits until its chunk is full"
        subject = f"chunks of buffered, {f'{client} ' if several else ''}{load}"
        yield _slope_draft(subject, delay, size, 0.0, [said], "characters a chunk")


def _slope_draft(
    subject: str, delay: pd.Series[float], size: pd.Series[float], floor: float, words: list[str], unit: str
) -> Draft:
    """Judge the trend of the delay over log2 of the size. `floor`: what the instrument adds to each, in ms."""
    medians = {float(at): one for at, one in delay.groupby(size)}
    if len(medians) < 2 or min(map(len, medians.values())) < FEWEST:
        few = f"fewer than two sizes with {FEWEST} trials each"
        return Draft(ClaimPart(subject, UNDECIDED, "", len(delay), few))
    x, y = np.log2(size.to_numpy(float)), delay.to_numpy(float)
    span = float(x.max() - x.min())
    margin = max(FLOORS * floor, LEAST_MARGIN_MS)
    slope = intervals.theil_sen(x, y)[0]
    where, p = slope_beyond(x, y, slope, margin / span)
    verdict: ClaimVerdict = {"above": HOLDS, "within": REFUTED, "below": REFUTED}.get(where, UNDECIDED)
    shown = ", ".join(f"{one.median():.1f} ms at {at:g}" for at, one in sorted(medians.items()))
    reason = "; ".join([f"median delay {shown} {unit}", _slope_words(where, margin), *words])
    return Draft(ClaimPart(subject, verdict, _text(slope), len(y), reason), p if where else None)


def _text(slope: intervals.Estimate) -> str:
    if slope.value is None or slope.low is None or slope.high is None:
        return ""
    return f"{slope.value:+.2f} ms for each doubling [{slope.low:+.2f}, {slope.high:+.2f}]"


def _slope_words(where: str, margin: float) -> str:
    words = {
        "above": "it rises with the size",
        "within": f"over these sizes it changes by less than {number(margin)} ms",
        "below": "it falls with the size",
    }
    return words.get(where, f"whether it rises by more than {number(margin)} ms cannot be told")
