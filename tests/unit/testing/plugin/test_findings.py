"""What is concluded from what was seen of a scenario."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from bench import Ask, Scenario
from bench.testing.plugin.findings import answers
from bench.testing.plugin.leave_early import Disconnect
from bench.testing.plugin.observe import Evidence

MS = 1_000_000


async def streamed(client: Any, ask: Ask) -> AsyncIterator[str]:
    """Never called here."""
    yield ""


async def blocking(client: Any, ask: Ask) -> str:
    """Never called here."""
    return ""


def row(delivery: str, **more: Any) -> dict[str, Any]:
    """A trial that went well: 100 ms, the first piece after 20, the last delta after 90."""
    seen = {"pair": 0, "delivery": delivery, "status": "ok", "error": None, "pieces": 2, "text": "Hello"}
    times = {"t_origin": 0, "t_first_piece": 20 * MS, "t_last_token": 90 * MS, "t_end": 100 * MS}
    return {**seen, **times, "result_sha256": more.get("text", "Hello"), **more}


SEEN = Evidence(
    trials=[row("streamed"), row("blocking")],
    again=[row("streamed"), row("blocking")],
    lag_ns=[10 * MS, 10 * MS],
    closed=Disconnect(fate="gone", ms=1),
    cancelled=Disconnect(fate="gone", ms=1),
    orphans=0,
)
PAIR = Scenario("x", streamed, blocking, check=len)


def found(scenario: Scenario, seen: Evidence, name: str) -> str:
    """The answer to one question, on one line."""
    return " ".join(dict(answers(scenario, seen))[name])


def with_streamed(**more: Any) -> Evidence:
    """As it should be, but for this."""
    return replace(SEEN, trials=[row("streamed", **more), row("blocking")])


def test_the_first_piece_before_the_last_delta() -> None:
    """It is early while deltas were still to come, not because the answer took a while to end after it."""
    assert found(PAIR, SEEN, "early") == "PASS the first piece came 70 ms before the last delta"
    assert found(PAIR, with_streamed(t_first_piece=91 * MS), "early").startswith("FAIL")


def test_an_own_stack_is_judged_by_its_time() -> None:
    """Where no delta is seen, a tenth of the time has to be left."""
    own = replace(PAIR, client="own")
    unseen: Mapping[str, Any] = {"t_last_token": None}
    assert found(own, with_streamed(**unseen), "early").startswith("PASS")
    assert found(own, with_streamed(**unseen, t_first_piece=95 * MS), "early").startswith("FAIL")
    assert found(own, SEEN, "requests").startswith("SKIP")


@pytest.mark.parametrize(
    ("text", "said"),
    [("Hello!", "from character 5 on"), ("", "from character 0 on"), (None, "`assemble` gives None")],
)
def test_two_results(text: str | None, said: str) -> None:
    """Where they part is said, and which of them is missing."""
    assert said in found(PAIR, with_streamed(text=text), "same")


def first(pieces: Sequence[str]) -> Any:
    """Cannot make a result of no pieces."""
    return json.loads(pieces[0])


@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        ({"check": None}, "SKIP"),
        ({"check": lambda _: None}, "FAIL"),
        ({"check": len}, "FAIL"),  # takes an empty text
        ({"check": lambda text: text.strip()[0]}, "PASS"),
        ({"check": lambda result: result["key"], "assemble": first}, "PASS"),
    ],
)
def test_what_check_has_to_reject(more: dict[str, Any], verdict: str) -> None:
    """No pieces, None, empty and blank texts; an `assemble` that cannot make a result of them rejects as well."""
    assert found(replace(PAIR, **more), SEEN, "rejects").startswith(verdict)


def test_half_of_a_json_text_is_garbage() -> None:
    """A result that is JSON has to be read to be accepted."""
    seen = with_streamed(text='{"a": 1}', result_sha256="Hello")
    assert "half of the JSON" in found(replace(PAIR, check=lambda text: text.strip()[0]), seen, "rejects")
    assert found(replace(PAIR, check=json.loads), seen, "rejects").startswith("PASS")


@pytest.mark.parametrize(
    ("fate", "verdict"), [("gone", "PASS"), ("ended", "SKIP"), ("no piece", "SKIP"), ("late", "FAIL"), ("open", "FAIL")]
)
def test_leaving(fate: Any, verdict: str) -> None:
    """What became of a stream that was left is judged alike, however it was left."""
    seen = replace(SEEN, closed=Disconnect(fate=fate), cancelled=Disconnect(fate=fate))
    assert found(PAIR, seen, "closing").startswith(verdict)
    assert found(PAIR, seen, "cancelling").startswith(verdict)


def test_a_loop_that_stands_still() -> None:
    """The best of a delivery's trials counts: the first of a process is slow, and a machine has other work."""
    assert found(PAIR, replace(SEEN, lag_ns=[80 * MS, 0]), "loop").startswith("FAIL streamed")
    pairs = [*SEEN.trials, row("streamed", pair=1), row("blocking", pair=1)]
    again = replace(SEEN, trials=pairs, lag_ns=[80 * MS, 0, 10 * MS, 0])
    assert found(PAIR, again, "loop").startswith("PASS")


def test_failed_trials_are_not_compared() -> None:
    """Where a trial failed, its result, its pieces and its times say nothing."""
    seen = with_streamed(status="timeout", error="not done")
    assert found(PAIR, seen, "ends").startswith("FAIL streamed ended as timeout: not done")
    assert not {"pieces", "early", "same", "rejects", "loop"} & dict(answers(PAIR, seen)).keys()
