"""Measure the conformance streams with the real runner, SDK client, tap and journal, on the simulator.

A few lanes run concurrently, each with a client of its own that takes its streams one after the other. A stream has
some ten events in a quarter of a second, so the lanes hardly disturb each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import Any, cast

from bench.core.plugins.loader import builtin_folder, load_file
from bench.core.scenario import Scenario
from bench.core.target import Target
from bench.plan.plan import PlannedCell, PlannedTrial
from bench.plan.schedule import make_plan
from bench.records.journal import read
from bench.run.assignment import run_small
from bench.run.connect import open_link
from bench.run.pacing import run_all
from bench.run.progress import Progress, ProgressReporter, progress
from bench.simulator.conformance_set import ConformanceStream
from bench.simulator.process import running
from bench.simulator.truth import read_truth

LANES = 6
DEADLINE_S = 10.0
SEED = 0
TARGET = "conformance"
WARM_UP = ("responses/text", "responses/function_call", "chat/text", "chat/tool_call")
"""Every scenario once, in every lane: the SDK sets itself up at the first call of each kind."""
Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class RecordedTrial:
    """One trial as it was recorded, and what was sent for it. Times in ns, all on one clock."""

    trial: Row
    attempt: Row
    """Empty: no request was made."""
    events: Sequence[Row]
    t_sent: Sequence[int]
    """When each write was sent, in order."""


def conduct(
    streams: Sequence[ConformanceStream], known: Mapping[str, ConformanceStream], repeat: int
) -> Mapping[str, Sequence[RecordedTrial]]:
    """Measure each stream `repeat` times. Return the trials by model. `known`: all streams there are."""
    warm_up = [known[model] for model in WARM_UP]
    lanes = [streams[number::LANES] for number in range(min(LANES, len(streams)))]
    with TemporaryDirectory() as name:
        folder, t0 = Path(name), perf_counter_ns()
        with (
            running(truth=folder / "truth", conformance=True) as simulator,
            progress(sum(len(warm_up) + repeat * len(lane) for lane in lanes), "trials") as reporter,
        ):
            asyncio.run(_all_lanes(simulator.base_url, folder, lanes, warm_up, repeat, t0, _Steps(reporter)))
        sent = {row["client_id"]: [time - t0 for time in row["t_sent"]] for row in read_truth(folder / "truth")}
        return {
            model: taken
            for number, lane in enumerate(lanes)
            for model, taken in _recorded_trials(folder / f"measured-{number}", lane, sent).items()
        }


class _Steps(Progress):
    """Progress that counts no failures: most streams fail on purpose."""

    def __init__(self, reporter: ProgressReporter) -> None:
        self._reporter = reporter

    def trial_done(self, cell: PlannedCell, planned: PlannedTrial, row: Row) -> None:  # noqa: ARG002
        self._reporter.step(cell.model)


async def _all_lanes(
    base_url: str,
    folder: Path,
    lanes: Sequence[Sequence[ConformanceStream]],
    warm_up: Sequence[ConformanceStream],
    repeat: int,
    t0: int,
    steps: _Steps,
) -> None:
    names: set[str] = {stream.scenario for group in (*lanes, warm_up) for stream in group}
    scenarios = list(map(_scenario, names))

    async def lane(number: int, streams: Sequence[ConformanceStream]) -> None:
        async with AsyncExitStack() as stack:
            links = {TARGET: await open_link(Target(name=TARGET, base_url=base_url), stack, direct=True)}
            # the warm-up is a plan of its own: a stream refused in a warm-up phase would count as unsupported
            for kind, chosen, times in (("warm", warm_up, 1), ("measured", streams, repeat)):
                cells = [_cell(place, stream) for place, stream in enumerate(chosen)]
                plan = make_plan(cells, pairs=times, warmup=0, seed=SEED)
                home = folder / f"{kind}-{number}"
                await run_small(plan, scenarios, links, home, reporter=steps, t0=t0, deadline_s=DEADLINE_S)

    await run_all([lane(number, streams) for number, streams in enumerate(lanes)])


def _scenario(name: str) -> Scenario:
    """Load a built-in scenario alone, so that errors in other plugins do not matter."""
    (found,) = load_file(builtin_folder() / f"{name}.py").register_scenarios()
    return replace(cast("Scenario", found), prompts=("Go.",))


def _cell(number: int, stream: ConformanceStream) -> PlannedCell:
    return PlannedCell(
        cell=number,
        scenario=stream.scenario,
        params="",
        api=stream.api,
        target=TARGET,
        host="embedded simulator",
        simulated=True,
        model=stream.model,
        client="sdk",
        load="c=1",
        description=stream.doc,
        useful="",
        deliveries=("streamed",),
        asks=1,
    )


def _recorded_trials(
    folder: Path, streams: Sequence[ConformanceStream], sent: Mapping[str, Sequence[int]]
) -> dict[str, list[RecordedTrial]]:
    """Read the journal of a lane: the trials by model, each with the send times of its answer."""
    tables = {name: table.to_pylist() for name, table in read(folder).items()}
    attempts = {row["trial_id"]: row for row in tables["attempts"]}
    events: dict[int, list[Row]] = {}
    for event in tables["events"]:
        events.setdefault(event["trial_id"], []).append(event)
    found: dict[str, list[RecordedTrial]] = {stream.model: [] for stream in streams}
    for trial in tables["trials"]:
        attempt = attempts.get(trial["trial_id"], {})
        left = sent.get(attempt.get("client_id", ""), ())
        of_trial = events.get(trial["trial_id"], [])
        found[trial["model"]].append(RecordedTrial(trial=trial, attempt=attempt, events=of_trial, t_sent=left))
    return found
