"""`--slo ttft=500ms`: what an answer must keep to, so that it counts towards goodput."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.core.errors import BenchError, unknown
from bench.core.text.duration import MS, split_unit
from bench.core.text.option_text import OptionPart, parts

SLO_METRICS: Mapping[str, str] = {
    "ttft": "first token (reasoning too) - origin",
    "ttft_visible": "first token that is no reasoning - origin",
    "ttfu": "first useful piece - origin",
    "first_event": "first SSE event - origin",
    "total": "end - origin",
    "itl": "mean gap of the trial: (last delta - first delta) / (deltas - 1)",
    "tpot": "(last delta - first delta) / (output tokens by usage - 1)",
}
"""What a limit can be set on, by trial, and its formula: all from the columns of `trials`."""
EXAMPLE = "ttft=500ms"
_MOST_MS = 1e9


@dataclass(frozen=True)
class Slo:
    """One limit. A trial keeps to it when it has the metric and its value is at most `limit_ms`."""

    metric: str
    """A key of `SLO_METRICS`."""
    limit_ms: float
    """Above 0; for `tpot` ms per token."""
    text: str
    """As a reader sees it, and as `parse_slo` takes it again: `ttft=500ms`."""

    def __str__(self) -> str:
        return self.text


def parse_slo(text: str) -> Slo:
    """Parse `ttft=500ms`. Raises `BenchError` with the column for anything else."""
    name, *rest = parts(text, "=")
    if len(rest) != 1:
        raise OptionPart(text.strip(), 1, text).wrong(f"no METRIC=LIMIT; write for instance {EXAMPLE}")
    metric = name.text.lower().replace("-", "_")
    if metric not in SLO_METRICS:
        raise name.wrong(f"{unknown('metric', name.text, SLO_METRICS)}; write for instance {EXAMPLE}")
    limit_ms, shown = _limit(rest[0])
    return Slo(metric, limit_ms, f"{metric}={shown}")


def parse_slos(texts: Iterable[str]) -> tuple[Slo, ...]:
    """Parse all `--slo` of a run. Raises `BenchError` where one is wrong, or two are about the same metric."""
    slos = tuple(map(parse_slo, texts))
    check_slos(slos)
    return slos


def check_slos(slos: Sequence[Slo]) -> None:
    """Raise BenchError where two limits are about the same metric."""
    first: dict[str, Slo] = {}
    for slo in slos:
        if (other := first.setdefault(slo.metric, slo)) is not slo:
            raise BenchError(f"--slo {other.text} and {slo.text}: two limits of {slo.metric}; keep one")


def _limit(part: OptionPart) -> tuple[float, str]:
    """Return the limit in ms, and its text without spaces."""
    text, unit = split_unit(part.text)
    number = OptionPart(text, part.column, part.whole).number()
    if number is None:
        raise part.wrong(f"{part.text!r} is no length of time; write for instance 500ms, 1.5s or 800us")
    if unit.lower() not in MS:
        wrong = f"unit {unit!r} is unknown" if unit else "the unit is missing"
        raise part.skip(len(part.text) - len(unit)).wrong(
            f"{wrong}; write ms, s or us behind the number, for instance 500ms"
        )
    limit_ms = number * MS[unit.lower()]
    if not 0 < limit_ms <= _MOST_MS or not math.isfinite(limit_ms):
        raise part.wrong(f"{part.text!r} is no limit; it is above 0 and at most {_MOST_MS / 1e3:.0f}s")
    return limit_ms, f"{repr(number).removesuffix('.0')}{unit.lower()}"
