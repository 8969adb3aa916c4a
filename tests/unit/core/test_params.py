"""`-P NAME.key=a,b`: values, combinations, and every mistake one line."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from bench import Scenario
from bench.core.errors import BenchError
from bench.core.params import cell_text, chosen_params, field_defaults, instance, split_values


class Rag(BaseModel):
    """Parameters of a scenario, one of each kind."""

    top_k: int = Field(default=3, ge=1)
    mode: Literal["fast", "deep"] = "fast"
    stop: list[str] = []
    label: str = ""


async def streamed(client: Any, ask: Any) -> Any:
    """No pieces of any interest."""
    yield "x"


RAG = Scenario("rag", streamed, params=Rag)
TEXT = Scenario("text", streamed)


def chosen(*options: str) -> list[dict[str, Any]]:
    """The parameters of the cells of `rag`."""
    return [json.loads(text) for text in chosen_params(options, [RAG, TEXT])["rag"]]


def test_every_combination_is_a_cell() -> None:
    """Two values of one key and two of another are four cells, each with all fields."""
    cells = chosen("rag.top_k=3,10", "rag.mode=fast,deep")
    assert [(cell["top_k"], cell["mode"]) for cell in cells] == [(3, "fast"), (3, "deep"), (10, "fast"), (10, "deep")]
    assert all(set(cell) == {"top_k", "mode", "stop", "label"} for cell in cells)


def test_without_options_there_is_one_cell() -> None:
    """With its defaults; a scenario without parameters has an empty text."""
    assert chosen_params([], [RAG, TEXT]) == {"rag": [cell_text(Rag())], "text": [""]}


def test_the_same_value_twice_is_one_cell() -> None:
    """Also when it is written in two ways, or over two options."""
    assert len(chosen("rag.top_k=3,3", "rag.top_k=03")) == 1


@pytest.mark.parametrize(
    ("option", "field", "value"),
    [
        ("rag.label=5", "label", "5"),
        ("rag.label=true", "label", "true"),
        ('rag.label="a,b"', "label", "a,b"),
        ("rag.label=", "label", ""),
        ("rag.label=a=b", "label", "a=b"),
        ('rag.stop=["a,b","c"]', "stop", ["a,b", "c"]),
        ("rag.top_k=7", "top_k", 7),
    ],
)
def test_text_is_taken_as_json_where_that_fits(option: str, field: str, value: object) -> None:
    """Else it is the text itself: a number for a text field stays as it was typed."""
    assert [cell[field] for cell in chosen(option)] == [value]


def test_the_run_reads_what_the_cell_says() -> None:
    """The cell's text gives the same model again, and an empty text the defaults."""
    rag = Rag(top_k=9, stop=["é"])
    assert instance(RAG, cell_text(rag)) == rag
    assert instance(RAG, "") == Rag()
    assert instance(TEXT, "") is None
    assert field_defaults(Rag)["top_k"] == 3


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("rag", "-P 'rag': write it as SCENARIO.KEY=VALUE"),
        ("top_k=3", "-P 'top_k=3': write it as SCENARIO.KEY=VALUE"),
        ("rga.top_k=3", "unknown scenario 'rga': did you mean 'rag'? (-P rga.top_k: it is none of those chosen; to "),
        ("rag.topk=3", "unknown parameter 'rag.topk': did you mean 'rag.top_k'?"),
        ("text.top_k=3", "-P text.top_k: scenario 'text' has no parameters"),
        ("rag.top_k=many", "-P rag.top_k=many: Input should be a valid integer, unable to parse string as an integer"),
        ("rag.top_k=5,0", "-P rag.top_k=0: Input should be greater than or equal to 1"),
        ("rag.mode=slow", "-P rag.mode=slow: Input should be 'fast' or 'deep'"),
    ],
)
def test_mistakes_are_one_line(option: str, message: str) -> None:
    """The line says the option, and what is allowed or was probably meant."""
    with pytest.raises(BenchError) as caught:
        chosen(option)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a,b", ["a", "b"]),
        ("", [""]),
        ("[1,2],[3]", ["[1,2]", "[3]"]),
        ('{"a":1,"b":2},x', ['{"a":1,"b":2}', "x"]),
        ('"a,b",c', ['"a,b"', "c"]),
        ('"a\\",b",c', ['"a\\",b"', "c"]),
        ("a],b", ["a]", "b"]),
    ],
)
def test_commas_inside_of_a_value_do_not_split(text: str, values: list[str]) -> None:
    """Brackets and quotes keep what is in them together."""
    assert split_values(text) == values


@example(["\\", None])
@given(st.lists(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5), min_size=1, max_size=4))
def test_json_values_come_out_whole(values: list[object]) -> None:
    """Any JSON values, joined with commas, are split into themselves."""
    texts = [json.dumps(value) for value in values]
    assert split_values(",".join(texts)) == texts
