"""Puts a client to the null server: a yardstick, or `bench run` from its command line to its Parquet files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import pyarrow.parquet as pq

from tests.support.cli import BENCH, environment
from tests.support.nullanswers import MODEL
from tests.support.nullserver import FIELD, Null
from tests.support.yardsticks.processes import Samples, most, watched
from tests.support.yardsticks.result import Load, Result, compared

LIMIT_S = 600
BENCHES = {"bench-wire": "wire", "bench-sdk": "sdk"}
"""Names of `bench run` with its clients, beside those of the yardsticks."""


def measure(name: str, load: Load, server: Null) -> Result:
    """One client under one load; nothing else may use the server meanwhile."""
    server.reset()
    return run_bench(name, load, server) if name in BENCHES else run_yardstick(name, load, server)


def run_yardstick(name: str, load: Load, server: Null) -> Result:
    """A yardstick in its process."""
    command = [sys.executable, "-m", "tests.support.yardsticks.client", name, "--base-url", server.base_url]
    options = ["--streams", str(load.streams), "--requests", str(load.requests), "--control", load.control]
    done = subprocess.run([*command, *options], env=environment(), stdout=subprocess.PIPE, timeout=LIMIT_S, check=True)
    found = json.loads(done.stdout)
    errors, late = compared(found["t_first"], by_id(server))
    decoder = found.get("parent_cpu_ns")
    return Result(
        name=name,
        load=load,
        errors_ms=errors,
        late_ms=late,
        cpu_s=found["cpu_ns"] / 1e9,
        wall_s=found["wall_ns"] / 1e9,
        memory=found["most_memory"],
        decoder_cpu_s=None if decoder is None else decoder / 1e9,
    )


def by_id(server: Null) -> dict[str, dict[str, Any]]:
    """What the server sent, by the id of the request."""
    return {sent["client_id"]: sent for sent in server.truth()["sent"]}


def run_bench(name: str, load: Load, server: Null) -> Result:
    """The whole `bench run`, its records and the processes that it consisted of."""
    with tempfile.TemporaryDirectory() as folder:
        begun = perf_counter_ns()
        child = subprocess.Popen(
            [*BENCH, *arguments(name, load, server.base_url), "--out", folder],
            env={**os.environ, **environment()},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with watched(child.pid, Path(folder)) as samples:
            said, _ = child.communicate(timeout=LIMIT_S)
        runs = [path for path in Path(folder).iterdir() if (path / "trials.parquet").exists()]
        if not runs:
            raise RuntimeError(f"{name} at {load.streams} streams left no run (exit {child.returncode}): {said[-800:]}")
        return result_of(name, load, runs[0], samples, server, begun)


def arguments(name: str, load: Load, base_url: str) -> Sequence[str]:
    """The command line after `bench`."""
    body = json.dumps({"metadata": {FIELD: load.control}})
    where = ["--base-url", base_url, "--model", MODEL, "--extra-body", body]
    what = ["--client", BENCHES[name], "--delivery", "streamed", "--no-memory", "--no-self-check", "--max-retries", "0"]
    one_by_one = ["--pairs", str(load.requests), "--warmup", "1"]
    how_much = one_by_one if load.streams == 1 else ["--requests", str(load.requests)]
    how_much += ["--concurrency", str(load.streams), "--seed", "1"]
    return ["run", "text", *where, *what, *how_much]


def result_of(name: str, load: Load, run: Path, samples: Samples, server: Null, begun: int) -> Result:
    """What the records of a run say beside the truth."""
    t0 = json.loads((run / "manifest.json").read_text("utf-8"))["t0_mono_ns"]
    trials = [row for row in rows(run, "trials") if row["phase"] == "measure"]
    ids = {row["trial_id"]: row["client_id"] for row in rows(run, "attempts")}
    ok = [row for row in trials if row["status"] == "ok"]
    sent = by_id(server)
    errors, late = compared({ids[row["trial_id"]]: row["t_first_token"] + t0 for row in ok}, sent)
    begin, end = min(row["t_origin"] for row in trials) + t0, max(row["t_end"] for row in trials) + t0
    shot = BENCHES[name] == "wire"
    timed = samples.within(begin, end)
    return Result(
        name=name,
        load=Load(load.streams, len(trials), load.events, load.interval_ms, load.ttft_ms),
        errors_ms=errors,
        late_ms=late,
        cpu_s=sum(row["cpu_ns"] for row in rows(run, "cells")) / 1e9,
        wall_s=(end - begin) / 1e9,
        memory=most(timed, "shooter" if shot else "bench")[1],
        failed=len(trials) - len(ok),
        decoder_cpu_s=samples.cpu_ns(samples.root, begin, max(end, samples.last_written())) / 1e9 if shot else None,
        tree=most(timed)[0],
        first_request_s=(min(s["t_request"] for s in sent.values() if s["stream"]) - begun) / 1e9,
    )


def rows(run: Path, table: str) -> list[dict[str, Any]]:
    """The rows of a table of a run."""
    return list(pq.read_table(run / f"{table}.parquet").to_pylist())
