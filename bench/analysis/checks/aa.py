"""The A/A check: a delivery against itself shows what this method sees where there is nothing to see.

Both trials of an A/A pair are the same, and a coin decides which of them comes first: their difference has the same
chance of either sign, whatever the noise, the drift or the caches. So the signed-rank test of these pairs is exact.

Under load the trials of a pair are neighbours in one segment. Where each arm had a segment of its own, the coin was
thrown once for both, and whatever the machine did meanwhile is in all their pairs: two such segments are one
difference, the median of those of their pairs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.cell.arm import Arm, floats
from bench.analysis.checks.floor import Resolution, Way, way
from bench.analysis.pairs import Pairs, make_pairs
from bench.analysis.tables import RunFrames, planned_phases
from bench.analysis.wording import with_interval
from bench.core.load import parse_load
from bench.core.results.labels import WHOLE_RUN, cell_key, cell_labels, whole_run_key
from bench.core.results.row import CellKey, Row
from bench.stats import intervals
from bench.stats.hypotheses import holm, signed_rank_p

Floats = NDArray[np.float64]
LEVEL = 0.001
"""Probability of a false INVALID. At 0.05 a healthy run with a few cells would be condemned one time in five."""
STREAMED = "streamed"


@dataclass(frozen=True)
class AaCheck:
    """What came of the A/A pairs."""

    rows: tuple[Row, ...] = ()
    """`aa` of each cell, and of all cells together (scenario `(all)`), which has `aa_ttfu` too."""
    invalid: str = ""
    """Why no number of this run may be believed; empty when they may."""
    sentence: str = ""
    """For the trust lines: the estimate with its interval, and the smallest effect that this run can see."""
    checked: bool = False
    """True if there were enough pairs to decide."""


@dataclass(frozen=True)
class Sample:
    """The A/A pairs of one cell, or of all."""

    differences: Floats
    """log(total of arm a / total of arm b) of each pair; under load of each two segments."""
    floor: Floats
    """For each the largest |difference| that the instrument itself explains, on the same scale."""

    def p_beyond_floor(self) -> float:
        """Test whether the shift lies beyond the floor, on either side: two-sided p."""
        above = signed_rank_p(self.differences - self.floor, 0, "greater")
        return min(1.0, 2 * min(above, signed_rank_p(self.differences + self.floor, 0, "less")))


def check(frames: RunFrames, resolutions: Mapping[Way, Resolution], late: Collection[int] = ()) -> AaCheck:
    """Judge the A/A pairs; `resolutions` by client and load. `late`: cells that decide nothing, for the client was."""
    labels = zip(cell_labels(frames.cells), frames.cells, strict=True)
    cells = {label: cell for label, cell in labels if cell["cell"] not in late}
    found = {label: pairs for label, cell in cells.items() if (pairs := _pairs(frames, cell)).offered}
    if not found:
        return AaCheck(sentence=f"A/A: not checked ({_why_none(frames, late)})")
    frames = replace(frames, cells=list(cells.values()))
    samples = {label: _sample(pairs, resolutions.get(way(pairs.key))) for label, pairs in found.items()}
    together = together_of(samples)
    row = _together_row(frames, list(found.values()), "aa", together.differences)
    invalid = verdict(samples)
    return AaCheck(
        rows=(
            *(_row(pairs.key, "aa", samples[label].differences, [pairs]) for label, pairs in found.items()),
            row,
            *_first_useful_row(frames),
        ),
        invalid=invalid,
        sentence=_sentence(
            row, together, list(found.values()), list(_sees(row, _instrument_share(together), bool(invalid)))
        ),
        checked=row.n >= fewest_pairs(1),
    )


def fewest_pairs(family: int) -> int:
    """Return the number of pairs that can show a bias when `family` hypotheses are tested at once: 11 for one."""
    return intervals.minimum_n(0.5, LEVEL / family)


def verdict(samples: Mapping[str, Sample]) -> str:
    """Return why the run is invalid, by its cells' samples; empty if it is not.

    All cells together and each cell that has enough pairs are tested for a shift beyond the floor, with Holm's
    correction: a healthy run is condemned with probability 0.001 at most.
    """
    family = _family(samples)
    ps = {label: sample.p_beyond_floor() for label, sample in family.items()}
    clearest = min(ps, key=ps.__getitem__, default="")  # Holm rejects it before any other
    return _reason(clearest, family[clearest]) if any(holm(list(ps.values()), LEVEL)) else ""


def _family(samples: Mapping[str, Sample]) -> dict[str, Sample]:
    """Choose the samples to test, the largest first; one cell alone is the same as all together."""
    together = {WHOLE_RUN: together_of(samples)}
    cells = samples if len(samples) > 1 else {}
    ordered = [*together.items(), *sorted(cells.items(), key=lambda item: -item[1].differences.size)]
    # a cell with fewer pairs could never be condemned: it would only take power from the others
    able = [k for k in range(1, len(ordered) + 1) if ordered[k - 1][1].differences.size >= fewest_pairs(k)]
    return dict(ordered[: max(able, default=0)])


def together_of(samples: Mapping[str, Sample]) -> Sample:
    """Join the pairs of all cells into one sample."""
    parts = list(samples.values())
    return Sample(np.concatenate([p.differences for p in parts]), np.concatenate([p.floor for p in parts]))


def _reason(label: str, sample: Sample) -> str:
    e = intervals.as_ratio(intervals.hodges_lehmann(sample.differences, LEVEL))
    low, high = (f"{100 * (x or 0):+.1f}" for x in (e.low, e.high))
    where = "" if label == WHOLE_RUN else f" in {label}"
    floor = _instrument_share(sample)
    explains = f"; the instrument explains {100 * floor:.2g} %" if floor else ""
    return (
        f"the same call measured against itself{where} differs by {100 * (e.value or 0):+.1f} %, which is not chance "
        f"([{low}, {high}], 99.9 % interval, {sample.differences.size} pairs{explains})"
    )


def _instrument_share(sample: Sample) -> float:
    """Return the largest difference that the instrument explains, as a fraction; 0 where it was not calibrated."""
    return float(np.expm1(np.median(sample.floor))) if sample.floor.size else 0.0


def _pairs(frames: RunFrames, cell: Mapping[str, Any], delivery: str | None = None) -> Pairs:
    """Pair the A/A trials: arm a in place of the streamed trial (`_s`), arm b in place of the blocking one (`_b`)."""
    trials = frames.aa[(frames.aa["cell"] == cell["cell"]) & (frames.aa["status"] != "cancelled")]
    if delivery:
        trials = trials[trials["delivery"] == delivery]
    a, b = (Arm(cell_key(cell), "paired", trials[(trials["arm"] == arm).fillna(value=False)]) for arm in ("a", "b"))
    return make_pairs(a.key, a, b, simulated=bool(cell["simulated"]))


def _sample(pairs: Pairs, resolution: Resolution | None) -> Sample:
    a, b = (pairs.same[column].to_numpy(dtype=np.float64) for column in ("total_s", "total_b"))
    smallest = (resolution.total_ms if resolution else None) or 0.0
    floor = np.log1p(smallest / np.median(np.concatenate([a, b]))) if a.size else 0.0
    tossed = _independent_differences(pairs, np.log(a / b))
    return Sample(tossed, np.full(tossed.size, floor))


def _independent_differences(pairs: Pairs, differences: Floats) -> Floats:
    """Return one difference for each random choice of order: for each pair, or for each two segments."""
    if parse_load(pairs.key.load).sequential or (pairs.same["block_s"] == pairs.same["block_b"]).all():
        return differences
    medians = pd.Series(differences).groupby(pairs.same["block_s"].to_numpy(dtype=np.int64)).median()
    return floats(medians)


def _why_none(frames: RunFrames, late: Collection[int]) -> str:
    planned = "aa" in planned_phases(frames.plan)
    if planned and late:
        return "the client was late"
    return "the run ended before an A/A pair did" if planned else "no A/A pairs were planned"


def _together_row(frames: RunFrames, found: Sequence[Pairs], metric: str, differences: Floats) -> Row:
    return _row(whole_run_key(frames.cells), metric, differences, found)


def _first_useful_row(frames: RunFrames) -> Iterator[Row]:
    """Make the row `aa_ttfu`, of the first useful output, from the pairs that were streamed."""
    found = [_pairs(frames, cell, STREAMED) for cell in frames.cells]
    ratios = [
        _independent_differences(p, np.log((p.same["ttfu_s"] / p.same["ttfu_b"]).to_numpy(dtype=np.float64)))
        for p in found
    ]
    if (known := np.concatenate(ratios)).size:
        yield _together_row(frames, found, "aa_ttfu", known)


def _row(key: CellKey, metric: str, differences: Floats, found: Sequence[Pairs]) -> Row:
    e = intervals.as_ratio(intervals.hodges_lehmann(differences))
    excluded, unlike = sum(pairs.excluded_pairs for pairs in found), sum(pairs.unlike for pairs in found)
    counted = ((excluded, "excluded: a trial failed or gave nothing useful"), (unlike, "left out: other answers"))
    note = e.note or "; ".join(f"{number} {what}" for number, what in counted if number)
    return Row(*key, "paired", metric, "ratio", "hl", differences.size, excluded, e.value, e.low, e.high, note)


def _sentence(row: Row, sample: Sample, found: Sequence[Pairs], sees: Sequence[str]) -> str:
    unlike, pairs = (sum(sizes) for sizes in zip(*((p.unlike, len(p.same)) for p in found), strict=True))
    left = ((row.failed, "excluded"), (unlike, "with other answers left out"))
    of_segments = f", under load each two segments as one: {row.n} differences" if row.n != pairs else ""
    counted = ", ".join([f"{pairs} pairs{of_segments}", *(f"{number} {what}" for number, what in left if number)])
    if row.estimate is not None:
        effect = f": {'; '.join(sees)}" if sees else ""
        return f"A/A: a delivery against itself differs by {with_interval(row)} ({counted}){effect}"
    if not of_segments or not row.n:
        return f"A/A: {counted}, too few to say anything"
    most = 100 * np.expm1(np.abs(sample.differences).max())
    return f"A/A: two segments of one delivery differ by up to {most:.2g} % ({counted}), too few to test the method"


def _sees(row: Row, floor: float, condemned: bool) -> Iterator[str]:
    """Yield what this run can show, if it is sound. `floor`: what the instrument itself explains, as a fraction."""
    if row.low is None or row.high is None or condemned:
        return
    noise = (row.high - row.low) / 2
    coarse = f" (what the instrument resolves; the noise alone: {100 * noise:.2g} %)" if floor > noise else ""
    yield f"the smallest effect that this run can see is {100 * max(noise, floor):.2g} %{coarse}"
    if row.n < fewest_pairs(1):
        yield f"to decide whether the run is biased takes {fewest_pairs(1)}"
    elif row.low > 0 or row.high < 0:
        yield "as much is seen in one healthy run of twenty, so it is not held against this one (99.9 % would be)"
