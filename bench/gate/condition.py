"""A gate's condition, and the decision on it: `text.ttft.p90@gateway/streamed > 500ms`, `ttfu:+10%`.

    [scenario.]metric[.statistic][@target][/delivery] OP LIMIT

Which words of the dotted name are the scenario and the statistic shows where names are known: `readings`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bench.core.errors import BenchError, unknown
from bench.core.text.option_text import OptionPart, parts

STATISTICS = ("p50", "p90", "p95", "p99", "mean", "sum", "share", "slope", "hl", "rate", "level")
Verdict = Literal["PASS", "FAIL", "UNDECIDED"]
DELIVERIES = ("streamed", "blocking", "paired")
EXAMPLES = "'text.ttft:+10%' or 'ttft.p90 > 2s'"
RELATIVE = ("%", "pp")
"""Units of a limit against the baseline: of its value, or points of a share."""
_OPERATOR = re.compile(r"[<>]|:(?=\s*[+-][^:<>]*$)")
_LIMIT = re.compile(r"([+-]?)(\d+(?:\.\d*)?|\.\d+)\s*(\D*)", re.ASCII)
_LARGEST = 1e15


@dataclass(frozen=True)
class Limit:
    """A number with its unit, as typed."""

    number: float
    """The number with its sign, also of a zero: `:-0%` is any decrease."""
    unit: str
    """`ms`, `%`, `pp`, `tok/s`, …; empty where there is none."""
    column: int = field(default=1, compare=False)
    """The column in the text of the condition, from 1."""

    def __str__(self) -> str:
        return f"{self.number:.9f}".rstrip("0").rstrip(".") + self.unit


@dataclass(frozen=True)
class Condition:
    """When to fail."""

    text: str = field(compare=False)
    """As typed, without spaces around it."""
    name: tuple[str, ...]
    """The dotted name: the metric, perhaps with a scenario in front and a statistic behind it."""
    target: str | None
    delivery: str | None
    operator: Literal[":", "<", ">"]
    """`:` is against the baseline."""
    limit: Limit

    def __str__(self) -> str:
        """Write the condition in its shortest form."""
        target, delivery = (f"@{self.target}" if self.target else ""), f"/{self.delivery}" if self.delivery else ""
        left = ".".join(self.name) + target + delivery
        if self.operator != ":":
            return f"{left} {self.operator} {self.limit}"
        return f"{left}:{'+' if self.upwards else ''}{self.limit}"

    @property
    def upwards(self) -> bool:
        """True where the condition is about what is more than the limit."""
        return self.operator == ">" or (self.operator == ":" and math.copysign(1, self.limit.number) > 0)

    def wrong(self, what: str) -> BenchError:
        """Make the error for the condition as a whole."""
        return BenchError(f"--fail-on {self.text!r}: {what}")

    def wrong_unit(self, what: str) -> BenchError:
        """Make the error for the limit."""
        return OptionPart(str(self.limit), self.limit.column, self.text).wrong(what)


@dataclass(frozen=True)
class Decision:
    """One condition, decided for one cell."""

    condition: str
    """As typed."""
    scenario: str
    subject: str
    """What the condition was decided on: `text ttft p50 streamed`, with what else tells the cell apart."""
    verdict: Verdict
    sentence: str
    """Why, with the interval and the limit; of UNDECIDED what would decide it."""
    excess: float = 0.0
    """How far the nearest bound of a FAIL is beyond the limit, as a fraction of the limit. The worst is told first."""


def parse_condition(text: str) -> Condition:
    """Parse a condition. Raises `BenchError` with the column and what was expected there."""
    whole = text.strip()
    found = _OPERATOR.search(whole)
    if found is None:
        raise _without_operator(whole)
    left, right = whole[: found.start()], whole[found.end() :]
    operator: Literal[":", "<", ">"] = "<" if found[0] == "<" else ">" if found[0] == ">" else ":"
    limit = _limit(next(parts(right, None, whole, found.end() + 1)), operator)
    return Condition(whole, *_subject(next(parts(left, None, whole))), operator, limit)


def readings(name: Sequence[str], scenarios: Collection[str]) -> Iterator[tuple[str | None, str, str | None]]:
    """Yield (scenario, metric, statistic) that the dotted name may mean, the likeliest first.

    A scenario's name in front and a statistic's behind count as such before they count as part of a metric's name.
    """
    whole = tuple(name)
    for scenario, rest in [(whole[0], whole[1:])] * (whole[0] in scenarios) + [(None, whole)]:
        if len(rest) > 1 and rest[-1] in STATISTICS:
            yield scenario, ".".join(rest[:-1]), rest[-1]
        if rest:
            yield scenario, ".".join(rest), None


def _without_operator(whole: str) -> BenchError:
    if ":" in whole:
        at = whole.rindex(":") + 1
        said = "a sign is missing; write :+10% (fail on more) or :-10% (fail on less), or < or > with a plain limit"
        return OptionPart(whole[at:], at + 1, whole).wrong(said)
    end = OptionPart("", len(whole) + 1, whole)
    return end.wrong(f"expected :, < or > and a limit; write for instance {EXAMPLES}")


def _subject(left: OptionPart) -> tuple[tuple[str, ...], str | None, str | None]:
    """Parse what stands before the operator into dotted name, target and delivery."""
    rest, delivery = left, None
    if "/" in left.text:
        before, _, behind = left.text.rpartition("/")
        delivery = behind.strip()
        if delivery not in DELIVERIES:
            raise left.skip(len(before) + 1).wrong(str(unknown("delivery", delivery, DELIVERIES)))
        rest = OptionPart(before.rstrip(), left.column, left.whole)
    dotted, at, target = rest.text.partition("@")
    if at and not target.strip():
        raise rest.skip(len(dotted) + 1).wrong("expected the name of a target behind @")
    words = list(parts(dotted, ".", left.whole, left.column))
    for word in words:
        if not word.text:
            raise word.wrong(f"expected the name of a metric; write for instance {EXAMPLES}")
    return tuple(word.text for word in words), target.strip() or None, delivery


def _limit(part: OptionPart, operator: str) -> Limit:
    found = _LIMIT.fullmatch(part.text)
    if found is None or float(found[2]) > _LARGEST:
        said = "a limit" if not part.text else f"a limit instead of {part.text!r}"
        raise part.wrong(f"expected {said}; write a number with its unit, for instance 500ms, 2s, 1% or 40B")
    number, unit = float(found[1] + found[2]), found[3].strip()
    if operator == ":" and unit not in RELATIVE:
        raise part.skip(found.end(2)).wrong(
            f"expected % or pp behind a limit against the baseline, not {unit!r}; write for instance +10% or +1pp"
        )
    if operator != ":" and unit == "pp":
        raise part.skip(found.end(2)).wrong("pp is for limits against the baseline, such as failures:+1pp; write %")
    return Limit(number, unit, part.column)
