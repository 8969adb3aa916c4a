"""What will be run, in which order, from which seed: a plain value, decided before the first request. Pure.

The unit is the pair: a streamed and a blocking trial of the same ask, next to each other, their order a seeded coin.
One at a time, cells are interleaved in randomised blocks (one pair of every cell a block), so that drift hits all
alike. Above that a block is a segment of one cell, with a drain after it.

A run checks itself in between. In A/A pairs one delivery stands in both places of the pair, so any difference that they
show is the method's own. Calibration cells read streams of known send times, at the concurrency of all others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from math import ceil
from random import Random
from typing import Any, Literal

from bench.asks import nonce_text
from bench.trial import Delivery

Phase = Literal["warmup", "measure", "aa", "calibrate"]
Arm = Literal["a", "b"]
BOTH: tuple[Delivery, Delivery] = ("streamed", "blocking")
ARMS: tuple[Arm, Arm] = ("a", "b")
ROUNDS = 3
"""Above concurrency 1 every cell comes in this many segments, so that drift is spread over the cells."""
FEWEST_CHECKED = 10
"""Pairs from which on a run checks itself: with fewer, the checks would say nothing and take as long as the run."""
AA_SHARE = 6
"""One A/A pair for so many pairs: with the calibration, the checks take a sixth of the run."""
FEWEST_CALIBRATED = 12
"""One at a time, the first calibration cell comes in every second block; in each, where that were fewer than these."""
FEWEST_AA = 11
"""A/A pairs of a whole run: with fewer there is no two-sided 99.9 % interval (2 · ½ⁿ ≤ 0.001)."""
PACKETS_EVERY = 2
"""The other calibration cells come with every second of it: they test a claim, not the instrument."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One row of the report: scenario × parameters × api × target × model × client × load."""

    cell: int
    scenario: str
    params: str
    api: str
    target: str
    host: str
    simulated: bool
    model: str
    client: str
    load: str
    description: str
    useful: str
    """What "first useful" means in this scenario, in a sentence."""
    deliveries: tuple[Delivery, ...]
    asks: int
    """Number of different prompts, used in turn."""
    role: Literal["scenario", "calibration"] = "scenario"
    """`calibration`: streams of known send times; no row of the report."""


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """One trial before it is run."""

    trial_id: int
    cell: int
    pair: int
    block: int
    order: int
    phase: Phase
    delivery: Delivery
    ask: int
    nonce: str
    seed: int
    """Shared by the pair; the scenario gets it as `ask.seed`."""
    arm: Arm | None = None
    """Of an A/A pair: `a` stands where the streamed trial would, `b` where the blocking one would."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All trials in their order. `hash` is the same for the same inputs and seed."""

    seed: int
    pairs: int
    warmup: int
    concurrency: int
    cells: tuple[Cell, ...]
    trials: tuple[PlannedTrial, ...]

    @property
    def hash(self) -> str:
        """SHA-256 of the plan as stored."""
        return sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """As `plan.json` has it: trials by column."""
        names = list(PlannedTrial.__dataclass_fields__)
        return {
            **{name: getattr(self, name) for name in ("seed", "pairs", "warmup", "concurrency")},
            "cells": [asdict(cell) for cell in self.cells],
            "trials": {name: [getattr(trial, name) for trial in self.trials] for name in names},
        }

    def groups(self) -> Iterator[tuple[PlannedTrial, ...]]:
        """Trials that belong together: one pair at concurrency 1, else one segment."""
        group: list[PlannedTrial] = []
        for trial in self.trials:
            if group and (trial.block, trial.cell, trial.phase) != (group[0].block, group[0].cell, group[0].phase):
                yield tuple(group)
                group = []
            group.append(trial)
        if group:
            yield tuple(group)


def make_plan(
    cells: Sequence[Cell],
    *,
    pairs: int,
    warmup: int,
    concurrency: int,
    seed: int,
    calibration: Sequence[Cell] = (),
    aa: bool = False,
    rounds: int = ROUNDS,
) -> Plan:
    """The plan: warm-up of every cell first, then the measured blocks, and the self-checks among them.

    `calibration`: its cells, numbered after the others; `aa`: with A/A pairs. Neither below `FEWEST_CHECKED` pairs.
    `rounds`: segments of each cell, above concurrency 1.
    """
    rng = Random(seed)  # noqa: S311  (a design, not a secret)
    checked = pairs >= FEWEST_CHECKED
    checks = Checks(calibration if checked else (), aa_pairs(cells, pairs) if aa and checked else 0)
    blocks = (
        _alone(cells, checks, pairs, warmup, rng)
        if concurrency == 1
        else _segments(cells, checks, pairs, warmup, concurrency, rounds, rng)
    )
    return Plan(
        seed=seed,
        pairs=pairs,
        warmup=warmup,
        concurrency=concurrency,
        cells=(*cells, *checks.cells),
        trials=tuple(_trials(blocks, rng)),
    )


@dataclass(frozen=True)
class Checks:
    """How the run checks itself."""

    cells: Sequence[Cell]
    """Of the calibration."""
    aa: int
    """A/A pairs of each cell that has both deliveries."""


def aa_pairs(cells: Sequence[Cell], pairs: int) -> int:
    """A/A pairs of each cell: one for six pairs, and more where the whole run would have too few to decide."""
    both = sum(len(cell.deliveries) > 1 for cell in cells)
    return max(ceil(pairs / AA_SHARE), ceil(FEWEST_AA / both)) if both else 0


_Block = tuple[Phase, Cell, range]
"""A cell's pairs that run together: phase, cell, numbers of the pairs within the cell (for the choice of the ask)."""


def _alone(cells: Sequence[Cell], checks: Checks, pairs: int, warmup: int, rng: Random) -> Iterator[list[_Block]]:
    """Lists of blocks that share a block number: one pair of every cell, in random order, and the
    calibration now and then."""
    for cell in (*cells, *checks.cells[:1]):
        yield [("warmup", cell, range(warmup))]
    both = [cell for cell in cells if len(cell.deliveries) > 1]
    numbers: dict[Phase, int] = {"measure": 0, "aa": 0}
    every = 2 if pairs + checks.aa >= 2 * FEWEST_CALIBRATED else 1
    for place, phase in enumerate(_spread(pairs, checks.aa, rng)):
        number = numbers[phase]
        numbers[phase] += 1
        one = range(number, number + 1)
        calibrations = [
            *(checks.cells[:1] if place % every == 0 else ()),
            *(checks.cells[1:] if place % (every * PACKETS_EVERY) == 0 else ()),
        ]
        parts: list[_Block] = [(phase, cell, one) for cell in (cells if phase == "measure" else both)]
        parts += [("calibrate", cell, range(place, place + 1)) for cell in calibrations]
        yield rng.sample(parts, len(parts))


def _spread(pairs: int, aa: int, rng: Random) -> Iterator[Phase]:
    """Measured blocks with A/A ones among them: one at a random place of each equal stretch."""
    total = pairs + aa
    chosen = {rng.randrange(i * total // aa, (i + 1) * total // aa) for i in range(aa)}
    for place in range(total):
        yield "aa" if place in chosen else "measure"


def _segments(
    cells: Sequence[Cell], checks: Checks, pairs: int, warmup: int, concurrency: int, rounds: int, rng: Random
) -> Iterator[list[_Block]]:
    """One segment of a cell each; the calibration has one in every round, as large as two of each at a time."""
    for cell in (*cells, *checks.cells[:1]):
        yield [("warmup", cell, range(max(warmup, concurrency)))]
    size = max(2 * concurrency, ceil(pairs / rounds))
    starts = range(0, pairs, size)
    own = _aa_segments(checks.aa, len(starts), concurrency, rng)
    for turn, start in enumerate(starts):
        known = range(turn * 2 * concurrency, (turn + 1) * 2 * concurrency)
        aa = own.get(turn, range(0))
        parts: list[_Block] = [("measure", cell, range(start, min(start + size, pairs))) for cell in cells]
        parts += [("aa", cell, aa) for cell in cells if len(cell.deliveries) > 1 and len(aa)]
        parts += [("calibrate", cell, known) for cell in checks.cells]
        for part in rng.sample(parts, len(parts)):
            yield [part]


def _aa_segments(pairs: int, turns: int, concurrency: int, rng: Random) -> dict[int, range]:
    """By turn, the A/A pairs of a cell that run then: as many as run at a time, or they would not meet its load."""
    if not pairs:
        return {}
    pairs = max(pairs, concurrency)
    number = min(turns, pairs // concurrency)
    chosen = enumerate(sorted(rng.sample(range(turns), number)))
    return {turn: range(i * pairs // number, (i + 1) * pairs // number) for i, turn in chosen}


def _trials(blocks: Iterator[list[_Block]], rng: Random) -> Iterator[PlannedTrial]:
    trial_id = pair = 0
    for block, parts in enumerate(blocks):
        for phase, cell, numbers in parts:
            for number in numbers:
                seed = rng.getrandbits(31)
                for order, (delivery, arm) in enumerate(_pair(phase, cell, number, rng)):
                    yield PlannedTrial(
                        trial_id=trial_id,
                        cell=cell.cell,
                        pair=pair,
                        block=block,
                        order=order,
                        phase=phase,
                        delivery=delivery,
                        ask=number % cell.asks,
                        nonce=nonce_text(rng.getrandbits(64)),
                        seed=seed,
                        arm=arm,
                    )
                    trial_id += 1
                pair += 1


def _pair(phase: Phase, cell: Cell, number: int, rng: Random) -> Sequence[tuple[Delivery, Arm | None]]:
    """The trials of a pair in random order. Of an A/A pair both have the same delivery, the two taking turns."""
    if phase != "aa":
        return [(delivery, None) for delivery in rng.sample(cell.deliveries, len(cell.deliveries))]
    delivery = cell.deliveries[(number + cell.cell) % len(cell.deliveries)]
    return [(delivery, arm) for arm in rng.sample(ARMS, len(ARMS))]
