"""Which fault happens to which attempt: `--fault KIND[:VALUE]=PROBABILITY`, seeded draws, and the count of attempts."""

from __future__ import annotations

import math
import random
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import get_args

from pydantic import ValidationError

from bench.core.ask import NONCE_PATTERN
from bench.core.errors import BenchError, unknown
from bench.core.script import Fault, FaultKind, Turn
from bench.core.text.duration import MS, split_unit

_REMEMBERED = 20_000
"""Turns of trials whose attempts are counted; the longest unused are forgotten."""
_OF_MS = {"stall", "slow_headers"}
_WITHOUT_VALUE = {"pings"}
_KINDS = [kind for kind in get_args(FaultKind) if kind != "status"]


@dataclass(frozen=True)
class Chance:
    """A fault and how often it happens."""

    fault: Fault
    probability: float
    anywhere: bool
    """The share of the answer after which it happens is drawn too."""


def parse_chances(texts: Iterable[str]) -> tuple[Chance, ...]:
    """Parse the values of `--fault`, each `KIND[:VALUE]=PROBABILITY`. Raise `BenchError` for what is wrong with one.

    KIND is a kind of `script.Fault` or an HTTP status. VALUE is ms for `stall` and `slow_headers`, the seconds of
    Retry-After for a status (both may have a unit), else the share of the answer that is sent before.
    """
    chances = tuple(map(_chance, texts))
    total = math.fsum(chance.probability for chance in chances)
    if total > 1 + 1e-9:
        raise BenchError(f"--fault: the probabilities add up to {total:g}; an attempt has one fault at most, so 1")
    return chances


def _chance(text: str) -> Chance:
    what, equals, often = text.partition("=")
    kind, colon, value = what.partition(":")
    if not equals:
        raise BenchError(f"--fault {text!r}: expected KIND[:VALUE]=PROBABILITY, for instance cut=0.1 or stall:300=0.1")
    fault = _fault(text, kind.strip(), _value(text, kind.strip(), value) if colon else None)
    probability = _number(text, "probability", often)
    if not 0 <= probability <= 1:
        raise BenchError(f"--fault {text!r}: a probability is from 0 to 1")
    return Chance(fault, probability, anywhere=not colon or fault.kind in _OF_MS)


def _value(text: str, kind: str, value: str) -> float:
    """Parse a value; a length of time may have a unit: `300ms`, `2s`."""
    number, unit = split_unit(value.strip())
    if unit.lower() not in MS or not (kind in _OF_MS or kind.isdecimal()):
        return _number(text, "value", value)
    ms = _number(text, "value", number) * MS[unit.lower()]
    return ms if kind in _OF_MS else ms / 1e3


def _number(text: str, what: str, number: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BenchError(f"--fault {text!r}: the {what} {number!r} is no number")
    return value


def _fault(text: str, kind: str, value: float | None) -> Fault:
    field = "retry_after_s" if kind.isdecimal() else "ms" if kind in _OF_MS else "after"
    fields = {} if value is None else {field: value}
    if kind.isdecimal():
        fields["status"] = int(kind)
        kind = "status"
    elif kind not in _KINDS:
        raise unknown("fault", kind, [*_KINDS, "429", "500", "503"], hint="or any HTTP status from 400 to 599")
    elif kind in _WITHOUT_VALUE and value is not None:
        raise BenchError(f"--fault {text!r}: {kind} takes no value")
    try:
        return Fault.model_validate({"kind": kind, **fields})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        raise BenchError(f"--fault {text!r}: {name}: {first['msg']}") from error


class Attempts:
    """How often each turn of each trial has been asked."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, int] = OrderedDict()

    def count(self, key: str) -> int:
        """Count an attempt. Return its number, from 0."""
        number = self._counts.pop(key, 0)
        self._counts[key] = number + 1
        while len(self._counts) > _REMEMBERED:
            self._counts.popitem(last=False)
        return number


def nonce_in(texts: Iterable[str]) -> str | None:
    """Return the first nonce (16 digits in brackets) that begins a message or follows its shared prefix."""
    return next((found[0].strip() for text in texts if (found := NONCE_PATTERN.search(text))), None)


def attempt_key(texts: Iterable[str], question: Callable[[], str], turn: int) -> str:
    """Return what attempts at the same answer share: the trial's nonce and the answer's number in the conversation.

    A conversation without a nonce is known by `question`.
    """
    return f"{nonce_in(texts) or sha256(question().encode()).hexdigest()} {turn}"


def fault_of(turn: Turn | None, chances: Sequence[Chance], *, seed: int, key: str, attempt: int) -> Fault | None:
    """Return the fault of this attempt: what the script of its turn says, or a seeded draw; None if there is none.

    Nothing ever happens to a stream that a script writes: it is delivered as it is.
    """
    if turn is not None and (turn.faults or turn.writes):
        return turn.faults[attempt] if attempt < len(turn.faults) else None
    rng = random.Random(f"{seed} {key} {attempt}")  # noqa: S311  (no secrets)
    place, after = rng.random(), rng.random()
    for chance in chances:
        if place < chance.probability:
            return chance.fault.model_copy(update={"after": after}) if chance.anywhere else chance.fault
        place -= chance.probability
    return None


def fault_name(fault: Fault | None) -> str | None:
    """Return the fault's name in the log and on the command line: the kind, or the HTTP status."""
    return None if fault is None else str(fault.status) if fault.kind == "status" else fault.kind
