"""Read the simulator's send log, whose lines may be written a moment after the answer has arrived."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.simulator.truth import read_truth


def lines_of(truth: Path, client_id: str, count: int = 1) -> Sequence[dict[str, Any]]:
    """Wait up to 4 s until the log has `count` lines of a request, and return its lines."""
    found: list[dict[str, Any]] = []
    for _ in range(200):
        found = [row for row in read_truth(truth) if row["client_id"] == client_id] if truth.exists() else []
        if len(found) >= count:
            break
        time.sleep(0.02)
    return found
