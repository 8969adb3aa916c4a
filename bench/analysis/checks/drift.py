"""Check whether times changed while the run went on, or between the two trials of a pair."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.cell.arm import RowMaker, per_trial
from bench.analysis.pairs import Pairs
from bench.analysis.tables import RunFrames
from bench.analysis.wording import with_interval
from bench.core.results.labels import cell_key, cell_labels, whole_run_key
from bench.core.results.metrics.metric import MS
from bench.core.results.row import CellKey, Row
from bench.stats import intervals
from bench.stats.intervals import ALPHA, Estimate
from bench.stats.serial_correlation import widen
from bench.stats.two_sample_shift import two_sample_shift

Floats = NDArray[np.float64]
TREND_MATTERS = 0.05
"""A smaller change over the run is no news."""
ORDER_MATTERS = 0.01
CONNECT_MATTERS = 0.01
"""Share of the time to the whole answer: connections that open faster than this are no difference."""
SAID = 0.01
"""What is said has a 99 % interval that excludes zero: every cell is asked, so 95 % would often be a false alarm."""
LARGEST_TREND = 1000
"""Trials for one slope; of more, a seeded subsample (n² memory)."""


@dataclass(frozen=True)
class Drift:
    """A trend, an order effect, or a mix of connections."""

    rows: tuple[Row, ...] = ()
    sentence: str = ""
    """Empty where it does not matter."""


def trend(frames: RunFrames, growing: Collection[int] = ()) -> Drift:
    """Make the rows `trend`: by what fraction times changed over the run, for scenario `(all)` and each cell.

    Intervals are widened where neighbours are alike. Said is only what excludes zero at 99 %, with Bonferroni's
    correction, and is above 5 %: the slope of all cells together, else that of the worst cell. `growing`: cells whose
    queue grew, so that their times had to; they have a row, and are not held against the run.
    """
    table = residuals(frames.trials)
    if table.empty:
        return Drift()
    seed, cells = int(frames.plan["seed"]), dict(zip(cell_labels(frames.cells), frames.cells, strict=True))
    parts = {"": (whole_run_key(frames.cells), table[~table["cell"].isin(list(growing))])}
    parts |= {label: (cell_key(cell), table[table["cell"] == cell["cell"]]) for label, cell in cells.items()}
    rows = {}
    for label, (key, part) in parts.items():
        e, deliveries = _slope(part, seed), part["delivery"].unique()
        maker = RowMaker(key, str(deliveries[0]) if len(deliveries) == 1 else "paired")
        rows[label] = maker.row("trend", "slope", e, len(part))
    alpha = SAID / (len(parts) if len(cells) > 1 else 1)
    steady = {label: part for label, part in parts.items() if not label or cells[label]["cell"] not in growing}
    said = [label for label, (_, part) in steady.items() if matters(_slope(part, seed, alpha), TREND_MATTERS)]
    return Drift(tuple(rows.values()), _trend_sentence(rows, said))


def residuals(trials: pd.DataFrame) -> pd.DataFrame:
    """Tabulate ok trials in the order of time: `cell`, `delivery`, `x` and `y`.

    `y`: log(total) minus its median in the same cell and delivery; `x`: when it began, as a fraction of the run.
    """
    known = (trials["status"] == "ok") & trials["t_origin"].notna() & trials["t_end"].notna()
    ok = trials.loc[known, ["cell", "delivery", "t_origin", "t_end"]].sort_values("t_origin")
    total, start = (part.to_numpy(dtype=np.float64) for part in ((ok["t_end"] - ok["t_origin"]) / MS, ok["t_origin"]))
    length = (float(np.ptp(start)) if start.size else 0.0) or 1.0
    table = ok[["cell", "delivery"]].assign(y=np.log(total), x=(start - start.min(initial=np.inf)) / length)
    table["y"] -= table.groupby(["cell", "delivery"])["y"].transform("median")
    return table


def _slope(part: pd.DataFrame, seed: int, alpha: float = ALPHA) -> Estimate:
    """Estimate the change over the run, as a fraction."""
    if len(part) > LARGEST_TREND:
        part = part.iloc[np.sort(np.random.default_rng(seed).choice(len(part), LARGEST_TREND, replace=False))]
    return slope(part["x"].to_numpy(), part["y"].to_numpy(), alpha)


def slope(x: Floats, y: Floats, alpha: float = ALPHA) -> Estimate:
    """Estimate by what fraction times changed while x went from 0 to 1; y are their logarithms, in the order of time.

    Theil-Sen, widened for the correlation of neighbours in the residuals. Simulated coverage is 94-95 % where there is
    none, 90-94 % at 72-432 trials and correlations of 0.3 to 0.7, where the bare interval covers 63-87 %.
    """
    e, _ = intervals.theil_sen(x, y, alpha)
    if e.value is None:
        return e
    wide = widen(e, y - e.value * x)
    note = "" if wide == e else "trials that follow each other are alike: interval widened"
    return intervals.as_ratio(replace(wide, note=note))


def matters(e: Estimate, least: float) -> bool:
    """Return True if the estimate is larger than `least` in size, with an interval that excludes zero."""
    if e.value is None or e.low is None or e.high is None:
        return False
    return abs(e.value) > least and (e.low > 0 or e.high < 0)


def _trend_sentence(rows: Mapping[str, Row], said: list[str]) -> str:
    if not said:
        return ""
    worst = "" if "" in said else max(said, key=lambda label: abs(rows[label].estimate or 0))
    row = rows[worst]
    change = "grew" if (row.estimate or 0) > 0 else "fell"
    return (
        f"times{worst and f' of {worst}'} {change} by {with_interval(row)} from the start of the run to its end: "
        "paired numbers stand, medians are of a moving target"
    )


def order_effect(pairs: Pairs, seed: int, resolution_ms: float | None = None, cells: int = 1) -> Drift:
    """Make the row `order_effect`: by what fraction the second trial of a pair takes longer than it would as the first.

    Streamed against blocking differs by order by twice the effect of being second (a crossover design). Said where
    the 99 % interval (Bonferroni: of so many cells) excludes zero and it is above 1 % and `resolution_ms`, what the
    instrument can show.
    """
    if not pairs.offered:
        return Drift()
    e = Estimate(note=pairs.hindrance) if pairs.hindrance else _order_estimate(pairs, seed)
    row = Row(
        *(*pairs.key, "paired", "order_effect", "ratio", "hl"),
        *(len(pairs.same), pairs.excluded_pairs, e.value, e.low, e.high, e.note),
    )
    typical = float(pairs.same[["total_s", "total_b"]].median().min()) if len(pairs.same) else math.nan
    least = max(ORDER_MATTERS, (resolution_ms or 0) / typical if typical > 0 else 0.0)
    if pairs.hindrance or not matters(_order_estimate(pairs, seed, SAID / cells), least):
        return Drift((row,))
    change = (
        f"slower ({with_interval(row)})." if (e.value or 0) > 0 else f"faster ({with_interval(row)}): a prefix cache?"
    )
    return Drift((row,), f"the second of a pair is {change} The order is random, so the comparison stands")


def _order_estimate(pairs: Pairs, seed: int, alpha: float = ALPHA) -> Estimate:
    same = pairs.same
    difference = np.log((same["total_s"] / same["total_b"]).to_numpy(dtype=np.float64))
    second = (same["order_s"] == 1).to_numpy(dtype=bool)
    return crossover(difference[second], difference[~second], alpha, seed)


def crossover(second: Floats, first: Floats, alpha: float = ALPHA, seed: int = 0) -> Estimate:
    """Estimate the effect of being second, as a fraction, from log ratios of pairs whose numerator was second or first.

    Being second adds to the one and takes from the other, hence half their difference.
    """
    e = two_sample_shift(second, first, alpha, seed)
    if e.value is None or e.low is None or e.high is None:
        return e
    return intervals.as_ratio(replace(e, value=e.value / 2, low=e.low / 2, high=e.high / 2))


def connections(frames: RunFrames, cell: int, key: CellKey) -> Drift:
    """Check whether requests of this cell went partly over new connections, partly over open ones.

    `warm_share`: of the first attempts of its trials, the share over a connection that had carried a request before.
    WebSockets and own clients have none. Said where opening one takes above 1 % of the time of a whole answer.
    """
    trials = frames.trials[(frames.trials["cell"] == cell) & (frames.trials["status"] != "cancelled")]
    attempts = frames.tables["attempts"]
    first = (attempts["request"] == 0) & (attempts["attempt"] == 0) & attempts["reused"].notna()
    over_http = attempts[first.fillna(value=False) & (attempts["method"] != "WS").fillna(value=True)]
    firsts = over_http.join(trials[["delivery"]], on="trial_id", how="inner")
    new = firsts[~firsts["reused"].astype(bool)]
    rows = tuple(
        RowMaker(key, str(delivery)).share("warm_share", int(part["reused"].sum()), len(part))
        for delivery, part in firsts.groupby("delivery", sort=True)
    )
    if new.empty or len(new) == len(firsts):
        return Drift(rows)
    took = float(((new["t_tls"].fillna(new["t_connected"]) - new["t_connect"]) / MS).dropna().astype(float).median())
    typical = float(per_trial(trials[trials["status"] == "ok"])["total"].astype("float64").median())
    if not took > CONNECT_MATTERS * typical:  # not known: not said
        return Drift(rows)
    opened = f"{len(new)} of {len(firsts)} trials opened a new connection (median {took:.3g} ms to connect)"
    return Drift(rows, f"{opened}: cold and warm are mixed")
