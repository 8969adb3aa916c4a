"""Readers for plugins: text, arguments and fields, whatever the server's way of sending them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai._models import construct_type
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent

from bench.core.streams import (
    CallReader,
    FieldReader,
    Replacement,
    TextReader,
    chat_argument_deltas,
    chat_arguments_of,
    chat_text_deltas,
    chat_text_of,
    check_text,
    count_complete,
    join_pieces,
    last_piece,
    text_deltas,
    text_of,
    whole_answer,
)
from tests.support import events as e

WHOLE = '{"location":"Lisbon","unit":"celsius","days":1}'


OTHER = '{"location":"Oslo","unit":"celsius","days":2}'


def item(kind: str, arguments: Any, index: int = 0, name: str | None = None) -> dict[str, Any]:
    """The event that adds or ends a function call, by its index and the id of its item."""
    name = name or f"fc_{index}"
    call = {"type": "function_call", "id": name, "call_id": "c", "name": "get_weather", "arguments": arguments}
    return {"type": f"response.output_item.{kind}", "output_index": index, "item": call}


def arguments(kind: str, text: Any, index: int = 0) -> dict[str, Any]:
    """An event of the arguments: a delta, or all of them."""
    field = {"delta": "delta", "done": "arguments"}[kind]
    return {
        "type": f"response.function_call_arguments.{kind}",
        "item_id": f"fc_{index}",
        "output_index": index,
        field: text,
    }


MESSAGE = {
    "type": "response.output_item.added",
    "output_index": 0,
    "item": {"type": "message", "id": "m", "role": "assistant", "status": "in_progress", "content": []},
}


def deltas(text: str, index: int = 0) -> list[dict[str, Any]]:
    """A text in two deltas."""
    return [arguments("delta", text[:12], index), arguments("delta", text[12:], index)]


def answer(*items: dict[str, Any]) -> dict[str, Any]:
    """The end of an answer with this output."""
    return {"type": "response.completed", "response": e.response(output=list(items))}


def made(events: list[dict[str, Any]], type_: Any = ResponseStreamEvent) -> list[Any]:
    """The events without validation, as the SDK makes them."""
    return [
        construct_type(value={**event, "sequence_number": number}, type_=type_) for number, event in enumerate(events)
    ]


def pieces(events: list[dict[str, Any]]) -> list[str]:
    """The argument text that each event adds, where it adds any."""
    call = CallReader()
    return [text for event in made(events) if (text := call.feed(event))]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param(
            [item("added", ""), *deltas(WHOLE), arguments("done", WHOLE), item("done", WHOLE)],
            [WHOLE[:12], WHOLE[12:]],
            id="deltas, as at OpenAI",
        ),
        pytest.param([item("added", WHOLE), item("done", WHOLE)], [WHOLE], id="complete when added"),
        pytest.param([item("added", ""), item("done", WHOLE)], [WHOLE], id="complete in the done item"),
        pytest.param([item("added", ""), arguments("done", WHOLE)], [WHOLE], id="complete in the done event"),
        pytest.param(
            [item("added", ""), deltas(WHOLE)[0], item("done", WHOLE)], [WHOLE[:12], WHOLE[12:]], id="the rest late"
        ),
        pytest.param(
            [MESSAGE, item("added", ""), *deltas(WHOLE)], [WHOLE[:12], WHOLE[12:]], id="an index opened twice"
        ),
        pytest.param([MESSAGE], [], id="no function call"),
        pytest.param([answer(item("done", WHOLE)["item"])], [WHOLE], id="only in the answer at the end"),
        pytest.param([answer()], [], id="an answer without a call"),
        pytest.param(
            [item("added", "{}"), *deltas(WHOLE)], [WHOLE[:12], WHOLE[12:]], id="an empty object until the deltas come"
        ),
        pytest.param([item("added", WHOLE[:20]), arguments("delta", WHOLE[20:])], [WHOLE[:20], WHOLE[20:]], id="begun"),
        pytest.param(
            [item("added", None), arguments("delta", None), arguments("done", None), item("done", WHOLE)],
            [WHOLE],
            id="null where text should be",
        ),
        pytest.param(
            [item("added", {"days": 1}), arguments("delta", 5), {**item("added", ""), "item": None}, *deltas(WHOLE)],
            [WHOLE[:12], WHOLE[12:]],
            id="something else where text should be",
        ),
    ],
)
def test_argument_text_comes_once_however_it_is_sent(events: list[dict[str, Any]], expected: list[str]) -> None:
    """Argument text is yielded as it comes, and what did not come as a delta is yielded from where it stands."""
    assert pieces(events) == expected


@pytest.mark.parametrize(
    ("events", "replaced"),
    [
        pytest.param([item("added", WHOLE[:20]), *deltas(WHOLE)], [WHOLE[:12]], id="deltas start over"),
        pytest.param([item("added", WHOLE), *deltas(WHOLE), item("done", WHOLE)], [WHOLE[:12]], id="deltas repeat"),
        pytest.param([*deltas(OTHER), arguments("done", WHOLE), item("done", WHOLE)], [WHOLE], id="done event"),
        pytest.param([*deltas(WHOLE + "}"), item("done", WHOLE)], [WHOLE], id="done item"),
    ],
)
def test_a_contradiction_replaces_what_came_before(events: list[dict[str, Any]], replaced: list[str]) -> None:
    """Where an event says otherwise than the pieces before it, its piece is a `Replacement` and the result is right."""
    found = pieces(events)
    assert [piece for piece in found if isinstance(piece, Replacement)] == replaced
    assert join_pieces(found) == WHOLE


@pytest.mark.parametrize(
    "events",
    [
        pytest.param(
            [item("added", "", 3), deltas(WHOLE, 3)[0], *deltas(OTHER, 5), deltas(WHOLE, 3)[1], item("done", OTHER, 5)],
            id="by index",
        ),
        pytest.param(
            [item("added", "", 0, "a"), *deltas(WHOLE), item("added", "", 0, "b"), *deltas(OTHER), item("done", OTHER)],
            id="one index opened twice",
        ),
        pytest.param([item("added", WHOLE, 0, "a"), item("added", OTHER, 0, "b")], id="complete when added, one index"),
        pytest.param([item("done", WHOLE, 0, "a"), item("done", OTHER, 0, "b")], id="complete when done, one index"),
        pytest.param(
            [item("added", "", 0, "a"), *deltas(WHOLE), item("added", "", 0, "a"), item("done", WHOLE, 0, "b")],
            id="one call added twice, done with another id",
        ),
    ],
)
def test_calls_are_kept_apart(events: list[dict[str, Any]]) -> None:
    """Only the first call is shown, also when its output_index is used again."""
    assert join_pieces(pieces(events)) == WHOLE


def test_the_result_without_pieces_is_empty() -> None:
    """A stream that gave nothing has empty arguments, as a blocking answer without a call has."""
    assert join_pieces([]) == ""


strings = st.text(st.characters(codec="utf-8"), max_size=12)
analyses = st.fixed_dictionaries(
    {
        "product_name": strings,
        "features": st.lists(strings, max_size=4),
        "pros": st.lists(strings, max_size=4),
        "cons": st.lists(strings, max_size=4),
        "price_range": strings,
        "target_audience": strings,
    }
)


def split(text: str, sizes: list[int]) -> list[str]:
    """A text cut into deltas of these sizes, used in turn."""
    deltas: list[str] = []
    place = 0
    while place < len(text):
        size = sizes[len(deltas) % len(sizes)]
        deltas.append(text[place : place + size])
        place += size
    return deltas


def snapshots(deltas: list[str]) -> list[dict[str, Any]]:
    """Every snapshot that the deltas give."""
    partial = FieldReader()
    return [partial.fields for delta in deltas if partial.feed(delta)]


def is_part(part: dict[str, Any], whole: dict[str, Any]) -> bool:
    """Whether the whole has every field of the snapshot: text entire, lists from their start."""
    return all(
        whole[name][: len(value)] == value if isinstance(value, list) else whole[name] == value
        for name, value in part.items()
    )


@given(analyses, st.lists(st.integers(1, 9), min_size=1, max_size=5), st.booleans())
def test_snapshots_grow_to_the_whole(whole: dict[str, Any], sizes: list[int], ascii_only: bool) -> None:
    """However the JSON is cut into deltas: each snapshot has more complete values, nothing half, and at last all."""
    found = snapshots(split(json.dumps(whole, ensure_ascii=ascii_only), sizes))
    counts = [count_complete(snapshot) for snapshot in found]
    assert counts == sorted(set(counts))
    assert all(is_part(snapshot, whole) for snapshot in found)
    assert counts[-1] == count_complete(whole)


def test_a_value_shows_at_its_closing_quote() -> None:
    """A field or list item is shown with the delta that completes it, and not before."""
    deltas = ['{"product_name": "Sun', 'pack"', ', "features": [', '"so', 'lar", "li', 'ght"]']
    assert snapshots(deltas) == [
        {"product_name": "Sunpack"},
        {"product_name": "Sunpack", "features": ["solar"]},
        {"product_name": "Sunpack", "features": ["solar", "light"]},
    ]


@given(st.lists(st.text(max_size=8), max_size=20))
def test_garbage_gives_nothing_and_does_not_raise(deltas: list[str]) -> None:
    """Text that is not the JSON of an object gives no snapshot."""
    assert snapshots(["no JSON: ", *deltas]) == []


def test_a_cut_answer_keeps_what_was_complete() -> None:
    """The result of a stream that broke off is its last snapshot, or nothing."""
    whole = json.dumps({"product_name": "Sunpack", "features": ["solar", "light"]})
    cut = whole[: whole.index("ght")]
    assert last_piece(snapshots(split(cut, [4]))) == {"product_name": "Sunpack", "features": ["solar"]}
    assert last_piece([]) == {}


def message(text: Any) -> dict[str, Any]:
    """A message of an answer's output."""
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [part]}


def text_event(kind: str, text: Any) -> dict[str, Any]:
    """An event of the answer's text: a delta, or all of it."""
    field = {"delta": "delta", "done": "text"}[kind]
    return {"type": f"response.output_text.{kind}", field: text, "output_index": 0, "content_index": 0, "item_id": "m"}


HELLO = [text_event("delta", "Hel"), text_event("delta", "lo")]
TEXT_DONE = text_event("done", "Hello")
ITEM_DONE = {"type": "response.output_item.done", "output_index": 0, "item": message("Hello")}


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param(
            [*HELLO, TEXT_DONE, ITEM_DONE, answer(message("Hello"))], ["Hel", "lo"], id="deltas, as at OpenAI"
        ),
        pytest.param([TEXT_DONE, ITEM_DONE, answer(message("Hello"))], ["Hello"], id="only in the done event"),
        pytest.param([ITEM_DONE, answer(message("Hello"))], ["Hello"], id="only in the done item"),
        pytest.param([answer(message("Hello"))], ["Hello"], id="only in the answer at the end"),
        pytest.param([text_event("delta", None), *HELLO], ["Hel", "lo"], id="null where text should be"),
        pytest.param([{**ITEM_DONE, "item": None}, {**answer(), "response": None}], [], id="null everywhere"),
        pytest.param([answer({**message(""), "content": None}, message(None))], [], id="a message without text"),
    ],
)
def test_text_comes_once_however_it_is_sent(events: list[dict[str, Any]], expected: list[str]) -> None:
    """Text is read from its deltas, or from where a server repeats it, once; alike by hand, `for` and `async for`."""
    reader = TextReader()
    assert [text for event in made(events) if (text := reader.feed(event))] == expected
    assert list(text_deltas(iter(made(events)))) == expected

    async def gathered() -> list[str]:
        return [text async for text in text_deltas(stream(made(events)))]

    assert asyncio.run(gathered()) == expected


async def stream(events: Iterable[Any]) -> AsyncIterator[Any]:
    """The events one by one."""
    for event in events:
        yield event


def test_a_stream_that_is_left_early_is_read_no_further() -> None:
    """After the first text the events behind it are still there."""
    events = iter(made([*HELLO, TEXT_DONE]))
    assert next(text_deltas(events)) == "Hel"
    assert [event.type for event in events] == [HELLO[1]["type"], TEXT_DONE["type"]]


def test_the_text_of_a_whole_answer() -> None:
    """All texts are joined; null counts as no text."""
    found = construct_type(value=e.response(output=[message("a"), MESSAGE["item"], None, message("b")]), type_=Response)
    assert text_of(found) == "ab"
    assert text_of(construct_type(value=e.response(output=None), type_=Response)) == ""
    assert text_of(None) == ""


@pytest.mark.parametrize("text", ["", " \n"])
def test_blank_text_is_no_answer(text: str) -> None:
    """A text without anything to read is refused."""
    with pytest.raises(ValueError, match="no text"):
        check_text(text)


def test_a_conversation_goes_on_from_whole_answers_only() -> None:
    """Complete, of a server that tells no status, or cut at its length is whole; failed, filtered or missing is not."""
    capped = SimpleNamespace(reason="max_output_tokens")
    for status, details in [("completed", None), (None, None), ("incomplete", capped)]:
        found = SimpleNamespace(status=status, incomplete_details=details)
        assert whole_answer(found) is found
    for broken in (None, SimpleNamespace(status="failed", incomplete_details=None)):
        with pytest.raises(RuntimeError, match="no whole answer"):
            whole_answer(broken)


def chunk(**delta: Any) -> dict[str, Any]:
    """A chunk of Chat Completions."""
    return {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]}


def called(text: Any, name: str | None = None, index: int = 0) -> dict[str, Any]:
    """A chunk with a part of a tool call."""
    return chunk(tool_calls=[{"index": index, "id": name, "function": {"arguments": text}}])


def test_chat_text() -> None:
    """The text of the chunks, whatever stands beside it: a role, null, no choices."""
    chunks = [chunk(role="assistant"), chunk(content="Hel"), chunk(content=None), {**chunk(), "choices": []}]
    found = chat_text_deltas(iter(made([*chunks, chunk(content="lo")], ChatCompletionChunk)))
    assert list(found) == ["Hel", "lo"]
    whole = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}}]}
    assert chat_text_of(construct_type(value=whole, type_=ChatCompletion)) == "Hello"
    assert chat_text_of(construct_type(value={"choices": []}, type_=ChatCompletion)) == ""


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([called("", "a"), called(WHOLE[:9]), called(WHOLE[9:])], id="as at OpenAI"),
        pytest.param([called(WHOLE, "a"), called(OTHER, "b")], id="the same index for every call"),
        pytest.param([called(WHOLE[:9], "a"), called(WHOLE[9:], "b")], id="a fresh id with each chunk"),
        pytest.param([called(WHOLE, "a"), called(OTHER, "b", 1), called(None)], id="two calls"),
    ],
)
def test_chat_arguments_of_the_first_call(chunks: list[dict[str, Any]]) -> None:
    """Only the first call's arguments are read, by index and id as the server has them."""
    assert "".join(chat_argument_deltas(iter(made(chunks, ChatCompletionChunk)))) == WHOLE


def test_chat_arguments_of_a_whole_completion() -> None:
    """The first call of the first choice; empty where there is none."""
    calls = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": WHOLE}}]
    whole = {"choices": [{"index": 0, "message": {"role": "assistant", "tool_calls": calls}}]}
    assert chat_arguments_of(construct_type(value=whole, type_=ChatCompletion)) == WHOLE
    assert chat_arguments_of(construct_type(value={"choices": []}, type_=ChatCompletion)) == ""
