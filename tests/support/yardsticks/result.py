"""What one client did against the null server's truth."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Load:
    """So many streams at a time, requests in all, and the timing of each answer."""

    streams: int
    requests: int
    events: int = 100
    """Deltas of an answer."""
    interval_ms: float = 10
    """Between two; 0: flood."""
    ttft_ms: tuple[float, float] = (100, 200)

    @property
    def control(self) -> str:
        """What to ask of the null server."""
        return json.dumps({"events": self.events, "interval_ms": self.interval_ms, "ttft_ms": self.ttft_ms})


@dataclass(frozen=True)
class Result:
    """One client under one load."""

    name: str
    load: Load
    errors_ms: Sequence[float]
    """Of each request: its first delta as the client reports it, after the moment in which the server sent it."""
    late_ms: Sequence[float]
    """Of each: by how much the server was late itself at its worst; no error of the client."""
    cpu_s: float
    """The measuring process, while it measured."""
    wall_s: float
    memory: int
    """Bytes of the measuring process at its most."""
    failed: int = 0
    decoder_cpu_s: float | None = None
    """bench: the process that decodes, judges and writes; None where it is the measuring process itself."""
    tree: int | None = None
    """bench: bytes (PSS) of all its processes together, at their most."""
    first_request_s: float | None = None
    """bench: from its start until its first trial's request."""

    def error_ms(self, quantile: float) -> float:
        """A quantile of the errors."""
        return float(np.quantile(self.errors_ms, quantile))

    def lateness_ms(self, quantile: float) -> float:
        """A quantile of the server's own lateness."""
        return float(np.quantile(self.late_ms, quantile))

    def per_million(self, cpu_s: float) -> float:
        """CPU seconds for a million deltas."""
        return cpu_s / (self.load.requests * self.load.events) * 1e6


def compared(first: Mapping[str, int], sent: Mapping[str, Mapping[str, Any]]) -> tuple[list[float], list[float]]:
    """(errors, the server's lateness) in ms for each request whose first delta was reported."""
    errors = [(t - sent[client_id]["t_first"]) / 1e6 for client_id, t in first.items()]
    return errors, [sent[client_id]["late_ns"] / 1e6 for client_id in first]
