"""The claim on memory, on slopes of known size, for each way of consuming."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bench.analysis.claims import consuming
from bench.core.results.summary import MemoryCurve, Summary
from bench.plan.consumers import CONSUMERS, LENGTHS, NOTHING
from tests.support.claims import Run, only, part_of


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
