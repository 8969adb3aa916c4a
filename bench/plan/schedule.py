"""Make the Plan: which trials run, in which order and when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from random import Random

from bench.core.ask import nonce_text
from bench.core.load import Load
from bench.core.trial import Delivery
from bench.plan.arrivals import Arrivals
from bench.plan.plan import (
    ARMS,
    FEWEST_AA,
    FEWEST_CHECKED,
    ROUNDS,
    Arm,
    Phase,
    Plan,
    PlannedCell,
    PlannedTrial,
    Segment,
)

AA_SHARE = 6
"""One A/A pair for this many pairs: with the calibration, the checks take a sixth of the run."""
FEWEST_CALIBRATED = 12
"""One at a time, the first calibration cell comes in every second block; in each, where that were fewer than these."""
PACKETS_EVERY = 2
"""The other calibration cells come with every second of it: they test a claim, not the instrument."""
CALIBRATED_S = 2
"""Open loop: a calibration segment and the warm-up have as many trials as begin in this many seconds."""
UNBOUNDED = 10_000_000
"""Trials of a segment that ends by time: more than any client begins. They exist only once they are begun."""


@dataclass(frozen=True, kw_only=True)
class Amount:
    """How much is measured of a cell under load, in each delivery."""

    requests: int | None = None
    """Number of trials; None: the pairs of the plan, and at least 4 for each concurrent trial."""
    seconds: float | None = None
    """Duration in s. At most one of the two fields is set."""


def make_plan(
    cells: Sequence[PlannedCell],
    *,
    pairs: int,
    warmup: int,
    seed: int,
    calibration: Sequence[PlannedCell] = (),
    aa: bool = False,
    rounds: int = ROUNDS,
    amount: Amount = Amount(),
    arrivals: Arrivals = "poisson",
    ramp_s: float = 0.0,
) -> Plan:
    """Make the plan: warm-up of every cell first, then the measured blocks, and the self-checks among them.

    `calibration` are the cells of that check, numbered after the others; `aa` adds A/A pairs. Neither comes below
    `FEWEST_CHECKED` pairs. `rounds` of segments are made of each cell under load. `ramp_s` is the time in seconds over
    which the load of a segment comes up.
    """
    rng = Random(seed)  # noqa: S311  (a design, not a secret)
    checked = pairs >= FEWEST_CHECKED
    known = calibration if checked else ()
    number = aa_pairs(cells, pairs) if aa and checked else 0
    alone, loaded = ([cell for cell in cells if cell.level.sequential is one] for one in (True, False))
    checks = [Checks([cell for cell in known if cell.level.sequential is one], number) for one in (True, False)]
    trials = tuple(_trials(_sequential_blocks(alone, checks[0], pairs, warmup, rng), rng)) if alone else ()
    segments = Segments(loaded, checks[1], pairs, warmup, rounds, amount, arrivals, ramp_s)
    return Plan(
        seed=seed,
        pairs=pairs,
        warmup=warmup,
        cells=(*cells, *known),
        trials=trials,
        segments=tuple(segments.lay_out(rng, trials[-1] if trials else None)) if loaded else (),
        arrivals=arrivals,
        ramp_s=ramp_s,
    )


@dataclass(frozen=True)
class Checks:
    """How the run checks itself."""

    cells: Sequence[PlannedCell]
    """Of the calibration."""
    aa: int
    """A/A pairs of each cell that has both deliveries."""

    @property
    def floors(self) -> Sequence[PlannedCell]:
        """The cells that calibrate the instrument: one for each client and load."""
        return [cell for cell in self.cells if len(cell.deliveries) > 1]

    @property
    def packets(self) -> Sequence[PlannedCell]:
        """The cells that test the claim on packets."""
        return [cell for cell in self.cells if len(cell.deliveries) == 1]


def aa_pairs(cells: Sequence[PlannedCell], pairs: int) -> int:
    """Count the A/A pairs of each cell: one for six pairs, more where the whole run would have too few to decide."""
    both = sum(len(cell.deliveries) > 1 for cell in cells)
    return max(ceil(pairs / AA_SHARE), ceil(FEWEST_AA / both)) if both else 0


_Block = tuple[Phase, PlannedCell, range]
"""A cell's pairs that run together: phase, cell, numbers of the pairs within the cell (for the choice of the ask)."""


def _sequential_blocks(
    cells: Sequence[PlannedCell], checks: Checks, pairs: int, warmup: int, rng: Random
) -> Iterator[list[_Block]]:
    """Yield blocks: one pair of every cell, in random order, and the calibration now and then."""
    for cell in (*cells, *checks.floors):
        yield [("warmup", cell, range(warmup))]
    both = [cell for cell in cells if len(cell.deliveries) > 1]
    numbers: dict[Phase, int] = {"measure": 0, "aa": 0}
    every = 2 if pairs + checks.aa >= 2 * FEWEST_CALIBRATED else 1
    for place, phase in enumerate(_spread(pairs, checks.aa, rng)):
        number = numbers[phase]
        numbers[phase] += 1
        one = range(number, number + 1)
        calibrations = [
            *(checks.floors if place % every == 0 else ()),
            *(checks.packets if place % (every * PACKETS_EVERY) == 0 else ()),
        ]
        parts: list[_Block] = [(phase, cell, one) for cell in (cells if phase == "measure" else both)]
        parts += [("calibrate", cell, range(place, place + 1)) for cell in calibrations]
        yield rng.sample(parts, len(parts))


def _spread(pairs: int, aa: int, rng: Random) -> Iterator[Phase]:
    """Yield the phases of the blocks: measured ones, with an A/A one at a random place of each equal stretch."""
    total = pairs + aa
    chosen = {rng.randrange(i * total // aa, (i + 1) * total // aa) for i in range(aa)}
    for place in range(total):
        yield "aa" if place in chosen else "measure"


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


def _pair(phase: Phase, cell: PlannedCell, number: int, rng: Random) -> Sequence[tuple[Delivery, Arm | None]]:
    """Return the trials of a pair in random order. Both of an A/A pair have one delivery; the deliveries take turns."""
    if phase != "aa":
        return [(delivery, None) for delivery in rng.sample(cell.deliveries, len(cell.deliveries))]
    delivery = cell.deliveries[(number + cell.cell) % len(cell.deliveries)]
    return [(delivery, arm) for arm in rng.sample(ARMS, len(ARMS))]


_Part = tuple[Phase, PlannedCell, range, float | None]
"""Two segments of a cell that make pairs, before they have an order: its pairs' numbers, and for how long at most."""


@dataclass(frozen=True)
class Segments:
    """The segments of the cells that run under load."""

    cells: Sequence[PlannedCell]
    checks: Checks
    pairs: int
    warmup: int
    rounds: int
    amount: Amount
    arrivals: Arrivals
    ramp_s: float

    def lay_out(self, rng: Random, after: PlannedTrial | None) -> Iterator[Segment]:
        """Yield the segments in their order, numbered behind the trials that run one at a time."""
        trial, pair, block = (after.trial_id + 1, after.pair + 1, after.block + 1) if after else (0, 0, 0)
        turns: dict[tuple[int, Phase], int] = {}
        coins = {cell.cell: rng.randrange(2) for cell in (*self.cells, *self.checks.cells)}
        for phase, cell, numbers, seconds in self._parts(rng):
            turn = turns.setdefault((cell.cell, phase), 0)
            turns[cell.cell, phase] += 1
            seed = rng.getrandbits(48)
            deliveries = _segment_deliveries(phase, cell, turn, coins[cell.cell])
            count = len(numbers) * (2 if phase == "aa" else 1)
            for order, delivery in enumerate(deliveries):
                yield Segment(
                    block=block,
                    cell=cell.cell,
                    phase=phase,
                    delivery=delivery,
                    order=order,
                    first_trial=trial,
                    first_pair=pair,
                    first_number=numbers.start,
                    count=count,
                    seconds=seconds,
                    seed=seed,
                )
                trial, block = trial + count, block + 1
            pair += len(numbers)

    def _parts(self, rng: Random) -> Iterator[_Part]:
        for cell in (*self.cells, *self.checks.floors):
            if self.warmup:
                yield "warmup", cell, range(max(self.warmup, _times(cell.level, 1))), None
        measured = {cell.cell: list(self._measured_rounds(cell)) for cell in self.cells}
        turns = max(map(len, measured.values()), default=0)
        own = {cell.cell: _aa_turns(self.checks.aa, turns, _times(cell.level, 1), rng) for cell in self.cells}
        for turn in range(turns):
            parts: list[_Part] = [
                ("measure", cell, *measured[cell.cell][turn]) for cell in self.cells if turn < len(measured[cell.cell])
            ]
            for cell in self.cells:
                aa = own[cell.cell].get(turn, range(0)) if len(cell.deliveries) > 1 else range(0)
                parts += [("aa", cell, aa, None)] if len(aa) else []
            for cell in self.checks.cells:
                size = _times(cell.level, CALIBRATED_S)
                parts.append(("calibrate", cell, range(turn * size, (turn + 1) * size), None))
            yield from rng.sample(parts, len(parts))

    def _measured_rounds(self, cell: PlannedCell) -> Iterator[tuple[range, float | None]]:
        """Yield the pairs of a cell in rounds, each at least twice the concurrent trials; by time as many as fit."""
        rate, seconds = cell.level.rate, self.amount.seconds
        if seconds is not None:
            each = seconds / self.rounds
            count = _arrivals(rate, each, self.ramp_s) if rate else UNBOUNDED
            yield from ((range(i * count, (i + 1) * count), None if rate else each) for i in range(self.rounds))
            return
        number, size = asked_and_segment(cell.level, self.amount.requests, self.pairs, self.rounds)
        for start in range(0, number, size):
            yield range(start, min(start + size, number)), None


def asked_and_segment(load: Load, requests: int | None, pairs: int, rounds: int) -> tuple[int, int]:
    """Return the pairs of a cell without a time limit, and those of a segment: at least twice the concurrent trials."""
    number = requests or max(pairs, _times(load, 4))
    return number, max(_times(load, 2), ceil(number / rounds))


def _times(load: Load, times: int) -> int:
    """Return `times` the number of concurrent trials, or the trials that begin in this many seconds."""
    return ceil(load.rate * times) if load.rate is not None else (load.concurrency or 1) * times


def _arrivals(rate: float, seconds: float, ramp_s: float) -> int:
    """Count the trials that begin in `seconds` on average; during the ramp the rate rises linearly."""
    ramp = min(ramp_s, seconds)
    return max(1, round(rate * (seconds - ramp / 2)))


def _aa_turns(pairs: int, turns: int, least: int, rng: Random) -> dict[int, range]:
    """Return the A/A pairs of a cell by turn: as many as run at a time, or they would not meet its load."""
    if not pairs or not turns:
        return {}
    pairs = max(pairs, least)
    number = min(turns, pairs // least)
    chosen = enumerate(sorted(rng.sample(range(turns), number)))
    return {turn: range(i * pairs // number, (i + 1) * pairs // number) for i, turn in chosen}


def _segment_deliveries(phase: Phase, cell: PlannedCell, turn: int, coin: int) -> Sequence[Delivery]:
    """Return the deliveries of two segments: a coin decides which goes first, then they take turns (ABBA).

    A/A pairs have one segment; the deliveries take turns.
    """
    if phase == "aa":
        return cell.deliveries[(turn + cell.cell) % len(cell.deliveries) :][:1]
    return cell.deliveries if (turn + coin) % 2 == 0 else tuple(reversed(cell.deliveries))
