"""A text that a regular expression finds itself in."""

from __future__ import annotations

import random
import re._constants as ops  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bench.simulator.json_schema.validity import Impossible, compiled

_TRIES = 100
_PLAIN = string.ascii_lowercase + string.ascii_uppercase + string.digits
_PRINTABLE = _PLAIN + " _-.,:;!?()[]{}/@#%&*+=<>|~^$'"
_CLASSES: Mapping[Any, str] = {
    ops.CATEGORY_DIGIT: string.digits,
    ops.CATEGORY_WORD: _PLAIN + "_",
    ops.CATEGORY_SPACE: " ",
    ops.CATEGORY_NOT_DIGIT: string.ascii_letters,
    ops.CATEGORY_NOT_WORD: " -.,",
    ops.CATEGORY_NOT_SPACE: _PLAIN,
}


def text_for(patterns: Sequence[str], low: int, high: float, rng: random.Random) -> str:
    """A text of `low` to `high` characters that fits all patterns. Raises `Impossible` when none is found.

    It is made for the first pattern, with repeats that grow from try to try, and then held against all of them: so
    look-around and anchors, which are not followed when it is made, still hold.
    """
    finders = [compiled(pattern) for pattern in patterns]
    tree = parser.parse(finders[0].pattern)
    for number in range(_TRIES):
        text = _Writer(rng, number // 4 + (max(low, number) if number % 4 == 3 else 0)).write(tree)
        for tried in (text, text.ljust(low, "x")):
            if low <= len(tried) <= high and all(finder.search(tried) for finder in finders):
                return tried
    raise Impossible(f"the simulator found no text of the asked length for the pattern {' and '.join(patterns)!r}")


class _Writer:
    """Writes one text; what may be repeated is, up to `more` times more than it must."""

    def __init__(self, rng: random.Random, more: int) -> None:
        self._rng, self._more = rng, more
        self._groups: dict[int, str] = {}

    def write(self, tree: Iterable[tuple[Any, Any]]) -> str:
        """A text for a parsed pattern."""
        return "".join(self._node(op, value) for op, value in tree)

    def _node(self, op: Any, value: Any) -> str:
        makers: Mapping[Any, Callable[[Any], str]] = {
            ops.LITERAL: chr,
            ops.NOT_LITERAL: lambda code: self._choice(_PRINTABLE.replace(chr(code), "")),
            ops.ANY: lambda _: self._choice(_PLAIN),
            ops.IN: self._one_of,
            ops.BRANCH: lambda branches: self.write(self._rng.choice(branches[1])),
            ops.SUBPATTERN: self._group,
            ops.ATOMIC_GROUP: self.write,
            ops.MAX_REPEAT: self._repeated,
            ops.MIN_REPEAT: self._repeated,
            ops.POSSESSIVE_REPEAT: self._repeated,
            ops.GROUPREF: lambda number: self._groups.get(number, ""),
        }
        return makers[op](value) if op in makers else ""

    def _choice(self, chars: str) -> str:
        return self._rng.choice(chars)

    def _group(self, value: Sequence[Any]) -> str:
        text = self.write(value[-1])
        self._groups[value[0]] = text
        return text

    def _repeated(self, value: Sequence[Any]) -> str:
        low, high, tree = value
        count = self._rng.randint(low, min(int(high), low + self._more))
        return "".join(self.write(tree) for _ in range(count))

    def _one_of(self, members: Sequence[tuple[Any, Any]]) -> str:
        if members[0][0] is ops.NEGATE:
            out = "".join(map(_members, members[1:]))
            left = [char for char in _PRINTABLE if char not in out]
            return self._choice("".join(left)) if left else ""
        return self._choice(_members(self._rng.choice(members)))


def _members(member: tuple[Any, Any]) -> str:
    """The characters that one entry of `[…]` stands for."""
    op, value = member
    if op is ops.RANGE:
        first, last = value
        return "".join(map(chr, range(first, min(last, first + 500) + 1)))
    return _CLASSES.get(value, " ") if op is ops.CATEGORY else chr(value)
