"""A delivery against itself: healthy runs are left alone, biased ones are found, and the floor is no bias."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from bench.analysis.build import build
from bench.analysis.checks.aa import Sample, _sample, check, fewest_pairs, together_of, verdict
from bench.analysis.checks.floor import Resolution
from bench.analysis.pairs import Pairs
from bench.analysis.tables import load
from bench.core.results.row import CellKey, Row
from bench.stats import intervals
from tests.support.synthetic import Truth, make_run

RUNS = 1000
FLOOR = 0.0025
"""Three floors of 0.35 ms on an answer of 420 ms."""


class Shape(NamedTuple):
    """What a simulated run is like."""

    cells: int
    pairs: int
    noise: float
    heavy: float
    order: float
    walk: float


def any_shape(rng: np.random.Generator) -> Shape:
    """A healthy run: noisy or quiet, one cell or many, with heavy tails, a drift, and a cache."""
    cells = int(rng.integers(1, 7))
    pairs = int(rng.integers(max(3, 12 // cells), 40))
    return Shape(cells, pairs, float(rng.uniform(0.005, 0.3)), 0.03, 0.05, float(rng.choice([0, 0.01])))


def differences(shape: Shape, rng: np.random.Generator) -> NDArray[np.float64]:
    """log(a/b) of each pair (cell, pair): trials run one after the other, a coin decides which of two is arm a."""
    size = (shape.pairs, shape.cells, 2)
    logs = rng.normal(0, shape.noise, size)
    logs += np.where(rng.random(size) < shape.heavy, np.log(rng.uniform(3, 10, size)), 0)
    logs += np.cumsum(rng.normal(0, shape.walk, logs.size)).reshape(size)
    logs[..., 1] += np.log1p(shape.order)
    return (np.where(rng.random(size[:2]) < 0.5, 1, -1) * (logs[..., 0] - logs[..., 1])).T


def samples(d: NDArray[np.float64], floor: float) -> dict[str, Sample]:
    """As `verdict` takes them."""
    return {f"cell {i}": Sample(row, np.full(row.size, floor)) for i, row in enumerate(d)}


@pytest.fixture(scope="module")
def healthy() -> list[dict[str, Sample]]:
    """Runs in which there is nothing to find, on an instrument without a floor: the worst case."""
    rng = np.random.default_rng(20261)
    return [samples(differences(any_shape(rng), rng), 0) for _ in range(RUNS)]


def test_healthy_runs_are_not_condemned(healthy: list[dict[str, Sample]]) -> None:
    """Of 1,000 healthy runs 1 at most is expected to be INVALID; more than 5 have a chance of 6 in 10,000."""
    assert sum(bool(verdict(run)) for run in healthy) <= 5


def test_a_plain_rule_would_condemn_healthy_runs(healthy: list[dict[str, Sample]]) -> None:
    """`Some 95 % interval excludes zero` condemns more than one healthy run in ten: hence the level of 0.001."""

    def excludes_zero(sample: Sample) -> bool:
        e = intervals.hodges_lehmann(sample.differences)
        return e.low is not None and e.high is not None and (e.low > 0 or e.high < 0)

    plain = sum(any(map(excludes_zero, [*run.values(), together_of(run)])) for run in healthy)
    assert plain > 0.1 * RUNS


@pytest.mark.parametrize(("pairs", "bias", "power"), [(6, 0.03, 0.78), (6, 0.04, 0.95), (12, 0.03, 0.95)])
def test_biased_runs_are_found(pairs: int, bias: float, power: float) -> None:
    """At 1-2 % noise 3 cells of 6 A/A pairs (the default) find 3 % in 82 of 100 runs, 4 % in 98; of 12, 3 % always."""
    rng, found = np.random.default_rng(20262), 0
    for _ in range(RUNS):
        d = differences(Shape(3, pairs, float(rng.uniform(0.01, 0.02)), 0, 0, 0), rng) + np.log1p(bias)
        found += bool(verdict(samples(d, FLOOR)))
    assert found >= power * RUNS


def test_a_bias_in_one_cell_is_found() -> None:
    """A bias of 3 % in one cell of three is found, and that cell named, where each cell has 30 A/A pairs."""
    rng, named = np.random.default_rng(20263), 0
    for _ in range(RUNS):
        d = differences(Shape(3, 30, float(rng.uniform(0.01, 0.02)), 0, 0, 0), rng)
        d[2] += np.log1p(0.03)
        reason = verdict(samples(d, FLOOR))
        named += "itself in cell 2 differs by +" in reason
    assert named >= 0.95 * RUNS


def test_a_bias_within_the_floor_is_the_instruments() -> None:
    """What the instrument explains condemns nothing, however clearly it is seen; what is beyond its floor does."""
    d = np.random.default_rng(3).normal(0.01, 0.001, (2, 30))
    assert verdict(samples(d, 0))
    assert verdict(samples(d, 0.002))
    assert not verdict(samples(d, 0.012))
    assert verdict(samples(-d, 0.002))


def test_cells_with_too_few_pairs_take_no_power() -> None:
    """Eleven pairs can condemn a run when they are all there is; as one of several cells they cannot, all can."""
    eleven = np.full(11, 0.05)
    assert fewest_pairs(1) == 11
    assert "[+5.1, +5.1]" in verdict({"alone": Sample(eleven, np.zeros(11))})
    assert not verdict({"alone": Sample(eleven[:10], np.zeros(10))})
    few = {"a": Sample(eleven[:6], np.zeros(6)), "b": Sample(eleven[:5], np.zeros(5))}
    assert "itself differs" in verdict(few)


def row(rows: tuple[Row, ...], scenario: str, metric: str) -> Row:
    """The one row of that name."""
    (found,) = (r for r in rows if (r.scenario, r.metric) == (scenario, metric))
    return found


def holds(r: Row, truth: float) -> bool:
    """Whether the interval holds the truth."""
    return r.low is not None and r.high is not None and r.low <= truth <= r.high


def test_a_healthy_run_says_the_smallest_effect_that_it_sees(tmp_path: Path) -> None:
    """Each cell and all together have a row, that of all holds zero; the sentence ends with its half-width."""
    cells = [Truth(scenario="text"), Truth(scenario="tools", token_ms=8, slower_by=0.3)]
    found = check(load(make_run(tmp_path / "r", cells, aa=12, coin=True, seed=8)), {})
    assert [(r.scenario, r.n) for r in found.rows if r.metric == "aa"] == [("text", 12), ("tools", 12), ("(all)", 24)]
    assert holds(row(found.rows, "(all)", "aa"), 0)
    assert row(found.rows, "(all)", "aa_ttfu").n == 12
    assert row(found.rows, "(all)", "aa").load == "c=1"
    together = row(found.rows, "(all)", "aa")
    assert together.low is not None
    assert together.high is not None
    half = f"{50 * (together.high - together.low):.2g} %"
    assert found.sentence.startswith("A/A: a delivery against itself differs by ")
    assert found.sentence.endswith(f"(24 pairs): the smallest effect that this run can see is {half}")
    assert (found.invalid, found.checked) == ("", True)


def test_a_biased_run_is_invalid_with_its_reason(tmp_path: Path) -> None:
    """A bias of 5 % is found with an interval that holds it, unless the instrument cannot resolve as much."""
    frames = load(make_run(tmp_path / "r", [Truth(aa_bias=0.05)], aa=20, coin=True))
    found = check(frames, {})
    assert holds(row(found.rows, "(all)", "aa"), 0.05)
    assert holds(row(found.rows, "(all)", "aa_ttfu"), 0.05)
    assert "the same call measured against itself differs by +" in found.invalid
    assert "99.9 % interval, 20 pairs" in found.invalid
    assert "smallest effect" not in found.sentence
    assert "the instrument explains 0.4" in check(frames, {("sdk", "c=1"): Resolution(total_ms=2)}).invalid
    assert not check(frames, {("sdk", "c=1"): Resolution(total_ms=40)}).invalid


def test_a_biased_run_has_no_verdict(tmp_path: Path) -> None:
    """What is wrong with the run is wrong with each of its cells."""
    summary = build(make_run(tmp_path / "r", [Truth(aa_bias=0.05)], aa=20, coin=True))
    assert summary.trust.verdict == "INVALID"
    assert "the same call measured against itself" in summary.cells[0].invalid
    assert summary.cells[0].verdict.startswith("INVALID")


def test_too_few_pairs_decide_nothing(tmp_path: Path) -> None:
    """Below 11 pairs the run is not checked, below 6 nothing is said, and why."""
    eight = check(load(make_run(tmp_path / "eight", [Truth(aa_bias=0.2)], aa=8)), {})
    assert (eight.invalid, eight.checked) == ("", False)
    assert eight.sentence.endswith("; to decide whether the run is biased takes 11")
    four = check(load(make_run(tmp_path / "four", aa=4)), {})
    assert four.sentence == "A/A: 4 pairs, too few to say anything"
    assert row(four.rows, "(all)", "aa").note == "n/a (n=4 < 6)"


def test_without_self_checks_it_says_so(tmp_path: Path) -> None:
    """A run without A/A pairs has no rows, and is not checked."""
    found = check(load(make_run(tmp_path / "r", pairs=4)), {})
    assert (found.rows, found.checked) == ((), False)
    assert found.sentence == "A/A: not checked (no A/A pairs were planned)"


def test_pairs_that_do_not_count_are_counted(tmp_path: Path) -> None:
    """An A/A pair that is not comparable is excluded, and said to be."""
    found = check(load(make_run(tmp_path / "r", [Truth(useless=frozenset({0, 2}))], aa=14)), {})
    together = row(found.rows, "(all)", "aa")
    assert (together.n, together.failed, together.note) == (12, 2, "2 excluded: a trial failed or gave nothing useful")
    assert "(12 pairs, 2 excluded)" in found.sentence


def test_other_answers_are_counted_apart(tmp_path: Path) -> None:
    """Pairs of calls that answered otherwise are no measure of the method, and the sentence says how many they are."""
    frames = load(make_run(tmp_path / "r", aa=14))
    frames.aa.loc[frames.aa.index[:4:2], "result_sha256"] = "another"
    assert "(12 pairs, 2 with other answers left out)" in check(frames, {}).sentence


def test_no_effect_below_the_instrument_is_promised(tmp_path: Path) -> None:
    """Where the instrument resolves less than the noise would let through, that is the smallest effect."""
    frames = load(make_run(tmp_path / "r", aa=24, coin=True))
    assert "can see is 2.4 % (what the instrument resolves; the noise alone: " in (
        check(frames, {("sdk", "c=1"): Resolution(total_ms=10)}).sentence
    )
    assert "resolves" not in check(frames, {("sdk", "c=1"): Resolution(total_ms=0.1)}).sentence


def test_an_interval_without_zero_is_explained(tmp_path: Path) -> None:
    """One healthy run in twenty has one. The line says why it is not held against the run, and only then."""
    chance = check(load(make_run(tmp_path / "r", [Truth(aa_bias=0.008, noise=0.01)], aa=24, coin=True)), {})
    together = row(chance.rows, "(all)", "aa")
    assert together.low is not None
    assert (together.low > 0, chance.invalid) == (True, "")
    assert "one healthy run of twenty" in chance.sentence
    biased = check(load(make_run(tmp_path / "b", [Truth(aa_bias=0.2)], aa=24, coin=True)), {})
    assert biased.invalid
    assert "healthy" not in biased.sentence


def test_cells_of_a_late_client_decide_nothing(tmp_path: Path) -> None:
    """Their numbers are shown nowhere, so they neither condemn the others nor say what the run can see."""
    cells = [Truth(scenario="late", aa_bias=0.2), Truth(scenario="fine")]
    frames = load(make_run(tmp_path / "r", cells, aa=12, coin=True))
    assert check(frames, {}).invalid
    found = check(frames, {}, late=[0])
    assert found.invalid == ""
    assert [r.scenario for r in found.rows if r.metric == "aa"] == ["fine", "(all)"]
    assert check(frames, {}, late=[0, 1]).sentence == "A/A: not checked (the client was late)"


def test_under_load_two_segments_are_one_difference() -> None:
    """A segment that was slow by 1 % as a whole shifts each of its pairs: of two segments that is one difference."""
    rng = np.random.default_rng(1)
    key = CellKey("text", "", "responses", "sim", "m", "wire", "rate=60")
    total = np.exp(rng.normal(0, 0.01, 120)) * 400
    slow = np.repeat([1.01, 0.995], 60)
    blocks = {"block_s": np.repeat([3, 7], 60), "block_b": np.repeat([4, 8], 60)}
    same = pd.DataFrame({"total_s": total * slow, "total_b": total, **blocks})
    sample = _sample(Pairs(key, 120, 120, 120, same), None)
    assert sample.differences == pytest.approx(np.log([1.01, 0.995]))
    assert not verdict({"text": sample})
    alone = _sample(Pairs(key._replace(load="c=1"), 120, 120, 120, same), None)
    assert alone.differences.size == 120
