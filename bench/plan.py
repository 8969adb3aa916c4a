"""What will be run, in which order, from which seed: a plain value, decided before the first request. Pure.

The unit is the pair: a streamed and a blocking trial of the same ask, next to each other, their order a seeded coin.
One at a time, cells are interleaved in randomised blocks (one pair of every cell a block), so that drift hits all
alike. Above that a block is a segment of one cell, with a drain after it.
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

Phase = Literal["warmup", "measure"]
BOTH: tuple[Delivery, Delivery] = ("streamed", "blocking")
ROUNDS = 3
"""Above concurrency 1 every cell comes in this many segments, so that drift is spread over the cells."""


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
            if group and (trial.block, trial.cell) != (group[0].block, group[0].cell):
                yield tuple(group)
                group = []
            group.append(trial)
        if group:
            yield tuple(group)


def make_plan(cells: Sequence[Cell], *, pairs: int, warmup: int, concurrency: int, seed: int) -> Plan:
    """The plan: warm-up of every cell first, then the measured blocks."""
    rng = Random(seed)  # noqa: S311  (a design, not a secret)
    blocks = _blocks(cells, pairs, warmup, concurrency, rng)
    return Plan(
        seed=seed,
        pairs=pairs,
        warmup=warmup,
        concurrency=concurrency,
        cells=tuple(cells),
        trials=tuple(_trials(blocks, rng)),
    )


_Block = tuple[Phase, Cell, range]
"""A cell's pairs that run together: phase, cell, numbers of the pairs within the cell (for the choice of the ask)."""


def _blocks(cells: Sequence[Cell], pairs: int, warmup: int, concurrency: int, rng: Random) -> Iterator[list[_Block]]:
    """Lists of blocks that share a block number."""
    if concurrency == 1:
        for cell in cells:
            yield [("warmup", cell, range(warmup))]
        for number in range(pairs):
            yield [("measure", cell, range(number, number + 1)) for cell in rng.sample(cells, len(cells))]
        return
    for cell in cells:
        yield [("warmup", cell, range(max(warmup, concurrency)))]
    size = max(2 * concurrency, ceil(pairs / ROUNDS))
    for start in range(0, pairs, size):
        for cell in rng.sample(cells, len(cells)):
            yield [("measure", cell, range(start, min(start + size, pairs)))]


def _trials(blocks: Iterator[list[_Block]], rng: Random) -> Iterator[PlannedTrial]:
    trial_id = pair = 0
    for block, parts in enumerate(blocks):
        for phase, cell, numbers in parts:
            for number in numbers:
                seed = rng.getrandbits(31)
                for order, delivery in enumerate(rng.sample(cell.deliveries, len(cell.deliveries))):
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
                    )
                    trial_id += 1
                pair += 1
