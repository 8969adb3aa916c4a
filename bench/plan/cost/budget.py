"""Read `--budget`: how much time, how many tokens or how much money a run may take."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from bench.core.errors import BenchError
from bench.core.text.duration import MS, SECONDS

Kind = Literal["time", "tokens", "money"]
EXAMPLES = "10m, 90s or 1h; 200k-tokens or 1.5m-tokens; 2usd"
_BUDGET = re.compile(rf"(\d+(?:\.\d+)?|\.\d+)(?:({'|'.join(MS)})|([km]?)-?tokens|(usd))", re.ASCII | re.IGNORECASE)
_TIMES = {"": 1, "k": 1_000, "m": 1_000_000}
_MOST = 1e12


@dataclass(frozen=True)
class Budget:
    """A limit of the whole run."""

    kind: Kind
    amount: float
    """Seconds, tokens or US dollars; above 0."""
    text: str
    """For a reader: `10m`, `200k tokens`, `2 USD`."""
    typed: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.typed


def parse_budget(text: str) -> Budget:
    """Parse `10m`, `200k-tokens` or `2usd`. BenchError with examples for any other text."""
    found = _BUDGET.fullmatch(text.strip())
    if not found or not 0 < float(found[1]) < _MOST:
        raise BenchError(f"{text!r} is no budget; write {EXAMPLES}")
    number, times = float(found[1]), (found[3] or "").lower()
    if found[2]:
        return Budget("time", number * SECONDS[found[2].lower()], f"{found[1]}{found[2].lower()}", text)
    if found[4]:
        return Budget("money", number, f"{found[1]} USD", text)
    return Budget("tokens", number * _TIMES[times], f"{found[1]}{times} tokens", text)
