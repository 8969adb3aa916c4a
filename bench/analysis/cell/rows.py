"""The numbers of one cell in one delivery."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.cell.deltas import gaps_of
from bench.analysis.per_trial import MS, per_trial
from bench.core.metrics import BY_NAME, FLAG, LATENCIES, PACES, QUANTILES, SUMS
from bench.core.row import CellKey, Row
from bench.stats import intervals
from bench.stats.intervals import Estimate

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Arm:
    """One delivery of one cell: its offered trials and what they left."""

    key: CellKey
    delivery: str
    trials: pd.DataFrame
    """Offered, indexed by trial_id."""

    @cached_property
    def values(self) -> pd.DataFrame:
        """The metrics of each trial."""
        return per_trial(self.trials)

    @cached_property
    def ok_values(self) -> pd.DataFrame:
        """The metrics of each trial that succeeded."""
        return self.values.loc[self.ok.index]

    @cached_property
    def ok(self) -> pd.DataFrame:
        """The trials that succeeded."""
        return self.trials[self.trials["status"] == "ok"]

    @cached_property
    def failed(self) -> int:
        """Offered trials that did not."""
        return len(self.trials) - len(self.ok)

    def row(
        self, metric: str, statistic: str, estimate: Estimate, n: int, unit: str | None = None, note: str = ""
    ) -> Row:
        """A number of this arm; the note says why there is no estimate, or what to know about it."""
        return Row(
            *self.key,
            self.delivery,
            metric,
            BY_NAME[metric].unit if unit is None else unit,
            statistic,
            n,
            self.failed,
            estimate.value,
            estimate.low,
            estimate.high,
            estimate.note or note,
        )


def floats(values: pd.Series[float]) -> Floats:
    """The values that are there."""
    return np.asarray(values.dropna(), dtype=np.float64)


OWN = "own"
OWN_CLIENT = "n/a (own client)"
ON_THE_WIRE = frozenset(
    (
        *("ttft", "ttft_visible", "first_event", "gap", "itl", "tpot", "stall_share", "stall_ms", "stalls"),
        "tokens_per_s",
        *("input_tokens", "cached_tokens", "output_tokens", "attempts", "backoff", "cpu_per_event"),
    )
)
"""What is read from the bytes, so not known of a scenario with a stack of its own."""


def arm_rows(arm: Arm, events: pd.DataFrame, recorded: pd.DataFrame) -> Iterator[Row]:
    """Every number of an arm. `events` and `recorded` (the metrics table) may hold other trials too."""
    rows = _arm_rows(arm, events, recorded)
    return map(seen, rows) if arm.key.client == OWN else rows


def seen(row: Row) -> Row:
    """Of an own client: the row, or why there is no such number."""
    if row.metric not in ON_THE_WIRE:
        return row
    return replace(row, n=0, estimate=None, low=None, high=None, note=OWN_CLIENT)


def _arm_rows(arm: Arm, events: pd.DataFrame, recorded: pd.DataFrame) -> Iterator[Row]:
    if arm.trials.empty:
        return
    values = arm.ok_values
    for name in LATENCIES:
        if arm.delivery in BY_NAME[name].deliveries:
            yield from latency_rows(arm, name, values[name])
    for name in PACES:
        if arm.delivery in BY_NAME[name].deliveries:
            yield from pace_rows(arm, name, values[name])
    if arm.delivery == "streamed":
        yield from gap_rows(arm, events)
    yield from sum_rows(arm, values)
    yield from failure_rows(arm)
    yield from recorded_rows(arm, recorded)


def latency_rows(arm: Arm, name: str, values: pd.Series[float]) -> Iterator[Row]:
    """Quantiles over all offered trials, failures as +∞.

    An ok trial that never gave anything useful is +∞ in `ttfu`; in the others one without the mark is left out.
    """
    arrived = floats(values)
    missing = len(values) - arrived.size
    if name == "ttfu":
        never, note = arm.failed + missing, never_useful(arm)
    elif missing == len(values) > 0:
        return (yield arm.row(name, "p50", Estimate(note="n/a (no trial had one)"), 0))
    else:
        never, note = arm.failed, f"{missing} of {len(values)} ok trials had none: left out" if missing else ""
    offered = np.concatenate([arrived, np.full(never, np.inf)])
    for statistic, q in QUANTILES.items():
        yield arm.row(name, statistic, intervals.quantile_ci(offered, q), offered.size, note=note)


def never_useful(arm: Arm) -> str:
    """How many ok trials never gave a useful piece; empty if all did."""
    never = int(arm.ok_values["ttfu"].isna().sum())
    return f"{never} of {len(arm.ok)} ok answers never gave anything useful: each counts as ∞" if never else ""


def pace_rows(arm: Arm, name: str, values: pd.Series[float]) -> Iterator[Row]:
    """Quantiles over the ok trials that have the metric."""
    present = floats(values)
    if not present.size:
        return (yield arm.row(name, "p50", Estimate(note=no_pace(arm.ok)), 0))
    note = "approximate where tokens ≠ deltas" if name == "tpot" and not one_token_a_delta(arm.ok) else ""
    for statistic, q in QUANTILES.items():
        yield arm.row(name, statistic, intervals.quantile_ci(present, q), present.size, note=note)


def no_pace(ok: pd.DataFrame) -> str:
    """Why no trial has a pace."""
    at_once = bool((ok["t_first_token"] == ok["t_last_token"]).fillna(value=False).any())
    return "n/a (first and last token came in one read)" if at_once else "n/a (no ok trial has what it takes)"


def of_sample(trials: pd.DataFrame) -> str:
    """`from the events of 1,012 of 100,000 trials`: what a number of single events rests on; empty if on all trials."""
    kept = int(trials["stored"].sum())
    return f"from the events of {kept:,} of {len(trials):,} trials" if kept < len(trials) else ""


def gaps_note(gaps: int, arm: Arm) -> str:
    """What n is, and what the quantiles of gaps rest on."""
    return "; ".join(filter(None, (f"n counts trials; {gaps} gaps", of_sample(arm.ok))))


def no_gaps(arm: Arm, what: str) -> Estimate:
    """Why there is no gap."""
    sample = of_sample(arm.ok)
    return Estimate(note=f"n/a (no trial had two {what}{sample and f', {sample}'})")


def gap_rows(arm: Arm, events: pd.DataFrame) -> Iterator[Row]:
    """Gaps between deltas, and the same as ITL where a delta is a token; of the trials whose events were stored."""
    owner, gaps = delta_gaps(events[events["trial_id"].isin(arm.ok.index)])
    trials = int(np.unique(owner).size)
    if not trials:
        return (yield arm.row("gap", "p50", no_gaps(arm, "deltas"), 0))
    why_not = "" if one_token_a_delta(arm.ok) else tokens_an_event(arm.ok)
    for statistic, q in QUANTILES.items():
        estimate = intervals.clustered_quantile(gaps, owner, q)
        yield arm.row("gap", statistic, estimate, trials, note=gaps_note(gaps.size, arm))
        if not why_not:
            yield arm.row("itl", statistic, estimate, trials, note=gaps_note(gaps.size, arm))
    if why_not:
        yield arm.row("itl", "p50", Estimate(note=why_not), trials)


def delta_gaps(events: pd.DataFrame) -> tuple[NDArray[np.int64], Floats]:
    """Gaps between successive non-empty deltas of the same attempt: (trial_id, ms) of each."""
    gaps = gaps_of(events)
    return gaps.trial, gaps.ns / MS


def one_token_a_delta(ok: pd.DataFrame) -> bool:
    """Had every trial as many output tokens as deltas? Only then is a gap the time of one token."""
    return bool((ok["output_tokens"] == ok["deltas"]).fillna(value=False).all()) and not ok.empty


def tokens_an_event(ok: pd.DataFrame) -> str:
    """Why there is no ITL."""
    known = ok.dropna(subset=["output_tokens", "deltas"])
    deltas = int(known["deltas"].sum())
    if len(known) < len(ok) or not deltas:
        return "n/a (no usage to tell tokens from events)"
    return f"n/a ({int(known['output_tokens'].sum()) / deltas:.3g} tokens per event)"


def sum_rows(arm: Arm, values: pd.DataFrame) -> Iterator[Row]:
    """Totals: tokens and stalls over ok trials; attempts and back-off over every trial that left a row."""
    everyone = arm.values[arm.trials["t_origin"].notna()]
    for name in ("attempts", "backoff"):
        yield sum_row(arm, name, everyone[name])
    for name in SUMS:
        if arm.delivery in BY_NAME[name].deliveries:
            yield sum_row(arm, name, values[name])


def sum_row(arm: Arm, name: str, values: pd.Series[float]) -> Row:
    """The sum of what is known; n says over how many trials."""
    present = floats(values)
    if not present.size:
        return arm.row(name, "sum", Estimate(note="n/a (not reported)"), 0)
    missing = len(values) - present.size
    note = f"not known of {missing} trials" if missing else ""
    return arm.row(name, "sum", Estimate(float(present.sum())), present.size, note=note)


def failure_rows(arm: Arm) -> Iterator[Row]:
    """How many of the offered failed, their share, and each class that occurred."""
    n = len(arm.trials)
    yield arm.row("failures", "sum", Estimate(arm.failed), n)
    yield arm.row("failures", "share", intervals.share_ci(arm.failed, n), n, unit="share")
    classes = arm.trials["status"].value_counts()
    for status in sorted(set(classes.index) - {"ok"}):
        yield arm.row(f"failures.{status}", "sum", Estimate(float(classes[status])), n, unit="")


def recorded_rows(arm: Arm, recorded: pd.DataFrame) -> Iterator[Row]:
    """What plugins recorded, under their own names: the median of each ok trial's values."""
    mine = recorded[recorded["trial_id"].isin(arm.ok.index)]
    for (name, unit), values in mine.fillna({"unit": ""}).groupby(["name", "unit"]):
        each = floats(values.groupby("trial_id")["value"].median())
        called = f"recorded.{name}" if name in BY_NAME else str(name)
        for statistic, q in QUANTILES.items():
            estimate = intervals.quantile_ci(each, q)
            yield arm.row(called, statistic, estimate, each.size, unit=str(unit))
        if unit == FLAG:
            share = intervals.share_ci(int((each > 0).sum()), each.size)
            yield arm.row(called, "share", share, each.size, unit=FLAG)
