"""Responses that the simulator keeps: how many, what for, and what is seen of one while it is being made."""

from __future__ import annotations

import time
from collections.abc import Iterator

import orjson
import pytest

from bench.simulator.delivery import Frame
from bench.simulator.errors import ApiError
from bench.simulator.requests.conversation import InputMessage, TextPart
from bench.simulator.requests.responses import ResponsesRequest
from bench.simulator.routes.stored import remember
from bench.simulator.store.background import Background
from bench.simulator.store.responses import FinishedResponse, Store
from bench.simulator.truth import SentResponse

ASKED = [InputMessage(role="user", content=[TextPart(type="input_text", text="Hi")])]
LONG_AGO, LATER = -1_000_000_000, 3_600_000_000_000


def finished(status: str = "completed", padding: int = 0) -> FinishedResponse:
    """A response with an answer."""
    body = {"status": status, "output": [{"type": "message"}], "padding": "x" * padding}
    return FinishedResponse(ASKED, orjson.dumps(body), streamed=False)


def frame(due: int, number: int, event: str) -> Frame:
    """One frame; those that tell a state carry a response with it."""
    response = {"status": event.removeprefix("response."), "output": [event]}
    data = {"type": event, "sequence_number": number, "response": response}
    return due, event, b"event: %b\ndata: %b\n\n" % (event.encode(), orjson.dumps(data))


def frames(*dues: int) -> Iterator[Frame]:
    """A stream: one delta at each of these times, then the end."""
    yield frame(0, 0, "response.queued")
    yield frame(0, 1, "response.in_progress")
    for number, due in enumerate(dues, 2):
        yield frame(due, number, "response.output_text.delta")
    yield frame(dues[-1], len(dues) + 2, "response.completed")


def begun(*dues: int, ago: int = 0) -> Background:
    """A background response that began `ago` ns ago."""
    t_received = time.perf_counter_ns() - ago
    return Background(items=ASKED, frames=frames(*dues), t_received=t_received, streamed=True, size=100)


def test_the_oldest_go_first() -> None:
    """Over the greatest number, or over the greatest size, the oldest are forgotten, and never the latest."""
    few = Store(most_responses=2)
    for name in "abc":
        few.keep(name, finished())
    with pytest.raises(ApiError, match="'a' not found"):
        few.find("a")
    assert few.find("b").response()["status"] == few.find("c").response()["status"] == "completed"
    small = Store(most_bytes=1000)
    for name, padding in (("a", 400), ("b", 400), ("c", 5000)):
        small.keep(name, finished(padding=padding))
    assert small.find("c").size > 5000
    for gone in "ab":
        with pytest.raises(ApiError):
            small.find(gone)


def test_room_of_the_deleted() -> None:
    """A deleted response is unknown, and its room is free again."""
    store = Store(most_bytes=1500)
    store.keep("a", finished(padding=900))
    store.delete("a")
    with pytest.raises(ApiError) as unknown:
        store.delete("a")
    assert unknown.value.status == 404
    store.keep("b", finished(padding=500))
    store.keep("c", finished(padding=500))
    assert store.find("b").size == store.find("c").size


def question(**fields: object) -> ResponsesRequest:
    """A request."""
    return ResponsesRequest.model_validate({"model": "sim-1", "input": "Hi", **fields})


def test_kept_with_its_last_event() -> None:
    """A stream is kept when its last event is about to leave; one that is broken off or unwanted is not kept."""
    store = Store()
    for name, asked in (("wanted", question()), ("unwanted", question(store=False))):
        sent = SentResponse(client_id=None, server_id="req", t_received=0)
        remember(asked, name, sent, store)
        *earlier, last = frames(1, 2)
        for _, type_, data in earlier:
            sent.stamp(type_, data)
        assert name not in store
        sent.stamp(*last[1:])
    assert store.find("wanted").response() == {"status": "completed", "output": ["response.completed"]}
    assert "unwanted" not in store


@pytest.mark.parametrize(("fault", "kept"), [(None, True), ("stall", True), ("failed", True), ("cut", False)])
def test_blocking_body_is_kept(fault: str | None, kept: bool) -> None:
    """A blocking answer is kept as it is sent, unless a fault left nothing that can be read."""
    store = Store()
    sent = SentResponse(client_id=None, server_id="req", t_received=0, fault=fault)
    remember(question(), "x", sent, store)
    sent.stamp("body", orjson.dumps({"status": "failed", "output": []}))
    assert ("x" in store) is kept
    if kept:
        items, output = store.earlier("x")
        assert ([item.text for item in items], output) == (["Hi"], [])


def test_follow_up_needs_an_end() -> None:
    """Only a finished response can be followed up; unknown ones and those under way are refused with a 400."""
    store = Store()
    store.keep("now", begun(LATER))
    for name, code in (("none", "previous_response_not_found"), ("now", "previous_response_not_finished")):
        with pytest.raises(ApiError) as refused:
            store.earlier(name)
        error = refused.value.body["error"]
        assert (refused.value.status, error["code"], error["param"]) == (400, code, "previous_response_id")


def test_state_follows_the_clock() -> None:
    """A background response is in progress until its last frame is due, whoever reads it."""
    assert begun(10, LATER).response()["status"] == "in_progress"
    assert begun(10, 20, ago=1000).response()["status"] == "completed"


def test_every_reader_gets_the_same_frames() -> None:
    """Readers of different places, also at the same time, get the same frames; they are made once, when needed."""
    made = []

    def counted() -> Iterator[Frame]:
        for one in frames(1, 2, 3):
            made.append(one)
            yield one

    response = Background(items=ASKED, frames=counted(), t_received=0, streamed=True, size=1)
    first, resumed = response.frames(), response.frames(after=2)
    assert [next(first), next(resumed)] == [made[0], made[3]]
    assert len(made) == 4
    assert [*first] == made[1:]
    assert [*resumed] == made[4:]
    assert [*response.frames()] == made == [*frames(1, 2, 3)]
    assert [*response.frames(after=99)] == []


def test_times_of_a_late_reader() -> None:
    """A reader that comes later gets what is long due at once, and the rest when the first reader would have."""
    response = Background(items=ASKED, frames=frames(10, 50), t_received=1000, streamed=True, size=1)
    assert [due for due, _, _ in response.frames_since(1030, after=1)] == [-20, 20, 20]


def test_cancelled_while_it_is_made() -> None:
    """Cancelling ends it at once and for good; what had ended before stays as it was."""
    response = begun(LATER)
    response.cancel()
    stopped = response.stop.at
    response.cancel()
    assert response.response()["status"] == "cancelled"
    assert response.stop.at == stopped is not None
    ended = begun(10, ago=1000)
    ended.cancel()
    assert (ended.response()["status"], ended.stop.at) == ("completed", None)


def test_deleting_ends_it() -> None:
    """A background response that is deleted while it is made is cancelled; one that is forgotten goes on."""
    store = Store(most_responses=1)
    deleted, forgotten = begun(LATER), begun(LATER)
    store.keep("deleted", deleted)
    store.delete("deleted")
    store.keep("forgotten", forgotten)
    store.keep("other", finished())
    assert deleted.stop.at is not None
    assert forgotten.stop.at is None
    with pytest.raises(ApiError):
        store.find("forgotten")


def test_only_background() -> None:
    """What only a background response can do is refused for another one."""
    store = Store()
    store.keep("plain", finished())
    store.keep("background", begun(LATER))
    assert store.background("background", "no").streamed
    with pytest.raises(ApiError, match="only those") as refused:
        store.background("plain", "only those")
    assert refused.value.status == 400
