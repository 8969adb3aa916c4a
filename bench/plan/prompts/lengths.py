"""`--input-tokens`: how long synthetic prompts are.

512                  all the same
uniform:100-1000     every whole number from 100 to 1000 alike
normal:512,128       mean and standard deviation of a normal distribution; what falls below 1 is drawn again
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

from bench.core.errors import unknown
from bench.core.text.option_text import OptionPart, parts

MOST = 10_000_000
"""Tokens of the longest prompt that can be asked for."""
FORMS = "512, uniform:100-1000 or normal:512,128"
_LEAST_DRAWN = 0.5
"""What a draw must reach to be a token when it is rounded."""


@dataclass(frozen=True)
class Lengths:
    """A distribution of whole numbers of tokens from 1 on."""

    kind: Literal["constant", "uniform", "normal"]
    a: float
    """The number; the least; the mean."""
    b: float = 0
    """Of no meaning; the most; the standard deviation."""

    def draw(self, rng: Random) -> int:
        """Draw one length in tokens, from 1 to `MOST`."""
        if self.kind == "uniform":
            return rng.randint(int(self.a), int(self.b))
        drawn = self.a
        if self.kind == "normal":
            drawn = rng.gauss(self.a, self.b)
            while drawn < _LEAST_DRAWN:  # at most every second one: the mean is at least 1
                drawn = rng.gauss(self.a, self.b)
        return min(MOST, max(1, round(drawn)))


def parse_lengths(text: str) -> Lengths:
    """Parse one of the three forms above. BenchError with the column for any other text."""
    name, *rest = parts(text, ":")
    if not rest:
        return Lengths("constant", _token_count(name))
    if len(rest) > 1:
        raise rest[1].wrong(f"a second ':'; write {FORMS}")
    match name.text.lower():
        case "uniform":
            return _uniform(rest[0])
        case "normal":
            return _normal(rest[0])
    raise name.wrong(f"{unknown('distribution', name.text, ['uniform', 'normal'])}; write {FORMS}")


def _uniform(part: OptionPart) -> Lengths:
    low, high = _split_in_two(part, "-")
    least, most = _token_count(low), _token_count(high)
    if most < least:
        raise high.wrong(f"{most} is below {least}; write the smaller one first, for instance uniform:100-1000")
    return Lengths("uniform", least, most)


def _normal(part: OptionPart) -> Lengths:
    mean, deviation = _split_in_two(part, ",")
    spread = deviation.number()
    if spread is None or spread > MOST:
        raise deviation.wrong(f"{deviation.text!r} is no standard deviation; write {FORMS}")
    return Lengths("normal", _token_count(mean), spread)


def _split_in_two(part: OptionPart, separator: str) -> tuple[OptionPart, OptionPart]:
    found = list(parts(part.text, separator, part.whole, part.column))
    if len(found) != 2:
        raise part.wrong(f"{part.text!r} is not two numbers with {separator!r} between them; write {FORMS}")
    return found[0], found[1]


def _token_count(part: OptionPart) -> int:
    """Parse a number of tokens."""
    if not (part.text.isascii() and part.text.isdecimal() and len(part.text) < 10 and 1 <= int(part.text) <= MOST):
        raise part.wrong(f"{part.text!r} is no number of tokens from 1 to {MOST}; write {FORMS}")
    return int(part.text)
