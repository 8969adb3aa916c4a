"""`--slo ttft=500ms`: what an answer must keep to, so that it counts towards goodput."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.core.errors import BenchError, unknown
from bench.core.option_text import OptionPart, parts

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
_TO_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
_MOST_MS = 1e9


@dataclass(frozen=True)
class Slo:
    """One limit. A trial keeps to it when it has the metric and its value is at most `limit_ms`."""

    metric: str
    """A key of `SLO_METRICS`."""
    limit_ms: float
    """Above 0; for `tpot` ms per token."""
    text: str
    """As a reader sees it: `ttft=500ms`."""


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


def parse_slos(texts: Sequence[str]) -> tuple[Slo, ...]:
    """Parse all `--slo` of a run. Raises `BenchError` where one is wrong, or two are about the same metric."""
    slos = tuple(map(parse_slo, texts))
    seen: dict[str, Slo] = {}
    for slo in slos:
        if slo.metric in seen:
            raise BenchError(f"--slo {seen[slo.metric].text} and {slo.text}: two limits of {slo.metric}; keep one")
        seen[slo.metric] = slo
    return slos


def _limit(part: OptionPart) -> tuple[float, str]:
    """Parse a number with its unit into ms, and into the limit without spaces."""
    unit = re.search(r"[^\W\d]*$", part.text)
    end = unit.start() if unit else len(part.text)
    number = OptionPart(part.text[:end].strip(), part.column, part.whole).number()
    if number is None:
        raise part.wrong(f"{part.text!r} is no length of time; write for instance 500ms, 1.5s or 800us")
    if (name := part.text[end:].lower()) not in _TO_MS:
        said = f"unit {part.text[end:]!r} is unknown" if name else "the unit is missing"
        raise part.skip(end).wrong(f"{said}; write ms, s or us behind the number, for instance 500ms")
    limit_ms = number * _TO_MS[name]
    if not 0 < limit_ms <= _MOST_MS or not math.isfinite(limit_ms):
        raise part.wrong(f"{part.text!r} is no limit; it is above 0 and at most {_MOST_MS / 1e3:.0f}s")
    return limit_ms, f"{number:g}{name}"
