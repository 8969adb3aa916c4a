"""Responses that live on, with the official SDK against the simulator: follow-ups, background, resume, cancel."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from openai import APIConnectionError, BadRequestError, NotFoundError, OpenAI

from bench.simulator.process import Simulator, running
from tests.support.send_log import lines_of

PROMPT = "[0123456789abcdef] Tell me something."
TTFT_MS, TOKEN_MS, TOKENS = 50, 20, 30
SLOW = {"ttft_ms": TTFT_MS, "token_ms": TOKEN_MS, "tokens": TOKENS, "jitter": 0, "tokens_per_event": 1}
QUICK = {"tokens": TOKENS}
WHOLE_MS = TTFT_MS + (TOKENS - 1) * TOKEN_MS


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The truth file of the module's simulator."""
    return tmp_path_factory.mktemp("sim") / "truth.jsonl"


@pytest.fixture(scope="module")
def sim(truth: Path) -> Iterator[Simulator]:
    """A simulator for the module."""
    with running(profile="flood", truth=truth) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def client(sim: Simulator) -> Iterator[OpenAI]:
    """The official client, without retries that could hide a failure; its first stream, which is slow, is over."""
    with OpenAI(base_url=sim.base_url, api_key="anything", max_retries=0) as made:
        everything(made.responses.create(**asked(), stream=True))
        yield made


def asked(control: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A request with this control field."""
    control = {"tokens": 12, **(control or {})}
    return {"model": "sim-1", "input": PROMPT, "metadata": {"bench": json.dumps(control)}, **fields}


def named(client_id: str) -> dict[str, str]:
    """Headers by which the simulator's log knows a request."""
    return {"X-Client-Request-Id": client_id}


def row_of(truth: Path, client_id: str) -> dict[str, Any]:
    """The truth of one response, as soon as it is there."""
    return lines_of(truth, client_id)[0]


def text_in(events: list[Any]) -> str:
    """The text that deltas bring."""
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def collect(stream: Any, seen: list[Any]) -> None:
    """All events of a stream, also when it breaks."""
    for event in stream:
        seen.append(event)  # noqa: PERF402  (what came before an exception counts)


def everything(stream: Any) -> list[Any]:
    """All events of a stream."""
    return list(stream)


def nonce() -> str:
    """A fresh one: a script's faults go by attempts of one trial."""
    return f"[{secrets.token_hex(8)}] "


def dropped(client: OpenAI, count: int, client_id: str, **fields: Any) -> tuple[str, list[Any]]:
    """Id and first events of a background stream that its client leaves after so many events."""
    with client.responses.create(
        **asked(**fields), background=True, stream=True, extra_headers=named(client_id)
    ) as stream:
        events = list(islice(stream, count))
    return events[0].response.id, events


def test_resume_gives_what_is_missing(client: OpenAI, truth: Path) -> None:
    """A stream that was left goes on by itself; the resumed one has all missing events, each at its own time."""
    name, seen = dropped(client, 12, "left", control=SLOW)
    kinds = [event.type for event in seen[:3]]
    assert kinds == ["response.created", "response.queued", "response.in_progress"]
    assert [event.response.status for event in seen[:3]] == ["queued", "queued", "in_progress"]
    last = seen[-1].sequence_number
    headers = named("resumed")
    rest = everything(client.responses.retrieve(name, stream=True, starting_after=last, extra_headers=headers))
    assert [event.sequence_number for event in [*seen, *rest]] == list(range(last + 1 + len(rest)))
    whole = client.responses.create(**asked(QUICK))
    assert rest[-1].type == "response.completed"
    assert text_in([*seen, *rest]) == rest[-1].response.output_text == whole.output_text
    assert rest[-1].response.usage == whole.usage
    left, resumed = row_of(truth, "left"), row_of(truth, "resumed")
    assert left["gone"] is not None
    assert len(left["t_sent"]) < len(seen) + len(rest)
    assert resumed["t_sent"][-1] - left["t_received"] >= WHOLE_MS * 1e6
    again = list(client.responses.retrieve(name, stream=True))
    assert [*seen, *rest] == again


def test_polling(client: OpenAI) -> None:
    """A blocking background call returns at once as queued; polling sees it in progress and then complete."""
    first = client.responses.create(**asked(SLOW), background=True)
    assert (first.status, first.background, first.output, first.usage) == ("queued", True, [], None)
    states = []
    while (polled := client.responses.retrieve(first.id)).status in {"queued", "in_progress"}:
        states.append(polled.status)
        time.sleep(0.02)
    assert set(states) == {"in_progress"}
    assert (polled.id, polled.status, polled.background) == (first.id, "completed", True)
    assert polled.output_text == client.responses.create(**asked(QUICK)).output_text


def test_strict_helper(client: OpenAI) -> None:
    """The SDK's strict streaming helper accepts a background stream, and a second reading of it by its id."""
    with client.responses.stream(**asked(), background=True) as stream:
        made = stream.get_final_response()
    with client.responses.stream(response_id=made.id) as stream:
        assert stream.get_final_response() == made


def test_cancel_stops_the_stream(client: OpenAI, truth: Path) -> None:
    """Cancelling ends the stream without a last event; the log says when, and nothing due later was sent."""
    with client.responses.create(**asked(SLOW), background=True, stream=True, extra_headers=named("stopped")) as stream:
        seen = list(islice(stream, 12))
        name = seen[0].response.id
        ended = client.responses.cancel(name, extra_headers=named("cancel"))
        seen += list(stream)
    assert ended.status == client.responses.cancel(name).status == client.responses.retrieve(name).status == "cancelled"
    assert seen[-1].type == "response.output_text.delta"
    row = row_of(truth, "stopped")
    assert row["t_cancelled"] == row_of(truth, "cancel")["t_cancelled"]
    assert row["gone"] is None
    deltas = row["type"].count("response.output_text.delta")
    passed_ms = (row["t_cancelled"] - row["t_received"]) / 1e6
    assert 0 < deltas <= (passed_ms - TTFT_MS) / TOKEN_MS + 1
    assert [*client.responses.retrieve(name, stream=True)] == seen


def test_cancel_without_a_listener(client: OpenAI) -> None:
    """A response whose client has left can be cancelled: no more of it is made."""
    name, seen = dropped(client, 12, "lost", control=SLOW)
    assert client.responses.cancel(name).status == "cancelled"
    made = everything(client.responses.retrieve(name, stream=True))
    assert made[: len(seen)] == seen
    assert made[-1].type == "response.output_text.delta"
    assert len(text_in(made).split()) < TOKENS
    assert client.responses.retrieve(name).status == "cancelled"


def test_cancel_after_the_end(client: OpenAI) -> None:
    """A response that has ended stays as it is."""
    *_, last = everything(client.responses.create(**asked(), background=True, stream=True))
    assert client.responses.cancel(last.response.id) == last.response


def test_fault_on_the_way(client: OpenAI) -> None:
    """A cut breaks one delivery of a background response, not the response: it can be resumed."""
    control = {"answers": [{"faults": [{"kind": "cut"}]}]}
    seen: list[Any] = []
    stream = client.responses.create(**asked(control, input=nonce() + "Hi"), background=True, stream=True)
    with pytest.raises(APIConnectionError):
        collect(stream, seen)
    rest = everything(
        client.responses.retrieve(seen[0].response.id, stream=True, starting_after=seen[-1].sequence_number)
    )
    assert [event.sequence_number for event in [*seen, *rest]] == list(range(len(seen) + len(rest)))
    assert text_in([*seen, *rest]) == rest[-1].response.output_text
    assert client.responses.retrieve(seen[0].response.id).status == "completed"


def test_failure_in_the_background(client: OpenAI) -> None:
    """A response that fails has failed for all who ask for it; an error event is a matter of one stream."""
    for kind, status in (("failed", "failed"), ("error", "completed"), ("incomplete", "incomplete")):
        control = {"answers": [{"faults": [{"kind": kind}]}]}
        events = everything(
            client.responses.create(**asked(control, input=nonce() + "Hi"), background=True, stream=True)
        )
        assert events[-1].type == (kind if kind == "error" else f"response.{kind}")
        assert client.responses.retrieve(events[0].response.id).status == status
        queued = client.responses.create(**asked(control, input=nonce() + "Hi"), background=True)
        assert queued.status == "queued"
        polled = client.responses.retrieve(queued.id)
        assert (polled.status, polled.error is None) == (
            ("incomplete", True) if kind == "incomplete" else ("failed", False)
        )


def test_follow_ups(client: OpenAI) -> None:
    """A chain by `previous_response_id` is answered, and counted, as the same conversation sent in messages."""
    asks = [PROMPT, "Go on.", "And then?"]
    said: list[Any] = []
    before, sizes = None, []
    for number, text in enumerate(asks):
        said.append({"role": "user", "content": text})
        stored: Any = client.responses.create(
            **asked(input=text), previous_response_id=before, background=number == 1, stream=number == 1
        )
        if number == 1:
            *_, last = stored
            stored = last.response
        resent = client.responses.create(**asked(input=said))
        assert stored.previous_response_id == before
        assert stored.output_text == resent.output_text
        assert stored.usage == resent.usage
        before = stored.id
        sizes.append(resent.usage.input_tokens if resent.usage else 0)
        said.append({"role": "assistant", "content": resent.output_text})
    assert sizes == sorted(set(sizes))


def test_scripted_turns_and_calls(client: OpenAI) -> None:
    """The turns of a script go by the whole stored conversation, and a function's result answers the stored call."""
    answers = [
        {"items": [{"type": "reasoning", "tokens": 5}, {"type": "function_call", "name": "look", "arguments": {}}]},
        {"items": [{"text": "Found it."}]},
    ]
    tools = [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}]
    first = client.responses.create(**asked({"answers": answers}, tools=tools))
    call = first.output[-1]
    assert call.type == "function_call"
    result = [{"type": "function_call_output", "call_id": call.call_id, "output": "42"}]
    second = client.responses.create(
        **asked({"answers": answers}, tools=tools, input=result), previous_response_id=first.id
    )
    assert second.output_text == "Found it."


def test_reading_and_deleting(client: OpenAI) -> None:
    """A response is read as it was sent, streamed or not, until it is deleted; with `store: false` it is not kept."""
    *_, last = client.responses.create(**asked(), stream=True)
    whole = client.responses.create(**asked({"tokens": 50}, max_output_tokens=5))
    for sent in (last.response, whole):
        assert client.responses.retrieve(sent.id) == sent
    assert whole.status == "incomplete"
    client.responses.delete(whole.id)
    unkept = client.responses.create(**asked(), store=False)
    for name in (whole.id, unkept.id, "resp_none"):
        with pytest.raises(NotFoundError) as unknown:
            client.responses.retrieve(name)
        assert unknown.value.param == "id"
        with pytest.raises(NotFoundError):
            client.responses.delete(name)
        with pytest.raises(NotFoundError):
            client.responses.cancel(name)


def test_refusals(client: OpenAI) -> None:
    """What cannot be followed up, resumed, cancelled or started is refused with a 400."""
    plain = client.responses.create(**asked())
    running_ = client.responses.create(**asked(SLOW), background=True)
    *_, last = everything(client.responses.create(**asked(), background=True, stream=True))
    after = {"stream": "true", "starting_after": "9" * 5000}
    calls: list[tuple[str, Any]] = [
        ("previous_response_id", lambda: client.responses.create(**asked(), previous_response_id="resp_none")),
        ("previous_response_id", lambda: client.responses.create(**asked(), previous_response_id=running_.id)),
        ("id", lambda: client.responses.cancel(plain.id)),
        ("id", lambda: client.responses.retrieve(plain.id, stream=True)),
        ("stream", lambda: client.responses.retrieve(running_.id, stream=True)),
        ("store", lambda: client.responses.create(**asked(), background=True, store=False)),
        ("stream", lambda: client.responses.retrieve(plain.id, extra_query={"stream": "perhaps"})),
        (
            "starting_after",
            lambda: client.responses.retrieve(last.response.id, extra_query=after),
        ),
    ]
    for param, call in calls:
        with pytest.raises(BadRequestError) as refused:
            call()
        assert refused.value.param == param
