"""What is asked: bodies that a strict server takes, lengths, turns and nonces."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.scenario import Api
from bench.doctor.diagnosis import Mode
from bench.doctor.requests import (
    APIS,
    FEWEST,
    MODES,
    ROUNDS,
    Manner,
    Question,
    body_of,
    in_turns,
    make_questions,
    new_nonce,
)
from bench.simulator.requests.chat import parse_chat
from bench.simulator.requests.responses import ResponsesRequest, parse_request

MANNER = Manner(model="sim-1")
CELLS = list(product(APIS, MODES))


def parsed(body: dict[str, Any], api: Api) -> ResponsesRequest:
    """As the simulator's own strict parsers understand it. Raises `ApiError` for what OpenAI would refuse."""
    raw = json.dumps(body).encode()
    return parse_request(raw) if api == "responses" else parse_chat(raw)[1]


@pytest.mark.parametrize(("api", "mode"), CELLS)
@pytest.mark.parametrize("simulated", [False, True])
def test_bodies_are_taken(api: Api, mode: Mode, simulated: bool) -> None:
    """Every request passes a strict parser and means what was meant: a stream of its mode with its cap."""
    body = body_of(Question(api, mode, 64, 0), replace(MANNER, simulated=simulated), "[00000000000000ff]")
    found = parsed(body, api)
    assert (found.stream, found.max_output_tokens, found.model, body["temperature"]) == (True, 64, "sim-1", 0)
    assert found.function == ("save_text" if mode == "tools" else None)
    assert [tool.name for tool in found.tools] == (["save_text"] if mode == "tools" else [])
    assert found.text.format.type == ("json_schema" if mode == "structured" else "text")
    assert (found.metadata or {}) == ({"bench": '{"tokens": 64}'} if simulated else {})
    assert body.get("stream_options") == ({"include_usage": True} if api == "chat" else None)


@pytest.mark.parametrize(("api", "mode"), CELLS)
def test_the_nonce_stands_in_front(api: Api, mode: Mode) -> None:
    """Of the prompt, so that no two prompts share a beginning that a cache might know."""
    nonces = [new_nonce() for _ in range(2)]
    prompts = []
    for nonce in nonces:
        (message,) = (body := body_of(Question(api, mode, 64, 0), MANNER, nonce)).get("input") or body["messages"]
        prompts.append(message["content"])
    assert [prompt.startswith(f"{nonce} ") for nonce, prompt in zip(nonces, prompts, strict=True)] == [True, True]
    assert prompts[0].partition(" ")[2] == prompts[1].partition(" ")[2]


@pytest.mark.parametrize("api", APIS)
def test_a_manner_of_its_own(api: Api) -> None:
    """What an endpoint does not take is left out; what the user adds is there, and wins."""
    plain = Manner(model="sim-1", temperature=None, length=False, usage=False, extra={"top_p": 0.5, "stream": None})
    body = body_of(Question(api, "text", 64, 0), plain, "n")
    assert body.keys() == {"model", "input" if api == "responses" else "messages", "stream", "top_p"}
    assert (body["top_p"], body["stream"]) == (0.5, None)


def test_nonces_differ() -> None:
    """Each is new, and as long as a server's prompt cache has to read."""
    nonces = {new_nonce() for _ in range(500)}
    assert len(nonces) == 500
    assert {len(one) for one in nonces} == {18}


@given(st.sampled_from([APIS, ("chat",), ("responses",)]), st.integers(1, 5000))
def test_lengths(apis: Sequence[Api], longest: int) -> None:
    """The longest text is what was asked for, the cap never below what OpenAI takes, the other modes half as long."""
    requests = make_questions(apis, MODES, longest)
    assert len(set(requests)) == len(requests)
    texts = sorted({one.tokens for one in requests if one.mode == "text"})
    assert texts[-1] == max(FEWEST, longest)
    assert texts[0] == max(FEWEST, longest // 16)
    assert len(texts) == len({max(FEWEST, longest // part) for part in (1, 4, 16)})
    assert {one.tokens for one in requests if one.mode != "text"} == {max(FEWEST, longest // 2)}
    for api, number in product(apis, range(ROUNDS)):
        mine = [one for one in requests if (one.api, one.round) == (api, number)]
        assert Counter(one.mode for one in mine) == {"text": len(texts), "tools": 1, "structured": 1}


def test_rounds_come_one_after_the_other() -> None:
    """Drift over the examination then shows between the rounds, not between lengths."""
    rounds = [one.round for one in make_questions(APIS, MODES)]
    assert rounds == sorted(rounds)
    assert {one.tokens for one in make_questions(APIS, ["text"])} == {16, 64, 256}


@given(st.integers(1, 5), st.integers(0, 1000))
def test_turns_cover_each_pair_once(hops: int, seed: int) -> None:
    """Every request goes to every hop once, all hops before the next request, and the same for the same seed."""
    requests = make_questions(("chat",), MODES)
    turns = list(in_turns(requests, hops, seed))
    assert Counter(turns) == Counter(product(range(hops), requests))
    assert [request for _, request in turns[::hops]] == requests
    for place in range(0, len(turns), hops):
        assert len({request for _, request in turns[place : place + hops]}) == 1
    assert turns == list(in_turns(requests, hops, seed))


def test_no_hop_is_always_first() -> None:
    """The order within a turn is random: over 40 seeds each of two hops begins about half of the turns."""
    requests = make_questions(APIS, MODES)
    first = [hop for seed in range(40) for hop, _ in list(in_turns(requests, 2, seed))[::2]]
    assert 0.4 < sum(first) / len(first) < 0.6
