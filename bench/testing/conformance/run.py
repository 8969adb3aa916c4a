"""The streams through the suite's own instrument: real runner, SDK client, tap, journal; the simulator as the server.

A few lanes run side by side, each with a client of its own that takes its streams one after the other: a stream has
some ten events in a quarter of a second, so they hardly meet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import Any, cast

import pluggy

from bench.clients.sdk.client import sdk_client
from bench.core import hookspecs
from bench.core.ask import Options
from bench.core.plugin_loader import builtin_folder, load_file
from bench.core.scenario import Scenario
from bench.core.target import Target
from bench.plan.plan import Cell, PlannedTrial
from bench.plan.schedule import make_plan
from bench.records.journal import Journal, read
from bench.run.context import Context, Link, Tally
from bench.run.progress import Reporter, progress
from bench.run.runner import run_plan
from bench.simulator.conformance_set import Stream
from bench.simulator.process import running
from bench.simulator.truth import read_truth

LANES = 6
DEADLINE_S = 10.0
SEED = 0
TARGET = "conformance"
WARM_UP = ("responses/text", "responses/function_call", "chat/text", "chat/tool_call")
"""Once through every scenario, in every lane: the SDK sets itself up at the first call of each kind."""
Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Taken:
    """One trial as it was recorded, and what was sent for it. Times in ns, all on one clock."""

    trial: Row
    attempt: Row
    """Empty: no request was made."""
    events: Sequence[Row]
    t_sent: Sequence[int]
    """By write, in order: when it left."""


def conduct(streams: Sequence[Stream], known: Mapping[str, Stream], repeat: int) -> Mapping[str, Sequence[Taken]]:
    """Put each of the streams through the instrument `repeat` times: the trials by model. `known`: all there are."""
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
            for model, taken in _taken(folder / f"measured-{number}", lane, sent).items()
        }


class _Steps:
    """Progress without a word on failures: here they are what is asked for."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def trial_done(self, cell: Cell, planned: PlannedTrial, row: Row) -> None:  # noqa: ARG002
        self._reporter.step(cell.model)

    def skip(self, number: int) -> None:
        self._reporter.skip(number)

    def rest(self) -> None:
        self._reporter.rest()


async def _all_lanes(
    base_url: str,
    folder: Path,
    lanes: Sequence[Sequence[Stream]],
    warm_up: Sequence[Stream],
    repeat: int,
    t0: int,
    steps: _Steps,
) -> None:
    names: set[str] = {stream.scenario for group in (*lanes, warm_up) for stream in group}
    scenarios = {name: _scenario(name) for name in names}

    async def lane(number: int, streams: Sequence[Stream]) -> None:
        client, tap = sdk_client(base_url, key="none", headers={}, max_retries=0, own_environment=False, direct=True)
        link = Link(target=Target(name=TARGET, base_url=base_url), client=client, tap=tap, options=Options())
        async with client:
            # a plan of its own: refused in a warm-up phase, a stream would count as one that the target lacks
            await _carried_out(folder / f"warm-{number}", warm_up, 1, link, scenarios, t0, steps)
            await _carried_out(folder / f"measured-{number}", streams, repeat, link, scenarios, t0, steps)

    try:
        async with asyncio.TaskGroup() as tasks:
            for number, streams in enumerate(lanes):
                tasks.create_task(lane(number, streams))
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


async def _carried_out(
    folder: Path,
    streams: Sequence[Stream],
    repeat: int,
    link: Link,
    scenarios: Mapping[str, Scenario],
    t0: int,
    steps: _Steps,
) -> None:
    """Each stream `repeat` times, in random order, journalled in the folder."""
    cells = [_cell(number, stream) for number, stream in enumerate(streams)]
    plan = make_plan(cells, pairs=repeat, warmup=0, seed=SEED)
    manager = pluggy.PluginManager("bench")
    manager.add_hookspecs(hookspecs)
    folder.mkdir()  # noqa: ASYNC240  (nothing is timed yet)
    with closing(Journal(folder)) as journal:
        context = Context(
            scenarios=scenarios,
            prompts=dict.fromkeys(scenarios, ("Go.",)),
            links={TARGET: link},
            hooks=manager.hook,
            journal=journal,
            t0=t0,
            deadline_s=DEADLINE_S,
            store_text=False,
            redact=str,
            tally=Tally(),
        )
        await run_plan(plan, context, steps)


def _scenario(name: str) -> Scenario:
    """A built-in scenario, by itself: whatever else is wrong with the plugins is not asked here."""
    (found,) = load_file(builtin_folder() / f"{name}.py").register_scenarios()
    return cast("Scenario", found)


def _cell(number: int, stream: Stream) -> Cell:
    return Cell(
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


def _taken(folder: Path, streams: Sequence[Stream], sent: Mapping[str, Sequence[int]]) -> dict[str, list[Taken]]:
    """The journal of a lane, by model, each trial with the send times of its answer."""
    tables = {name: table.to_pylist() for name, table in read(folder).items()}
    attempts = {row["trial_id"]: row for row in tables["attempts"]}
    events: dict[int, list[Row]] = {}
    for event in tables["events"]:
        events.setdefault(event["trial_id"], []).append(event)
    found: dict[str, list[Taken]] = {stream.model: [] for stream in streams}
    for trial in tables["trials"]:
        attempt = attempts.get(trial["trial_id"], {})
        left = sent.get(attempt.get("client_id", ""), ())
        of_trial = events.get(trial["trial_id"], [])
        found[trial["model"]].append(Taken(trial=trial, attempt=attempt, events=of_trial, t_sent=left))
    return found
