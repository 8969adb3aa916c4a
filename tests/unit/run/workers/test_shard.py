"""What workers are given, how a load is split among them, and what they owe when they are lost."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import BenchError
from bench.core.target import Target
from bench.plan.choice import Choice, choose
from bench.plan.plan import Plan, PlannedCell
from bench.plan.schedule import Amount, make_plan
from bench.plan.settings import Settings
from bench.plan.share import Share, shares
from bench.run.assignment import Assignment
from bench.run.folder import Run
from bench.run.preflight.endpoints import CheckedTarget
from bench.run.preflight.preflight import PreflightResult
from bench.run.workers.lost import KnownTrials, Loss, lost_rows, lost_trials
from bench.run.workers.shard import Shard, choice_of, endpoints_of, load_plugins, make_shards

PLUGIN = '''"""A plugin of the user's own: with an umlaut, ü."""
from bench import Scenario, hookimpl

async def streamed(client, ask):
    yield "x"

@hookimpl
def register_scenarios():
    yield Scenario("mine", streamed)
'''
NUMBERS = st.integers(1, 200)


def cell(load: str, number: int = 0) -> PlannedCell:
    return PlannedCell(
        cell=number,
        scenario="text",
        params="",
        api="responses",
        target="t",
        host="h",
        simulated=False,
        model="m",
        client="sdk",
        load=load,
        description="",
        useful="",
        deliveries=("streamed", "blocking"),
        asks=3,
    )


TWENTY = Amount(requests=20)


def plan_of(*loads: str, amount: Amount = TWENTY) -> Plan:
    return make_plan(
        [cell(load, number) for number, load in enumerate(loads)], pairs=3, warmup=1, seed=5, amount=amount, ramp_s=0.1
    )


@given(NUMBERS, NUMBERS)
def test_parts_add_up(number: int, of: int) -> None:
    """The parts of all workers are the whole, and no two differ by more than one."""
    parts = [Share(index, of).part(number) for index in range(of)]
    assert sum(parts) == number
    assert max(parts) - min(parts) <= 1


@given(NUMBERS, NUMBERS)
def test_every_trial_belongs_to_one_worker_that_can_run_it(workers: int, concurrency: int) -> None:
    """Whoever has trials of a segment has a slot for them, and every place has one owner."""
    found = [share for share in shares(workers, concurrency) if share]
    assert all(share.part(concurrency) for share in found)
    assert all(sum(share.has(place) for share in found) == 1 for place in range(20))
    assert len(shares(workers, concurrency)) == workers


@pytest.mark.parametrize("load", ["c=4", "rate=50"])
def test_the_shares_of_a_segment_are_the_segment(load: str) -> None:
    """Together the workers run the very trials that one process would: numbers, asks, nonces and arrival times."""
    for group in plan_of(load).groups():
        whole = [unit[0] for unit in group.units()]
        parts = [[unit[0] for unit in replace(group, share=share).units()] for share in shares(3, 4) if share]
        assert sorted(chain(*parts), key=lambda trial: trial.trial_id) == whole
        assert len(parts) == 3


def test_a_worker_has_both_trials_of_its_pairs() -> None:
    """The same places of both segments are one worker's, so that it compares its own."""
    groups = [group for group in plan_of("c=4").groups() if group.phase == "measure"][:2]
    streamed, blocking = ([unit[0].pair for unit in replace(group, share=Share(1, 3)).units()] for group in groups)
    assert streamed == blocking


def test_a_plan_survives_json() -> None:
    """The worker's plan is the run's: the same trials and the same hash."""
    plan = plan_of("c=1", "c=4", "rate=20")
    stored = json.loads(json.dumps({**plan.to_json(), "workers": 2}))
    assert Plan.from_json(stored) == plan
    assert Plan.from_json(stored).hash == plan.hash


def chosen(plugin: Path) -> Choice:
    plugin.write_bytes(PLUGIN.encode())
    return choose(Settings(arguments=[str(plugin), "text"], seed=1))


def shard_of(choice: Choice, target: Target) -> Shard:
    checked = PreflightResult(models=["m"], temperature=None, length=True, notices=[], server=None)
    endpoint = CheckedTarget(target=target, key="sk-top-secret", headers={"X-Team": "hidden"}, checked=checked)
    unused: Any = None
    assignment = Assignment(
        run=Run(folder=Path("run"), t0=3, manifest={}, stopping=unused),
        plan=plan_of("c=4"),
        choice=choice,
        endpoints={target.name: endpoint},
        settings=Settings(deadline=7),
        journal=unused,
        reporter=unused,
    )
    return make_shards(assignment, ["1", "2"], streams=5, t0=3)[1]


TARGET = Target(name="t", base_url="http://h/v1", api_key_env="KEY_OF_T", headers={"X-Team": "${TEAM}"})


def test_a_shard_is_plain_data_without_a_secret(tmp_path: Path) -> None:
    """It survives JSON, and neither the key nor what a header is filled with is in it."""
    shard = shard_of(chosen(tmp_path / "mine.py"), TARGET)
    text = json.dumps(shard.to_json())
    assert Shard.from_json(json.loads(text)).to_json() == json.loads(text)
    assert "top-secret" not in text
    assert "hidden" not in text
    assert (shard.index, shard.of, shard.label, shard.streams, shard.t0) == (1, 2, "2", 3, 3)
    assert shard.settings["deadline"] == 7


def test_a_worker_looks_its_secrets_up_itself(tmp_path: Path) -> None:
    """Keys and headers come from the worker's environment; a variable that it lacks is named."""
    shard = shard_of(chosen(tmp_path / "mine.py"), TARGET)
    endpoint = endpoints_of(shard, {"KEY_OF_T": "sk-1", "TEAM": "blue"})["t"]
    assert (endpoint.key, endpoint.headers, endpoint.checked.length) == ("sk-1", {"X-Team": "blue"}, True)
    with pytest.raises(BenchError, match="KEY_OF_T is not set"):
        endpoints_of(shard, {"TEAM": "blue"})


def test_a_plugin_travels_as_its_source(tmp_path: Path) -> None:
    """Where its file is not at hand the worker loads the text, and only what it needs travels so."""
    shard = shard_of(chosen(tmp_path / "mine.py"), TARGET)
    (tmp_path / "mine.py").unlink()
    choice = choice_of(shard, load_plugins(shard, tmp_path))
    assert [scenario.name for scenario in choice.scenarios] == ["text", "mine"]
    texts = {source.name: source.text for source in shard.sources}
    assert texts.pop(str(tmp_path / "mine.py"))
    assert "built in (text.py)" in texts
    assert not any(texts.values()), "what is installed does not travel"


def test_a_plugin_file_at_hand_is_used(tmp_path: Path) -> None:
    """An unchanged file is loaded from its own place, so that what lies beside it is found."""
    shard = shard_of(chosen(tmp_path / "mine.py"), TARGET)
    registry = load_plugins(shard, tmp_path / "none")
    assert registry.scenarios["mine"][1].path == tmp_path / "mine.py"


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("text.py", {"sha256": "0" * 64}, "is another one there than here"),
        ("text.py", {"name": "entry point rag (rag 1.2)"}, r"entry point rag \(rag 1.2\) is not installed there"),
        ("mine.py", {"text": "raise SystemExit", "name": "gone.py"}, "damaged on its way"),
    ],
)
def test_another_plugin_is_refused(tmp_path: Path, name: str, change: dict[str, str], said: str) -> None:
    """A worker that would measure something else says so in one line."""
    shard = shard_of(chosen(tmp_path / "mine.py"), TARGET)
    sources = [replace(one, **change) if name in one.name else one for one in shard.sources]
    with pytest.raises(BenchError, match=said):
        load_plugins(replace(shard, sources=sources), tmp_path)


def loss(plan: Plan, share: Share, number: int | None) -> Loss:
    segment = None if number is None else plan.segments[number]
    return Loss(worker="2", how="killed", t=900, share=share, segment=segment)


def test_what_a_lost_worker_owes() -> None:
    """What it had begun and not ended, and what it had not begun of a segment of known length; no other's trials."""
    plan, share = plan_of("c=4"), Share(1, 2)
    first = plan.segments[2].first_trial
    found = KnownTrials(begun={first + 1: {}, first + 3: {}}, ended={first + 1})
    gone = loss(plan, share, 2)
    owed = [planned.trial_id - first for planned in lost_trials(plan, gone, found, begun_only=False)]
    assert owed == list(range(3, plan.segments[2].count, 2))
    assert [gone.has(first + place) for place in (-1, 0, 1, plan.segments[2].count + 1)] == [False, False, True, False]
    begun = [planned.trial_id - first for planned in lost_trials(plan, gone, found, begun_only=True)]
    assert begun == [3]


def test_time_ends_a_segment_of_a_lost_worker_too() -> None:
    """Where time ends a segment nobody knows what it would have begun: only what it had is lost."""
    plan = plan_of("c=4", amount=Amount(seconds=5.0))
    number = next(n for n, segment in enumerate(plan.segments) if segment.seconds)
    first = plan.segments[number].first_trial
    found = KnownTrials(begun={first + 2: {}})
    trials = lost_trials(plan, loss(plan, Share(0, 2), number), found, begun_only=False)
    assert [planned.trial_id - first for planned in trials] == [2]


def test_rows_of_the_lost() -> None:
    """Each has a row with the status `lost`, and a start: the journalled one, or when the loss was noticed."""
    plan = plan_of("rate=20")
    gone = loss(plan, Share(0, 2), 2)
    first = plan.segments[2].first_trial
    found = KnownTrials(begun={first: {"t_start": 500, "phase": "ramp"}})
    trials = list(lost_trials(plan, gone, found, begun_only=False))
    begun, waiting = (lost_rows(plan, planned, gone, found, ["a", "b", "c"]) for planned in trials[:2])
    assert "starts" not in begun
    assert [begun["trials"][name] for name in ("status", "phase", "t_origin", "t_end")] == [
        ["lost"],
        ["ramp"],
        [500],
        [900],
    ]
    assert waiting["starts"]["t_start"] == [900]
    assert waiting["trials"]["phase"] == ["measure"]
    assert waiting["trials"]["worker"] == ["2"]
