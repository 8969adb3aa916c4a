"""The built-in scenario `function_call`: argument text, whatever the server's way of sending it."""

from __future__ import annotations

from typing import Any

import pytest
from openai._models import construct_type
from openai.types.responses import ResponseStreamEvent
from pydantic import ValidationError

from bench.core.plugin_loader import builtin_folder, load_file
from tests.support import events as e

plugin = load_file(builtin_folder() / "function_call.py")
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


def pieces(events: list[dict[str, Any]]) -> list[str]:
    """The text that each event adds, where it adds any; events are made without validation, as the SDK makes them."""
    call = plugin.FirstCall()
    made = [
        construct_type(value={**event, "sequence_number": number}, type_=ResponseStreamEvent)
        for number, event in enumerate(events)
    ]
    return [text for event in made if (text := call.feed(event))]


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
    """Where an event says otherwise than the pieces before it, its piece is a `Whole` and the result is right."""
    found = pieces(events)
    assert [piece for piece in found if isinstance(piece, plugin.Whole)] == replaced
    assert plugin.assemble(found) == WHOLE


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
    assert plugin.assemble(pieces(events)) == WHOLE


def test_the_result_without_pieces_is_empty() -> None:
    """A stream that gave nothing has empty arguments, as a blocking answer without a call has."""
    assert plugin.assemble([]) == ""


def test_check_accepts_what_fits_the_tool() -> None:
    """Arguments that fit the tool's parameters are valid."""
    assert plugin.check(WHOLE).location == "Lisbon"


@pytest.mark.parametrize("text", ['{"location":"Lisbon"}', WHOLE[:-5], '{"location":1,"unit":"kelvin","days":"x"}'])
def test_check_refuses_what_does_not_fit(text: str) -> None:
    """Arguments that lack something, are cut or are of the wrong type are not valid."""
    with pytest.raises(ValidationError):
        plugin.check(text)


def test_check_says_that_there_is_no_call() -> None:
    """An answer without a function call is refused in words."""
    with pytest.raises(ValueError, match="no function call"):
        plugin.check("")
