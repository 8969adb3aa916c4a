"""Make up prompts by the distribution of their lengths and the share that they have in common.

A token is a word of `WORDS`: short English words, each of which is one token (with the space before it) in the
vocabularies r50k, cl100k and o200k, and four characters on average, as the simulator counts. Other tokenizers differ;
the server adds its chat template, and the nonce 8 to 16 tokens that the length leaves out. So it is approximate:
what a request really took is `usage.input_tokens`.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from bench.core.ask import text_of
from bench.core.scenario import Prompt
from bench.plan.cost.estimate import CHARS_PER_TOKEN
from bench.plan.prompts.lengths import Lengths

_WORDS = """
a I as at be by do go he if in is it me my no of on or so to up us we and any are ask bad big bit box boy but buy can
car cat cup cut day did dog dry eat end eye far few fly for fun gap gas get had has her high him hit hot how ice its job
key kid law let life line lot low man map may men mix more new not now off oil old one our out own pay put ran red row
run said same say sea see set she ship sit six sky some son sun tea ten that the then they this time top town tree try
two use walk want war was way wear well west what who wife will win with word work yes yet you
"""
WORDS = tuple(_WORDS.split())
INSTRUCTION = "\n\nWrite a long story with these words."
INSTRUCTION_TOKENS = 9
"""Line break, seven words, full stop: the shortest synthetic prompt."""


def synthetic_prompts(lengths: Lengths, number: int, seed: int, shared_prefix: float = 0) -> list[Prompt]:
    """Make prompts of about as many tokens as drawn from `lengths`; the same for the same arguments.

    `shared_prefix` is the share of each prompt's tokens, from 0 to below 1, that is the beginning of one text, the same
    for all; the nonce stands behind it. The rest differs from prompt to prompt and ends in asking for a long text.
    """
    rng, common = Random(seed), _Common(seed)  # noqa: S311  (made-up words, no secret)
    prompts: list[Prompt] = []
    for _ in range(number):
        length = lengths.draw(rng)
        words = max(0, length - INSTRUCTION_TOKENS)
        shared = min(words, round(shared_prefix * length))
        own = " ".join(rng.choices(WORDS, k=words - shared))
        prompts.append(common.in_front_of({"prompt": f"{own}{INSTRUCTION}".strip()}, shared))
    return prompts


def with_shared_prefix(prompts: Sequence[Prompt], share: float, seed: int) -> list[Prompt]:
    """Put one made-up text in front of all prompts of a file, of such a length that it makes up `share` of each.

    A prompt's own length is estimated at four characters a token. A prompt with a `shared_prefix` keeps its own.
    """
    common = _Common(seed)
    rows: list[dict[str, Any]] = [{"prompt": prompt} if isinstance(prompt, str) else dict(prompt) for prompt in prompts]
    return [
        row if "shared_prefix" in row else common.in_front_of(row, round(_tokens(row) * share / (1 - share)))
        for row in rows
    ]


class _Common:
    """One text for all prompts: each takes as much of its beginning as it needs."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(f"shared prefix {seed}")  # noqa: S311
        self._words: list[str] = []

    def in_front_of(self, row: dict[str, Any], tokens: int) -> Prompt:
        """Return the prompt with the first `tokens` words of the text in front."""
        if tokens < 1:
            return row
        if tokens > len(self._words):
            self._words += self._rng.choices(WORDS, k=tokens - len(self._words))
        return {**row, "shared_prefix": " ".join(self._words[:tokens])}


def _tokens(row: dict[str, Any]) -> float:
    messages = row.get("messages")
    texts = map(text_of, messages) if isinstance(messages, Sequence) else [str(row["prompt"])]
    return sum(map(len, texts)) / CHARS_PER_TOKEN
