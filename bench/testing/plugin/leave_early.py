"""Leave a stream at its first piece, and read in the simulator's log what becomes of the request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Literal

from bench.clients.sdk.attempt_log import current_trial
from bench.core.ask import make_ask, nonce_text
from bench.core.params import instance
from bench.core.scenario import Ask, Scenario
from bench.core.trial import Trial
from bench.run.context import Link
from bench.run.trial.call import consume
from bench.run.trial.scenario_setup import scenario_setup
from bench.simulator.truth import read_truth

PROMPT_S = 1.0
"""Time for a closed or cancelled generator to end, and for the server to see the client go."""
FIRST_S = 20.0
"""How long the first piece is waited for."""
SLOWLY = {"profile": "quick", "ttft_ms": 50, "token_ms": 40, "jitter": 0}
"""What follows the first piece takes longer than `PROMPT_S`, so there is an answer to leave."""
How = Literal["close", "cancel"]
Fate = Literal["gone", "ended", "open", "no piece", "late", "went on"]


@dataclass(frozen=True, kw_only=True)
class Disconnect:
    """What became of a stream that was left at its first piece.

    `gone`: the simulator saw the client go, `ms` after it left; `ended`: the answers had ended before; `open`: the
    answer was still sent after `PROMPT_S`; `no piece`: there was none to leave at; `late`: the generator had not ended
    after `PROMPT_S`; `went on`: the generator ignored the cancellation.
    """

    fate: Fate
    ms: float = 0
    error: str = ""


class _ReaderLeaves(Exception):
    """The reader has seen the first piece and leaves."""


async def leave_early(
    scenario: Scenario, link: Link, params: str, truth: Path, *, how: How, trial_id: int
) -> Disconnect:
    """Read the first piece of a streamed trial, then close the generator or cancel its task."""
    trial = Trial(trial_id, scenario.name, "streamed", link.target.name, "sim-1", "measure")
    trial.cold = scenario.connection == "cold"
    trial.t_origin = perf_counter_ns()
    ask = make_ask(
        scenario.prompts[0],
        target=link.target,
        model="sim-1",
        nonce=nonce_text(trial_id),
        seed=1,
        recorder=trial,
        options=replace(link.options, control=SLOWLY),
        api=scenario.api,
        params=instance(scenario, params),
        sim=scenario.sim,
    )
    try:
        return await _leave_stream(scenario, link, ask, trial, truth, how)
    finally:
        await link.release(trial)


async def _leave_stream(scenario: Scenario, link: Link, ask: Ask, trial: Trial, truth: Path, how: How) -> Disconnect:
    loop, first = asyncio.get_running_loop(), asyncio.Event()

    def on_piece(_piece: Any) -> None:
        if not trial.t_end:
            trial.t_end = perf_counter_ns()
            loop.call_soon_threadsafe(first.set)
        if how == "close":
            raise _ReaderLeaves

    task = asyncio.create_task(_read_stream(scenario, link, ask, trial, on_piece))
    seen = asyncio.create_task(first.wait())
    await asyncio.wait([task, seen], timeout=FIRST_S, return_when=asyncio.FIRST_COMPLETED)
    seen.cancel()
    if how == "cancel" and trial.t_end and task.done():
        return Disconnect(fate="ended")
    if how == "cancel" or not trial.t_end:
        task.cancel()
    began = perf_counter_ns()
    await asyncio.wait([task], timeout=PROMPT_S)
    if not task.done():
        return Disconnect(fate="late")
    error = None if task.cancelled() else task.exception()
    if not trial.t_end:
        return Disconnect(fate="no piece", error=repr(error) if error else "")
    if how == "cancel" and not task.cancelled():
        return Disconnect(fate="went on", error=repr(error) if error else "")
    if error is not None and not isinstance(error, _ReaderLeaves):
        return Disconnect(fate="late", error=repr(error))
    return await _fate(scenario, trial, truth, began)


async def _read_stream(scenario: Scenario, link: Link, ask: Ask, trial: Trial, on_piece: Callable[[Any], None]) -> None:
    """Read the stream. Run it in a task of its own, so that the tap can tell whose requests it sees."""
    current_trial.set(trial)
    client = link.client_of(scenario)
    async with scenario_setup(scenario, client, ask, FIRST_S) as ready:
        await consume(scenario, "streamed", client, ready, on_piece)


async def _fate(scenario: Scenario, trial: Trial, truth: Path, began: int) -> Disconnect:
    """Wait for the simulator's log of this trial: it has a line once a response has ended or the client has gone."""
    asked = {attempt.client_id for attempt in trial.attempts} if scenario.client == "sdk" else None
    while True:
        in_time = perf_counter_ns() - began < PROMPT_S * 1e9
        lines = [line for line in read_truth(truth) if line["t_received"] >= trial.t_origin]
        gone = [line["gone"] for line in lines if line["gone"]]
        over = {line["client_id"] for line in lines}
        if gone and (asked is None or asked <= over):
            return Disconnect(fate="gone", ms=max(0.0, (max(gone) - began) / 1e6))
        if asked is not None and asked <= over:
            return Disconnect(fate="ended")
        if not in_time:
            return Disconnect(fate="ended" if asked is None and lines else "open")
        await asyncio.sleep(0.02)
