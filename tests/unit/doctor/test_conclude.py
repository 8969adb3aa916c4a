"""The exit code and the answer in a sentence, by the verdicts; and one whole conclusion from readings."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.trial import Attempt
from bench.doctor.conclude import answer, conclude, exit_code, numbers
from bench.doctor.diagnosis import MEANS, Diagnosis, Finding, Hop, Verdict
from bench.doctor.probe.examine import Examination, Patient
from bench.doctor.probe.reference_stream import BEAT_MS, FIRST, ReferenceStream
from bench.doctor.requests import APIS, MODES, Manner
from bench.doctor.verdict.judge import judge
from bench.doctor.verdict.reading import Reading
from tests.support.chat import content
from tests.support.delivered import Deliver, at_once, direct, endpoint, even, seeded, size_buffer
from tests.support.scripted import chunk, frame, head

S: Verdict = "streaming"
B: Verdict = "bursty"
U: Verdict = "inconclusive"
N: Verdict = "not offered"


def findings(**hops: list[Verdict]) -> list[Finding]:
    """By hop, in the order of API and mode."""
    cells = list(product(APIS, MODES))
    return [
        Finding(hop=hop, api=api, mode=mode, verdict=verdict, happens="", sure="")
        for hop, verdicts in hops.items()
        for verdict, (api, mode) in zip(verdicts, cells, strict=False)
    ]


@pytest.mark.parametrize(
    ("hops", "code", "said"),
    [
        ({"a": [S]}, 0, "Yes: a streams."),
        ({"a": [S, N]}, 0, "Yes: a streams."),
        ({"a": [U]}, 4, "That cannot be told: a is inconclusive."),
        ({"a": [N]}, 4, "That cannot be told: a offers nothing of what was asked for."),
        ({"a": [S, U]}, 4, "Yes, as far as can be told: a streams (Responses text), is inconclusive (Responses tool "),
        ({"a": [B]}, 1, "No: a delivers in lumps."),
        ({"a": [U, B]}, 1, "No: a is inconclusive (Responses text), delivers in lumps (Responses tool arguments)."),
        ({"a": [S], "b": [S]}, 0, "Yes: a streams; b streams."),
        ({"a": [S], "b": [N]}, 0, "Yes, as far as can be told: a streams; b offers nothing of what was asked for."),
        ({"a": [S], "b": [B]}, 1, "No, and it is b: a streams; b delivers in lumps."),
        ({"a": [S], "b": [B], "c": ["fake"]}, 1, "No, and it is b and c: "),
        ({"a": [B], "b": [S]}, 1, "No, and a is at it already: "),
        ({"a": [U], "b": [B]}, 1, "No: a is inconclusive; b delivers in lumps."),
        ({"a": [B] * 6}, 1, "No: a delivers in lumps."),
        (
            {"a": [S, B, S, S, B]},
            1,
            "No: a streams (Responses text and structured output, Chat text), delivers in lumps (Responses tool arg",
        ),
    ],
)
def test_the_answer(hops: dict[str, list[Verdict]], code: int, said: str) -> None:
    """Whose doing it is, what of it, and the code that CI reads."""
    found = findings(**hops)
    assert exit_code(found) == code
    assert answer(found).startswith(said)


BAD = sorted(set(MEANS) - {S, U, N})


@given(st.lists(st.lists(st.sampled_from(sorted(MEANS)), min_size=1, max_size=6), min_size=1, max_size=3))
def test_any_verdicts_have_an_answer(hops: list[list[Verdict]]) -> None:
    """One sentence that begins as the exit code says, names every hop, and calls nothing well that is bad."""
    found = findings(**{f"hop{number}": verdicts for number, verdicts in enumerate(hops)})
    said, code = answer(found), exit_code(found)
    assert re.fullmatch(r"(?:Yes|No|That cannot be told)[^\n]*[^.]\.", said)
    assert all(f"hop{number} " in said for number in range(len(hops)))
    seen = {one.verdict for one in found}
    assert (code == 1) is bool(seen & set(BAD)) is said.startswith("No")
    assert (code == 0) is (S in seen and seen <= {S, N})


def test_some_broken_answers() -> None:
    """They are said where the verdicts do not say them already."""
    assert answer(findings(a=[S]), "1 of 6 answers were not sound") == (
        "Not always: a streams, but 1 of 6 answers were not sound."
    )
    assert answer(findings(a=[B]), "1 of 6 answers were not sound") == "No: a delivers in lumps."


def ticks() -> ReferenceStream:
    """Beats on a quiet machine: each tenth is 1 ms late."""
    headers = {"content-type": "text/event-stream"}
    made = Attempt(0, 0, "", "POST", "/v1/chat/completions", 0, asked_stream=True, t_start=0, headers=headers)
    made.reads = [(0, head(200, {**headers, "transfer-encoding": "chunked"}))]
    made.reads += [
        (place * BEAT_MS * 10**6 + (10**6 if place % 10 == 0 else 0), chunk(frame(content("x"))))
        for place in range(FIRST + 400)
    ]
    return ReferenceStream([made])


def concluded(*ways: Deliver, broken: int = 0) -> Diagnosis:
    """Of hops that deliver so: `first`, `second` …; so many answers of the first are broken."""
    patients = [
        Patient(
            hop=Hop(name=name, base_url=f"http://{name}/v1", model="m"),
            key="",
            headers={},
            manner=Manner(model="m"),
            apis=["chat"],
        )
        for name, _ in zip(("first", "second", "third"), ways, strict=False)
    ]
    readings: list[Reading] = []
    for hop, way in enumerate(ways):
        rng = seeded(hop)
        headers = {"content-type": "text/event-stream", "server": "nginx/1.22.1"}
        readings += endpoint(rng, even(rng, 20, 0.2), way, hop=hop, headers=headers, tokens=64)
    readings = [replace(one, wrong="it ends early") if place < broken else one for place, one in enumerate(readings)]
    found = Examination(readings=readings, reference=ticks(), requests=len(readings))
    return conclude(patients, found, again="bench doctor", requests=3, notes=["n"])


def test_a_whole_conclusion() -> None:
    """Findings by hop with evidence and curve, the difference that the second one makes, and the counts."""
    made = concluded(direct, size_buffer(4096))
    assert made.answer == "No, and it is second: first streams; second delivers in lumps."
    assert [one.verdict for one in made.findings] == ["streaming", "bursty"]
    assert (made.exit_code, made.requests, made.tokens, made.notes) == (1, 15, 64 * 12, ["n"])
    assert [hop.server for hop in made.hops] == ["nginx/1.22.1"] * 2
    (difference,) = made.differences
    assert difference.sentence.startswith("second does it")
    assert (difference.first.value or 0) > 200
    bursty = made.findings[1]
    assert bursty.numbers["lump_nature"] == "size"
    assert bursty.numbers["resolution_ms"] == 5
    assert "proxy_buffering off;" in bursty.change[0].lines
    assert bursty.curve
    assert (bursty.curve.label, bursty.curve.hop, bursty.curve.arrivals[-1][1]) == ("chat, text", "second", 256 * 5)
    assert {check.name for check in made.checks if check.hop == "second"} >= {"content type", "cancel"}
    assert (made.floor.n, made.floor.p90_ms, made.floor.most_ms) == (400, 0, 1)


def test_one_broken_answer_of_many_is_no_success() -> None:
    """The code is 1 though the verdict is that it streams."""
    made = concluded(direct, broken=1)
    assert [one.verdict for one in made.findings] == ["streaming"]
    assert (made.exit_code, made.answer) == (1, "Not always: first streams, but 1 of 6 answers were not sound.")


@pytest.mark.parametrize("way", [direct, at_once, size_buffer(4096)])
def test_evidence_is_in_order(way: Deliver) -> None:
    """Quantiles of the gaps ascend, shares are shares, and the headers come before the first piece."""
    rng = seeded(1)
    found = numbers(judge(endpoint(rng, even(rng, 20, 0.2), way), None, 6.0))
    values = {name: float(value) for name, value in found.items() if isinstance(value, int | float)}
    assert values["gap_p50_ms"] <= values["gap_p90_ms"] <= values["gap_most_ms"] <= values["window_ms"] + 1e-9
    assert 0 <= values["held_share"] <= 1
    assert 0 < values["reads_per_delta"] <= 1
    assert values["headers_ms"] < values["first_ms"] < values["whole_ms"]
    assert values["first_ms_at_256_tokens"] == values["first_ms"]
