"""The plan: pairs, coins, blocks, nonces."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.ask import NONCE_PATTERN
from bench.plan.plan import BOTH, Plan, PlannedTrial
from bench.plan.schedule import Amount, aa_pairs, make_plan
from tests.support.harness import cell_of
from tests.support.scenarios import TEXT


def plan_of(*, cells: int = 2, pairs: int = 5, warmup: int = 2, concurrency: int = 1, seed: int = 1) -> Plan:
    made = [cell_of(TEXT, BOTH, concurrency, asks=3, number=n) for n in range(cells)]
    return make_plan(made, pairs=pairs, warmup=warmup, seed=seed)


shapes = st.fixed_dictionaries(
    {
        "cells": st.integers(1, 4),
        "pairs": st.integers(1, 40),
        "warmup": st.integers(0, 4),
        "concurrency": st.integers(1, 6),
        "seed": st.integers(0, 2**32),
    }
)


def every(plan: Plan) -> list[PlannedTrial]:
    """All trials of the plan, in their order."""
    return [trial for group in plan.groups() for unit in group.units() for trial in unit]


def by_pair(plan: Plan) -> dict[int, list[PlannedTrial]]:
    pairs: dict[int, list[PlannedTrial]] = defaultdict(list)
    for trial in every(plan):
        pairs[trial.pair].append(trial)
    return pairs


@given(shapes)
def test_pairs_are_whole_and_share_their_ask(shape: dict[str, int]) -> None:
    """Every pair has both deliveries, with the same ask, seed, cell and phase.

    They are next to each other where one runs at a time, else at the same place of two segments in a row.
    """
    alone = shape["concurrency"] == 1
    for pair in by_pair(plan_of(**shape)).values():
        first, second = pair
        assert {first.delivery, second.delivery} == set(BOTH)
        assert (first.order, second.order) == (0, 1)
        assert second.trial_id == first.trial_id + 1 or not alone
        assert second.block == first.block + (0 if alone else 1)
        assert all(getattr(first, name) == getattr(second, name) for name in ("ask", "seed", "cell", "phase"))


@given(shapes)
def test_every_cell_gets_its_pairs(shape: dict[str, int]) -> None:
    """Each cell has the asked measured pairs, under load at least 4 for each at a time; all after its warm-up."""
    plan, at_once = plan_of(**shape), shape["concurrency"]
    measured = Counter(trial.cell for trial in every(plan) if trial.phase == "measure")
    pairs = shape["pairs"] if at_once == 1 else max(shape["pairs"], 4 * at_once)
    assert measured == dict.fromkeys(range(shape["cells"]), 2 * pairs)
    assert plan.size == len(every(plan))
    phases = [trial.phase for trial in every(plan)]
    assert phases == sorted(phases, key=["warmup", "measure"].index)


@given(shapes)
def test_the_same_seed_makes_the_same_plan(shape: dict[str, int]) -> None:
    """A plan is a function of its inputs; its hash says so, and another seed makes another."""
    assert plan_of(**shape).hash == plan_of(**shape).hash
    assert plan_of(**shape).hash != plan_of(**{**shape, "seed": shape["seed"] + 1}).hash


@given(shapes)
def test_nonces_are_fresh_and_of_equal_length(shape: dict[str, int]) -> None:
    """Every trial has a nonce of its own, all of one length, and the simulator knows its form."""
    nonces = [trial.nonce for trial in every(plan_of(**shape))]
    assert len(set(nonces)) == len(nonces)
    assert {len(nonce) for nonce in nonces} == {18}
    assert all(NONCE_PATTERN.match(f"{nonce} x") for nonce in nonces)


@given(shapes)
def test_groups_are_pairs_alone_and_segments_together(shape: dict[str, int]) -> None:
    """At concurrency 1 a group is one pair (a warm-up: one cell's), above it a segment of one delivery."""
    for group in plan_of(**shape).groups():
        trials = [trial for unit in group.units() for trial in unit]
        assert len(trials) == group.size
        assert {trial.cell for trial in trials} <= {group.cell.cell}
        if shape["concurrency"] > 1:
            assert len({trial.delivery for trial in trials}) == 1
        elif group.phase == "measure":
            assert len(trials) == 2


def test_segments_take_turns_in_going_first() -> None:
    """Under load the deliveries of a cell come as ABBA: each is first as often, so a drift hits both alike."""
    plan = plan_of(cells=1, pairs=64, warmup=0, concurrency=4)
    order = [segment.delivery[0] for segment in plan.segments if segment.phase == "measure"]
    assert "".join(order) in {"sbbs", "bssb"}


def test_open_loop_has_the_same_arrivals_in_both_deliveries() -> None:
    """Both segments of a round have the same schedule, and a round's schedule is not the one before it."""
    cell = replace(cell_of(TEXT, BOTH, 1, 1), load="rate=20")
    plan = make_plan([cell], pairs=10, warmup=0, seed=5, amount=Amount(requests=100))
    due = [
        [trial.due for unit in group.units() for trial in unit] for group in plan.groups() if group.phase == "measure"
    ]
    assert due[0] == due[1]
    assert due[2] == due[3]
    assert due[0] != due[2]
    assert due[0] == sorted(due[0], key=lambda time: time or 0)


def test_a_segment_that_time_ends_lists_no_trials() -> None:
    """A run by time has no number of trials, and its plan is as small as any."""
    plan = make_plan([cell_of(TEXT, BOTH, 8, 1)], pairs=10, warmup=1, seed=5, amount=Amount(seconds=60))
    assert plan.size is None
    assert {segment.seconds for segment in plan.segments if segment.phase == "measure"} == {30.0}
    assert len(str(plan.to_json())) < 10_000


def test_blocks_interleave_the_cells() -> None:
    """One at a time, every block has one pair of every cell, in an order that changes."""
    plan = plan_of(cells=3, pairs=20)
    blocks: dict[int, list[int]] = defaultdict(list)
    for trial in plan.trials:
        if trial.phase == "measure" and trial.order == 0:
            blocks[trial.block].append(trial.cell)
    assert all(sorted(cells) == [0, 1, 2] for cells in blocks.values())
    assert len({tuple(cells) for cells in blocks.values()}) > 1


def test_the_coin_is_fair() -> None:
    """Either delivery comes first about half of the time: 400 coins, beyond 5 standard deviations would be a bias."""
    first = Counter(trial.delivery for trial in every(plan_of(cells=1, pairs=400)) if trial.order == 0)
    assert abs(first["streamed"] - first["blocking"]) < 100


def test_every_prompt_is_used_in_turn() -> None:
    """The prompts of a scenario come in turn, so that each weighs the same."""
    plan = plan_of(cells=1, pairs=9, warmup=0)
    assert Counter(trial.ask for trial in plan.trials) == {0: 6, 1: 6, 2: 6}


def test_an_aa_pair_is_two_neighbours_and_a_coin() -> None:
    """Under load both trials of an A/A pair stand in one segment, alike but for arm and nonce, either arm first."""
    plan = make_plan([cell_of(TEXT, BOTH, 16, 2)], pairs=400, warmup=0, seed=3, aa=True)
    pairs = [pair for pair in by_pair(plan).values() if pair[0].phase == "aa"]
    assert len(pairs) >= 60
    for first, second in pairs:
        assert (first.order, second.order, second.trial_id) == (0, 1, first.trial_id + 1)
        assert {first.arm, second.arm} == {"a", "b"}
        assert first.nonce != second.nonce
        same = ("block", "delivery", "ask", "seed")
        assert all(getattr(first, name) == getattr(second, name) for name in same)
    assert 0.25 < sum(first.arm == "a" for first, _ in pairs) / len(pairs) < 0.75


@pytest.mark.parametrize(("pairs", "concurrency"), [(10, 8), (36, 4), (36, 8), (100, 3), (400, 16)])
def test_aa_pairs_meet_the_load(pairs: int, concurrency: int) -> None:
    """Above one at a time, every segment of A/A pairs has at least as many as run at a time."""
    plan = make_plan([cell_of(TEXT, BOTH, concurrency, 1)], pairs=pairs, warmup=0, seed=3, aa=True)
    sizes = [group.size // 2 for group in plan.groups() if group.phase == "aa"]
    assert sum(sizes) >= aa_pairs(plan.cells, pairs)
    assert min(sizes) >= concurrency
