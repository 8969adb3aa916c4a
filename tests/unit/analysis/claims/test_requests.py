"""The claim that a streamed call is one request, on runs of known truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from bench.analysis.claims import requests
from bench.core.results.summary import Claim
from tests.support.claims import Run, only, run_of, with_tables


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


def test_a_limit_that_never_falls_tells_nothing(plain: Run) -> None:
    """0 for a stream and 0 for a blocking call is a server that does not count, and no equal count."""
    part = only(limited(real(plain), 0, 0))
    assert (part.verdict, part.estimate) == ("NOT TESTABLE HERE", "")
