"""Made-up readable English, a word (with the space before it) to a token."""

from __future__ import annotations

import random


def _pool(words: str) -> list[str]:
    return [f" {word}" for word in words.split()]


_DETERMINER = _pool("the a one every some another this that")
_ADJECTIVE = _pool(
    "quiet small early patient bright narrow steady distant simple warm quick careful open hollow gentle"
)
_NOUN = _pool(
    "river server window garden packet reader letter market harbour engine signal forest kitchen teacher bridge "
    "lantern station cloud mirror painter valley stream message token bottle"
)
_VERB = _pool("carries follows finds opens answers watches builds remembers crosses measures holds reaches sends")
_PREPOSITION = _pool("near under behind beyond beside across without before after toward")
_ADVERB = _pool("slowly often again quickly gladly rarely together today")
_TEMPLATES = (
    (_DETERMINER, _ADJECTIVE, _NOUN, _VERB, _DETERMINER, _NOUN, _PREPOSITION, _DETERMINER, _ADJECTIVE, _NOUN),
    (_DETERMINER, _NOUN, _ADVERB, _VERB, _DETERMINER, _ADJECTIVE, _NOUN),
    (_DETERMINER, _NOUN, _PREPOSITION, _DETERMINER, _NOUN, _VERB, _DETERMINER, _ADJECTIVE, _NOUN, _ADVERB),
    (_DETERMINER, _ADJECTIVE, _NOUN, _ADVERB, _VERB, _DETERMINER, _NOUN, _PREPOSITION, _DETERMINER, _NOUN),
)


def text_tokens(count: int, rng: random.Random) -> list[str]:
    """Exactly `count` ≥ 1 tokens; joined they are sentences, the last one ended by a full stop wherever it is cut."""
    tokens: list[str] = []
    while len(tokens) < count:
        tokens.extend(_sentence(rng))
    del tokens[count:]
    tokens[0] = tokens[0].lstrip()
    tokens[-1] = tokens[-1].rstrip(".") + "."
    return tokens


def text_of_length(chars: int, rng: random.Random) -> str:
    """Exactly `chars` characters of the same, ASCII, with no space at either end."""
    tokens: list[str] = []
    length = 0
    while length <= chars:
        sentence = _sentence(rng)
        tokens.extend(sentence)
        length += sum(map(len, sentence))
    text = "".join(tokens)[1 : chars + 1]
    return text[:-1] + "." if text.endswith(" ") else text


def _sentence(rng: random.Random) -> tuple[str, ...]:
    first, *middle, last = (rng.choice(pool) for pool in rng.choice(_TEMPLATES))
    return f" {first[1:].capitalize()}", *middle, f"{last}."
