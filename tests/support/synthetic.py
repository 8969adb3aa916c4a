"""Run folders with known truths, written through the project's own records: tests of the analysis need no server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from bench.records import journal as records
from bench.records.journal import Journal, columns_of

MS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What a cell is made of; times in ms."""

    scenario: str = "text"
    target: str = "sim"
    host: str = "embedded simulator"
    simulated: bool = True
    model: str = "sim-1"
    useful_ms: float = 120
    token_ms: float = 5
    tokens: int = 60
    tokens_per_delta: int = 1
    slower_by: float = 0.0
    """The streamed total is this fraction longer than the blocking one."""
    noise: float = 0.02
    fail: Mapping[tuple[str, int], str] = field(default_factory=dict)
    """(delivery, pair within the cell) → status."""
    error: str = "it was planned so"
    unlike: frozenset[int] = frozenset()
    """Pairs within the cell whose blocking answer is another one."""
    useless: frozenset[int] = frozenset()
    """Pairs within the cell whose streamed answer is ok but without a useful piece."""
    useful_last: bool = False
    """Of a streamed answer only the whole is useful."""
    invisible: frozenset[int] = frozenset()
    """Pairs within the cell whose streamed answer is reasoning only."""
    read_lag_ms: float = 0.3
    load: str = "c=1"
    aa_bias: float = 0.0
    """In A/A pairs arm a takes this fraction longer."""
    drift: float = 0.0
    """At the end of the run all times are this fraction longer than at its start."""
    second_by: float = 0.0
    """The second trial of a pair takes this fraction longer."""
    new_connection: frozenset[int] | None = None
    """Pairs within the cell whose streamed trial opened a connection; None: connections were not recorded."""
    connect_ms: float = 41
    loop_lag_ms: float | None = None
    """Every heartbeat comes this late; None: none was taken."""
    pauses: Mapping[int, float] = field(default_factory=dict)
    """Pair within the cell → ms for which the event loop stood still, 20 ms after the origin of both its trials."""
    send_lag_ms: float | None = None
    cpu_share: float = 0.024
    stamped: bool = False
    """Attempts have all their stamps: sent 1 ms after they could be, first read 10 ms before the first delta."""
    slow: Mapping[int, float] = field(default_factory=dict)
    """Pair within the cell → by what its streamed trial takes longer (2: three times as long). Nothing tells why."""
    stalled: Mapping[int, float] = field(default_factory=dict)
    """Pair within the cell → ms for which its streamed answer stands still in its middle."""
    backoff: Mapping[int, float] = field(default_factory=dict)
    """Pair within the cell → ms after which its streamed trial was tried again; the first try took `TRIED_MS`."""
    longer: frozenset[int] = frozenset()
    """Pairs within the cell whose streamed answer has twice as many tokens."""
    collected: Mapping[int, float] = field(default_factory=dict)
    """Pair within the cell → ms of garbage collection, from 20 ms after the origin of both its trials."""
    begun_late: Mapping[int, float] = field(default_factory=dict)
    """Pair within the cell → ms from the origin of its streamed trial, as the schedule had it, to its beginning."""
    unstored: frozenset[int] = frozenset()
    """Pairs within the cell of whose streamed trial no event was kept."""


TRIED_MS = 12.0
NOT_PLANTED = -1
"""No pair: in this trial nothing is out of the ordinary."""


def make_run(
    run: Path,
    cells: Sequence[Truth] = (Truth(),),
    *,
    pairs: int = 36,
    warmup: int = 1,
    seed: int = 7,
    deliveries: Sequence[str] = ("streamed", "blocking"),
    in_flight: int = 0,
    finish: bool = True,
    memory: bool = True,
    aa: int = 0,
    coin: bool = False,
    pressure: float | None = None,
    steal: float = 0.0,
    manifest: Mapping[str, Any] | None = None,
) -> Path:
    """Write a run folder; `in_flight` of the last trials are started but leave no result.

    `aa`: A/A pairs of each cell, spread over the run, the deliveries taking turns. `coin`: the order within pairs is
    random, else it is that of the deliveries. `pressure`: share of the time in which a process waited for a CPU,
    `steal` that of the CPU time which the host took; None: the system told neither.
    """
    run.mkdir(parents=True)
    trials = list(_trials(len(cells), pairs, warmup, deliveries, aa, np.random.default_rng(seed + 1) if coin else None))
    records.write_json(run / records.MANIFEST, {**_MANIFEST, "run_id": run.name, **(manifest or {})})
    records.write_json(run / records.PLAN, _plan(cells, trials, pairs, warmup, seed, deliveries))
    journal, rng = Journal(run), np.random.default_rng(seed)
    for place, trial in enumerate(trials):
        start = {"trial_id": trial["trial_id"], "t_start": place * 1000 * MS}
        journal.write({"starts": columns_of("starts", [start])})
        if place < len(trials) - in_flight:
            factor = _factor(cells[trial["cell"]], trial, place / len(trials))
            journal.write(_rows(cells[trial["cell"]], trial, place * 1000 * MS, rng, factor))
    if pressure is not None:
        journal.write({"probes": columns_of("probes", list(_machine(len(trials), pressure, steal)))})
    journal.write({"cells": columns_of("cells", [_cell_row(*cell) for cell in enumerate(cells)])})
    if memory:
        journal.write({"memory": columns_of("memory", list(_memory({cell.scenario for cell in cells}, deliveries)))})
    journal.close()
    if finish:
        records.finish(run)
    return run


_MANIFEST = {
    "schema_version": "1.0",
    "name": None,
    "created": "2026-01-02T03:04:05Z",
    "t0_mono_ns": 1,
    "t0_unix_ns": 2,
    "ended": "finished",
    "duration_s": 61.5,
    "command": ["bench", "run"],
    "versions": {"python": "3.11.7", "streambench": "0.1.0", "openai": "3.54.0"},
    "environment": {"platform": "Linux-6.1 x86_64", "cpus": 2, "cpu_model": "Test CPU"},
    "simulator": {"profile": "quick"},
    "notes": ["OPENAI_API_KEY is set, but not used on sim"],
}


def _trials(
    cells: int, pairs: int, warmup: int, deliveries: Sequence[str], aa: int, coin: np.random.Generator | None
) -> Iterator[dict[str, Any]]:
    trial_id = pair = 0
    checked = {(i + 1) * pairs // (aa + 1): i for i in range(aa)}
    for number in range(-warmup, pairs):
        parts = [("measure" if number >= 0 else "warmup", cell, number) for cell in range(cells)]
        parts += [("aa", cell, checked[number]) for cell in range(cells) if number in checked]
        for phase, cell, ask in parts:
            both = [(deliveries[(ask + cell) % len(deliveries)], arm) for arm in ("a", "b")]
            slots = both if phase == "aa" else [(delivery, None) for delivery in deliveries]
            for order, (delivery, arm) in enumerate(slots[::-1] if coin and coin.random() < 0.5 else slots):
                yield {
                    "trial_id": trial_id,
                    "cell": cell,
                    "pair": pair,
                    "block": number + warmup,
                    "order": order,
                    "phase": phase,
                    "arm": arm,
                    "delivery": delivery,
                    "ask": ask,
                    "nonce": f"[{trial_id:016x}]",
                }
                trial_id += 1
            pair += 1


def _factor(cell: Truth, trial: Mapping[str, Any], progress: float) -> float:
    """By how much everything in this trial takes longer."""
    second, a = bool(trial["order"] == 1), bool(trial["arm"] == "a")
    return float((1 + cell.drift) ** progress * (1 + cell.second_by * second) * (1 + cell.aa_bias * a))


def _plan(
    cells: Sequence[Truth],
    trials: Sequence[Mapping[str, Any]],
    pairs: int,
    warmup: int,
    seed: int,
    deliveries: Sequence[str],
) -> dict[str, Any]:
    return {
        "seed": seed,
        "pairs": pairs,
        "warmup": warmup,
        "concurrency": 1,
        "cells": [{"cell": number, **_cell(cell)} for number, cell in enumerate(cells)],
        "trials": {name: [trial[name] for trial in trials] for name in trials[0]},
        "delivery": "both" if len(deliveries) > 1 else deliveries[0],
    }


def _cell(cell: Truth) -> dict[str, Any]:
    return {
        **_key(cell),
        "host": cell.host,
        "simulated": cell.simulated,
        "description": f"What {cell.scenario} does.",
        "useful": "The first text that is not only spaces.",
    }


def _key(cell: Truth) -> dict[str, Any]:
    plain = {"params": "", "api": "responses", "client": "sdk", "load": cell.load}
    return {"scenario": cell.scenario, "target": cell.target, "model": cell.model, **plain}


def _rows(
    cell: Truth, trial: Mapping[str, Any], origin: int, rng: np.random.Generator, factor: float = 1
) -> records.Rows:
    """All tables of one trial."""
    number, streamed = trial["ask"], trial["delivery"] == "streamed"
    status = cell.fail.get((trial["delivery"], number), "ok") if trial["phase"] == "measure" else "ok"
    planted = int(number) if streamed and trial["phase"] == "measure" else NOT_PLANTED
    stretch = float(np.exp(rng.normal(0, cell.noise))) * factor * (1 + cell.slow.get(planted, 0.0))
    tokens = cell.tokens * (2 if planted in cell.longer else 1)
    deltas = tokens // cell.tokens_per_delta
    begun = origin + int(_tried_ms(cell, planted) * MS)
    first = begun - origin + int(cell.useful_ms * stretch * MS)
    stamps = [origin + first + int(i * cell.token_ms * cell.tokens_per_delta * stretch * MS) for i in range(deltas)]
    pause = cell.stalled.get(planted, 0.0)
    stamps = [stamp + int(pause * MS) * (i >= deltas // 2) for i, stamp in enumerate(stamps)]
    end = stamps[-1] + int(cell.token_ms * MS)
    if streamed:
        end += int((end - origin) * cell.slower_by)
    answer = f"answer {number}" + (" otherwise" if number in cell.unlike and not streamed else "")
    marks: dict[str, int | None] = dict.fromkeys(
        ("t_first_event", "t_first_token", "t_first_visible", "t_first_piece"), stamps[0]
    )
    if number in cell.invisible:
        marks["t_first_visible"] = None
    useful = None if number in cell.useless else end if cell.useful_last else stamps[0]
    row = {
        **trial,
        **_key(cell),
        "status": status,
        "error": None if status == "ok" else cell.error,
        "truncated": False,
        "t_origin": origin,
        "t_end": end,
        **(marks | {"t_last_token": stamps[-1], "deltas": deltas} if streamed else {}),
        **({"stalls": int(pause > 0), "stall_ns": int(pause * MS)} if streamed else {}),
        "t_call": origin + int(cell.begun_late.get(planted, 0.0) * MS),
        "t_first_useful": (useful if streamed else end) if status == "ok" else None,
        "input_tokens": 20,
        "cached_tokens": 0,
        "output_tokens": tokens if streamed or number not in cell.unlike else cell.tokens * 2,
        "requests": 1,
        "attempts": 3 if status != "ok" else 2 if planted in cell.backoff else 1,
        "backoff_ns": 900 * MS if status != "ok" else int(cell.backoff.get(planted, 0.0) * MS),
        "events": deltas if streamed else 0,
        "result_sha256": sha256(answer.encode()).hexdigest() if status == "ok" else None,
        "cpu_ns": 10 * MS,
        "stored": planted not in cell.unstored if cell.unstored else None,
    }
    client_id = f"{trial['trial_id']:08x}"
    attempt = {"trial_id": trial["trial_id"], "request": 0, "attempt": 0, "client_id": client_id}
    attempt["server_id"] = f"req_{client_id}"
    lag = int(cell.read_lag_ms * MS)
    tried = [attempt | _connection(cell, trial, origin) | _sent(cell, origin)]
    if cell.stamped:
        tried = list(_attempts(cell, tried[0], origin, begun, stamps if streamed else [end], end))
    kept = streamed and planted not in cell.unstored
    return {
        "trials": columns_of("trials", [row]),
        "attempts": columns_of("attempts", tried),
        "probes": columns_of("probes", list(_beats(cell, trial, origin, end))),
        "events": columns_of("events", list(_events(trial["trial_id"], stamps, tried[-1]["attempt"])) if kept else []),
        "pieces": columns_of("pieces", list(_pieces(trial["trial_id"], stamps)) if kept else []),
        "metrics": columns_of("metrics", [_metric(trial["trial_id"], 40 * stretch)]),
        "truth": columns_of(
            "truth", list(_truth(tried[-1]["client_id"], stamps, lag)) if streamed and cell.simulated else []
        ),
    }


def _tried_ms(cell: Truth, pair: int) -> float:
    """How long the trial was at it before the attempt that succeeded."""
    return TRIED_MS + cell.backoff[pair] if pair in cell.backoff else 0.0


def _attempts(
    cell: Truth, attempt: Mapping[str, Any], origin: int, begun: int, stamps: Sequence[int], end: int
) -> Iterator[dict[str, Any]]:
    """The attempts of a trial with their stamps: where it was tried twice, the first was refused at once."""
    ready = attempt.get("t_connected") or origin
    if begun > origin:
        over = origin + int(TRIED_MS * MS)
        refused = {"t_first_read": over - 2 * MS, "t_last_read": over - MS, "t_end": over}
        yield {**attempt, "t_start": origin, "t_sent": ready + MS, **refused, "status": 429}
        again = {"client_id": f"{attempt['client_id']}-1", "attempt": 1, "reused": True, "backoff_ns": begun - over}
        attempt, ready = {**attempt, **again, "t_connect": None, "t_connected": None}, begun
    read = {"t_first_read": stamps[0] - 10 * MS, "t_last_read": stamps[-1], "t_end": end}
    yield {**attempt, "t_start": begun, "t_sent": ready + MS, **read, "status": 200}


def _connection(cell: Truth, trial: Mapping[str, Any], origin: int) -> dict[str, Any]:
    if cell.new_connection is None:
        return {}
    if trial["delivery"] != "streamed" or trial["ask"] not in cell.new_connection:
        return {"method": "POST", "reused": True}
    connected = origin + int(cell.connect_ms * MS)
    return {"method": "POST", "reused": False, "t_connect": origin, "t_connected": connected}


def _sent(cell: Truth, origin: int) -> dict[str, Any]:
    if cell.send_lag_ms is None:
        return {}
    return {"reused": True, "t_start": origin, "t_sent": origin + int(cell.send_lag_ms * MS)}


def _beats(cell: Truth, trial: Mapping[str, Any], origin: int, end: int) -> Iterator[dict[str, Any]]:
    """Heartbeats every 10 ms; after a pause the next is again in time."""
    if lasted := cell.collected.get(trial["ask"]):
        over = origin + int((20 + lasted) * MS)
        yield {"t": over, "cell": trial["cell"], "name": "gc_pause", "value": lasted, "unit": "ms"}
    if cell.loop_lag_ms is None:
        return
    pause, due = cell.pauses.get(trial["ask"], 0.0), origin
    while due < end:
        lag = max(cell.loop_lag_ms, pause if due == origin + 20 * MS else 0.0)
        row = {"cell": trial["cell"], "name": "loop_lag", "value": lag, "unit": "ms"}
        yield {**row, "t": due + int(lag * MS)}
        due += 10 * MS * (1 + int(lag / 10))


def _machine(trials: int, pressure: float, steal: float) -> Iterator[dict[str, Any]]:
    """What the machine, with two CPUs, had counted at the start of each trial."""
    for second in range(trials):
        read = {"pressure": 1000 * second * pressure, "cpu_time": 2000.0 * second, "steal": 2000 * second * steal}
        for name, value in read.items():
            yield {"t": second * 1000 * MS, "cell": 0, "name": name, "value": value, "unit": "ms"}


_DELTA = "response.output_text.delta"


def _events(trial_id: int, stamps: Sequence[int], attempt: int = 0) -> Iterator[dict[str, Any]]:
    """The deltas, and the event that repeats them all."""
    whole = [(stamps[-1] + MS, "response.output_text.done", 400)]
    for seq, (t, type_, chars) in enumerate([*((stamp, _DELTA, 4) for stamp in stamps), *whole]):
        yield {
            "trial_id": trial_id,
            "request": 0,
            "attempt": attempt,
            "seq": seq,
            "t_read": t,
            "read": seq,
            "kind": "content",
            "type": type_,
            "bytes": 200,
            "chars": chars,
        }


def _pieces(trial_id: int, stamps: Sequence[int]) -> Iterator[dict[str, Any]]:
    """One for each delta, at once."""
    for seq, stamp in enumerate(stamps):
        yield {"trial_id": trial_id, "seq": seq, "t_yield": stamp, "useful": True, "chars": 4}


def _truth(client_id: str, stamps: Sequence[int], lag: int) -> Iterator[dict[str, Any]]:
    for frame, stamp in enumerate(stamps):
        yield {"client_id": client_id, "frame": frame, "t_sent": stamp - lag, "type": _DELTA, "bytes": 200}


def _metric(trial_id: int, value: float) -> dict[str, Any]:
    return {"trial_id": trial_id, "name": "mark.searched", "unit": "ms", "value": value}


def _cell_row(number: int, cell: Truth) -> dict[str, Any]:
    spent = {"cpu_ns": int(cell.cpu_share * 30_000 * MS), "wall_ns": 30_000 * MS}
    return {"cell": number, **spent, "events": 2160, "orphans": 0}


BYTES_PER_TOKEN = {"streamed": 1.5, "blocking": 12.0}


def _memory(scenarios: set[str], deliveries: Sequence[str]) -> Iterator[dict[str, Any]]:
    for scenario in sorted(scenarios):
        for delivery in deliveries:
            for meter, factor in (("tracemalloc", 1), ("rss", 4)):
                for tokens in (250, 500, 1000, 2000, 4000, 8000):
                    peak = int(30_000 + factor * BYTES_PER_TOKEN[delivery] * tokens)
                    point = {"scenario": scenario, "params": "", "delivery": delivery, "meter": meter, "tokens": tokens}
                    yield {**point, "output_tokens": tokens, "rep": 0, "base_bytes": 5_000_000, "peak_bytes": peak}
