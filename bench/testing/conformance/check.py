"""Compare what the instrument says of a stream with the truth.

Statuses and counts must be equal. A time is right if its median error over the repeats is within the tolerance: three
times the p95 of this machine's read lag, but at least 5 ms and at most 10 ms. Wrong marks are 20 ms off or more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.cell.arm import delta_gaps
from bench.simulator.conformance_set import ConformanceStream
from bench.testing.conformance.run import RecordedTrial

LEAST_MS, MOST_MS = 5.0, 10.0
MS = 1e6
TIMES = {"ttft": "t_first_token", "visible": "t_first_visible", "ttfu": "t_first_useful"}
"""Each time's name and its column in the records."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One time of a stream. Medians over the repeats, ms from the call; None: the time never comes."""

    truth: float | None
    reading: float | None
    error: float | None
    """Median of reading minus truth."""


@dataclass(frozen=True, kw_only=True)
class StreamResult:
    """The result of one stream."""

    stream: ConformanceStream
    status: str
    """The status by the instrument; several, where the repeats differ."""
    marks: Mapping[str, Mark]
    gaps: Sequence[Mark]
    """Between successive deltas."""
    wrong: Sequence[str]
    """What is wrong on any machine."""
    late: Sequence[str]
    """Times that are off by more than the tolerance."""

    @property
    def right(self) -> bool:
        """True if nothing is wrong or late."""
        return not self.wrong and not self.late


def lags(stream: ConformanceStream, taken: Sequence[RecordedTrial]) -> Iterator[float]:
    """Yield the ms from send to read of each event, up to the first that is not sent whole by one write."""
    writes = list(_write_of_events(stream))
    for one in taken:
        if one.trial["status"] == "ok":
            for event, write in zip(one.events, writes, strict=False):
                if write < len(one.t_sent):
                    yield (event["t_read"] - one.t_sent[write]) / MS


def _write_of_events(stream: ConformanceStream) -> Iterator[int]:
    for number, write in enumerate(stream.turn.writes):
        yield from [number] * len(write.events)
        if write.raw or write.base64:
            return


def tolerance(read_lags: Sequence[float]) -> tuple[float | None, float]:
    """Return the p95 of the read lag (None if no trial was ok) and the allowed error of a time, both in ms."""
    if not read_lags:
        return None, MOST_MS
    p95 = float(np.quantile(read_lags, 0.95))
    return p95, min(MOST_MS, max(LEAST_MS, 3 * p95))


def judge(stream: ConformanceStream, taken: Sequence[RecordedTrial], allowed: float) -> StreamResult:
    """Compare all trials of a stream with its truth; a time may be off by `allowed` ms."""
    wrong = list(dict.fromkeys(line for one in taken for line in _unlike(stream, one)))
    whole = [one for one in taken if len(one.t_sent) == len(stream.turn.writes)]
    if not whole or len(whole) < len(taken):
        wrong.append(f"only {len(whole)} of {len(taken)} trials had all of the {len(stream.turn.writes)} writes sent")
    marks = {name: _mark(name, stream, whole) for name in TIMES}
    gaps = _gaps(stream, whole)
    if len(gaps) != max(0, len(stream.truth.deltas_at) - 1):
        wrong.append(f"gaps: {len(gaps)}, not {max(0, len(stream.truth.deltas_at) - 1)}")
    gap_errors = [gap.error for gap in gaps if gap.error is not None]
    errors = {**{name: mark.error for name, mark in marks.items()}, "a gap": max(gap_errors, key=abs, default=None)}
    return StreamResult(
        stream=stream,
        status=", ".join(sorted({str(one.trial["status"]) for one in taken})),
        marks=marks,
        gaps=gaps,
        wrong=wrong,
        late=[f"{name}: {error:+.1f} ms" for name, error in errors.items() if error and abs(error) > allowed],
    )


def _unlike(stream: ConformanceStream, one: RecordedTrial) -> Iterator[str]:
    """Yield each value of a trial that differs from the truth but must be equal."""
    truth, trial = stream.truth, one.trial
    pairs: dict[str, tuple[Any, Any]] = {
        "status": (trial["status"], truth.status),
        "terminal": (one.attempt.get("terminal"), truth.terminal),
        "truncated": (bool(trial["truncated"]), truth.truncated),
        "deltas": (trial["deltas"], len(truth.tokens_at)),
        "events": (trial["events"], truth.events),
        "output tokens": (trial["output_tokens"], truth.output_tokens),
        "ttft": _presence(trial["t_first_token"], truth.first_at),
        "visible": _presence(trial["t_first_visible"], truth.visible_at),
        "ttfu": _presence(trial["t_first_useful"], truth.useful_at),
    }
    for name, (said, true) in pairs.items():
        if said != true:
            why = f" ({trial['error']})" if name == "status" and trial["error"] else ""
            yield f"{name}: {_word(said)}, not {_word(true)}{why}"


def _presence(said: object, true: object) -> tuple[str, str]:
    return ("none" if said is None else "a time"), ("none" if true is None else "a time")


def _word(value: object) -> str:
    return "none" if value is None else str(value)


def _mark(name: str, stream: ConformanceStream, taken: Sequence[RecordedTrial]) -> Mark:
    truth = stream.truth
    at = {"ttft": truth.first_at, "visible": truth.visible_at, "ttfu": truth.useful_at}[name]
    readings = [(one.trial[TIMES[name]], one) for one in taken]
    return _medians(
        [None if at is None else (one.t_sent[_write(stream, at)] - one.trial["t_origin"]) / MS for _, one in readings],
        [None if time is None else (time - one.trial["t_origin"]) / MS for time, one in readings],
    )


def _write(stream: ConformanceStream, at: float) -> int:
    """Return the index of the write at the time `at`."""
    return [write.at for write in stream.turn.writes].index(at)


def _gaps(stream: ConformanceStream, taken: Sequence[RecordedTrial]) -> list[Mark]:
    """Return the median of each gap by its index; [] if any trial has another number of gaps."""
    writes = [_write(stream, at) for at in stream.truth.deltas_at]
    true = [[(one.t_sent[later] - one.t_sent[earlier]) / MS for earlier, later in pairwise(writes)] for one in taken]
    # as the report computes them
    read = [list(delta_gaps(pd.DataFrame(one.events)).ms) if one.events else [] for one in taken]
    if [*map(len, read)] != [*map(len, true)]:
        return []
    places = zip(zip(*true, strict=True), zip(*read, strict=True), strict=True)
    return [_medians(sent, seen) for sent, seen in places]


def _medians(true: Sequence[float | None], read: Sequence[float | None]) -> Mark:
    errors = [b - a for a, b in zip(true, read, strict=True) if a is not None and b is not None]
    return Mark(truth=_median(true), reading=_median(read), error=median(errors) if errors else None)


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
