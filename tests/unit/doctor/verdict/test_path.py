"""What a path adds, on arrivals that were made of known sends and known delays."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.doctor.clock import ONE_CLOCK, Offset
from bench.doctor.verdict.path import (
    Steps,
    TextMismatch,
    UpstreamResponse,
    answer_delays,
    delays,
    gateway_checks,
    path_delay,
)

MS = 1_000_000
LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=30)


def steps(lengths: Sequence[int], every: int = 5 * MS) -> Steps:
    """Deltas of these lengths, sent at even distances."""
    return [(every * place, end) for place, end in enumerate(accumulate(lengths), 1)]


def later(sent: Steps, delay: int) -> Steps:
    """All of it, each read so much later than it left."""
    return [(time + delay, end) for time, end in sent]


def upstream(sent: Steps = (), **fields: Any) -> UpstreamResponse:
    """A response of the simulator with these deltas between two frames that bring nothing."""
    reached = [0, *(end for _, end in sent)]
    chars = [end - before for before, end in pairwise(reached)]
    return UpstreamResponse(
        t_received=0,
        t_sent=[0, *(time for time, _ in sent), sent[-1][0] if sent else 0],
        types=["response.created", *("response.output_text.delta" for _ in sent), "response.completed"],
        chars=[0, *chars, 0],
        sizes=[100] * (len(sent) + 2),
        **fields,
    )


@given(LENGTHS, st.data())
def test_any_other_cut_of_the_text(lengths: list[int], data: st.DataObject) -> None:
    """However a gateway cuts the text anew, a delta's delay is that of the read with its last character, never less."""
    sent, path = steps(lengths), data.draw(st.integers(0, 50 * MS))
    total = sent[-1][1]
    cuts = sorted({*data.draw(st.sets(st.integers(1, total))), total})
    left = [next(time for time, end in sent if end >= char) for char in range(1, total + 1)]
    held = data.draw(st.lists(st.integers(0, 50 * MS), min_size=len(cuts), max_size=len(cuts)))
    times = list(accumulate((left[cut - 1] + path + wait for cut, wait in zip(cuts, held, strict=True)), max))
    came = [next(time for time, cut in zip(times, cuts, strict=True) if cut >= char) for char in range(1, total + 1)]

    found = delays(list(zip(times, cuts, strict=True)), sent)

    assert found == [came[end - 1] - time for time, end in sent]
    assert min(found) >= path


def test_known_lumps() -> None:
    """Deltas that a gateway holds until four are there are late by what each waited, and by the path."""
    sent = steps([3] * 8)
    arrived = [(sent[3][0] + MS, 12), (sent[7][0] + MS, 24)]
    assert delays(arrived, sent) == [wait * 5 * MS + MS for wait in (3, 2, 1, 0)] * 2


def test_another_text() -> None:
    """Text that is shorter, longer or missing is said with both lengths; none on both sides has no deltas."""
    sent = steps([3, 3])
    for arrived, came in (([(9, 5)], 5), ([(9, 7)], 7), ([], 0)):
        with pytest.raises(
            TextMismatch, match=f"changed on the way: 6 characters left the simulator and {came} arrived"
        ):
            delays(arrived, sent)
    assert delays([], []) == []


def test_of_several_responses_the_last_arrived() -> None:
    """After a gateway's retry the delays are those of the second response; none at all, and a whole body, have none."""
    first, second = steps([3, 3]), later(steps([3, 3]), 50 * MS)
    assert answer_delays(later(second, MS), [upstream(first, fault="500"), upstream(second)], ONE_CLOCK) == [MS, MS]
    with pytest.raises(TextMismatch, match="saw no such request"):
        answer_delays(first, [], ONE_CLOCK)
    body = UpstreamResponse(t_received=0, t_sent=[9], types=["body"], chars=[0], sizes=[400])
    with pytest.raises(TextMismatch, match="asked the simulator for the whole answer"):
        answer_delays(first, [body], ONE_CLOCK)


def test_added_on_one_machine() -> None:
    """Quantiles are those of all deltas of all answers, and stated to be exact."""
    sent = steps([4] * 100)
    answers = [(later(sent, delay * MS), [upstream(sent)]) for delay in (10, 20, 30, 40)]
    found = path_delay("gateway:8081", "chat", "text", answers, ONE_CLOCK)
    assert (found.n, found.p50_ms, found.p90_ms, found.p99_ms, found.most_ms) == (400, 20, 40, 40, 40)
    assert (found.error_ms, found.note) == (0, "")
    assert found.sentence == (
        "The path adds 20 ms to a delta in the median, 40 ms at p90, 40 ms at most (400 deltas);"
        " to the first delta of an answer 10 to 40 ms."
    )


def test_added_with_two_clocks() -> None:
    """The simulator's times are taken back by the offset of its clock, and its error stands beside the figures."""
    sent = steps([4] * 40)
    log = [upstream(later(sent, 7_000 * MS))]
    found = path_delay("gateway:8081", "chat", "text", [(later(sent, 3 * MS), log)], Offset(7_000 * MS, MS // 2, False))
    assert (found.p50_ms, found.p90_ms, found.most_ms, found.error_ms) == (3, 3, 3, 0.5)
    assert found.sentence.endswith("to the first delta of an answer 3 ms, all ± 0.5 ms for the offset of two clocks.")


@pytest.mark.parametrize(("deltas", "known"), [(5, []), (6, ["p50_ms"]), (36, ["p50_ms", "p90_ms"])])
def test_a_quantile_that_few_deltas_cannot_carry(deltas: int, known: list[str]) -> None:
    """It is None, and not in the sentence; the largest delay and the first stay."""
    sent = steps([4] * deltas)
    found = path_delay("g", "chat", "text", [(later(sent, MS), [upstream(sent)])], ONE_CLOCK)
    quantiles = {name: getattr(found, name) for name in ("p50_ms", "p90_ms", "p99_ms")}
    assert [name for name, value in quantiles.items() if value is not None] == known
    assert ("median" in found.sentence, "p90" in found.sentence) == ("p50_ms" in known, "p90_ms" in known)
    assert found.most_ms == 1


def test_what_was_not_matched() -> None:
    """Answers that cannot be matched are counted in the note with the reason, and the others still count."""
    sent = steps([4] * 3)
    well = (later(sent, MS), [upstream(sent)])
    found = path_delay("g", "chat", "text", [well, (later(sent, MS), []), (later(sent, MS), [])], ONE_CLOCK)
    assert found.n == 3
    assert found.note == (
        "2 of 3 answers not matched: the simulator saw no such request: is it the upstream of this gateway?"
    )
    nothing = path_delay("g", "chat", "text", [(sent, [])], ONE_CLOCK)
    assert (nothing.n, nothing.most_ms, nothing.sentence) == (0, None, "What the path adds is not known.")


@pytest.mark.parametrize(
    ("responses", "expected"),
    [
        ([upstream(), upstream()], {"HTTP version": "good", "keep-alive": "good", "stream asked": "good"}),
        ([upstream(http_version="1.0"), upstream()], {"HTTP version": "bad", "stream asked": "good"}),
        (
            [upstream(headers={"connection": "Close"})],
            {"HTTP version": "good", "keep-alive": "note", "stream asked": "good"},
        ),
        (
            [UpstreamResponse(t_received=0, t_sent=[1], types=["body"], chars=[0], sizes=[1])],
            {"HTTP version": "good", "keep-alive": "good", "stream asked": "bad"},
        ),
        ([], {}),
    ],
    ids=["well", "HTTP/1.0", "closing", "whole", "nothing"],
)
def test_seen_upstream(responses: list[UpstreamResponse], expected: dict[str, str]) -> None:
    """Each check says how the gateway speaks to its upstream; what is bad in nginx comes with its lines."""
    found = gateway_checks("gateway:8081", responses)
    assert {check.name.removesuffix(" upstream"): check.state for check in found} == expected
    (said,) = [check.said for check in found if check.name.startswith("HTTP")] or [""]
    assert ("`proxy_http_version 1.1;`" in said) is (expected.get("HTTP version") == "bad")


def test_the_measuring_process_stays_small() -> None:
    """Importing what matches and asks loads neither numpy nor scipy: that is for the end."""
    code = "import sys, bench.doctor.probe.source; print({'numpy', 'scipy', 'pandas'} & sys.modules.keys())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "set()\n"
