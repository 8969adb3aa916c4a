"""The conformance set by itself: its files are sound, and what is not right is called so."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from bench.core.errors import BenchError
from bench.records.schema import TRIAL_STATUS
from bench.simulator.conformance_set import ConformanceStream, choose, load
from bench.testing.conformance.check import StreamResult, judge, lags, tolerance
from bench.testing.conformance.run import WARM_UP, RecordedTrial
from bench.testing.conformance.table import Conclusion, as_table

STREAMS = load()
MS = 1_000_000


def times_of(stream: ConformanceStream) -> list[float]:
    """Every time that its truth names."""
    truth = stream.truth
    return [*truth.tokens_at, *(at for at in (truth.visible_at, truth.useful_at) if at is not None)]


def test_there_are_many_for_both_apis() -> None:
    """The set has the streams of the issue, for Responses and for Chat."""
    counts = {api: sum(stream.api == api for stream in STREAMS.values()) for api in ("responses", "chat")}
    assert min(counts.values()) >= 45
    assert set(WARM_UP) <= set(STREAMS)


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_a_file_is_sound(stream: ConformanceStream) -> None:
    """Writes come one after the other and soon end; a truth names times of writes, in order, and a known status."""
    writes = [write.at for write in stream.turn.writes]
    assert all(earlier < later for earlier, later in pairwise(writes))
    assert writes[-1] <= 500
    assert set(times_of(stream)) <= set(writes)
    assert stream.truth.status in TRIAL_STATUS
    assert stream.scenario.startswith("chat_") == (stream.api == "chat")
    assert stream.doc.endswith(".")


def test_a_wrong_mark_is_out_of_reach() -> None:
    """Times that a wrong instrument could take for each other are 20 ms apart or more: twice the widest tolerance."""
    for stream in STREAMS.values():
        times = sorted(set(times_of(stream)))
        assert all(later - earlier >= 20 for earlier, later in pairwise(times)), stream.model


def taken(stream: ConformanceStream, *, status: str = "ok", **shifts: float) -> RecordedTrial:
    """A perfect trial of a stream, but for a status, and for times (`ttft`, `visible`, `ttfu`) that are ms off."""
    truth, names = stream.truth, ("ttft", "visible", "ttfu")
    times = [truth.first_at, truth.visible_at, truth.useful_at]
    ns = [None if at is None else int((at + shifts.get(name, 0)) * MS) for name, at in zip(names, times, strict=True)]
    row = {
        "status": status,
        "error": None,
        "truncated": truth.truncated,
        "deltas": len(truth.tokens_at),
        "events": truth.events,
        "output_tokens": truth.output_tokens,
        "t_origin": 0,
        **dict(zip(("t_first_token", "t_first_visible", "t_first_useful"), ns, strict=True)),
    }
    sent = [int(write.at * MS) for write in stream.turn.writes]
    events = [event(number, int(at * MS)) for number, at in enumerate(truth.deltas_at)]
    return RecordedTrial(trial=row, attempt={"terminal": truth.terminal}, events=events, t_sent=sent)


def event(seq: int, t_read: int) -> dict[str, Any]:
    """A delta as the records have it."""
    place = {"trial_id": 1, "request": 0, "attempt": 0, "seq": seq}
    return {**place, "t_read": t_read, "kind": "content", "type": "x.delta", "chars": 3}


TEXT = STREAMS["responses/text"]


def judged(*trials: RecordedTrial, stream: ConformanceStream = TEXT) -> StreamResult:
    """What is said of these trials with the widest tolerance."""
    return judge(stream, trials, 10.0)


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_truth_itself_is_right(stream: ConformanceStream) -> None:
    """Readings that are exactly the truth are right, of every stream."""
    assert judge(stream, [taken(stream, status=stream.truth.status)], 2.0).right


def test_the_median_counts() -> None:
    """One trial of three that came late is no error of the instrument; two are."""
    late = taken(TEXT, ttft=80)
    assert judged(late, taken(TEXT), taken(TEXT)).right
    assert judged(late, late, taken(TEXT)).late == ["ttft: +80.0 ms"]


def test_a_status_must_be_right_every_time() -> None:
    """One trial with another status makes the stream wrong, and both are named."""
    result = judged(taken(TEXT), taken(TEXT), taken(TEXT, status="no_terminal_event"))
    assert result.wrong == ["status: no_terminal_event, not ok"]
    assert result.status == "no_terminal_event, ok"


def test_a_time_that_should_not_be_is_wrong() -> None:
    """A visible token where there is nothing but reasoning is wrong, whatever its time."""
    stream = STREAMS["responses/reasoning_text_only"]
    one = taken(stream, status="invalid_result")
    row = {**one.trial, "t_first_visible": one.trial["t_first_token"]}
    result = judge(stream, [RecordedTrial(trial=row, attempt=one.attempt, events=one.events, t_sent=one.t_sent)], 10.0)
    assert result.wrong == ["visible: a time, not none"]


def test_gaps_are_compared_one_by_one() -> None:
    """A delta that was read 15 ms late is found in the gaps around it; a missing one by their number."""
    one = taken(TEXT)
    late = [*one.events[:1], {**one.events[1], "t_read": one.events[1]["t_read"] + 15 * MS}, *one.events[2:]]
    assert with_events(one, late).late == ["a gap: +15.0 ms"]
    assert with_events(one, one.events[1:]).wrong == ["gaps: 0, not 3"]


def with_events(one: RecordedTrial, events: Sequence[Any]) -> StreamResult:
    """What is said of the same trial with other events."""
    return judged(RecordedTrial(trial=one.trial, attempt=one.attempt, events=events, t_sent=one.t_sent))


def test_what_was_not_sent_is_not_judged() -> None:
    """A trial whose truth is missing makes the stream wrong: nothing was compared."""
    one = taken(TEXT)
    result = judged(RecordedTrial(trial=one.trial, attempt=one.attempt, events=one.events, t_sent=()))
    assert result.wrong[0] == "only 0 of 1 trials had all of the 7 writes sent"


def test_the_tolerance_has_two_ends() -> None:
    """Three times the p95 of the read lag, but at least 5 ms and at most 10 ms; without any lag it is the most."""
    assert tolerance([0.1] * 20) == pytest.approx((0.1, 5.0))
    assert tolerance([2.5] * 20) == pytest.approx((2.5, 7.5))
    assert tolerance([9.0] * 20) == pytest.approx((9.0, 10.0))
    assert tolerance([]) == (None, 10.0)


def test_read_lags_are_of_whole_events() -> None:
    """Several events of one write share its time; behind a write of raw text nobody knows which event is which."""
    assert list(lags(TEXT, [taken(TEXT, status="cut_mid_stream")])) == []
    split = STREAMS["chat/split_event"]
    one = RecordedTrial(
        trial={"status": "ok"}, attempt={}, events=[event(0, 13 * MS), event(1, 300 * MS)], t_sent=[10 * MS]
    )
    assert list(lags(split, [one])) == [3.0]


@pytest.mark.parametrize(("p95", "busy"), [(1.0, False), (4.0, True)])
def test_a_busy_machine_concludes_nothing(p95: float, *, busy: bool) -> None:
    """Late times on a machine with a large read lag are no verdict; a wrong status is one on any machine."""
    late, wrong = judged(taken(TEXT, ttfu=30)), judged(taken(TEXT, status="cut_mid_stream"))
    assert conclusion([late], p95).busy is busy
    assert not conclusion([late, wrong], p95).busy
    assert not conclusion([judged(taken(TEXT))], p95).busy


def conclusion(results: Sequence[StreamResult], p95: float) -> Conclusion:
    """What is said of these results."""
    return Conclusion(results=results, repeat=1, read_lag_p95=p95, tolerance=tolerance([p95])[1])


def test_the_table_says_what_is_wrong() -> None:
    """Truth beside reading, a mark for each stream, the reason below, and the answer last."""
    text = as_table(conclusion([judged(taken(TEXT)), judged(taken(TEXT, status="cut_mid_stream"))], 0.5), color=False)
    assert "ok→cut_mid_stream" in text
    assert "✗ responses/text: status: cut_mid_stream, not ok" in text
    assert text.splitlines()[-1].startswith("1 of 2 right; worst TTFT error 0.0 ms (median of 1); read lag p95 0.5 ms")


def test_names_choose_streams() -> None:
    """A model, a name in both APIs, a pattern; each once, in the order asked for; a wrong name is told the nearest."""
    named = [stream.model for stream in choose(STREAMS, ["chat/text", "text", "usage_z*"])]
    assert named == ["chat/text", "responses/text", "responses/usage_zero", "chat/usage_zero"]
    assert len(choose(STREAMS, [])) == len(STREAMS)
    with pytest.raises(BenchError, match="did you mean 'refusal'"):
        choose(STREAMS, ["refusals"])
