"""How fast the simulator makes frames: it must never be what limits a measurement."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import orjson
import pytest

from bench.simulator.answers import answer_to
from bench.simulator.control import Control
from bench.simulator.replies.responses import Reply
from bench.simulator.requests.responses import parse_request
from bench.simulator.timing.pacing import schedule
from bench.simulator.timing.profiles import PROFILES

TOKENS = 8000


@pytest.mark.parametrize("profile", ["flood", "typical"])
def test_frames(benchmark: Any, profile: str) -> None:
    """All frames of a text of 8,000 tokens."""
    request = parse_request(orjson.dumps({"model": "sim-1", "input": "Hi"}))
    answer = answer_to(request, control=Control(), turn=None, seed=0, default_tokens=TOKENS)

    def render() -> deque[Any]:
        times = schedule(TOKENS, PROFILES[profile], 1.0, random.Random(0))  # noqa: S311
        return deque(Reply(request, answer).frames(times), maxlen=1)

    assert benchmark(render)[0][1] == "response.completed"


@pytest.mark.parametrize("format_", ["text", "json_object"])
def test_answer(benchmark: Any, format_: str) -> None:
    """Making an answer of 8,000 tokens: the time before its first event can leave."""
    request = parse_request(orjson.dumps({"model": "sim-1", "input": "Hi", "text": {"format": {"type": format_}}}))
    answer = benchmark(answer_to, request, control=Control(), turn=None, seed=0, default_tokens=TOKENS)
    assert answer.tokens == TOKENS
