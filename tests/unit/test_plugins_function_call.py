"""The built-in scenario `function_call`: argument text, whatever the server's way of sending it."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter, ValidationError

from bench.manager import builtin_folder, load_file

plugin = load_file(builtin_folder() / "function_call.py")
EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
WHOLE = '{"location":"Lisbon","unit":"celsius","days":1}'


def item(kind: str, arguments: str, index: int = 0) -> dict[str, Any]:
    """The event that adds or ends a function call."""
    call = {"type": "function_call", "id": f"fc_{index}", "call_id": "c", "name": "get_weather", "arguments": arguments}
    return {"type": f"response.output_item.{kind}", "output_index": index, "item": call}


def arguments(kind: str, text: str, index: int = 0) -> dict[str, Any]:
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
DELTAS = [arguments("delta", WHOLE[:12]), arguments("delta", WHOLE[12:])]


def pieces(events: list[dict[str, Any]]) -> list[str]:
    """The text that each event adds, where it adds any."""
    calls: dict[int, list[str]] = {}
    made = [EVENT.validate_python({**event, "sequence_number": number}) for number, event in enumerate(events)]
    return [text for event in made if (text := plugin.new_text(event, calls))]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param(
            [item("added", ""), *DELTAS, arguments("done", WHOLE), item("done", WHOLE)],
            [WHOLE[:12], WHOLE[12:]],
            id="deltas, as at OpenAI",
        ),
        pytest.param([item("added", WHOLE), item("done", WHOLE)], [WHOLE], id="complete when added"),
        pytest.param([item("added", ""), item("done", WHOLE)], [WHOLE], id="complete in the done item"),
        pytest.param([item("added", ""), arguments("done", WHOLE)], [WHOLE], id="complete in the done event"),
        pytest.param([item("added", ""), DELTAS[0], item("done", WHOLE)], [WHOLE[:12], WHOLE[12:]], id="the rest late"),
        pytest.param([MESSAGE, item("added", ""), *DELTAS], [WHOLE[:12], WHOLE[12:]], id="an index opened twice"),
        pytest.param([MESSAGE], [], id="no function call"),
    ],
)
def test_argument_text_comes_once_however_it_is_sent(events: list[dict[str, Any]], expected: list[str]) -> None:
    """Argument text is yielded as it comes, and what did not come as a delta is yielded from where it stands."""
    assert pieces(events) == expected


def test_calls_are_kept_apart() -> None:
    """Text of a second call is noted under its own output_index, in order of appearance."""
    calls: dict[int, list[str]] = {}
    for number, event in enumerate([item("added", "", 3), arguments("delta", "a", 3), arguments("delta", "b", 5)]):
        plugin.new_text(EVENT.validate_python({**event, "sequence_number": number}), calls)
    assert {index: "".join(parts) for index, parts in calls.items()} == {3: "a", 5: "b"}
    assert next(iter(calls)) == 3


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
