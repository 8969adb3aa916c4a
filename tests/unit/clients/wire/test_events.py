"""Events and answers as the SDK's own objects, and requests as the SDK sends them."""

from __future__ import annotations

import json
from typing import Any, get_args

import orjson
import pytest
from openai import NOT_GIVEN, omit
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseOutputMessage, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from bench.clients.wire.errors import MissingFeature
from bench.clients.wire.events import answer_of, event_maker
from bench.clients.wire.request import Address, arguments_of, make_call, to_json
from tests.support import events as e

ADAPTER: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
make, make_chunk = event_maker(chat=False), event_maker(chat=True)
CALL = {"type": "function_call", "id": "f", "call_id": "c", "name": "n", "arguments": "{}", "async": True}
WHOLE = {
    **e.response(usage={**e.USAGE, "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0}}),
    "id": "r",
    "created_at": 1.0,
    "model": "m",
    "object": "response",
    "tools": [],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "metadata": {"a": "b"},
    "output": [
        {
            "id": "i",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
        },
        CALL,
    ],
}
CHUNK = {
    "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
    "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}}],
}  # fmt: skip


def event(type_: str, **more: Any) -> dict[str, Any]:
    return {"type": type_, "sequence_number": 1, **more}


PLACE = {"item_id": "i", "output_index": 0, "content_index": 0}
EVENTS = [
    event("response.output_text.delta", delta="a", logprobs=[], **PLACE),
    event("response.output_text.delta", delta="a", logprobs=[{"token": "a", "logprob": -1.0}], **PLACE),
    event("response.function_call_arguments.delta", delta="{", item_id="i", output_index=0),
    event("response.output_item.added", item=CALL, output_index=0),
    event("response.completed", response=WHOLE),
    event("error", message="sorry", code="x", param=None),
]


@pytest.mark.parametrize("data", EVENTS, ids=lambda data: data["type"])
def test_an_event_is_what_the_sdk_makes_of_it(data: dict[str, Any]) -> None:
    """Class, fields, nested objects and dumps are those of the SDK, which validates the same data."""
    mine, theirs = make(orjson.loads(orjson.dumps(data))), ADAPTER.validate_python(data)
    assert type(mine) is type(theirs)
    assert mine == theirs
    assert mine.model_dump() == theirs.model_dump()
    assert mine.to_dict() == theirs.to_dict()
    assert orjson.loads(mine.to_json()) == orjson.loads(theirs.to_json()) == data


@pytest.mark.parametrize("model", get_args(get_args(ResponseStreamEvent)[0]), ids=lambda model: model.__name__)
def test_every_event_of_the_sdk_is_found_by_its_type(model: type[BaseModel]) -> None:
    """Each class of the SDK's union is what its `type` gives, if no other class before it has the same."""
    (type_,) = get_args(model.model_fields["type"].annotation)
    made = make({"type": type_})
    assert made.sequence_number is None
    assert type(made) is model


def test_a_response_has_the_properties_of_the_sdks() -> None:
    """`output_text` is the SDK's own; a free mapping stays a mapping; an item has its own class."""
    response = answer_of(orjson.loads(orjson.dumps(WHOLE)), chat=False)
    assert isinstance(response, Response)
    assert (response.output_text, response.metadata, response.status) == ("Hello", {"a": "b"}, "completed")
    assert isinstance(response.output[0], ResponseOutputMessage)
    assert response.output[1].async_ is True  # type: ignore[union-attr]  # not of all items
    assert response.usage is not None
    assert response == Response.model_validate(WHOLE)


def test_chunks_and_completions_are_the_sdks() -> None:
    """The same for Chat Completions, down to the arguments of a call."""
    chunk = make_chunk(orjson.loads(orjson.dumps(CHUNK)))
    assert isinstance(chunk, ChatCompletionChunk)
    calls = chunk.choices[0].delta.tool_calls
    assert calls
    assert calls[0].function
    assert (calls[0].function.arguments, chunk.choices[0].delta.content, chunk.usage) == ("{", None, None)
    body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}
    completion = answer_of(body, chat=True)
    assert isinstance(completion, ChatCompletion)
    assert (completion.choices[0].message.content, completion.usage) == ("Hi", None)


def test_what_no_class_knows_is_kept() -> None:
    """Fields and types that the SDK does not know can be read, and are None or an error where they are missing."""
    made = make(event("response.output_text.delta", delta="a", new={"a": [1]}))
    assert (made.new, made.item_id, made.model_extra) == ({"a": [1]}, None, {"new": {"a": [1]}})
    assert make({"type": "response.brand_new", "x": 1}).type == "response.brand_new"
    with pytest.raises(AttributeError):
        made.missing  # noqa: B018


@pytest.mark.parametrize("value", [None, 7, "text", [1], [None]])
def test_odd_values_stay_what_they_are(value: Any) -> None:
    """Where a server sends something else than an object, that is what the scenario gets."""
    assert answer_of(value, chat=False) == value
    assert make({"type": "response.completed", "response": value}).response == value
    assert make({"type": ["odd"], "delta": value}).delta == value


def test_the_sdks_objects_can_be_sent_again() -> None:
    """Items of an answer go into the next request as they came; what was not given is left out."""
    response = answer_of(orjson.loads(orjson.dumps(WHOLE)), chat=False)
    call = make_call(
        "/v1/responses",
        arguments_of(chat=False),
        {"model": "m", "input": [*response.output], "tools": omit, "text": NOT_GIVEN, "temperature": None},
    )
    assert orjson.loads(call.body) == {"model": "m", "input": WHOLE["output"], "temperature": None}
    assert json.loads(to_json({"a": "\ud83d", "b": iter([1])})) == {"a": "\ud83d", "b": [1]}


def test_extras_of_a_call() -> None:
    """`extra_body` stands above the arguments, `extra_query` goes into the path; there is no timeout to be had."""
    known = arguments_of(chat=True)
    call = make_call("/p", known, {"model": "m", "extra_body": {"model": "n", "stream": True}, "extra_query": {"a": 1}})
    assert (orjson.loads(call.body), call.path, call.stream) == ({"model": "n", "stream": True}, "/p?a=1", True)
    with pytest.raises(MissingFeature, match="timeout"):
        make_call("/p", known, {"timeout": 3})


@pytest.mark.parametrize(
    ("url", "server", "host"),
    [
        ("https://api.test/v1", ("api.test", 443, True), "api.test"),
        ("http://127.0.0.1:8000/a/v1", ("127.0.0.1", 8000, False), "127.0.0.1:8000"),
        ("http://[::1]:8000/v1", ("::1", 8000, False), "[::1]:8000"),
    ],
)
def test_an_address(url: str, server: tuple[str, int, bool], host: str) -> None:
    """Host, port and TLS come from the base URL, and the target's headers stand above those of the client."""
    address = Address(url, "key", {"Authorization": "Basic x", "Accept-Encoding": "gzip"})
    call = make_call("/v1/responses", arguments_of(chat=False), {"model": "m"})
    head = address.request(call, "id-1").partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert (address.server.host, address.server.port, address.server.tls) == server
    assert head[0] == "POST /v1/responses HTTP/1.1"
    assert {f"host: {host}", "authorization: Basic x", "accept-encoding: identity", "x-request-id: id-1"} <= set(head)
    assert f"content-length: {len(call.body)}" in head
