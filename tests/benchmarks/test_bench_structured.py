"""What reading partial JSON costs `structured_output` on an answer of 8,000 tokens."""

from __future__ import annotations

import json
from typing import Any

from pytest_benchmark.fixture import BenchmarkFixture

from bench.core.streams import FieldReader, count_complete

TOKENS, CHARS_A_TOKEN = 8000, 4


def answer() -> dict[str, Any]:
    """An analysis whose JSON is about 8,000 tokens of four characters, most of it in short list items."""
    items = [f"feature {number:04}" for number in range(TOKENS * CHARS_A_TOKEN // 16)]
    return {"product_name": "x", "features": items, "pros": [], "cons": [], "price_range": "", "target_audience": ""}


def feed(deltas: list[str]) -> tuple[int, dict[str, Any]]:
    """How many snapshots the deltas give, and the last."""
    partial = FieldReader()
    return sum(partial.feed(delta) for delta in deltas), partial.fields


def test_partial_json_of_8000_tokens(benchmark: BenchmarkFixture) -> None:
    """Each list item gives a snapshot of its own; the benchmark shows what all of them cost together."""
    whole = answer()
    text = json.dumps(whole)
    deltas = [text[place : place + CHARS_A_TOKEN] for place in range(0, len(text), CHARS_A_TOKEN)]
    assert len(deltas) >= TOKENS
    count, last = benchmark(feed, deltas)
    assert count == count_complete(whole)
    assert last == whole
