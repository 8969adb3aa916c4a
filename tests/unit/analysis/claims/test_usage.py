"""The claim that both deliveries count the same tokens, on runs of known truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bench.analysis.claims import usage
from tests.support.claims import Run, part_of, run_of
from tests.support.synthetic import Truth


@pytest.fixture(scope="module")
def sixty(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """60 pairs of which all but the first ten did the same work, with A/A pairs."""
    return run_of(tmp_path_factory.mktemp("sixty"), Truth(unlike=frozenset(range(10))), pairs=70, aa=12)


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


def test_usage_of_zero_is_no_usage(sixty: Run) -> None:
    """A server that says 0 for all does not count; one that says 0 for streams only counts otherwise."""
    frames, summary = sixty
    nothing = frames.trials.assign(output_tokens=frames.trials["output_tokens"] * 0)
    assert part_of(usage.claim(replace(frames, trials=nothing), summary), "output").verdict == "NOT TESTABLE HERE"
    of_streams = frames.trials.assign(
        output_tokens=frames.trials["output_tokens"].mask(frames.trials["delivery"] == "streamed", 0)
    )
    assert part_of(usage.claim(replace(frames, trials=of_streams), summary), "output").verdict == "REFUTED"
