"""Each property of connections and streams, in each of its states."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench.core.scenario import Api
from bench.doctor.diagnosis import Check, Mode, State
from bench.doctor.requests import Question
from bench.doctor.verdict.properties import HopEvidence, checks, merge_checks
from bench.doctor.verdict.reading import Reading

GOOD: dict[str, Any] = {
    "kind": "stream",
    "status": 200,
    "headers": {"content-type": "text/event-stream", "cache-control": "no-cache"},
    "http_version": "HTTP/1.1",
    "reused": True,
    "first_ms": 80.0,
    "deltas": 40,
    "tokens": 64,
    "pings": 1,
    "numbered": "whole",
    "done": True,
}


def reading(api: Api = "responses", mode: Mode = "text", **changes: Any) -> Reading:
    """An answer in order, but for these."""
    headers = {"headers": {**GOOD["headers"], **changes.pop("headers", {})}}
    return Reading(hop=0, question=Question(api, mode, 64, 0), **{**GOOD, **headers, **changes})


def found(*readings: Reading, **seen: Any) -> dict[str, tuple[State, str]]:
    """The checks by name."""
    return {one.name: (one.state, one.said) for one in checks(HopEvidence(hop="h", readings=readings, **seen))}


def of(name: str, *readings: Reading, **seen: Any) -> tuple[State, str]:
    """One of them."""
    return found(*readings, **seen)[name]


def test_all_is_well() -> None:
    """Every check is good where there is nothing to be said, but for the 429 that nobody saw; all are sentences."""
    modes: list[Mode] = ["text", "tools", "structured"]
    apis: list[Api] = ["responses", "chat"]
    said = found(*(reading(api, mode) for api in apis for mode in modes))
    assert {name for name, (state, _) in said.items() if state != "good"} == {"retry headers"}
    assert said["retry headers"][0] == "unknown"
    assert len(said) == 12
    assert all(text[0].isupper() or text[0].isdigit() or name == "content type" for name, (_, text) in said.items())
    assert all(text.endswith(".") for _, text in said.values())


def test_nothing_seen() -> None:
    """Without any answer only what was not seen is said; without a stream nothing is said of streams."""
    assert found().keys() == {"retry headers"}
    refused = found(reading(kind="refused", status=400, wrong="no", deltas=0))
    assert refused.keys() == {"HTTP version", "retry headers"}


@pytest.mark.parametrize(
    ("changes", "name", "state", "says"),
    [
        ({"headers": {"content-type": "text/plain"}}, "content type", "bad", "text/plain on a stream; it has to be"),
        ({"headers": {"content-type": "Text/Event-Stream"}}, "content type", "good", "Text/Event-Stream."),
        ({"headers": {"content-encoding": "gzip"}}, "compression", "note", "(gzip): each event has to be flushed"),
        ({"headers": {"content-encoding": "identity"}}, "compression", "good", "not compressed"),
        ({"http_version": "HTTP/1.0"}, "HTTP version", "bad", "HTTP/1.0: no keep-alive"),
        ({"headers": {"cache-control": "max-age=60"}}, "cache headers", "note", "No Cache-Control"),
        ({"headers": {"cache-control": "private, no-store"}}, "cache headers", "good", "private, no-store."),
        ({"pings": 0}, "pings", "unknown", "longest silence before a first piece was 0.1 s"),
        ({"pings": 0, "first_ms": 12_000.0}, "pings", "note", "was 12.0 s"),
        ({"numbered": "gaps"}, "sequence_number", "bad", "lost or reordered"),
        ({"numbered": "none"}, "sequence_number", "note", "cannot be resumed"),
        ({"tokens": None}, "usage", "note", "Responses (1 of 1 streams)"),
        (
            {"wrong": "it ends early"},
            "sound streams",
            "bad",
            "1 of 1 answers were not sound; Responses: it ends early.",
        ),
    ],
)
def test_of_one_answer(changes: dict[str, Any], name: str, state: State, says: str) -> None:
    """What is odd in it is said, with its state."""
    got, text = of(name, reading(**changes))
    assert got == state
    assert says in text


def test_keep_alive() -> None:
    """Good from nine in ten later requests on; else what a new connection costs; the first one is nobody's fault."""
    new = reading(reused=False, connect_ms=30.0)
    nine = [new, *[reading()] * 9, new]
    assert of("keep-alive", *nine) == ("good", "9 of 10 later requests went over a connection that was open.")
    state, said = of("keep-alive", *nine, new)
    assert state == "bad"
    assert said.startswith("2 of 11 later requests needed a new connection, 30.0 ms each: ")
    assert "needed a new connection:" in of("keep-alive", new, reading(reused=False))[1]
    assert "keep-alive" not in found(new)
    state, said = of("keep-alive", *nine, unannounced=2)
    assert state == "note"
    assert "2 kept connections were closed" in said


@pytest.mark.parametrize(
    ("h2", "says"), [(True, "it offers HTTP/2 as well."), (False, "it offers no HTTP/2."), (None, "HTTP/1.1.")]
)
def test_http2(h2: bool | None, says: str) -> None:
    """What was found out is said; without TLS nothing is."""
    state, said = of("HTTP version", reading(), h2=h2)
    assert (state, said.endswith(says), "HTTP/2" in said) == ("good", True, h2 is not None)


def test_compression_that_is_the_cause() -> None:
    """Only where every answer without it streams."""
    packed = reading(headers={"content-encoding": "gzip"})
    assert "without compression they stream" in of("compression", packed, plain=[(reading(), "streaming")])[1]
    for verdict in ("bursty", None):
        mixed = [(reading(), "streaming"), (reading(), verdict)]
        assert "each event has to be flushed" in of("compression", packed, plain=mixed)[1]


def test_chat_has_its_own() -> None:
    """`[DONE]` is asked of Chat alone, sequence numbers of Responses alone, and a refused usage is said as that."""
    chat = found(reading("chat", done=False, numbered="none"))
    assert chat["[DONE]"][0] == "note"
    assert "sequence_number" not in chat
    assert "[DONE]" not in found(reading(done=False))
    assert "Chat refuses stream_options" in of("usage", reading("chat", tokens=None), no_usage=True)[1]


@pytest.mark.parametrize(("mode", "name"), [("tools", "tool arguments"), ("structured", "structured output")])
def test_one_piece(mode: Mode, name: str) -> None:
    """A call or an answer in one delta is bad, several are good with their number; without one nothing is said."""
    assert of(name, reading(mode=mode)) == ("good", of(name, reading(mode=mode))[1])
    assert "in 40 pieces" in of(name, reading(mode=mode))[1]
    state, said = of(name, reading(mode=mode), reading("chat", mode, deltas=1))
    assert state == "bad"
    assert "in one piece" in said
    assert mode == "structured" or "(Chat)" in said
    assert name not in found(reading())


@pytest.mark.parametrize(
    ("headers", "state", "says"),
    [
        ({"retry-after": "7"}, "good", "429 came 1 times, with Retry-After: 7."),
        ({"retry-after-ms": "700"}, "good", "700"),
        ({}, "bad", "without Retry-After"),
    ],
)
def test_retry_headers(headers: dict[str, str], state: State, says: str) -> None:
    """Of a 429 that came, whether it says when to come back."""
    got, said = of("retry headers", reading(kind="limited", status=429, headers=headers))
    assert got == state
    assert says in said


def test_a_failed_answer_is_unsound() -> None:
    """So is one that never came; one that was refused, or is late, is no fault of its soundness."""
    assert of("sound streams", reading(), reading(kind="failed", wrong="HTTP 502"))[0] == "bad"
    for kind in ("refused", "limited", "late"):
        assert "sound streams" not in found(reading(kind=kind, wrong="x"))


def test_who_knows_better() -> None:
    """A check of the same hop and name takes the place of the other; those of other hops stay."""
    mine = Check(hop="a", name="cancel", state="unknown", said="?")
    better = replace(mine, state="good", said="It stops.")
    others = [replace(mine, hop="b"), replace(mine, name="pings")]
    assert merge_checks([mine, *others], [better]) == [*others, better]
