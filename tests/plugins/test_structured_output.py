"""The built-in scenario `structured_output`: snapshots of an object whose JSON is still being written."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bench.core.plugin_loader import builtin_folder, load_file

plugin = load_file(builtin_folder() / "structured_output.py")
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
    partial = plugin.Partial()
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
    counts = [plugin.finished(snapshot) for snapshot in found]
    assert counts == sorted(set(counts))
    assert all(is_part(snapshot, whole) for snapshot in found)
    assert counts[-1] == plugin.finished(whole)


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
    assert plugin.last(snapshots(split(cut, [4]))) == {"product_name": "Sunpack", "features": ["solar"]}
    assert plugin.last([]) == {}
