"""The logic inside of the built-in scenarios for the guide's patterns: throttle, buffer, turns, lengths, usage."""

from __future__ import annotations

import json
from itertools import accumulate, pairwise
from time import perf_counter_ns
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response

from bench import Ask
from bench.core.plugins.loader import builtin_folder, load_file
from bench.core.trial import Trial
from tests.support import events as e

progress, buffered, multi_turn, long_output, usage, helpers = (
    load_file(builtin_folder() / f"{name}.py")
    for name in ("progress", "buffered", "multi_turn", "long_output", "usage", "helpers")
)
MS = 1_000_000
deltas = st.lists(st.tuples(st.integers(0, 90), st.text(max_size=12)), max_size=40)
"""(ms since the delta before, its text)."""


def at_times(found: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Deltas with absolute times in ns."""
    times = accumulate((gap for gap, _ in found), initial=0)
    next(times)
    return [(time * MS, text) for time, (_, text) in zip(times, found, strict=True)]


@given(deltas, st.integers(0, 200))
def test_updates_lose_nothing_and_keep_their_distance(found: list[tuple[int, str]], interval_ms: int) -> None:
    """All updates and the flushed tail are the text, once; no two updates are closer than the interval."""
    throttle = progress.Throttle(interval_ms * MS)
    updates = [(now, shown) for now, text in at_times(found) if (shown := throttle.feed(text, now))]
    tail = throttle.flush()
    assert "".join(shown for _, shown in updates) + tail == "".join(text for _, text in found)
    assert all(later - earlier >= interval_ms * MS for (earlier, _), (later, _) in pairwise(updates))
    assert throttle.flush() == ""


def test_the_first_update_comes_with_the_first_visible_text() -> None:
    """Blank text is held back without starting the interval; the first word shows at once, the next ones wait."""
    throttle = progress.Throttle(100 * MS)
    shown = [throttle.feed(text, now * MS) for now, text in [(0, ""), (1, "\n"), (2, "One"), (50, " two"), (102, "!")]]
    assert shown == ["", "", "\nOne", "", " two!"]


@given(deltas, st.integers(1, 30))
def test_chunks_lose_nothing_and_have_their_size(found: list[tuple[int, str]], chars: int) -> None:
    """All chunks and the flushed tail are the text, once; each but the tail has at least so many characters."""
    buffer = buffered.Buffer(chars)
    chunks = [chunk for now, text in at_times(found) if (chunk := buffer.feed(text, now))]
    tail = buffer.flush(10**12)
    assert "".join(chunks) + tail == "".join(text for _, text in found)
    assert all(len(chunk) >= chars for chunk in chunks)
    assert len(tail) < chars
    assert buffer.passed == sum(len(text) for _, text in found)


def test_the_wait_is_counted_for_each_character() -> None:
    """A character waits from the delta that brought it to the delta, or the end, that lets it out."""
    buffer = buffered.Buffer(4)
    assert [buffer.feed(text, now) for now, text in [(0, "ab"), (10, "cd"), (20, "e")]] == ["", "abcd", ""]
    assert buffer.flush(50) == "e"
    assert (buffer.waited_ns, buffer.passed) == (2 * 10 + 30, 5)


turns = st.lists(st.lists(st.text(max_size=4), min_size=1, max_size=4), min_size=1, max_size=4)


@given(turns)
def test_pieces_of_turns_become_one_answer_each(answers: list[list[str]]) -> None:
    """However the turns came in pieces, the result has one answer for each, in order, and is valid if none is blank."""
    pieces = [multi_turn.Piece(turn, text) for turn, parts in enumerate(answers) for text in parts]
    result = multi_turn.assemble(pieces)
    assert result == ["".join(parts) for parts in answers]
    if all(answer.strip() for answer in result):
        multi_turn.check(result)
    else:
        with pytest.raises(ValueError, match="no text in turn"):
            multi_turn.check(result)


def test_a_conversation_goes_on_with_the_answer_and_a_new_question() -> None:
    """The next request has all messages, or only the new one and the id of the answer before it."""
    response = Response.model_validate(e.response(id="resp_7"))
    ask = ask_with({"model": "m", "input": [{"role": "user", "content": "Hello"}]})
    messages = multi_turn.with_next_message(list(ask.messages), "Good day.", 0)
    question = {"role": "user", "content": multi_turn.FOLLOW_UPS[0]}
    assert messages == [*ask.messages, {"role": "assistant", "content": "Good day."}, question]
    assert multi_turn.resend(ask, messages, response) == {"model": "m", "input": messages}
    stored = {"model": "m", "input": [question], "previous_response_id": "resp_7"}
    assert multi_turn.refer(ask, messages, response) == stored


@pytest.mark.parametrize("event", [e.FAILED, e.FILTERED, None])
def test_a_broken_turn_ends_the_conversation(event: e.Event | None) -> None:
    """No answer, a failed one and a filtered one are nothing to go on with; one cut at its length is."""
    with pytest.raises(RuntimeError, match="cannot go on"):
        multi_turn.whole_answer(Response.model_validate(event["response"]) if event else None)
    assert multi_turn.whole_answer(Response.model_validate(e.INCOMPLETE["response"])).status == "incomplete"


def ask_with(request: dict[str, Any], **params: Any) -> Ask:
    """An ask with this request."""
    return Ask(
        request=request,
        prompt="Hello",
        messages=[{"role": "user", "content": "Hello"}],
        nonce="",
        model="m",
        output_tokens=None,
        row={},
        seed=0,
        recorder=Trial(0, "s", "streamed", "t", "m", "measure", t_origin=perf_counter_ns()),
        params=long_output.Params(**params) if params else None,
    )


def test_a_length_is_asked_for_as_the_target_understands_it() -> None:
    """The simulator's control field gets the length and keeps the rest; any other target gets a cap."""
    control = json.dumps({"seed": 3, "tokens": 5})
    simulated = long_output.with_length(ask_with({"model": "m", "metadata": {"bench": control, "a": "b"}}, tokens=700))
    assert json.loads(simulated["metadata"]["bench"]) == {"seed": 3, "tokens": 700, "token_ms": 1}
    assert simulated["metadata"]["a"] == "b"
    assert "max_output_tokens" not in simulated
    real = long_output.with_length(ask_with({"model": "m", "metadata": {"a": "b"}, "max_output_tokens": 5}, tokens=700))
    assert real == {"model": "m", "metadata": {"a": "b"}, "max_output_tokens": 700}


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({}, "no usage"),
        ({"input": 0, "output": 0, "total": 0}, "0 output tokens"),
        ({"input": 3, "output": 4, "total": 8}, "does not add up"),
    ],
)
def test_usage_that_cannot_be_is_not_valid(found: dict[str, int], message: str) -> None:
    """Missing, zero and wrongly summed usage is refused, a sound one is not."""
    with pytest.raises(ValueError, match=message):
        usage.check(found)
    usage.check({"input": 3, "output": 4, "total": 7})


@pytest.mark.parametrize("check", [helpers.check_text, helpers.check_object])
def test_what_the_helper_cannot_read_is_not_valid(check: Any) -> None:
    """A complaint of the SDK's helper fails the check with what it said, and so does an empty answer."""
    with pytest.raises(ValueError, match="could not read the answer: RuntimeError: odd"):
        check(helpers.Complaint("RuntimeError: odd"))
    with pytest.raises(ValueError, match="the answer has no"):
        check("")
