"""Each claim on runs of known truth: every verdict, and nothing from cells that may not be believed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.analysis.build import build
from bench.analysis.claims import consuming, packets, requests, sooner, usage
from bench.analysis.claims.lengths import true_range
from bench.analysis.claims.parts import Draft, correct_parts, make_claim, overall
from bench.analysis.tables import RunFrames, load
from bench.core.summary import CALIBRATION, Claim, ClaimPart, MemoryCurve, Summary
from bench.plan.consumers import CONSUMERS, LENGTHS, NOTHING
from bench.stats.intervals import theil_sen
from bench.stats.slope import slope_beyond, slope_p
from tests.support.synthetic import Truth, make_run

Run = tuple[RunFrames, Summary]


def run_of(folder: Path, *cells: Truth, **options: Any) -> Run:
    """A run of known truth as the claims get it."""
    run = make_run(folder / "run", cells or (Truth(),), **options)
    return load(run), replace(build(run), claims=())


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """36 pairs without noise: first useful after 118 ms, then 5 ms a token."""
    return run_of(tmp_path_factory.mktemp("plain"), Truth(useful_ms=118, noise=0))


@pytest.fixture(scope="module")
def sixty(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """60 pairs of which all but the first ten did the same work, with A/A pairs."""
    return run_of(tmp_path_factory.mktemp("sixty"), Truth(unlike=frozenset(range(10))), pairs=70, aa=12)


def broken(run: Run, **fields: str) -> Run:
    """The same run, its cells with this said of them."""
    frames, summary = run
    return frames, replace(summary, cells=tuple(replace(cell, **fields) for cell in summary.cells))  # type: ignore[arg-type]


def with_tables(frames: RunFrames, **tables: pd.DataFrame) -> RunFrames:
    """The frames, some tables replaced."""
    return replace(frames, tables={**frames.tables, **tables})


def only(claim: Claim) -> ClaimPart:
    """Its only part."""
    (part,) = claim.parts
    return part


def part_of(claim: Claim, subject: str) -> ClaimPart:
    """The part whose subject begins so."""
    (part,) = (part for part in claim.parts if part.subject.startswith(subject))
    return part


def draft(verdict: Any, p: float | None = None) -> Draft:
    """A part with this verdict."""
    return Draft(ClaimPart("x", verdict, "", 1, "because"), p)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["HOLDS", "HOLDS"], "HOLDS"),
        (["HOLDS", "REFUTED", "NOT ENOUGH DATA"], "REFUTED"),
        (["HOLDS", "NOT ENOUGH DATA"], "NOT ENOUGH DATA"),
        (["HOLDS", "NOT TESTABLE HERE"], "NOT ENOUGH DATA"),
        (["NOT TESTABLE HERE"], "NOT TESTABLE HERE"),
    ],
)
def test_the_verdict_of_a_claim_is_that_of_all_parts(verdicts: Sequence[str], expected: str) -> None:
    """One refuted part refutes it; it holds only where all hold; with nothing testable it is not testable."""
    assert overall([draft(verdict).part for verdict in verdicts]) == expected


def test_holm_takes_back_what_is_not_beyond_doubt() -> None:
    """A p of 3 % decides alone, but not as one of three; a p of 0.1 % does; a count without p is never touched."""
    assert correct_parts([draft("HOLDS", 0.03)])[0].verdict == "HOLDS"
    parts = correct_parts([draft("HOLDS", 0.03), draft("REFUTED", 0.001), draft("HOLDS", 0.9), draft("HOLDS")])
    assert [part.verdict for part in parts] == ["NOT ENOUGH DATA", "REFUTED", "NOT ENOUGH DATA", "HOLDS"]
    assert "it would be HOLDS" in parts[0].reason


def test_slope_p_counts_the_orders() -> None:
    """Without ties it is the share of all orders of y that grow at least as clearly."""
    x = np.arange(5.0)
    for y in ([1.0, 2, 3, 4, 5], [2.0, 1, 3, 5, 4], [5.0, 4, 3, 2, 1]):
        rising = [sum(b > a for i, a in enumerate(order) for b in order[i + 1 :]) for order in permutations(y)]
        own = sum(b > a for i, a in enumerate(y) for b in y[i + 1 :])
        assert slope_p(x, y, 0, "greater") == pytest.approx(np.mean(np.array(rising) >= own))
    assert slope_p(x, 3 * x, 3, "greater") == pytest.approx(1)


def test_slope_p_keeps_its_level_with_ties_in_x() -> None:
    """Of a thousand trends that are just at the bound, at most 2.5 % (and three errors) are called above it."""
    rng, x = np.random.default_rng(1), np.repeat([0.0, 2, 3.58], [12, 6, 6])
    false = [slope_p(x, 2 * x + rng.normal(size=x.size), 2, "greater") <= 0.025 for _ in range(1000)]
    assert np.mean(false) <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 1000)


def test_where_a_slope_lies() -> None:
    """Above, within and below the bound are told apart, and what reaches over an end is left open."""
    x, rng = np.arange(20.0), np.random.default_rng(2)
    for slope, expected in ((3.0, "above"), (0.0, "within"), (-3.0, "below"), (1.0, "")):
        y = slope * x + rng.normal(0, 0.5, x.size)
        where, p = slope_beyond(x, y, theil_sen(x, y)[0], 1)
        assert where == expected
        assert (p < 0.05) == bool(expected)


# sooner


@pytest.mark.parametrize(
    ("useful_ms", "noise", "verdict", "words"),
    [
        (120, 0.02, "REFUTED", "more than said at 60 tokens"),  # 1 - 120 / 420
        (690, 0.02, "HOLDS", "as said at 60 tokens"),  # 1 - 690 / 990
        (3000, 0.02, "REFUTED", "less than said at 60 tokens"),  # 1 - 3000 / 3300
        (455, 0.05, "NOT ENOUGH DATA", "reaches over an end"),  # 1 - 455 / 755
    ],
)
def test_sooner(tmp_path: Path, useful_ms: float, noise: float, verdict: str, words: str) -> None:
    """The share that is saved is put to the test against 20 and 40 %, and the reason says on which side it is."""
    part = only(sooner.claim(*run_of(tmp_path, Truth(useful_ms=useful_ms, noise=noise))))
    assert (part.verdict, part.n) == (verdict, 36)
    assert words in part.reason
    assert "%" in part.estimate


def test_sooner_by_length(plain: Run) -> None:
    """The curve is 1 - 118 / (118 + 5 (k - 1)), so the claim is true for 7 to 16 tokens, and the reason says that."""
    part = only(sooner.claim(*plain))
    for tokens, gain, low, high in part.curve:
        assert gain == pytest.approx(1 - 118 / (118 + 5 * (tokens - 1)), abs=1e-3)
        assert low <= gain <= high
    assert part.curve[-1][0] == 60
    assert "true for answers of 7 to 16 tokens" in part.reason
    assert "the whole streamed answer took" in part.reason


def test_deltas_of_several_tokens_are_no_tokens(tmp_path: Path) -> None:
    """With four tokens a delta, tokens one to four come with the first: nothing is sooner there."""
    part = only(sooner.claim(*run_of(tmp_path, Truth(noise=0, tokens_per_delta=4))))
    gains = {tokens: gain for tokens, gain, _, _ in part.curve}
    assert [gains[k] for k in (1, 4)] == [0, 0]
    assert gains[5] == pytest.approx(1 - 120 / 140, abs=1e-3)


def test_sooner_for_no_length(tmp_path: Path) -> None:
    """Where even the whole answer saves less than 20 %, no length is named."""
    part = only(sooner.claim(*run_of(tmp_path, Truth(useful_ms=3000, noise=0))))
    assert "true for no length from 1 to 60 tokens" in part.reason
    assert true_range(part.curve, 0.2, 0.4) is None


def test_sooner_with_too_many_failures(tmp_path: Path) -> None:
    """Above 5 % of excluded pairs there is no number, and no verdict."""
    fail = {("streamed", pair): "http_5xx" for pair in range(4)}
    part = only(sooner.claim(*run_of(tmp_path, Truth(fail=fail))))
    assert (part.verdict, part.estimate) == ("NOT ENOUGH DATA", "")
    assert "4 of 36 pairs excluded" in part.reason


def test_sooner_without_blocking(tmp_path: Path) -> None:
    """One delivery alone compares with nothing."""
    assert sooner.claim(*run_of(tmp_path, deliveries=("streamed",))).verdict == "NOT TESTABLE HERE"


@pytest.mark.parametrize("field", ["invalid", "saturated", "unsupported"])
def test_nothing_is_concluded_from_broken_cells(plain: Run, field: str) -> None:
    """No claim on cells says anything where they are invalid, saturated or unsupported, and the reason says why."""
    run = broken(plain, **{field: "a good reason"})
    for claim in (sooner.claim(*run), usage.claim(*run), requests.claim(*run)):
        assert claim.verdict == "NOT TESTABLE HERE"
        assert all("a good reason" in part.reason for part in claim.parts)


# memory


def with_memory(run: Run, slopes: Mapping[tuple[str, str], float], noise: float = 0) -> Summary:
    """The run with a pass over the ways of consuming, of these bytes a token."""
    rng = np.random.default_rng(3)
    curves = tuple(
        MemoryCurve(name, "", delivery, "tracemalloc", points(slope, noise, rng), slope, 0)
        for (name, delivery), slope in slopes.items()
    )
    return replace(run[1], memory=curves)


def points(slope: float, noise: float, rng: np.random.Generator) -> tuple[tuple[int, int], ...]:
    """(tokens, peak) with some noise in bytes."""
    return tuple((tokens, int(90_000 + slope * tokens + rng.normal(0, noise))) for tokens in LENGTHS)


CONSTANT = {(name, "streamed"): 0.0 for name in CONSUMERS} | {("(discard)", "blocking"): 20.0}


def test_memory_holds_where_streaming_is_constant_and_blocking_grows(plain: Run) -> None:
    """With no slope in any stream and one in blocking the claim holds, with a part for each way of consuming."""
    claim = consuming.claim(with_memory(plain, CONSTANT, noise=300))
    assert claim.verdict == "HOLDS", claim
    assert len(claim.parts) == len(CONSUMERS)  # without the null, with blocking


def test_memory_is_judged_for_each_way_of_consuming(plain: Run) -> None:
    """One way that grows refutes the claim; its part says by how much, the others still hold."""
    claim = consuming.claim(with_memory(plain, {**CONSTANT, ("(keep)", "streamed"): 200.0}))
    assert claim.verdict == "REFUTED"
    assert [part.subject for part in claim.parts if part.verdict == "REFUTED"] == ["streamed, keep"]
    assert part_of(claim, "streamed, keep").estimate == "200 bytes/token [200, 200]"
    assert "blocking 210 kB" in part_of(claim, "streamed, keep").reason


def test_memory_blocking_that_does_not_grow_refutes(plain: Run) -> None:
    """A blocking call of constant memory refutes its half of the claim."""
    claim = consuming.claim(with_memory(plain, {**CONSTANT, ("(discard)", "blocking"): 0.0}))
    assert part_of(claim, "blocking").verdict == "REFUTED"


def test_memory_is_measured_against_a_reader_that_keeps_nothing(plain: Run) -> None:
    """A slope below three times that of the null reader is none that this meter can tell."""
    slopes = {**CONSTANT, (NOTHING, "streamed"): 3.0, ("(chat)", "streamed"): 8.0}
    claim = consuming.claim(with_memory(plain, slopes))
    assert part_of(claim, "streamed, chat").verdict == "HOLDS"


def test_memory_noise_leaves_it_open(plain: Run) -> None:
    """Where the points scatter by more than the slope it cannot be told."""
    claim = consuming.claim(with_memory(plain, CONSTANT, noise=50_000))
    assert claim.verdict == "NOT ENOUGH DATA"


def test_memory_without_the_pass(plain: Run) -> None:
    """Without the ways of consuming nothing is tested, and the reason says what to run; scenarios do not stand in."""
    part = only(consuming.claim(plain[1]))
    assert part.verdict == "NOT TESTABLE HERE"
    assert "bench run" in part.reason


# usage


def with_usage(run: Run, trial_ids: Sequence[int], column: str = "output_tokens", more: int = 1) -> Run:
    """The run, these trials with so many more tokens."""
    trials = run[0].trials.copy()
    trials.loc[list(trial_ids), column] += more
    return replace(run[0], trials=trials), run[1]


def test_usage_holds_with_its_bound(sixty: Run) -> None:
    """None of 60 differs: fewer than 4.9 % of all do."""
    claim = usage.claim(*sixty)
    assert claim.verdict == "HOLDS"
    assert claim.parts[0].estimate == "0 of 60 pairs differ (fewer than 4.9 % of all, 95 %)"


def test_usage_of_few_pairs_is_open(plain: Run) -> None:
    """36 pairs without a difference are fewer than it takes."""
    claim = usage.claim(*plain)
    assert claim.verdict == "NOT ENOUGH DATA"
    assert "36 pairs are fewer than 59" in claim.parts[0].reason


def test_usage_that_differs_twice_refutes(sixty: Run) -> None:
    """Two differences refute it and the trials are named; one alone is not reproduced."""
    ids = [int(number) for number in sixty[0].trials.index[[40, 60]]]
    part = part_of(usage.claim(*with_usage(sixty, ids)), "output tokens")
    assert part.verdict == "REFUTED"
    assert str(ids[0]) in part.reason
    assert part_of(usage.claim(*with_usage(sixty, ids[:1])), "output tokens").verdict == "NOT ENOUGH DATA"


def test_usage_of_other_answers_is_not_compared(sixty: Run) -> None:
    """Pairs with different answers may have different usage: ten of the 70 have, and twice as many tokens."""
    part = part_of(usage.claim(*sixty), "output tokens")
    assert (part.verdict, part.n) == ("HOLDS", 60)


def test_reasoning_is_not_compared(sixty: Run) -> None:
    """No two answers share their reasoning, so its tokens do not count."""
    frames, summary = sixty
    trials = frames.trials.copy()
    trials.loc[trials.index[40:48:2], ["output_tokens", "reasoning_tokens"]] = [90, 30]
    assert part_of(usage.claim(replace(frames, trials=trials), summary), "output tokens").verdict == "HOLDS"


def test_usage_that_differs_from_itself_tells_nothing(sixty: Run) -> None:
    """Where A/A pairs differ in their input tokens too, the nonce is the cause, and not the delivery."""
    frames, summary = with_usage(sixty, [int(n) for n in sixty[0].trials.index[[40, 60]]], "input_tokens")
    again = frames.aa.copy()
    again.loc[again.index[::4], "input_tokens"] += 1
    part = part_of(usage.claim(replace(frames, aa=again), summary), "input tokens")
    assert part.verdict == "NOT TESTABLE HERE"
    assert "A/A" in part.reason


def test_no_usage_is_not_testable(plain: Run) -> None:
    """A server that does not count cannot count otherwise."""
    frames, summary = plain
    none = {name: frames.trials[name].where(frames.trials["pair"] < 0) for name in ("output_tokens", "input_tokens")}
    trials = frames.trials.assign(**none)
    assert usage.claim(replace(frames, trials=trials), summary).verdict == "NOT TESTABLE HERE"


# requests


def test_requests_hold_on_the_simulator(plain: Run) -> None:
    """One answer in the simulator's log for each streamed trial of 60 events."""
    part = only(requests.claim(*plain))
    assert part.verdict == "HOLDS"
    assert part.estimate == "36 answers to 36 requests, in 2,160 events"


def test_more_answers_than_requests_refute(plain: Run) -> None:
    """A trial with two answers in the log refutes it and is named."""
    frames, summary = plain
    truth = frames.tables["truth"].assign(server_id="one")
    number = int(frames.trials.index[frames.trials["delivery"] == "streamed"][0])
    again = truth[truth["client_id"] == f"{number:08x}"].iloc[:1].assign(server_id="another")
    part = only(requests.claim(with_tables(frames, truth=pd.concat([truth, again], ignore_index=True)), summary))
    assert part.verdict == "REFUTED"
    assert f"trial {number}" in part.reason


def test_requests_of_few_trials_are_open(tmp_path: Path) -> None:
    """Six trials are fewer than ten."""
    assert requests.claim(*run_of(tmp_path, pairs=6)).verdict == "NOT ENOUGH DATA"


def test_hidden_retries_are_said(plain: Run) -> None:
    """Retries of the SDK are requests, and the reason counts them."""
    frames, summary = plain
    trials = frames.trials.copy()
    trials.loc[trials.index[0], "attempts"] = 3
    assert "2 hidden retries" in only(requests.claim(replace(frames, trials=trials), summary)).reason


def test_requests_without_the_log(plain: Run) -> None:
    """A killed run has no log of the simulator."""
    frames, summary = plain
    empty = with_tables(frames, truth=frames.tables["truth"].iloc[:0])
    assert requests.claim(empty, summary).verdict == "NOT TESTABLE HERE"


def real(run: Run, load: str = "c=1") -> Run:
    """The same run as if it were one on a real endpoint."""
    frames, summary = run
    cells = [replace(cell, simulated=False, key=cell.key._replace(load=load)) for cell in summary.cells]
    return frames, replace(summary, cells=tuple(cells))


def limited(run: Run, streamed: int, blocking: int, pairs: int = 36) -> Claim:
    """The claim where the limit falls by so much with each request, and begins anew now and then."""
    frames, summary = run
    trials = frames.trials.iloc[: 2 * pairs]
    fall = trials["delivery"].map({"streamed": streamed, "blocking": blocking}).astype(int)
    left = 500 - fall.cumsum() + 300 * (np.arange(len(fall)) // 30)
    attempts = frames.tables["attempts"].set_index("trial_id", drop=False).reindex(trials.index)
    attempts = attempts.assign(ratelimit_remaining=left.astype("Int64"), t_start=trials["t_origin"])
    known = with_tables(replace(frames, trials=trials), attempts=attempts.reset_index(drop=True))
    return requests.claim(known, summary)


def test_requests_by_the_rate_limit(plain: Run) -> None:
    """Equal falls hold, a stream that costs more refutes; few or parallel requests decide nothing."""
    assert limited(real(plain), 1, 1).verdict == "HOLDS"
    assert "falls by 4 streamed, 1 blocking" in only(limited(real(plain), 4, 1)).estimate
    assert limited(real(plain), 4, 1).verdict == "REFUTED"
    assert limited(real(plain), 1, 1, pairs=8).verdict == "NOT ENOUGH DATA"
    assert limited(real(plain, load="c=8"), 1, 1).verdict == "NOT TESTABLE HERE"


def test_requests_without_a_rate_limit(plain: Run) -> None:
    """A real endpoint that does not say what is left shows nothing."""
    assert requests.claim(*real(plain)).verdict == "NOT TESTABLE HERE"


# packets


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Calibration streams of 12 tokens in events of 1, 4 and 12, each read 0.3 ms late."""
    sizes = (1, 4, 12)
    cells = [
        Truth(scenario=CALIBRATION, tokens=12, noise=0, tokens_per_delta=size, useful_ms=60 + (size - 1) * 5)
        for size in sizes
    ]
    frames, summary = run_of(tmp_path_factory.mktemp("calibrated"), *cells, pairs=12, memory=False)
    known = [
        {**cell, "role": "calibration", "params": json.dumps({"tokens_per_event": size})}
        for cell, size in zip(frames.plan["cells"], sizes, strict=True)
    ]
    return replace(frames, plan={**frames.plan, "cells": known}, calibration=frames.trials), summary


def read_later(run: Run, ms: Sequence[float]) -> Run:
    """The same streams, those of each size sent so much earlier than before, and so read later."""
    frames, summary = run
    cells = {f"{number:08x}": int(cell) for number, cell in frames.trials["cell"].items()}
    later = frames.tables["truth"]["client_id"].map(cells).map(dict(enumerate(ms))).fillna(0)
    truth = frames.tables["truth"].assign(t_sent=frames.tables["truth"]["t_sent"] - (later * 1e6).astype("Int64"))
    return with_tables(frames, truth=truth), summary


def test_packets_hold(calibrated: Run) -> None:
    """A token waits for the others of its event: 0, 7.5 and 27.5 ms, and the lag."""
    part = only(packets.claim(*calibrated))
    assert part.verdict == "HOLDS"
    assert "0.3 ms at 1, 7.8 ms at 4, 27.8 ms at 12 tokens an event" in part.reason
    assert "proxy" in part.reason
    assert "1.00 events" in part.reason


@pytest.mark.parametrize("ms", [(27.5, 20, 0), (55, 40, 0)])
def test_packets_without_a_gain_refute(calibrated: Run, ms: Sequence[float]) -> None:
    """Where small events are read as late as large ones, or later, the claim is refuted."""
    assert packets.claim(*read_later(calibrated, ms)).verdict == "REFUTED"


def test_packets_of_few_trials_are_open(calibrated: Run) -> None:
    """Five trials of a size are too few."""
    few = calibrated[0].calibration.groupby(["cell", "delivery"]).head(5)
    claim = packets.claim(replace(calibrated[0], calibration=few), calibrated[1])
    assert claim.verdict == "NOT ENOUGH DATA"


def test_packets_of_a_late_client_are_not_testable(calibrated: Run) -> None:
    """At a load at which the client was late the streams show the client."""
    assert packets.claim(*broken(calibrated, saturated="late")).verdict == "NOT TESTABLE HERE"


def test_packets_without_calibration(plain: Run) -> None:
    """A run without the streams says what to run."""
    part = only(packets.claim(*plain))
    assert part.verdict == "NOT TESTABLE HERE"
    assert "10 pairs" in part.reason


def test_packets_of_the_scenario_buffered(tmp_path: Path) -> None:
    """Two sizes of `buffered` in a run are a part, by the delay that the scenario recorded."""
    frames, summary = run_of(tmp_path, Truth(scenario="buffered"), Truth(scenario="buffered"), pairs=12)
    cells = tuple(
        replace(cell, key=cell.key._replace(params=json.dumps({"chars": chars})))
        for cell, chars in zip(summary.cells, (50, 400), strict=True)
    )
    metrics = frames.tables["metrics"].assign(name="buffer_delay")
    second = set(frames.trials.index[frames.trials["cell"] == 1])
    metrics["value"] += metrics["trial_id"].isin(second) * 80.0
    part = part_of(packets.claim(with_tables(frames, metrics=metrics), replace(summary, cells=cells)), "chunks")
    assert part.verdict == "HOLDS"
    assert "characters a chunk" in part.reason


def test_a_run_has_its_claims(tmp_path: Path) -> None:
    """Every summary has the five claims, in their order, each with parts and a test."""
    summary = build(make_run(tmp_path / "run"))
    assert [claim.name for claim in summary.claims] == ["sooner", "memory", "usage", "requests", "packets"]
    assert all(claim.parts and claim.test for claim in summary.claims)
    assert make_claim("x", "y", "z", [draft("HOLDS")]).verdict == "HOLDS"


def test_a_limit_that_never_falls_tells_nothing(plain: Run) -> None:
    """0 for a stream and 0 for a blocking call is a server that does not count, and no equal count."""
    part = only(limited(real(plain), 0, 0))
    assert (part.verdict, part.estimate) == ("NOT TESTABLE HERE", "")


def test_usage_of_zero_is_no_usage(sixty: Run) -> None:
    """A server that says 0 for all does not count; one that says 0 for streams only counts otherwise."""
    frames, summary = sixty
    nothing = frames.trials.assign(output_tokens=frames.trials["output_tokens"] * 0)
    assert part_of(usage.claim(replace(frames, trials=nothing), summary), "output").verdict == "NOT TESTABLE HERE"
    of_streams = frames.trials.assign(
        output_tokens=frames.trials["output_tokens"].mask(frames.trials["delivery"] == "streamed", 0)
    )
    assert part_of(usage.claim(replace(frames, trials=of_streams), summary), "output").verdict == "REFUTED"


def test_sooner_below_what_the_instrument_resolves(tmp_path: Path) -> None:
    """A gain of 5 ms is no gain where three floors are 12 ms, and 4 ms of noise are enough for no verdict."""
    frames, summary = run_of(tmp_path, Truth(useful_ms=50, token_ms=1, tokens=5, noise=0))
    assert only(sooner.claim(frames, summary)).verdict == "REFUTED"
    of = replace(summary.rows[0], scenario=CALIBRATION, statistic="p50", estimate=4.0, load="c=1")
    floors = [
        replace(of, metric=metric, delivery=delivery)
        for metric, delivery in (("floor_ttfu", "streamed"), ("floor_total", "streamed"), ("floor_total", "blocking"))
    ]
    part = only(sooner.claim(frames, replace(summary, rows=(*summary.rows, *floors))))
    assert part.verdict == "NOT ENOUGH DATA"
    assert "below what this instrument resolves" in part.reason
