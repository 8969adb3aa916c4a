"""Compare streamed with blocking trials, pair by pair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from bench.analysis.cell.arm import Arm
from bench.core.results.row import CellKey, Row
from bench.stats.intervals import Estimate
from bench.stats.same_work import same_work, too_many_excluded
from bench.stats.serial_correlation import ratio_in_time, shift_in_time, widen_by_parts

Shift = Callable[[pd.DataFrame], Estimate]
MOST_UNLIKE = 0.5
"""Above this share of pairs with other answers, those left are a choice that the answers made."""
FEW_ALIKE = "most pairs gave other answers"
NONE_ALIKE = "no pair did the same work"


@dataclass(frozen=True)
class Pairs:
    """The pairs of one cell."""

    key: CellKey
    offered: int
    """Pairs of which both trials were offered."""
    both_ok: int
    """Pairs whose trials are both ok."""
    ok: int
    """Pairs of these whose streamed trial had a useful piece."""
    same: pd.DataFrame
    """Of these, both did the same work, in the order of time: ms in `ttfu_s`, `total_s` and `total_b` (s: streamed,
    b: blocking), the place in its pair in `order_s` and `order_b`, the block of the plan in `block_s` and `block_b`."""

    @property
    def excluded_pairs(self) -> int:
        """Offered pairs in which a trial failed or nothing useful came."""
        return self.offered - self.ok

    @property
    def unlike(self) -> int:
        """Pairs that were ok but did not do the same work."""
        return self.ok - len(self.same)

    @property
    def hindrance(self) -> str:
        """Why the paired numbers may not be printed; empty when they may."""
        if few := too_few_left(self.excluded_pairs, self.offered):
            return few
        return f"n/a ({NONE_ALIKE})" if self.ok and self.same.empty else ""

    @property
    def notes(self) -> list[str]:
        """What to know about the pairs beside the numbers."""
        if self.hindrance:
            return [self.hindrance.removeprefix("n/a ").strip("()")]
        causes = (("a trial failed", self.offered - self.both_ok), ("nothing useful came", self.both_ok - self.ok))
        few = [f"{number} of {self.offered} pairs excluded ({cause})" for cause, number in causes if number]
        unlike = (
            f"{self.unlike} of {self.ok} pairs did not do the same work (other answers): left out of the comparison"
        )
        most = f"{FEW_ALIKE}: " if self.unlike > MOST_UNLIKE * self.ok else ""
        return [*few, *([f"{most}{unlike}"] if self.unlike else [])]

    def difference_row(self, metric: str, later: str, earlier: str, seed: int) -> Row:
        """Make the row of the shift between two times of a pair, in ms."""
        return self._row(metric, "ms", lambda p: shift_in_time(_ms(p, later) - _ms(p, earlier), seed=seed))

    def ratio_row(self, metric: str, above: str, below: str, seed: int) -> Row:
        """Make the row of the ratio of two times of a pair, less 1."""
        return self._row(metric, "ratio", lambda p: ratio_in_time(_ms(p, above), _ms(p, below), seed=seed))

    def _row(self, metric: str, unit: str, shift: Shift) -> Row:
        e = Estimate(note=self.hindrance) if self.hindrance else over_segments(self.same, shift)
        note = e.note if e.value is None else "; ".join(filter(None, (e.note, *self.notes)))
        n = len(self.same)
        return Row(*self.key, "paired", metric, unit, "hl", n, self.excluded_pairs, e.value, e.low, e.high, note)


def too_few_left(excluded: int, offered: int) -> str:
    """Return why the remaining pairs may not stand for all; empty if they may."""
    few = too_many_excluded(excluded, offered)
    return f"NOT ENOUGH DATA: {excluded} of {offered} pairs excluded" if few else ""


def make_pairs(key: CellKey, streamed: Arm, blocking: Arm, *, simulated: bool) -> Pairs:
    """Join the two arms by pair."""
    joined = _columns(streamed).add_suffix("_s").join(_columns(blocking).add_suffix("_b"), how="inner")
    both_ok = (joined["status_s"] == "ok") & (joined["status_b"] == "ok")
    ok = joined[both_ok & joined[["ttfu_s", "total_s", "total_b"]].notna().all(axis=1)]
    same = ok[did_same_work(ok, simulated=simulated)].sort_values("t_origin_s")
    return Pairs(key, len(joined), int(both_ok.sum()), len(ok), same)


def _columns(arm: Arm) -> pd.DataFrame:
    values = arm.values[["ttfu", "total"]]
    known = arm.trials[["pair", "block", "status", "order", "t_origin", "result_sha256", "output_tokens"]]
    return known.join(values).set_index("pair").sort_index()


def did_same_work(ok: pd.DataFrame, *, simulated: bool) -> pd.Series[bool]:
    """Say for each pair whether both trials did the same work; what is missing shows nothing."""
    equal = (ok["result_sha256_s"] == ok["result_sha256_b"]).fillna(value=False).astype(bool)
    tokens = (ok[name].fillna(0).astype("int64") for name in ("output_tokens_s", "output_tokens_b"))
    return same_work(equal, *tokens, simulated=simulated)


def over_segments(same: pd.DataFrame, shift: Shift) -> Estimate:
    """Estimate the shift of all pairs.

    Where the two of a pair ran in two segments, the interval is wider by how much these differ.
    """
    whole = shift(same)
    if (same["block_s"] == same["block_b"]).all():
        return whole
    return widen_by_parts(whole, [shift(part) for _, part in same.groupby("block_s")])


def _ms(same: pd.DataFrame, column: str) -> pd.Series[float]:
    return same[column].astype(float)
