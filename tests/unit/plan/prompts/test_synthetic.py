"""Prompts that are made up: their length, what they share, and where the nonce stands."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.ask import NONCE_PATTERN, SHARED_END, Options, make_ask, text_of, with_nonce
from bench.core.scenario import Prompt
from bench.core.target import Target
from bench.plan.prompts.lengths import parse_lengths
from bench.plan.prompts.synthetic import INSTRUCTION, INSTRUCTION_TOKENS, WORDS, synthetic_prompts, with_shared_prefix
from bench.simulator.answers import input_tokens, random_source
from bench.simulator.fault_injection.chances import attempt_key
from bench.simulator.requests.responses import parse_request

NONCE, OTHER = "[0123456789abcdef]", "[fedcba9876543210]"


class Deaf:
    """A recorder that keeps nothing."""

    def now(self) -> int:
        return 0

    def mark(self, name: str) -> None: ...
    def record(self, name: str, value: float, unit: str) -> None: ...


def sent(prompt: Prompt, nonce: str = NONCE) -> dict[str, Any]:
    """The request's arguments as they would leave."""
    ask = make_ask(
        prompt,
        target=Target(name="sim", base_url="http://x"),
        model="sim-1",
        nonce=nonce,
        seed=1,
        recorder=Deaf(),
        options=Options(),
    )
    return dict(ask.request)


def text(prompt: Prompt, nonce: str = NONCE) -> str:
    return text_of(sent(prompt, nonce)["input"][0])


def in_common(one: str, other: str) -> str:
    """The beginning that they share."""
    return "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def tokens(prompt: Prompt) -> int:
    """By the rule of this module, from the text as sent: words, and nine for the instruction."""
    words = NONCE_PATTERN.sub("", text(prompt).replace(SHARED_END, " ")).replace(NONCE, "").split()
    own = len(words) - len(INSTRUCTION.split())
    assert own == sum(word in WORDS for word in words[:own])
    return own + INSTRUCTION_TOKENS


def test_words_are_four_characters_long() -> None:
    """With the space before it a word has four characters on average, as the simulator counts tokens."""
    assert sum(len(word) + 1 for word in WORDS) / len(WORDS) == pytest.approx(4)
    assert len(set(WORDS)) == len(WORDS)


@given(st.integers(1, 1500), st.integers(), st.sampled_from([0, 0.1, 0.5, 0.99]))
def test_length(length: int, seed: int, share: float) -> None:
    """A prompt has the asked length, the shared prefix inside it; never less than the instruction."""
    (prompt,) = synthetic_prompts(parse_lengths(str(length)), 1, seed, share)
    assert tokens(prompt) == max(length, INSTRUCTION_TOKENS)
    assert text(prompt).endswith(INSTRUCTION.strip())


@settings(max_examples=20)
@given(st.integers(300, 3000), st.integers(), st.sampled_from([0, 0.5]))
def test_the_simulator_counts_about_as_many(length: int, seed: int, share: float) -> None:
    """`usage.input_tokens` of the simulator is within a tenth of the asked length, the nonce left out."""
    (prompt,) = synthetic_prompts(parse_lengths(str(length)), 1, seed, share)
    request = parse_request(orjson.dumps({"model": "sim-1", "input": text(prompt)}))
    assert input_tokens(request) - 7 == pytest.approx(length, rel=0.1)


def test_prompts_repeat_with_the_seed() -> None:
    """The same arguments give the same prompts; another seed, and every other prompt, another text."""
    lengths = parse_lengths("uniform:50-90")
    prompts = synthetic_prompts(lengths, 30, 1, 0.3)
    assert prompts == synthetic_prompts(lengths, 30, 1, 0.3)
    others = {text(prompt) for seed in (1, 2) for prompt in synthetic_prompts(lengths, 30, seed, 0.3)}
    assert len(others) == 60
    assert len({tokens(prompt) for prompt in prompts}) > 10


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_shared_prefix(share: float) -> None:
    """Prompts begin alike for that share of the shorter one's length, and differ from the nonce on."""
    one, other = synthetic_prompts(parse_lengths("400"), 2, 5, share)
    common = in_common(text(one), text(other, OTHER))
    assert common.endswith(f"{SHARED_END}[")
    assert len(common.removesuffix(f"{SHARED_END}[").split()) == 400 * share
    assert text(one).removeprefix(common).startswith(NONCE[1:])


def test_prefixes_of_prompts_of_different_length() -> None:
    """The prefix of a shorter prompt is the beginning of that of a longer one."""
    prompts = synthetic_prompts(parse_lengths("uniform:20-600"), 20, 3, 0.5)
    prefixes = sorted((prompt["shared_prefix"] for prompt in prompts if isinstance(prompt, dict)), key=len)
    assert len(prefixes) == 20
    assert len(set(prefixes)) > 10
    assert all(prefixes[-1].startswith(prefix) for prefix in prefixes)


def test_without_a_share_the_nonce_stands_in_front() -> None:
    """Nothing is shared, not even a prefix of no words."""
    for prompt in synthetic_prompts(parse_lengths("40"), 2, 5):
        assert text(prompt).startswith(NONCE)


FILE: list[Prompt] = [
    "x" * 400,
    {"messages": [{"role": "system", "content": "y" * 40}, {"role": "user", "content": "z" * 360}], "id": "b"},
    {"prompt": "Hi", "shared_prefix": "Its own."},
]


def test_a_shared_prefix_for_the_prompts_of_a_file() -> None:
    """Each prompt, messages too, gets about that share of its whole in front; one that has a prefix keeps it."""
    plain, messages, own = map(text, with_shared_prefix(FILE, 0.75, 1))
    assert in_common(plain, messages).split(SHARED_END)[0].count(" ") == 299
    assert plain.endswith("x" * 400)
    assert messages.endswith(f"{NONCE} {'y' * 40}")
    assert own == f"Its own.{SHARED_END}{NONCE} Hi"
    assert "shared_prefix" not in FILE[1]


@pytest.mark.parametrize(
    "prompt", [*with_shared_prefix(FILE, 0.5, 1), *synthetic_prompts(parse_lengths("60"), 2, 1, 0.4)]
)
def test_the_nonce_does_not_count_behind_a_prefix(prompt: Prompt) -> None:
    """Two trials of the same ask get the same answer, are told apart as two trials, and another prefix counts."""
    assert isinstance(prompt, dict)
    one, two = (
        parse_request(orjson.dumps({"model": "sim-1", "input": sent(prompt, n)["input"]})) for n in (NONCE, OTHER)
    )
    changed = {**prompt, "shared_prefix": "Another."}
    third = parse_request(orjson.dumps({"model": "sim-1", "input": sent(changed)["input"]}))
    draws = [random_source("answer", request, 1).random() for request in (one, two, third)]
    assert draws[0] == draws[1] != draws[2]
    assert input_tokens(one) == input_tokens(two)
    keys = [attempt_key([item.text for item in request.input], lambda: "?", 0) for request in (one, two)]
    assert keys == [f"{NONCE} 0", f"{OTHER} 0"]


def test_content_in_parts() -> None:
    """Where content comes in parts, prefix and nonce are one part in front."""
    message = {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
    [made] = with_nonce([message], NONCE, shared="Same.")
    assert [part["text"] for part in made["content"]] == [f"Same.{SHARED_END}{NONCE} ", "Hi"]


def test_what_looks_like_a_nonce_elsewhere_is_text() -> None:
    """Only the beginning of a message and the end of a shared prefix have a nonce."""
    for said in (f"log: {NONCE} up", f"a\n{NONCE} up", f"--- {NONCE} up", f" {NONCE} up"):
        assert NONCE_PATTERN.search(said) is None
