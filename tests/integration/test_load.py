"""Open and closed loops through the real runner: what the records say of each trial, on both clients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.plan.schedule import Amount
from tests.support import events as e
from tests.support.cli import bench, only_run
from tests.support.harness import Measured, Row, measure
from tests.support.scenarios import TEXT
from tests.support.scripted import Request, Script, Server, json_response, scripted, sse

pytestmark = [pytest.mark.slow, pytest.mark.paced]

RATE, RAMP_S, HANGS_S = 40, 0.1, 0.3
LIGHT = 20
"""Trials a second of which each is decoded as soon as it has been read."""
SEGMENT = 6
"""Trials: 40 a second for 0.2 s, of which 0.1 s is a ramp."""
CLIENTS = pytest.mark.parametrize("client", ["sdk", "wire"])


def answered(request: Request, seconds: float) -> Script:
    """The same answer in both deliveries, after so many seconds."""
    if request.json["stream"]:
        return sse(e.CREATED, seconds, e.delta("Hel"), e.delta("lo"), e.COMPLETED)
    return [seconds, *json_response(e.response(output=[e.message("Hello")], usage=e.USAGE))]


@dataclass
class Loaded:
    """An open loop that was measured, and its server."""

    measured: Measured
    server: Server

    @property
    def segments(self) -> list[list[Row]]:
        """Its trials by segment, in the order in which they were to begin."""
        trials = sorted(self.measured["trials"], key=lambda row: row["t_intend"])
        return [[row for row in trials if row["block"] == block] for block in sorted({row["block"] for row in trials})]


@pytest.fixture(scope="module", params=["sdk", "wire"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """Four segments; the first request of each hangs for longer than the others take to begin."""
    numbers = count()

    def answer(asked: Request) -> Script:
        return answered(asked, HANGS_S if next(numbers) % SEGMENT == 0 else 0.0)

    with scripted(routes={"/v1/responses": answer}) as server:
        measured = measure(
            tmp_path_factory.mktemp("run"),
            server.base_url,
            TEXT,
            load=f"rate={RATE}",
            client=request.param,
            amount=Amount(seconds=0.4),
            ramp_s=RAMP_S,
            prompts=("One", "Two", "Three"),
            events=0.5,
        )
        yield Loaded(measured, server)


def test_every_trial_counts_from_its_intended_time(loaded: Loaded) -> None:
    """The origin is when the schedule wanted it; it was begun then or later, and it was ok."""
    trials = loaded.measured["trials"]
    assert len(trials) == 4 * SEGMENT
    assert {row["status"] for row in trials} == {"ok"}
    assert all(row["t_origin"] == row["t_intend"] <= row["t_call"] for row in trials)
    assert all(row["t_end"] > row["t_origin"] for row in trials)


def test_trials_begin_though_earlier_ones_hang(loaded: Loaded) -> None:
    """The server hears of all that were due while one was still open."""
    t0 = loaded.measured.t0
    heard = sorted(request.t_received - t0 for request in loaded.server.requests)
    for number, trials in enumerate(loaded.segments):
        hung = max(trials, key=lambda row: row["t_end"] - row["t_origin"])
        assert hung["t_end"] - hung["t_origin"] >= HANGS_S * 1e9
        meanwhile = [row for row in trials if hung["t_origin"] < row["t_intend"] and row["t_call"] < hung["t_end"]]
        assert meanwhile
        arrived = heard[number * SEGMENT : (number + 1) * SEGMENT]
        assert all(came >= row["t_intend"] for came, row in zip(arrived, trials, strict=True))
        assert arrived[-1] - trials[-1]["t_intend"] < 0.25e9


def test_both_deliveries_meet_the_same_arrivals_and_asks(loaded: Loaded) -> None:
    """The two segments of a round ask the same prompts at the same distances, and another round at others."""
    shapes = [
        [(row["pair"], row["ask"], row["t_intend"] - trials[0]["t_intend"]) for row in trials]
        for trials in loaded.segments
    ]
    assert shapes[0] == shapes[1]
    assert shapes[2] == shapes[3]
    assert [distance for *_, distance in shapes[0]] != [distance for *_, distance in shapes[2]]


def test_deliveries_take_turns_with_a_drain_between(loaded: Loaded) -> None:
    """ABBA; a segment begins when all of the one before it has ended."""
    order = [trials[0]["delivery"] for trials in loaded.segments]
    assert order in (["streamed", "blocking", "blocking", "streamed"], ["blocking", "streamed", "streamed", "blocking"])
    assert all(len({row["delivery"] for row in trials}) == 1 for trials in loaded.segments)
    for before, after in pairwise(loaded.segments):
        assert max(row["t_end"] for row in before) < min(row["t_origin"] for row in after)


def test_the_ramp_is_apart(loaded: Loaded) -> None:
    """What is due while the rate comes up is of the phase `ramp`; the rest is measured, and starts say the same."""
    for trials in loaded.segments:
        phases = [row["phase"] for row in trials]
        assert phases == sorted(phases, reverse=True), "ramp, then measure"
        ramp = [row["t_intend"] for row in trials if row["phase"] == "ramp"]
        assert not ramp or ramp[-1] - ramp[0] < RAMP_S * 1e9
    assert {row["phase"] for row in loaded.measured["trials"]} == {"ramp", "measure"}
    starts = {row["trial_id"]: row["phase"] for row in loaded.measured["starts"]}
    assert starts == {row["trial_id"]: row["phase"] for row in loaded.measured["trials"]}


def test_sampled_events_leave_every_metric(loaded: Loaded) -> None:
    """`stored` says whose events and pieces are in their tables; the others have counts and times as well."""
    streamed = [row for row in loaded.measured["trials"] if row["delivery"] == "streamed"]
    kept = {row["trial_id"] for row in streamed if row["stored"]}
    assert 0 < len(kept) < len(streamed)
    assert {row["trial_id"] for row in loaded.measured["events"]} == kept
    assert {row["trial_id"] for row in loaded.measured["pieces"]} == kept
    assert {row["events"] for row in streamed} == {4}
    assert all(row["t_first_token"] and row["pieces"] == 2 for row in streamed)


def open_loop(folder: Path, server: Server, client: str, rate: int = RATE, **options: Any) -> Measured:
    """An open loop of streamed trials at once, more than the server answers meanwhile."""
    return measure(
        folder,
        server.base_url,
        TEXT,
        deliveries=["streamed"],
        load=f"rate={rate}",
        arrivals="constant",
        client=client,
        **options,
    )


@CLIENTS
def test_what_finds_too_many_in_flight_is_shed(tmp_path: Path, client: str) -> None:
    """It is not sent, has a row and a class of its own, and offered is still ok plus each class."""
    with scripted(routes={"/v1/responses": lambda request: answered(request, HANGS_S)}) as server:
        measured = open_loop(tmp_path, server, client, amount=Amount(requests=10), max_in_flight=3)
    statuses = Counter(row["status"] for row in measured["trials"])
    assert set(statuses) == {"ok", "shed"}
    assert statuses["ok"] == len(server.requests) >= 3
    assert statuses.total() == len(measured["starts"]) == 10
    shed = [row for row in measured["trials"] if row["status"] == "shed"]
    assert all(row["t_origin"] == row["t_intend"] == row["t_end"] and row["attempts"] == 0 for row in shed)
    assert all("--max-in-flight" in row["error"] for row in shed)


@CLIENTS
def test_an_interrupted_open_loop(tmp_path: Path, client: str) -> None:
    """Ctrl-C in a segment: what had ended stays, what was sent is `cancelled`, and what was not due has no row."""
    with scripted(routes={"/v1/responses": lambda request: answered(request, HANGS_S)}) as server:
        measured = open_loop(tmp_path, server, client, rate=LIGHT, amount=Amount(requests=200), cancel_ended=3)
    statuses = Counter(row["status"] for row in measured["trials"])
    assert set(statuses) == {"ok", "cancelled"}
    assert statuses["ok"] >= 3
    assert statuses.total() < 100
    assert {row["trial_id"] for row in measured["starts"]} == {row["trial_id"] for row in measured["trials"]}
    assert all(row["t_origin"] == row["t_intend"] <= row["t_end"] for row in measured["trials"])


def most_at_a_time(trials: Sequence[Row]) -> int:
    """Of these, by their times."""
    moments = sorted([(row["t_origin"], 1) for row in trials] + [(row["t_end"], -1) for row in trials])
    level = most = 0
    for _, step in moments:
        level += step
        most = max(most, level)
    return most


def test_a_closed_loop_by_time(tmp_path: Path) -> None:
    """Three at a time, none begun after the time is up; its pairs are those that both deliveries reached."""
    with scripted(routes={"/v1/responses": lambda request: answered(request, 0.02)}) as server:
        measured = measure(tmp_path, server.base_url, TEXT, concurrency=3, client="wire", amount=Amount(seconds=0.4))
    trials = [row for row in measured["trials"] if row["phase"] == "measure"]
    for block in {row["block"] for row in trials}:
        segment = [row for row in trials if row["block"] == block]
        assert most_at_a_time(segment) <= 3
        first, last = min(row["t_origin"] for row in segment), max(row["t_origin"] for row in segment)
        assert last - first < 0.2e9 + 0.1e9
        pairs = sorted(row["pair"] for row in segment)
        assert pairs == list(range(pairs[0], pairs[0] + len(pairs))), "none is left out"
    assert all(row["t_intend"] is None for row in trials)


OPEN = [
    "run",
    "text",
    "--client",
    "wire",
    "--no-memory",
    "--no-self-check",
    "--output-tokens",
    "5",
    "--warmup",
    "0",
    "--seed",
    "3",
]
BUSY_OR_NOT = {0, 3}
"""3: the machine was too busy for figures; these tests look at what was sent."""


def test_a_sweep_by_the_command(tmp_path: Path) -> None:
    """Two rates by time with a ramp: each trial that counts is in the figures, and none of the ramp."""
    done = bench(
        *OPEN, "--rate", "5,20", "--duration", "2s", "--ramp", "0.5",
        "--slo", "ttft=300ms", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode in BUSY_OR_NOT, done.stderr
    run = only_run(tmp_path)
    trials, rows = pd.read_parquet(run / "trials.parquet"), pd.read_csv(run / "summary.csv")
    counted = trials[(trials["phase"] == "measure") & (trials["delivery"] == "streamed")].groupby("load").size()
    assert (trials["phase"] == "ramp").sum() > 0
    total = rows[(rows["metric"] == "total") & (rows["delivery"] == "streamed") & (rows["statistic"] == "p50")]
    assert dict(zip(total["load"], total["n"], strict=True)) == counted.to_dict()
    assert "knee" in done.stdout


def test_time_ends_a_closed_loop(tmp_path: Path) -> None:
    """Nobody knows how many trials fit: the progress counts them and says for how long it goes."""
    done = bench(*OPEN, "--concurrency", "4", "--duration", "6s", cwd=tmp_path)
    assert done.returncode in BUSY_OR_NOT, done.stderr
    assert "trials for 12 s of load into" in done.stderr
    assert "(the load alone: 12 s)" in done.stderr


def test_made_up_prompts_with_a_shared_prefix(tmp_path: Path) -> None:
    """They are asked, of about the wanted length, half of each shared."""
    options = [
        "--input-tokens",
        "normal:200,50",
        "--shared-prefix",
        "50%",
        "--delivery",
        "streamed",
        "--requests",
        "10",
    ]
    done = bench(*OPEN, "--rate", "20", *options, cwd=tmp_path)
    assert done.returncode in BUSY_OR_NOT, done.stderr
    trials = pd.read_parquet(only_run(tmp_path) / "trials.parquet")
    asked = trials.loc[trials["phase"] == "measure", "input_tokens"]
    assert len(asked) == 10
    assert 100 < asked.mean() < 300
    assert asked.nunique() > 3
