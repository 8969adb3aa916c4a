"""Run folders of load tests with known truths: a queue in front of servers, simulated, and written as a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heapreplace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.core.load import parse_load
from bench.records import journal as records
from bench.records.journal import Journal, columns_of
from tests.support.synthetic import _MANIFEST, MS

Floats = NDArray[np.float64]

TOKENS = 20
GAP_S = 2.0
"""Between two segments."""
FIRST = 0.25
"""Of the time that a server works on an answer, so much comes before the first token."""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A cell under load, and the server behind it."""

    load: str = "rate=10"
    client: str = "wire"
    scenario: str = "text"
    servers: int = 4
    """Answers that are made at a time; the rest waits."""
    service_s: float = 0.2
    """For one answer: the capacity is `servers / service_s`."""
    noise: float = 0.1
    cap: int | None = None
    """More in flight than this are shed."""
    fail: float = 0.0
    """Share of answers that end as http_5xx."""
    client_late_ms: float = 0.0
    """Every stamp is so much later."""
    behind: float = 0.0
    """The client begins each trial later by this share of the time since the start of its segment."""
    cpu_ns_per_event: int = 3000
    loop_lag_ms: float | None = None


def make_loaded(
    run: Path,
    cells: Sequence[Loaded],
    *,
    requests: int = 200,
    rounds: int = 2,
    ramp: int = 0,
    slos: Sequence[str] = (),
    deliveries: Sequence[str] = ("streamed", "blocking"),
    seed: int = 7,
    together: bool = False,
) -> Path:
    """Write a run in which each delivery of each cell has `rounds` segments of `requests / rounds` measured trials.

    `ramp`: so many trials more at the start of each, in phase `ramp`. `together`: the two deliveries of a round have
    one block number, as in runs of older versions. The two have the same arrivals.
    """
    run.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    records.write_json(run / records.MANIFEST, {**_MANIFEST, "run_id": run.name, "notes": []})
    records.write_json(run / records.PLAN, _plan(cells, requests, seed, slos, deliveries))
    journal, clock, trial_id, block = Journal(run), 1.0, 0, 0
    for turn in range(rounds):
        for number, cell in enumerate(cells):
            order, arrivals = deliveries[:: -1 if turn % 2 else 1], rng.exponential(1, requests + ramp)
            for delivery in order:
                rows = list(_segment(cell, requests // rounds + ramp, clock, arrivals, rng))
                for place, row in enumerate(rows):
                    measured = place >= ramp
                    row |= {
                        "trial_id": trial_id,
                        "cell": number,
                        "pair": turn * 100_000 + number * 10_000 + place,
                        "block": block - (block % 2 if together else 0),
                        "order": order.index(delivery),
                        "phase": "measure" if measured else "ramp",
                        "delivery": delivery,
                        "ask": place,
                    }
                    journal.write(_tables(cell, row))
                    trial_id += 1
                clock, block = max(row["t_end"] for row in rows) / 1e9 + GAP_S, block + 1
    journal.write({"cells": columns_of("cells", [_spent(*cell, requests) for cell in enumerate(cells)])})
    journal.close()
    records.finish(run)
    return run


def _plan(
    cells: Sequence[Loaded], requests: int, seed: int, slos: Sequence[str], deliveries: Sequence[str]
) -> dict[str, Any]:
    return {
        "seed": seed,
        "pairs": requests,
        "warmup": 0,
        "cells": [
            {**_key(cell), "cell": number, "host": "server", "simulated": False, "deliveries": list(deliveries)}
            for number, cell in enumerate(cells)
        ],
        "trials": {},
        "segments": {},
        "slos": list(slos),
        "delivery": "both" if len(deliveries) > 1 else deliveries[0],
    }


def _key(cell: Loaded) -> dict[str, Any]:
    plain = {"params": "", "api": "responses", "target": "sim", "model": "m"}
    return {**plain, "scenario": cell.scenario, "client": cell.client, "load": cell.load}


def _segment(
    cell: Loaded, trials: int, clock: float, arrivals: Floats, rng: np.random.Generator
) -> Iterator[dict[str, Any]]:
    """A queue with several servers, first come first served."""
    load = parse_load(cell.load)
    service = cell.service_s * np.exp(rng.normal(0, cell.noise, trials))
    free = [clock] * cell.servers
    ends = [clock] * (load.concurrency or 1)
    heapify(ends)
    due = clock + np.cumsum(arrivals[:trials] / load.rate) if load.rate else None
    flying: list[float] = []
    for i in range(trials):
        intended = float(due[i]) if due is not None else ends[0]
        call = intended + cell.behind * (intended - clock)
        flying = [end for end in flying if end > call]
        if cell.cap is not None and len(flying) >= cell.cap:
            yield _row(cell, intended, None, None, None)
            continue
        begin = max(call, free[0])
        heapreplace(free, begin + float(service[i]))
        end = begin + float(service[i]) + cell.client_late_ms / 1000
        flying.append(end)
        if due is None:
            heapreplace(ends, end)
        failed = bool(rng.random() < cell.fail)
        yield _row(cell, intended, call, begin + FIRST * float(service[i]), end, failed=failed)


def _row(
    cell: Loaded, intended: float, call: float | None, first: float | None, end: float | None, *, failed: bool = False
) -> dict[str, Any]:
    """A row of `trials`; without `call` it was shed."""
    status = "shed" if call is None else "http_5xx" if failed else "ok"
    late = cell.client_late_ms / 1000
    marks: dict[str, Any] = {}
    if first is not None and end is not None and not failed:
        names = ("t_first_event", "t_first_token", "t_first_visible", "t_first_useful", "t_first_piece")
        marks = dict.fromkeys(names, _ns(first + late))
        marks |= {"t_last_token": _ns(end), "deltas": TOKENS, "output_tokens": TOKENS, "events": TOKENS}
    return {
        **_key(cell),
        **marks,
        "status": status,
        "error": None if status == "ok" else "it was planned so",
        "t_origin": _ns(intended),
        "t_intend": _ns(intended) if cell.load.startswith("rate") else None,
        "t_call": _ns(call),
        "t_end": _ns(end if end is not None else intended),
        "requests": 0 if call is None else 1,
        "attempts": 0 if call is None else 1,
        "truncated": False,
        "result_sha256": "same" if status == "ok" else None,
    }


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1e9)


def _tables(cell: Loaded, row: dict[str, Any]) -> records.Rows:
    if row["delivery"] == "blocking":
        drop = ("t_first_event", "t_first_token", "t_first_visible", "t_last_token", "deltas", "events")
        row = {name: value for name, value in row.items() if name not in drop}
        row["t_first_useful"] = row["t_end"] if row["status"] == "ok" else None
    known = ("trial_id", "cell", "pair", "block", "phase", "delivery")
    start = {name: row[name] for name in known} | {"t_start": row["t_origin"]}
    attempt = {"trial_id": row["trial_id"], "request": 0, "attempt": 0, "method": "POST", "reused": True}
    attempt |= {"t_start": row["t_call"], "t_sent": row["t_call"] and row["t_call"] + MS // 10}
    lag = cell.loop_lag_ms
    beats = [_beat(row, t, lag) for t in range(row["t_origin"], row["t_end"], 10 * MS)] if lag else []
    return {
        "starts": columns_of("starts", [start]),
        "trials": columns_of("trials", [row]),
        "attempts": columns_of("attempts", [attempt] if row["t_call"] else []),
        "probes": columns_of("probes", beats),
    }


def _beat(row: dict[str, Any], t: int, lag: float) -> dict[str, Any]:
    return {"t": t + int(lag * MS), "cell": row["cell"], "name": "loop_lag", "value": lag, "unit": "ms"}


def _spent(number: int, cell: Loaded, requests: int) -> dict[str, Any]:
    events = requests * TOKENS
    spent = {"cpu_ns": cell.cpu_ns_per_event * events, "wall_ns": 100_000 * MS}
    return {"cell": number, **spent, "events": events, "orphans": 0}
